// SPDX-License-Identifier: GPL-2.0
/*
 * Ways in which a program makes the kernel request a module. Each way is named for the name that
 * the kernel requests first. An ordinary user can use all of them except those of the class
 * "guarded", where the kernel itself requires a capability.
 *
 * Some ways need namespaces of their own. If the user is not root, these get a user namespace as
 * well.
 *
 * When it is run as modprobe is, the program stands in for modprobe: it adds the requested name to
 * /tmp/reached, and loads nothing.
 *
 * usage: vectors list			CLASS NAME in lines
 *	  vectors patterns		CLASS PATTERN... in lines: what autoload_allow
 *					has to have for the class, and for no other
 *	  vectors run			all, one after the other
 *	  vectors run CLASS|NAME...	these
 *	  vectors -q -- NAME
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/if_alg.h>
#include <linux/if_link.h>
#include <linux/inet_diag.h>
#include <linux/keyctl.h>
#include <linux/lwtunnel.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netlink.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define REACHED "/tmp/reached"
/* Device nodes, with the name that the kernel requests. The test makes them. */
#define NODES "/tmp/nodes/"
/* In seconds. No way takes that long. */
#define TIMEOUT 600

struct vector {
	const char *name;
	int (*act)(const struct vector *vector);
	long a, b, c;
	const char *text;
};

/* The message to the kernel, put together piece by piece. */
static struct {
	char bytes[4096] __attribute__((aligned(NLMSG_ALIGNTO)));
	size_t length;
	struct nlmsghdr *message;
} request;

/* Appends data, or zeroes if there is none, and the padding. Returns where they are. */
static void *append(const void *data, size_t length)
{
	char *at = request.bytes + request.length;

	if (request.length + NLMSG_ALIGN(length) > sizeof(request.bytes))
		errx(1, "a request is too long");
	if (data)
		memcpy(at, data, length);
	request.length += NLMSG_ALIGN(length);
	return at;
}

/* The length of a message includes everything up to the beginning of the next one. */
static void end_message(void)
{
	if (request.message)
		request.message->nlmsg_len =
			request.bytes + request.length - (char *)request.message;
}

static void message(int type, int flags, const void *header, size_t length)
{
	struct nlmsghdr *begun;

	end_message();
	begun = append(NULL, sizeof(*begun));
	begun->nlmsg_type = type;
	begun->nlmsg_flags = NLM_F_REQUEST | flags;
	request.message = begun;
	append(header, length);
}

static struct nlattr *attribute(int type, const void *data, size_t length)
{
	struct nlattr *begun = append(NULL, sizeof(*begun));

	begun->nla_type = type;
	begun->nla_len = sizeof(*begun) + length;
	append(data, length);
	return begun;
}

static void string(int type, const char *text)
{
	attribute(type, text, strlen(text) + 1);
}

static void number(int type, uint32_t value)
{
	value = htonl(value);
	attribute(type, &value, sizeof(value));
}

static struct nlattr *nest(int type)
{
	return attribute(type | NLA_F_NESTED, NULL, 0);
}

static void end_nest(struct nlattr *begun)
{
	begun->nla_len = request.bytes + request.length - (char *)begun;
}

/* Sends the messages. The kernel has acted on them before this returns. */
static int ask(int protocol)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	end_message();
	return fd < 0 || sendto(fd, request.bytes, request.length, 0,
				(struct sockaddr *)&kernel, sizeof(kernel)) < 0;
}

/* --- Sockets ---------------------------------------------------------- */

/* The family, the type, the protocol. */
static int open_socket(const struct vector *vector)
{
	return socket(vector->a, vector->b, vector->c) < 0;
}

/* The protocol. */
static int open_netlink(const struct vector *vector)
{
	return socket(AF_NETLINK, SOCK_RAW, vector->a) < 0;
}

/* The ioctl request, on an ordinary socket. */
static int request_device(const struct vector *vector)
{
	struct ifreq device = { .ifr_name = "vector" };

	return ioctl(socket(AF_INET, SOCK_DGRAM, 0), vector->a, &device) < 0;
}

