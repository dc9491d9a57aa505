// SPDX-License-Identifier: GPL-2.0
/* Network devices, routes, traffic control, tunnels. */
#define _GNU_SOURCE
#include "vectors.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_team.h>
#include <linux/ife.h>
#include <linux/l2tp.h>
#include <linux/lwtunnel.h>
#include <linux/nexthop.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_ife.h>
#include <linux/tc_ematch/tc_em_text.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- Devices and routes ----------------------------------------------------------------------- */

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

/* Begins a message that adds a route to a host through the loopback device. */
static void route_message(void)
{
	struct rtmsg header = {
		.rtm_family = AF_INET, .rtm_dst_len = 32, .rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC, .rtm_type = RTN_UNICAST,
	};

	message(RTM_NEWROUTE, NLM_F_CREATE, &header, sizeof(header));
	number(RTA_DST, 0xc0000201);
	word(RTA_OIF, 1);
}

/* The encapsulation. */
static int add_route(const struct vector *vector)
{
	route_message();
	half(RTA_ENCAP_TYPE, vector->a);
	end_nest(nest(RTA_ENCAP));
	return ask(NETLINK_ROUTE);
}

/* The encapsulation. */
static int add_next_hop(const struct vector *vector)
{
	struct nhmsg header = { .nh_family = AF_INET, .nh_protocol = RTPROT_STATIC };

	message(RTM_NEWNEXTHOP, NLM_F_CREATE, &header, sizeof(header));
	word(NHA_ID, 1);
	word(NHA_OIF, 1);
	half(NHA_ENCAP_TYPE, vector->a);
	end_nest(nest(NHA_ENCAP));
	return ask(NETLINK_ROUTE);
}

/* How connections along the route control congestion. */
static int add_route_with_metrics(const struct vector *vector)
{
	struct nlattr *metrics;

	route_message();
	metrics = nest(RTA_METRICS);
	string(RTAX_CC_ALGO, vector->text);
	end_nest(metrics);
	return ask(NETLINK_ROUTE);
}

/* --- Traffic control -------------------------------------------------------------------------- */

/* On the loopback device. */
static int add_queue(const struct vector *vector)
{
	struct tcmsg header = { .tcm_ifindex = 1, .tcm_parent = TC_H_ROOT, .tcm_handle = 0x10000 };

	message(RTM_NEWQDISC, NLM_F_CREATE, &header, sizeof(header));
	string(TCA_KIND, vector->text);
	return ask(NETLINK_ROUTE);
}

static int set_default_queue(const struct vector *vector)
{
	int fd = open("/proc/sys/net/core/default_qdisc", O_WRONLY);

	return write(fd, vector->text, strlen(vector->text)) < 0;
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

/* Begins a message that adds a basic classifier for what the loopback device receives. */
static struct nlattr *begin_filter(void)
{
	struct tcmsg queue = {
		.tcm_ifindex = 1, .tcm_parent = TC_H_CLSACT,
		.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0),
	};
	struct tcmsg filter = {
		.tcm_ifindex = 1, .tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
		.tcm_info = 1 << 16 | htons(3),
	};

	message(RTM_NEWQDISC, NLM_F_CREATE, &queue, sizeof(queue));
	string(TCA_KIND, "clsact");
	message(RTM_NEWTFILTER, NLM_F_CREATE, &filter, sizeof(filter));
	string(TCA_KIND, "basic");
	return nest(TCA_OPTIONS);
}

static int end_filter(struct nlattr *options)
{
	end_nest(options);
	return ask(NETLINK_ROUTE);
}

/* An action of a filter. */
static int add_action(const struct vector *vector)
{
	struct nlattr *options = begin_filter(), *all = nest(TCA_BASIC_ACT), *one = nest(1);

	string(TCA_ACT_KIND, vector->text);
	end_nest(one);
	end_nest(all);
	return end_filter(options);
}

/* An action on its own. */
static int add_action_alone(const struct vector *vector)
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

/* What the action "ife" adds to a packet. */
static int add_metadata(const struct vector *vector)
{
	struct tc_ife parameters = { .flags = IFE_ENCODE };
	struct nlattr *options = begin_filter(), *all = nest(TCA_BASIC_ACT), *one = nest(1);
	struct nlattr *action, *list;

	string(TCA_ACT_KIND, "ife");
	action = nest(TCA_ACT_OPTIONS);
	attribute(TCA_IFE_PARMS, &parameters, sizeof(parameters));
	list = nest(TCA_IFE_METALST);
	word(vector->a, 1);
	end_nest(list);
	end_nest(action);
	end_nest(one);
	end_nest(all);
	return end_filter(options);
}

