// SPDX-License-Identifier: GPL-2.0
/* Netfilter: its netlink subsystems, nftables, what is left of iptables, sets, IPVS. */
#define _GNU_SOURCE
#include "vectors.h"

#include <arpa/inet.h>
#include <linux/ip_vs.h>
#include <linux/netfilter.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_physdev.h>
#include <linux/netfilter/xt_string.h>
#include <string.h>
#include <sys/socket.h>

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

/* --- nftables --------------------------------------------------------------------------------- */

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

/* The family. */
static int nft_chain(const struct vector *vector)
{
	struct nlattr *hook;

	begin_nft(vector->a);
	nft(NFT_MSG_NEWCHAIN, vector->a);
	string(NFTA_CHAIN_TABLE, "t");
	string(NFTA_CHAIN_NAME, "nat");
	hook = nest(NFTA_CHAIN_HOOK);
	number(NFTA_HOOK_HOOKNUM, 0);
	number(NFTA_HOOK_PRIORITY, -100);
	end_nest(hook);
	string(NFTA_CHAIN_TYPE, vector->text);
	return end_nft();
}

/* Begins a rule of one expression, and its data. */
static struct {
	struct nlattr *all, *one, *data;
} rule;

static void begin_rule(int family, const char *expression)
{
	begin_nft(family);
	nft(NFT_MSG_NEWCHAIN, family);
	string(NFTA_CHAIN_TABLE, "t");
	string(NFTA_CHAIN_NAME, "c");
	nft(NFT_MSG_NEWRULE, family);
	string(NFTA_RULE_TABLE, "t");
	string(NFTA_RULE_CHAIN, "c");
	rule.all = nest(NFTA_RULE_EXPRESSIONS);
	rule.one = nest(NFTA_LIST_ELEM);
	string(NFTA_EXPR_NAME, expression);
	rule.data = nest(NFTA_EXPR_DATA);
}

static int end_rule(void)
{
	end_nest(rule.data);
	end_nest(rule.one);
	end_nest(rule.all);
	return end_nft();
}