static int generic_family(const struct vector *vector)
{
	struct genlmsghdr header = { .cmd = CTRL_CMD_GETFAMILY, .version = 1 };

	message(GENL_ID_CTRL, 0, &header, sizeof(header));
	string(CTRL_ATTR_FAMILY_NAME, vector->text);
	return ask(NETLINK_GENERIC);
}

/* The family whose sockets are listed. */
static int list_sockets(const struct vector *vector)
{
	struct inet_diag_req_v2 header = { .sdiag_family = vector->a, .idiag_states = -1 };

	message(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &header, sizeof(header));
	return ask(NETLINK_SOCK_DIAG);
}

/* The transport. */
static int rds_transport(const struct vector *vector)
{
	int transport = vector->a;

	/* SOL_RDS, SO_RDS_TRANSPORT */
	return setsockopt(socket(AF_RDS, SOCK_SEQPACKET, 0), 276, 8, &transport,
			  sizeof(transport));
}

/* The option of TCP. */
static int tcp_option(const struct vector *vector)
{
	return setsockopt(socket(AF_INET, SOCK_STREAM, 0), IPPROTO_TCP, vector->a, vector->text,
			  strlen(vector->text));
}

/* --- Ciphers ---------------------------------------------------------- */

/* The text is "TYPE NAME". */
static int bind_cipher(const struct vector *vector)
{
	struct sockaddr_alg address = { .salg_family = AF_ALG };

	sscanf(vector->text, "%13s %63s", (char *)address.salg_type, (char *)address.salg_name);
	return bind(socket(AF_ALG, SOCK_SEQPACKET, 0), (struct sockaddr *)&address,
		    sizeof(address));
}

/* The hash that a key is derived with. */
static int derive_key(const struct vector *vector)
{
	struct keyctl_dh_params parameters = { 0 };
	struct keyctl_kdf_params derivation = { .hashname = (char *)vector->text };
	char key[32];

	return syscall(SYS_keyctl, KEYCTL_DH_COMPUTE, &parameters, key, sizeof(key),
		       &derivation) < 0;
}

/* --- Files ------------------------------------------------------------ */

static int mount_it(const struct vector *vector)
{
	return mount("none", "/mnt", vector->text, 0, NULL);
}

/* The discipline. */
static int set_discipline(const struct vector *vector)
{
	int discipline = vector->a;

	return ioctl(open("/dev/ptmx", O_RDWR | O_NOCTTY), TIOCSETD, &discipline);
}

static int open_node(const struct vector *vector)
{
	char path[128];

	snprintf(path, sizeof(path), NODES "%s", vector->name);
	return open(path, O_RDWR | O_NONBLOCK) < 0;
}

/* --- Network devices, routes, queues ---------------------------------- */

static int add_link(const struct vector *vector)
{
	struct ifinfomsg header = { .ifi_family = AF_UNSPEC };
	struct nlattr *information;

	message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	information = nest(IFLA_LINKINFO);
	string(IFLA_INFO_KIND, vector->text);
	end_nest(information);
	return ask(NETLINK_ROUTE);
}

/* The encapsulation. */
static int add_route(const struct vector *vector)
{
	struct rtmsg header = {
		.rtm_family = AF_INET, .rtm_dst_len = 32, .rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC, .rtm_type = RTN_UNICAST,
	};
	uint32_t to = htonl(0xc0000201);
	uint16_t type = vector->a;

	message(RTM_NEWROUTE, NLM_F_CREATE, &header, sizeof(header));
	attribute(RTA_DST, &to, sizeof(to));
	attribute(RTA_ENCAP_TYPE, &type, sizeof(type));
	end_nest(nest(RTA_ENCAP));
	return ask(NETLINK_ROUTE);
}

/* On the loopback device. */
static int add_queue(const struct vector *vector)
{
	struct tcmsg header = { .tcm_ifindex = 1, .tcm_parent = TC_H_ROOT, .tcm_handle = 0x10000 };

	message(RTM_NEWQDISC, NLM_F_CREATE, &header, sizeof(header));
	string(TCA_KIND, vector->text);
	return ask(NETLINK_ROUTE);
}