static int add_match(int kind, const void *data, size_t length)
{
	struct {
		struct tcf_ematch_hdr header;
		char data[64];
	} match = { .header = { .kind = kind } };
	struct tcf_ematch_tree_hdr tree = { .nmatches = 1 };
	struct nlattr *options = begin_filter(), *all = nest(TCA_BASIC_EMATCHES), *list;

	memcpy(match.data, data, length);
	attribute(TCA_EMATCH_TREE_HDR, &tree, sizeof(tree));
	list = nest(TCA_EMATCH_TREE_LIST);
	attribute(1, &match, sizeof(match.header) + length);
	end_nest(list);
	end_nest(all);
	return end_filter(options);
}

/* The kind of match. */
static int add_ematch(const struct vector *vector)
{
	return add_match(vector->a, "", 0);
}

/* How the text is searched. */
static int search_text(const struct vector *vector)
{
	struct {
		struct tcf_em_text text;
		char pattern[4];
	} match = { .text = { .pattern_len = 4 }, .pattern = "text" };

	strncpy(match.text.algo, vector->text, TC_EM_TEXT_ALGOSIZ - 1);
	return add_match(TCF_EM_TEXT, &match, sizeof(match.text) + 4);
}

/* --- Tunnels and teams ------------------------------------------------------------------------ */

/* The type of what goes through the tunnel. */
static int add_session(const struct vector *vector)
{
	unsigned int here = htonl(INADDR_LOOPBACK);

	if (generic_message(L2TP_GENL_NAME, L2TP_CMD_TUNNEL_CREATE))
		return 1;
	byte(L2TP_ATTR_PROTO_VERSION, 3);
	half(L2TP_ATTR_ENCAP_TYPE, L2TP_ENCAPTYPE_UDP);
	word(L2TP_ATTR_CONN_ID, 1);
	word(L2TP_ATTR_PEER_CONN_ID, 1);
	word(L2TP_ATTR_IP_SADDR, here);
	word(L2TP_ATTR_IP_DADDR, here);
	half(L2TP_ATTR_UDP_SPORT, 1701);
	half(L2TP_ATTR_UDP_DPORT, 1702);
	ask(NETLINK_GENERIC);

	if (generic_message(L2TP_GENL_NAME, L2TP_CMD_SESSION_CREATE))
		return 1;
	word(L2TP_ATTR_CONN_ID, 1);
	word(L2TP_ATTR_SESSION_ID, 1);
	word(L2TP_ATTR_PEER_SESSION_ID, 1);
	half(L2TP_ATTR_PW_TYPE, vector->a);
	return ask(NETLINK_GENERIC);
}

#define TEAM "team"

/* How a team of devices works. */
static int set_mode(const struct vector *vector)
{
	/* NLA_STRING of the kernel */
	enum { STRING = 5 };
	struct ifinfomsg header = { .ifi_family = AF_UNSPEC };
	struct nlattr *information, *list, *option;

	message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	string(IFLA_IFNAME, TEAM);
	information = nest(IFLA_LINKINFO);
	string(IFLA_INFO_KIND, "team");
	end_nest(information);
	ask(NETLINK_ROUTE);

	if (generic_message(TEAM_GENL_NAME, TEAM_CMD_OPTIONS_SET))
		return 1;
	word(TEAM_ATTR_TEAM_IFINDEX, if_nametoindex(TEAM));
	list = nest(TEAM_ATTR_LIST_OPTION);
	option = nest(TEAM_ATTR_ITEM_OPTION);
	string(TEAM_ATTR_OPTION_NAME, "mode");
	byte(TEAM_ATTR_OPTION_TYPE, STRING);
	string(TEAM_ATTR_OPTION_DATA, vector->text);
	end_nest(option);
	end_nest(list);
	return ask(NETLINK_GENERIC);
}

/* --- All of them ------------------------------------------------------------------------------ */

#define LINK(name) { "rtnl-link-" name, add_link, .text = name }
#define QUEUE(name) { "net-sch-" name, add_queue, .text = name }
#define CLASSIFIER(name) { "net-cls-" name, add_classifier, .text = name }
#define ACTION(name) { "net-act-" name, add_action, .text = name }
#define EMATCH(n) { "ematch-kind-" #n, add_ematch, n }
#define MODE(name) { "team-mode-" name, set_mode, .text = name }