/* The family. */
static int nft_expression(const struct vector *vector)
{
	begin_rule(vector->a, vector->text);
	return end_rule();
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

/* The family. */
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

/* --- What rules need besides their expression ------------------------------------------------- */

static int log_to_syslog(const struct vector *vector)
{
	begin_rule(AF_INET, "log");
	string(NFTA_LOG_PREFIX, vector->name);
	return end_rule();
}

static int log_to_group(const struct vector *vector)
{
	unsigned short group = htons(1);

	(void)vector;
	begin_rule(AF_INET, "log");
	attribute(NFTA_LOG_GROUP, &group, sizeof(group));
	return end_rule();
}

/* The state of a connection through a bridge. */
static int track_bridge(const struct vector *vector)
{
	(void)vector;
	begin_rule(NFPROTO_BRIDGE, "ct");
	number(NFTA_CT_KEY, NFT_CT_STATE);
	number(NFTA_CT_DREG, NFT_REG_1);
	return end_rule();
}

/* The object that stands for a helper of connection tracking. */
static int helper_object(const struct vector *vector)
{
	struct nlattr *data;

	begin_nft(AF_INET);
	nft(NFT_MSG_NEWOBJ, AF_INET);
	string(NFTA_OBJ_TABLE, "t");
	string(NFTA_OBJ_NAME, "o");
	number(NFTA_OBJ_TYPE, NFT_OBJECT_CT_HELPER);
	data = nest(NFTA_OBJ_DATA);
	string(NFTA_CT_HELPER_NAME, vector->text);
	byte(NFTA_CT_HELPER_L4PROTO, IPPROTO_UDP);
	end_nest(data);
	return end_nft();
}

/* --- Connections ------------------------------------------------------------------------------ */

static void addresses(int type, uint32_t from, uint32_t to, int from_port, int to_port)
{
	struct nlattr *tuple = nest(type), *part;
	unsigned short port;

	part = nest(CTA_TUPLE_IP);
	number(CTA_IP_V4_SRC, from);
	number(CTA_IP_V4_DST, to);
	end_nest(part);
	part = nest(CTA_TUPLE_PROTO);
	byte(CTA_PROTO_NUM, IPPROTO_UDP);
	port = htons(from_port);
	attribute(CTA_PROTO_SRC_PORT, &port, sizeof(port));
	port = htons(to_port);
	attribute(CTA_PROTO_DST_PORT, &port, sizeof(port));
	end_nest(part);
	end_nest(tuple);
}

static void begin_connection(void)
{
	netfilter(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, AF_INET);
	addresses(CTA_TUPLE_ORIG, 0xc0000201, 0xc0000202, 1000, 2000);
	addresses(CTA_TUPLE_REPLY, 0xc0000202, 0xc0000201, 2000, 1000);
	number(CTA_TIMEOUT, 1);
}

static int connection_with_helper(const struct vector *vector)
{
	struct nlattr *help;

	begin_connection();
	help = nest(CTA_HELP);
	string(CTA_HELP_NAME, vector->text);
	end_nest(help);
	return ask(NETLINK_NETFILTER);
}

static int connection_with_nat(const struct vector *vector)
{
	struct nlattr *nat;

	(void)vector;
	begin_connection();
	nat = nest(CTA_NAT_SRC);
	number(CTA_NAT_V4_MINIP, 0xc0000203);
	end_nest(nat);
	return ask(NETLINK_NETFILTER);
}

/* --- iptables --------------------------------------------------------------------------------- */

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

/* The family, and whether it is a target: its revision, as iptables over nftables asks for it. */
static int ask_revision(const struct vector *vector)
{
	netfilter(NFNL_SUBSYS_NFT_COMPAT, NFNL_MSG_COMPAT_GET, 0, vector->a);
	string(NFTA_COMPAT_NAME, vector->text);
	number(NFTA_COMPAT_REV, 0);
	number(NFTA_COMPAT_TYPE, vector->b);
	return ask(NETLINK_NETFILTER);
}

/* The family. */
static int use_match(const struct vector *vector)
{
	begin_rule(vector->a, "match");
	string(NFTA_MATCH_NAME, vector->text);
	number(NFTA_MATCH_REV, 0);
	attribute(NFTA_MATCH_INFO, NULL, 8);
	return end_rule();
}

/* The family. */
static int use_target(const struct vector *vector)
{
	begin_rule(vector->a, "target");
	string(NFTA_TARGET_NAME, vector->text);
	number(NFTA_TARGET_REV, 0);
	attribute(NFTA_TARGET_INFO, NULL, 8);
	return end_rule();
}

/* How the match "string" searches. */
static int match_string(const struct vector *vector)
{
	struct xt_string_info information = {
		.to_offset = 100, .pattern = "text", .patlen = 4,
	};

	strncpy(information.algo, vector->text, XT_STRING_MAX_ALGO_NAME_SIZE - 1);
	begin_rule(AF_INET, "match");
	string(NFTA_MATCH_NAME, "string");
	number(NFTA_MATCH_REV, 1);
	attribute(NFTA_MATCH_INFO, &information, sizeof(information));
	return end_rule();
}

/* Whether packets come through a bridge. The kernel asks once while the match is loaded. */
static int match_device(const struct vector *vector)
{
	struct xt_physdev_info information = { .bitmask = XT_PHYSDEV_OP_BRIDGED };

	(void)vector;
	begin_rule(AF_INET, "match");
	string(NFTA_MATCH_NAME, "physdev");
	number(NFTA_MATCH_REV, 0);
	attribute(NFTA_MATCH_INFO, &information, sizeof(information));
	return end_rule();
}

/* --- Sets and services ------------------------------------------------------------------------ */

static int ask_set_type(const struct vector *vector)
{
	netfilter(NFNL_SUBSYS_IPSET, IPSET_CMD_TYPE, 0, AF_INET);
	byte(IPSET_ATTR_PROTOCOL, IPSET_PROTOCOL);
	string(IPSET_ATTR_TYPENAME, vector->text);
	byte(IPSET_ATTR_FAMILY, AF_INET);
	return ask(NETLINK_NETFILTER);
}

static int create_set(const struct vector *vector)
{
	netfilter(NFNL_SUBSYS_IPSET, IPSET_CMD_CREATE, NLM_F_CREATE | NLM_F_EXCL, AF_INET);
	byte(IPSET_ATTR_PROTOCOL, IPSET_PROTOCOL);
	string(IPSET_ATTR_SETNAME, "s");
	string(IPSET_ATTR_TYPENAME, vector->text);
	byte(IPSET_ATTR_REVISION, 0);
	byte(IPSET_ATTR_FAMILY, AF_INET);
	end_nest(nest(IPSET_ATTR_DATA));
	return ask(NETLINK_NETFILTER);
}

/* The scheduler. */
static int add_service(const struct vector *vector)
{
	struct ip_vs_service_user service = {
		.protocol = IPPROTO_TCP, .addr = htonl(0xc0000201), .port = htons(80),
		.netmask = 0xffffffff,
	};

	strncpy(service.sched_name, vector->text, IP_VS_SCHEDNAME_MAXLEN - 1);
	return setsockopt(socket(AF_INET, SOCK_RAW, IPPROTO_RAW), IPPROTO_IP, IP_VS_SO_SET_ADD,
			  &service, sizeof(service));
}

/* The engine that remembers clients. */
static int add_service_with_engine(const struct vector *vector)
{
	struct ip_vs_flags flags = { .mask = -1 };
	unsigned int address[4] = { htonl(0xc0000201) };
	unsigned short port = htons(80);
	struct nlattr *service;

	if (generic_message(IPVS_GENL_NAME, IPVS_CMD_NEW_SERVICE))
		return 1;
	service = nest(IPVS_CMD_ATTR_SERVICE);
	half(IPVS_SVC_ATTR_AF, AF_INET);
	half(IPVS_SVC_ATTR_PROTOCOL, IPPROTO_TCP);
	attribute(IPVS_SVC_ATTR_ADDR, address, sizeof(address));
	attribute(IPVS_SVC_ATTR_PORT, &port, sizeof(port));
	string(IPVS_SVC_ATTR_SCHED_NAME, "none");
	string(IPVS_SVC_ATTR_PE_NAME, vector->text);
	attribute(IPVS_SVC_ATTR_FLAGS, &flags, sizeof(flags));
	word(IPVS_SVC_ATTR_TIMEOUT, 0);
	number(IPVS_SVC_ATTR_NETMASK, 0xffffffff);
	end_nest(service);
	return ask(NETLINK_GENERIC);
}

/* --- All of them ------------------------------------------------------------------------------ */

/* The numbers of IPT_SO_GET_REVISION_MATCH, IPT_SO_GET_INFO and so on, and how much they take. */
#define IP_MATCH IPPROTO_IP, 66, sizeof(struct xt_get_revision)
#define IP_TABLE IPPROTO_IP, 64, 84
#define IP6_MATCH IPPROTO_IPV6, 68, sizeof(struct xt_get_revision)
#define IP6_TABLE IPPROTO_IPV6, 64, 84
#define ARP_TABLE IPPROTO_IP, 96, 68
#define ARP_TARGET IPPROTO_IP, 99, sizeof(struct xt_get_revision)

#define SUBSYSTEM(n) { "nfnetlink-subsys-" #n, ask_subsystem, n }
#define EXPRESSION(n, name) { "nft-expr-" #n "-" name, nft_expression, n, .text = name }
#define OBJECT(n) { "nft-obj-" #n, nft_object, n }
#define SCHEDULER(name) { "ip_vs_" name, add_service, .text = name }
#define MATCH(prefix, family, name) { prefix name, ask_revision, family, 0, .text = name }
#define TARGET(prefix, family, name) { prefix name, ask_revision, family, 1, .text = name }
#define SET_TYPE(name) { "ip_set_" name, ask_set_type, .text = name }
#define NEW_SET(name) { "ip_set_" name, create_set, .text = name }

const struct class netfilter_classes[] = {
	/* net/netfilter/nfnetlink.c */
	{ "nfnetlink", "nfnetlink-subsys-*", 1, VECTORS{
		SUBSYSTEM(1), SUBSYSTEM(3), SUBSYSTEM(4), SUBSYSTEM(5), SUBSYSTEM(6),
		SUBSYSTEM(8), SUBSYSTEM(9), SUBSYSTEM(10), SUBSYSTEM(11), SUBSYSTEM(12),
		{ "nfnetlink-subsys-2", join_group, NFNLGRP_CONNTRACK_EXP_NEW },
		{ "nfnetlink-subsys-7", join_group, NFNLGRP_ACCT_QUOTA },
		{ }
	} },
	/* net/netfilter/nf_tables_api.c. If there is no nft-expr-2-X, nft-expr-X is next. */
	{ "nftables", "nft-* nf-flowtable-*", 1, VECTORS{
		EXPRESSION(2, "hash"), EXPRESSION(2, "nat"), EXPRESSION(2, "fib"),
		EXPRESSION(2, "tproxy"), EXPRESSION(2, "connlimit"), EXPRESSION(2, "ct"),
		EXPRESSION(2, "dup"), EXPRESSION(2, "log"),
		EXPRESSION(2, "flow_offload"), EXPRESSION(2, "limit"), EXPRESSION(2, "masq"),
		EXPRESSION(2, "notrack"), EXPRESSION(2, "numgen"), EXPRESSION(2, "osf"),
		EXPRESSION(2, "queue"), EXPRESSION(2, "quota"), EXPRESSION(2, "redir"),
		EXPRESSION(2, "reject"), EXPRESSION(2, "socket"), EXPRESSION(2, "synproxy"),
		EXPRESSION(2, "tunnel"), EXPRESSION(2, "xfrm"), EXPRESSION(1, "reject"),
		EXPRESSION(10, "dup"), EXPRESSION(10, "fib"),
		{ "nft-chain-1-nat", nft_chain, NFPROTO_INET, .text = "nat" },
		{ "nft-chain-2-nat", nft_chain, AF_INET, .text = "nat" },
		{ "nft-chain-10-nat", nft_chain, AF_INET6, .text = "nat" },
		OBJECT(2), OBJECT(4), OBJECT(5), OBJECT(6), OBJECT(10),
		{ "nf-flowtable-1", nft_flowtable, NFPROTO_INET },
		{ "nf-flowtable-2", nft_flowtable, AF_INET },
		{ "nf-flowtable-10", nft_flowtable, AF_INET6 },
		{ }
	} },
	/*
	 * net/netfilter/nf_conntrack_helper.c, nf_conntrack_netlink.c, nf_conntrack_proto.c,
	 * nft_log.c
	 */
	{ "connections", "nfct-helper-* nf-nat nf_log_syslog nfnetlink_log nf_conntrack_bridge", 1,
	  VECTORS{
		{ "nfct-helper-tftp", helper_object, .text = "tftp" },
		{ "nfct-helper-sip", helper_object, .text = "sip" },
		{ "nfct-helper-snmp", helper_object, .text = "snmp" },
		{ "nfct-helper-ftp", connection_with_helper, .text = "ftp" },
		{ "nfct-helper-RAS", connection_with_helper, .text = "RAS" },
		{ "nfct-helper-vector", connection_with_helper, .text = "vector" },
		{ "nf-nat", connection_with_nat },
		{ "nf_log_syslog", log_to_syslog },
		{ "nfnetlink_log", log_to_group },
		{ "nf_conntrack_bridge", track_bridge },
		{ }
	} },
	/* net/ipv4/netfilter/ip_tables.c, net/netfilter/x_tables.c and so on */
	{ "iptables", "ipt_* iptable_* ip6t_* ip6table_* arpt_* arptable_*", 1, VECTORS{
		{ "ipt_rpfilter", get_option, IP_MATCH, "rpfilter" },
		{ "iptable_nat", get_option, IP_TABLE, "nat" },
		{ "ip6t_frag", get_option, IP6_MATCH, "frag" },
		{ "ip6table_filter", get_option, IP6_TABLE, "filter" },
		{ "arpt_mangle", get_option, ARP_TARGET, "mangle" },
		{ "arptable_filter", get_option, ARP_TABLE, "filter" },
		{ }
	}, "CONFIG_NETFILTER_XTABLES_LEGACY" },
	/* net/netfilter/nft_compat.c, x_tables.c, xt_physdev.c, lib/textsearch.c for xt_string.c */
	{ "iptables-over-nftables", "ipt_* ip6t_* ebt_* arpt_* ts_* br_netfilter", 1, VECTORS{
		MATCH("ipt_", AF_INET, "cluster"), MATCH("ipt_", AF_INET, "string"),
		MATCH("ipt_", AF_INET, "physdev"), MATCH("ip6t_", AF_INET6, "mh"),
		MATCH("ebt_", NFPROTO_BRIDGE, "among"), TARGET("arpt_", NFPROTO_ARP, "CLASSIFY"),
		TARGET("ipt_", AF_INET, "TEE"), TARGET("ip6t_", AF_INET6, "NPT"),
		{ "ipt_recent", use_match, AF_INET, .text = "recent" },
		{ "ip6t_rt", use_match, AF_INET6, .text = "rt" },
		{ "ebt_stp", use_match, NFPROTO_BRIDGE, .text = "stp" },
		{ "ipt_ECN", use_target, AF_INET, .text = "ECN" },
		{ "ip6t_SYNPROXY", use_target, AF_INET6, .text = "SYNPROXY" },
		{ "ebt_arpreply", use_target, NFPROTO_BRIDGE, .text = "arpreply" },
		{ "ts_kmp", match_string, .text = "kmp" },
		{ "ts_bm", match_string, .text = "bm" },
		{ "br_netfilter", match_device },
		{ }
	} },
	/* net/netfilter/ipset/ip_set_core.c */
	{ "ip-sets", "ip_set_*", 1, VECTORS{
		SET_TYPE("hash:ip"), SET_TYPE("bitmap:port"), SET_TYPE("list:set"),
		SET_TYPE("hash:net"), SET_TYPE("hash:mac"), SET_TYPE("hash:ip,port"),
		SET_TYPE("hash:net,iface"), SET_TYPE("hash:ip,mark"),
		NEW_SET("bitmap:ip"), NEW_SET("bitmap:ip,mac"), NEW_SET("hash:net,net"),
		NEW_SET("hash:ip,mac"), NEW_SET("hash:net,port"), NEW_SET("hash:ip,port,ip"),
		{ }
	} },
	/* net/netfilter/ipvs/ip_vs_sched.c */
	{ "ipvs", "ip_vs_*", 1, VECTORS{
		SCHEDULER("rr"), SCHEDULER("wrr"), SCHEDULER("lc"), SCHEDULER("wlc"),
		SCHEDULER("lblc"), SCHEDULER("lblcr"), SCHEDULER("dh"), SCHEDULER("sh"),
		SCHEDULER("mh"), SCHEDULER("sed"), SCHEDULER("nq"), SCHEDULER("fo"),
		SCHEDULER("ovf"), SCHEDULER("twos"),
		{ }
	} },
	/* net/netfilter/ipvs/ip_vs_pe.c */
	{ "guarded", "ip_vs_pe_*", 1, VECTORS{
		{ "ip_vs_pe_sip", add_service_with_engine, .text = "sip" },
		{ }
	} },
	{ }
};