/* On a shared block, which need not exist. */
static int add_classifier(const struct vector *vector)
{
	struct tcmsg header = {
		.tcm_ifindex = TCM_IFINDEX_MAGIC_BLOCK, .tcm_block_index = 1,
		.tcm_info = 1 << 16 | htons(3),
	};

	message(RTM_NEWTFILTER, NLM_F_CREATE, &header, sizeof(header));
	string(TCA_KIND, vector->text);
	return ask(NETLINK_ROUTE);
}

static int add_action(const struct vector *vector)
{
	struct tcamsg header = { .tca_family = AF_UNSPEC };
	struct nlattr *all, *one;

	message(RTM_NEWACTION, NLM_F_CREATE, &header, sizeof(header));
	all = nest(TCA_ACT_TAB);
	one = nest(1);
	string(TCA_ACT_KIND, vector->text);
	end_nest(one);
	end_nest(all);
	return ask(NETLINK_ROUTE);
}

/* --- Netfilter -------------------------------------------------------- */

static void netfilter(int subsystem, int command, int flags, int family)
{
	struct nfgenmsg header = { .nfgen_family = family, .version = NFNETLINK_V0 };

	message(subsystem << 8 | command, flags, &header, sizeof(header));
}

/* The subsystem. */
static int ask_subsystem(const struct vector *vector)
{
	netfilter(vector->a, 0, 0, AF_INET);
	return ask(NETLINK_NETFILTER);
}

/* The group of messages. The kernel does not wait for this request. */
static int join_group(const struct vector *vector)
{
	int group = vector->a;

	return setsockopt(socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER), SOL_NETLINK,
			  NETLINK_ADD_MEMBERSHIP, &group, sizeof(group));
}

static int ip_set_type(const struct vector *vector)
{
	unsigned char protocol = IPSET_PROTOCOL, family = AF_INET;

	netfilter(NFNL_SUBSYS_IPSET, IPSET_CMD_TYPE, 0, AF_INET);
	attribute(IPSET_ATTR_PROTOCOL, &protocol, sizeof(protocol));
	string(IPSET_ATTR_TYPENAME, vector->text);
	attribute(IPSET_ATTR_FAMILY, &family, sizeof(family));
	return ask(NETLINK_NETFILTER);
}

static void batch(int what)
{
	struct nfgenmsg header = { .res_id = htons(NFNL_SUBSYS_NFTABLES) };

	message(what, 0, &header, sizeof(header));
}

static void nft(int command, int family)
{
	netfilter(NFNL_SUBSYS_NFTABLES, command, NLM_F_CREATE, family);
}

static void begin_nft(int family)
{
	batch(NFNL_MSG_BATCH_BEGIN);
	nft(NFT_MSG_NEWTABLE, family);
	string(NFTA_TABLE_NAME, "t");
}

static int end_nft(void)
{
	batch(NFNL_MSG_BATCH_END);
	return ask(NETLINK_NETFILTER);
}

static void chain_of_table(void)
{
	string(NFTA_CHAIN_TABLE, "t");
	string(NFTA_CHAIN_NAME, "c");
}

/* The family. */
static int nft_chain(const struct vector *vector)
{
	struct nlattr *hook;

	begin_nft(vector->a);
	nft(NFT_MSG_NEWCHAIN, vector->a);
	chain_of_table();
	hook = nest(NFTA_CHAIN_HOOK);
	number(NFTA_HOOK_HOOKNUM, 0);
	number(NFTA_HOOK_PRIORITY, -100);
	end_nest(hook);
	string(NFTA_CHAIN_TYPE, vector->text);
	return end_nft();
}

static int nft_expression(const struct vector *vector)
{
	struct nlattr *all, *one;

	begin_nft(AF_INET);
	nft(NFT_MSG_NEWCHAIN, AF_INET);
	chain_of_table();
	nft(NFT_MSG_NEWRULE, AF_INET);
	string(NFTA_RULE_TABLE, "t");
	string(NFTA_RULE_CHAIN, "c");
	all = nest(NFTA_RULE_EXPRESSIONS);
	one = nest(NFTA_LIST_ELEM);
	string(NFTA_EXPR_NAME, vector->text);
	end_nest(nest(NFTA_EXPR_DATA));
	end_nest(one);
	end_nest(all);
	return end_nft();
}