const struct class link_classes[] = {
	/* net/core/rtnetlink.c */
	{ "links", "rtnl-link-*", 1, VECTORS{
		LINK("dummy"), LINK("bridge"), LINK("bond"), LINK("veth"), LINK("vxlan"),
		LINK("wireguard"), LINK("macsec"), LINK("ipvlan"), LINK("gre"), LINK("hsr"),
		LINK("batadv"), LINK("can"), LINK("erspan"), LINK("geneve"), LINK("gretap"),
		LINK("gtp"), LINK("ifb"), LINK("ip6erspan"), LINK("ip6gre"), LINK("ip6gretap"),
		LINK("ip6tnl"), LINK("ipip"), LINK("ipoib"), LINK("ipvtap"), LINK("lowpan"),
		LINK("macvlan"), LINK("macvtap"), LINK("nlmon"), LINK("ovpn"), LINK("ppp"),
		LINK("sit"), LINK("team"), LINK("vcan"), LINK("vlan"), LINK("vrf"),
		LINK("vsockmon"), LINK("vti"), LINK("vti6"), LINK("vxcan"), LINK("xfrm"),
		{ }
	} },
	/* net/core/lwtunnel.c */
	{ "routes", "rtnl-lwt-*", 1, VECTORS{
		{ "rtnl-lwt-MPLS", add_route, LWTUNNEL_ENCAP_MPLS },
		{ "rtnl-lwt-ILA", add_next_hop, LWTUNNEL_ENCAP_ILA },
		{ }
	} },
	/* net/sched/sch_api.c, net/sched/cls_api.c */
	{ "traffic-control", "net-sch-* net-cls-*", 1, VECTORS{
		QUEUE("netem"), QUEUE("qfq"), QUEUE("drr"), QUEUE("hfsc"), QUEUE("cake"),
		QUEUE("cbs"), QUEUE("choke"), QUEUE("codel"), QUEUE("etf"), QUEUE("ets"),
		QUEUE("fq"), QUEUE("fq_pie"), QUEUE("gred"), QUEUE("hhf"), QUEUE("htb"),
		QUEUE("mqprio"), QUEUE("multiq"), QUEUE("pie"), QUEUE("plug"), QUEUE("prio"),
		QUEUE("red"), QUEUE("sfb"), QUEUE("sfq"), QUEUE("skbprio"), QUEUE("taprio"),
		QUEUE("tbf"), QUEUE("ingress"),
		CLASSIFIER("u32"), CLASSIFIER("flower"), CLASSIFIER("route"),
		CLASSIFIER("basic"), CLASSIFIER("bpf"), CLASSIFIER("cgroup"), CLASSIFIER("flow"),
		CLASSIFIER("fw"), CLASSIFIER("matchall"),
		{ }
	} },
	/* net/sched/act_api.c */
	{ "actions", "net-act-*", 1, VECTORS{
		ACTION("pedit"), ACTION("bpf"), ACTION("connmark"), ACTION("csum"), ACTION("ct"),
		ACTION("ctinfo"), ACTION("gact"), ACTION("gate"), ACTION("ife"),
		ACTION("mirred"), ACTION("mpls"), ACTION("nat"), ACTION("police"),
		ACTION("simple"), ACTION("skbedit"), ACTION("skbmod"), ACTION("tunnel_key"),
		ACTION("vlan"),
		{ }
	} },
	/* net/sched/ematch.c, lib/textsearch.c, net/sched/act_ife.c */
	{ "parts-of-filters", "ematch-kind-* ts_* ife-meta-*", 1, VECTORS{
		EMATCH(1), EMATCH(2), EMATCH(3), EMATCH(4), EMATCH(5), EMATCH(7), EMATCH(8),
		EMATCH(9),
		{ "ts_fsm", search_text, .text = "fsm" },
		{ "ts_vector", search_text, .text = "vector" },
		{ "ife-meta-skbmark", add_metadata, IFE_META_SKBMARK },
		{ "ife-meta-skbprio", add_metadata, IFE_META_PRIO },
		{ "ife-meta-tcindex", add_metadata, IFE_META_TCINDEX },
		{ }
	} },
	/* net/l2tp/l2tp_netlink.c */
	{ "l2tp", "net-l2tp-type-*", 1, VECTORS{
		{ "net-l2tp-type-5", add_session, L2TP_PWTYPE_ETH },
		{ "net-l2tp-type-7", add_session, L2TP_PWTYPE_PPP },
		{ }
	} },
	/* net/sched/act_api.c, net/sched/sch_api.c, net/ipv4/tcp_cong.c */
	{ "guarded", "net-act-* net-sch-* tcp_*", 0, VECTORS{
		{ "net-act-sample", add_action_alone, .text = "sample" },
		{ "net-sch-vector", set_default_queue, .text = "vector" },
		{ "tcp_yeah", add_route_with_metrics, .text = "yeah" },
		{ }
	} },
	/* drivers/net/team/team_core.c */
	{ "guarded", "team-mode-*", 1, VECTORS{
		MODE("roundrobin"), MODE("random"), MODE("loadbalance"), MODE("broadcast"),
		MODE("activebackup"),
		{ }
	} },
	{ }
};