/* The kind of object. */
static int nft_object(const struct vector *vector)
{
	begin_nft(AF_INET);
	nft(NFT_MSG_NEWOBJ, AF_INET);
	string(NFTA_OBJ_TABLE, "t");
	string(NFTA_OBJ_NAME, "o");
	number(NFTA_OBJ_TYPE, vector->a);
	end_nest(nest(NFTA_OBJ_DATA));
	return end_nft();
}

static int nft_flowtable(const struct vector *vector)
{
	struct nlattr *hook;

	begin_nft(vector->a);
	nft(NFT_MSG_NEWFLOWTABLE, vector->a);
	string(NFTA_FLOWTABLE_TABLE, "t");
	string(NFTA_FLOWTABLE_NAME, "f");
	hook = nest(NFTA_FLOWTABLE_HOOK);
	number(NFTA_FLOWTABLE_HOOK_NUM, 0);
	number(NFTA_FLOWTABLE_HOOK_PRIORITY, 0);
	end_nest(hook);
	return end_nft();
}

/* The level and the option: the revision of a match or a target, or a table. */
static int get_option(const struct vector *vector)
{
	/* struct ipt_getinfo and the like, and struct xt_get_revision, begin with the name. */
	char option[84] = "";
	socklen_t length = vector->c;

	strncpy(option, vector->text, XT_EXTENSION_MAXNAMELEN - 1);
	return getsockopt(socket(vector->a == IPPROTO_IPV6 ? AF_INET6 : AF_INET, SOCK_RAW,
				 IPPROTO_RAW), vector->a, vector->b, option, &length);
}

/* --- All of them ------------------------------------------------------ */

/* The numbers of IPT_SO_GET_REVISION_MATCH, IPT_SO_GET_INFO and so on, and how much they take. */
#define IP_MATCH IPPROTO_IP, 66, sizeof(struct xt_get_revision)
#define IP_TABLE IPPROTO_IP, 64, 84
#define IP6_MATCH IPPROTO_IPV6, 68, sizeof(struct xt_get_revision)
#define IP6_TABLE IPPROTO_IPV6, 64, 84
#define ARP_TABLE IPPROTO_IP, 96, 68
#define ARP_TARGET IPPROTO_IP, 99, sizeof(struct xt_get_revision)

#define FAMILY(n) { "net-pf-" #n, open_socket, n, SOCK_RAW }
#define PROTOCOL(f, p, t) { "net-pf-" #f "-proto-" #p "-type-" #t, open_socket, f, t, p }
#define NETLINK(n) { "net-pf-16-proto-" #n, open_netlink, n }
#define GENERIC(name) { "net-pf-16-proto-16-family-" name, generic_family, .text = name }
#define DIAG(n) { "net-pf-16-proto-4-type-" #n, list_sockets, n }
#define DISCIPLINE(n) { "tty-ldisc-" #n, set_discipline, n }
#define CIPHER(type, name) { "crypto-" name, bind_cipher, .text = type " " name }
#define FILE_SYSTEM(name) { "fs-" name, mount_it, .text = name }
#define LINK(name) { "rtnl-link-" name, add_link, .text = name }
#define QUEUE(name) { "net-sch-" name, add_queue, .text = name }
#define CLASSIFIER(name) { "net-cls-" name, add_classifier, .text = name }
#define ACTION(name) { "net-act-" name, add_action, .text = name }
#define SUBSYSTEM(n) { "nfnetlink-subsys-" #n, ask_subsystem, n }
#define EXPRESSION(name) { "nft-expr-2-" name, nft_expression, .text = name }
#define IP_SET(name) { "ip_set_" name, ip_set_type, .text = name }
#define NODE(name) { name, open_node }

/* Fields that are not given are 0. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

static const struct class {
	const char *name, *patterns;
	int needs_namespaces;
	struct vector vectors[32];
} classes[] = {
	{ "families", "net-pf-[0-9] net-pf-[0-9][0-9]", 0, {
		FAMILY(3), FAMILY(4), FAMILY(5), FAMILY(6), FAMILY(8), FAMILY(9), FAMILY(11),
		FAMILY(15), FAMILY(20), FAMILY(21), FAMILY(24), FAMILY(29), FAMILY(30),
		FAMILY(31), FAMILY(33), FAMILY(35), FAMILY(36), FAMILY(37), FAMILY(38),
		FAMILY(39), FAMILY(40), FAMILY(41), FAMILY(42), FAMILY(43), FAMILY(45),
	} },
	{ "protocols", "net-pf-2-proto-* net-pf-10-proto-* net-pf-24-proto-*", 0, {
		/* SCTP, DCCP, UDP-Lite, L2TP, SMC; PPP over Ethernet, L2TP, PPTP. */
		PROTOCOL(2, 132, 5), PROTOCOL(2, 132, 1), PROTOCOL(2, 33, 6),
		PROTOCOL(2, 136, 2), PROTOCOL(2, 115, 2), PROTOCOL(2, 256, 1),
		PROTOCOL(10, 132, 5), PROTOCOL(10, 132, 1), PROTOCOL(10, 33, 6),
		PROTOCOL(10, 136, 2), PROTOCOL(10, 115, 2), PROTOCOL(10, 256, 1),
		{ "net-pf-24-proto-0", open_socket, AF_PPPOX, SOCK_DGRAM, 0 },
		{ "net-pf-24-proto-1", open_socket, AF_PPPOX, SOCK_DGRAM, 1 },
		{ "net-pf-24-proto-2", open_socket, AF_PPPOX, SOCK_DGRAM, 2 },
	} },
	{ "other-protocols", "can-proto-* bt-proto-*", 0, {
		{ "can-proto-1", open_socket, AF_CAN, SOCK_RAW, 1 },
		{ "can-proto-2", open_socket, AF_CAN, SOCK_DGRAM, 2 },
		{ "can-proto-6", open_socket, AF_CAN, SOCK_DGRAM, 6 },
		{ "can-proto-7", open_socket, AF_CAN, SOCK_DGRAM, 7 },
		{ "bt-proto-3", open_socket, AF_BLUETOOTH, SOCK_STREAM, 3 },
		{ "bt-proto-4", open_socket, AF_BLUETOOTH, SOCK_RAW, 4 },
		{ "bt-proto-5", open_socket, AF_BLUETOOTH, SOCK_RAW, 5 },
		{ "bt-proto-6", open_socket, AF_BLUETOOTH, SOCK_RAW, 6 },
		{ "bt-proto-7", open_socket, AF_BLUETOOTH, SOCK_RAW, 7 },
	} },
	{ "netlink", "net-pf-16-proto-[0-9] net-pf-16-proto-[0-9][0-9]", 0, {
		NETLINK(3), NETLINK(5), NETLINK(6), NETLINK(8), NETLINK(14), NETLINK(18),
		NETLINK(19), NETLINK(20), NETLINK(21), NETLINK(22),
	} },
	{ "generic-netlink", "net-pf-16-proto-16-family-*", 0, {
		GENERIC("wireguard"), GENERIC("macsec"), GENERIC("l2tp"), GENERIC("nl80211"),
		GENERIC("TIPCv2"), GENERIC("gtp"),
	} },
	{ "sock-diag", "net-pf-16-proto-4-type-*", 0, {
		DIAG(1), DIAG(2), DIAG(10), DIAG(16), DIAG(17), DIAG(44),
	} },
	{ "line-disciplines", "tty-ldisc-*", 0, {
		DISCIPLINE(1), DISCIPLINE(2), DISCIPLINE(3), DISCIPLINE(5), DISCIPLINE(6),
		DISCIPLINE(7), DISCIPLINE(13), DISCIPLINE(15), DISCIPLINE(17), DISCIPLINE(18),
		DISCIPLINE(20), DISCIPLINE(21), DISCIPLINE(25), DISCIPLINE(28), DISCIPLINE(30),
	} },
	{ "ciphers", "crypto-* algif-*", 0, {
		CIPHER("skcipher", "cbc(serpent)"), CIPHER("skcipher", "xts(twofish)"),
		CIPHER("skcipher", "adiantum(xchacha12,aes)"),
		CIPHER("aead", "authencesn(hmac(sha256),cbc(aes))"),
		CIPHER("aead", "pcrypt(gcm(camellia))"),
		CIPHER("hash", "wp512"), CIPHER("hash", "rmd160"),
		{ "algif-rng", bind_cipher, .text = "rng stdrng" },
		{ "algif-akcipher", bind_cipher, .text = "akcipher rsa" },
		/* Through keyctl(2), which does not need AF_ALG. */
		{ "crypto-streebog256", derive_key, .text = "streebog256" },
	} },
	{ "file-systems", "fs-*", 1, {
		FILE_SYSTEM("xfs"), FILE_SYSTEM("btrfs"), FILE_SYSTEM("f2fs"),
		FILE_SYSTEM("cifs"), FILE_SYSTEM("nfs"), FILE_SYSTEM("ceph"),
		FILE_SYSTEM("overlay"), FILE_SYSTEM("hfsplus"), FILE_SYSTEM("ntfs3"),
		FILE_SYSTEM("udf"), FILE_SYSTEM("jfs"), FILE_SYSTEM("erofs"),
	} },
	{ "links", "rtnl-link-*", 1, {
		LINK("dummy"), LINK("bridge"), LINK("bond"), LINK("veth"), LINK("vxlan"),
		LINK("wireguard"), LINK("macsec"), LINK("ipvlan"), LINK("gre"), LINK("hsr"),
	} },
	{ "routes", "rtnl-lwt-*", 1, {
		{ "rtnl-lwt-MPLS", add_route, LWTUNNEL_ENCAP_MPLS },
		{ "rtnl-lwt-ILA", add_route, LWTUNNEL_ENCAP_ILA },
	} },
	{ "traffic-control", "net-sch-* net-cls-*", 1, {
		QUEUE("netem"), QUEUE("qfq"), QUEUE("drr"), QUEUE("hfsc"),
		CLASSIFIER("u32"), CLASSIFIER("flower"), CLASSIFIER("route"),
	} },
	{ "nfnetlink", "nfnetlink-subsys-*", 1, {
		SUBSYSTEM(1), SUBSYSTEM(3), SUBSYSTEM(4), SUBSYSTEM(5), SUBSYSTEM(6),
		SUBSYSTEM(8), SUBSYSTEM(9), SUBSYSTEM(10), SUBSYSTEM(11), SUBSYSTEM(12),
		{ "nfnetlink-subsys-2", join_group, NFNLGRP_CONNTRACK_EXP_NEW },
		{ "nfnetlink-subsys-7", join_group, NFNLGRP_ACCT_QUOTA },
	} },
	{ "nftables", "nft-* nf-flowtable-*", 1, {
		EXPRESSION("hash"), EXPRESSION("nat"), EXPRESSION("fib"), EXPRESSION("tproxy"),
		{ "nft-chain-2-nat", nft_chain, AF_INET, .text = "nat" },
		{ "nft-chain-10-nat", nft_chain, AF_INET6, .text = "nat" },
		{ "nft-obj-2", nft_object, 2 },
		{ "nft-obj-10", nft_object, 10 },
		{ "nf-flowtable-2", nft_flowtable, AF_INET },
	} },
	{ "iptables", "ipt_* iptable_* ip6t_* ip6table_* arpt_* arptable_*", 1, {
		{ "ipt_rpfilter", get_option, IP_MATCH, "rpfilter" },
		{ "iptable_nat", get_option, IP_TABLE, "nat" },
		{ "ip6t_frag", get_option, IP6_MATCH, "frag" },
		{ "ip6table_filter", get_option, IP6_TABLE, "filter" },
		{ "arpt_mangle", get_option, ARP_TARGET, "mangle" },
		{ "arptable_filter", get_option, ARP_TABLE, "filter" },
	} },
	{ "ip-sets", "ip_set_*", 1, {
		IP_SET("hash:ip"), IP_SET("bitmap:port"), IP_SET("list:set"),
	} },
	/* In Debian everybody may open the first one, and the user at the console the others. */
	{ "devices", "char-major-*", 0, {
		NODE("char-major-10-200"), NODE("char-major-10-232"), NODE("char-major-116-33"),
	} },
	{ "bare-names", "bridge 8021q rds_*", 0, {
		{ "bridge", request_device, SIOCGIFBR },
		{ "8021q", request_device, SIOCGIFVLAN },
		{ "rds_rdma", rds_transport, 0 },
		{ "rds_tcp", rds_transport, 2 },
	} },
	{ "guarded", "netdev-* tcp_* tcp-ulp-* net-act-*", 0, {
		{ "netdev-vector", request_device, SIOCGIFFLAGS },
		{ "tcp_vegas", tcp_option, 13, .text = "vegas" },
		{ "tcp-ulp-tls", tcp_option, 31, .text = "tls" },
		ACTION("pedit"),
	} },
};

#define NR_CLASSES (sizeof(classes) / sizeof(*classes))
#define for_each_class(c) for (c = classes; c < classes + NR_CLASSES; c++)
#define for_each_vector(v, c) for (v = c->vectors; v < c->vectors + 32 && v->name; v++)

static void write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(1, "%s", path);
	close(fd);
}

/* Takes a network and mounts of its own, and what is needed to be allowed to. */
static void take_namespaces(void)
{
	int user = geteuid() ? CLONE_NEWUSER : 0;
	char map[32];

	snprintf(map, sizeof(map), "0 %d 1", geteuid());
	if (unshare(user | CLONE_NEWNS | CLONE_NEWNET))
		err(1, "unshare");
	if (user) {
		write_to("/proc/self/setgroups", "deny");
		write_to("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %d 1", getegid());
		write_to("/proc/self/gid_map", map);
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		err(1, "mount");
}

static int wait_for(pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child)
		err(1, "no child");
	return status;
}

/* Runs in a task of its own, so that what it opens is closed afterwards. */
static void run(const struct vector *vector)
{
	pid_t child = fork();

	if (!child) {
		alarm(TIMEOUT);
		/* Success does not matter here, only what the kernel requests. */
		vector->act(vector);
		_exit(0);
	}
	if (wait_for(child))
		warnx("%s did not end", vector->name);
}

static int is_wanted(const struct class *class, const struct vector *vector, char **names)
{
	char **name;

	if (!*names)
		return 1;
	for (name = names; *name; name++)
		if (!strcmp(*name, class->name) || !strcmp(*name, vector->name))
			return 1;
	return 0;
}

static void run_all(int in_namespaces, char **names)
{
	const struct class *class;
	const struct vector *vector;

	for_each_class(class)
		for_each_vector(vector, class)
			if (class->needs_namespaces == in_namespaces &&
			    is_wanted(class, vector, names))
				run(vector);
}

static int stand_in(const char *name)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%s\n", name);
	int fd = open(REACHED, O_WRONLY | O_CREAT | O_APPEND, 0600);

	return fd < 0 || write(fd, line, n) != n;
}

int main(int argc, char **argv)
{
	const struct class *class;
	const struct vector *vector;
	pid_t child;

	if (argc == 4 && !strcmp(argv[1], "-q"))
		return stand_in(argv[3]);

	if (argc == 2 && !strcmp(argv[1], "list")) {
		for_each_class(class)
			for_each_vector(vector, class)
				printf("%s %s\n", class->name, vector->name);
		return 0;
	}

	if (argc == 2 && !strcmp(argv[1], "patterns")) {
		for_each_class(class)
			printf("%s %s\n", class->name, class->patterns);
		return 0;
	}

	if (argc < 2 || strcmp(argv[1], "run"))
		errx(2, "usage: vectors list | patterns | run [CLASS|NAME...]");

	run_all(0, argv + 2);
	child = fork();
	if (!child) {
		take_namespaces();
		run_all(1, argv + 2);
		_exit(0);
	}
	return wait_for(child) != 0;
}
