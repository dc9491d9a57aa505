// SPDX-License-Identifier: GPL-2.0
/* Sockets: families, protocols, and what is asked of an open one. */
#define _GNU_SOURCE
#include "vectors.h"

#include <linux/atm.h>
#include <linux/atmdev.h>
#include <linux/genetlink.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <rdma/rdma_netlink.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

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
	return generic_message(vector->text, 0);
}

static int diagnose(const struct vector *vector, int flags)
{
	struct inet_diag_req_v2 header = {
		.sdiag_family = vector->a, .sdiag_protocol = vector->b, .idiag_states = -1,
	};

	message(SOCK_DIAG_BY_FAMILY, flags, &header, sizeof(header));
	/* A protocol that does not fit into the header. */
	if (vector->b > 255)
		word(INET_DIAG_REQ_PROTOCOL, vector->b);
	return ask(NETLINK_SOCK_DIAG);
}

/* The family and the protocol of the sockets that are listed. */
static int list_sockets(const struct vector *vector)
{
	return diagnose(vector, NLM_F_DUMP);
}

/* The family and the protocol of the socket that is looked for. */
static int find_socket(const struct vector *vector)
{
	return diagnose(vector, 0);
}

/* The group: sockets that are destroyed. */
static int watch_sockets(const struct vector *vector)
{
	int group = vector->a;

	return setsockopt(socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG), SOL_NETLINK,
			  NETLINK_ADD_MEMBERSHIP, &group, sizeof(group));
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

/* --- ATM -------------------------------------------------------------------------------------- */

/* For AAL5. */
static int atm_socket(void)
{
	return socket(AF_ATMPVC, SOCK_DGRAM, ATM_AAL5);
}

/* The number of the device. */
static int atm_device(const struct vector *vector)
{
	char type[32];
	struct atmif_sioc question = {
		.number = vector->a, .length = sizeof(type), .arg = type,
	};

	return ioctl(atm_socket(), ATM_GETTYPE, &question);
}

/* The number of the device. */
static int atm_connect(const struct vector *vector)
{
	struct sockaddr_atmpvc address = {
		.sap_family = AF_ATMPVC,
		.sap_addr = { .itf = vector->a, .vpi = 0, .vci = 100 },
	};
	struct atm_qos quality = {
		.txtp = { .traffic_class = ATM_UBR, .max_sdu = 1024 },
		.rxtp = { .traffic_class = ATM_UBR, .max_sdu = 1024 },
		.aal = ATM_AAL5,
	};
	int fd = atm_socket();

	if (setsockopt(fd, SOL_ATM, SO_ATMQOS, &quality, sizeof(quality)))
		return 1;
	return connect(fd, (struct sockaddr *)&address, sizeof(address));
}

/* The backend. */
static int atm_backend(const struct vector *vector)
{
	atm_backend_t backend = vector->a;

	return ioctl(atm_socket(), ATM_SETBACKEND, &backend);
}

/* --- RDMA ------------------------------------------------------------------------------------- */

static int rdma_client(const struct vector *vector)
{
	message(RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_GET_CHARDEV), 0, NULL, 0);
	string(RDMA_NLDEV_ATTR_CHARDEV_TYPE, vector->text);
	return ask(NETLINK_RDMA);
}

/* The subsystem, the operation. */
static int rdma_subsystem(const struct vector *vector)
{
	message(RDMA_NL_GET_TYPE(vector->a, vector->b), 0, NULL, 0);
	return ask(NETLINK_RDMA);
}

/* --- All of them ------------------------------------------------------------------------------ */

#define FAMILY(n) { "net-pf-" #n, open_socket, n, SOCK_RAW }
#define PROTOCOL(f, p, t) { "net-pf-" #f "-proto-" #p "-type-" #t, open_socket, f, t, p }
#define PPP_PROTOCOL(p) \
	{ "net-pf-24-proto-" #p, open_socket, AF_PPPOX, SOCK_DGRAM, p, .needs = "CONFIG_PPPOE" }
#define CAN_PROTOCOL(p, t) { "can-proto-" #p, open_socket, AF_CAN, t, p, .needs = "CONFIG_CAN" }
#define BT_PROTOCOL(p, t) { "bt-proto-" #p, open_socket, AF_BLUETOOTH, t, p, .needs = "CONFIG_BT" }
#define NETLINK(n) { "net-pf-16-proto-" #n, open_netlink, n }
#define GENERIC(name) { "net-pf-16-proto-16-family-" name, generic_family, .text = name }
#define DIAG(n) { "net-pf-16-proto-4-type-" #n, list_sockets, n }
#define DIAG_PROTOCOL(p) { "net-pf-16-proto-4-type-2-" #p, list_sockets, AF_INET, p }
#define RDMA_CLIENT(name) { "rdma-client-" name, rdma_client, .text = name }

const struct class socket_classes[] = {
	/* net/socket.c */
	{ "families", "net-pf-[0-9] net-pf-[0-9][0-9]", 0, VECTORS{
		FAMILY(3), FAMILY(4), FAMILY(5), FAMILY(6), FAMILY(8), FAMILY(9), FAMILY(11),
		FAMILY(15), FAMILY(20), FAMILY(21), FAMILY(24), FAMILY(26), FAMILY(28),
		FAMILY(29), FAMILY(30), FAMILY(31), FAMILY(33), FAMILY(35), FAMILY(36),
		FAMILY(37), FAMILY(38), FAMILY(39), FAMILY(40), FAMILY(41), FAMILY(42),
		FAMILY(43), FAMILY(45),
		{ "net-pf-12", pair_of_sockets, 12, SOCK_STREAM },
		{ "net-pf-13", ring_socket, 13, SOCK_RAW, BY_WORKER },
		{ "net-pf-14", ring_socket, 14, SOCK_RAW, BY_POLLER },
		{ "net-pf-18", socket_32, 18, SOCK_RAW },
		{ "net-pf-19", socketcall_32, 19, SOCK_RAW },
		{ }
	} },
	/* net/ipv4/af_inet.c, net/ipv6/af_inet6.c, drivers/net/ppp/pppox.c */
	{ "protocols", "net-pf-2-proto-* net-pf-10-proto-* net-pf-24-proto-*", 0, VECTORS{
		/* SCTP, DCCP, UDP-Lite, L2TP, SMC; PPP over Ethernet, L2TP, PPTP. */
		PROTOCOL(2, 132, 5), PROTOCOL(2, 132, 1), PROTOCOL(2, 33, 6),
		PROTOCOL(2, 136, 2), PROTOCOL(2, 115, 2), PROTOCOL(2, 256, 1),
		PROTOCOL(10, 132, 5), PROTOCOL(10, 132, 1), PROTOCOL(10, 33, 6),
		PROTOCOL(10, 136, 2), PROTOCOL(10, 115, 2), PROTOCOL(10, 256, 1),
		PPP_PROTOCOL(0), PPP_PROTOCOL(1), PPP_PROTOCOL(2),
		{ }
	} },
	/* net/can/af_can.c, net/bluetooth/af_bluetooth.c */
	{ "other-protocols", "can-proto-* bt-proto-*", 0, VECTORS{
		CAN_PROTOCOL(1, SOCK_RAW), CAN_PROTOCOL(2, SOCK_DGRAM),
		CAN_PROTOCOL(6, SOCK_DGRAM), CAN_PROTOCOL(7, SOCK_DGRAM),
		BT_PROTOCOL(3, SOCK_STREAM), BT_PROTOCOL(4, SOCK_RAW), BT_PROTOCOL(5, SOCK_RAW),
		BT_PROTOCOL(6, SOCK_RAW), BT_PROTOCOL(7, SOCK_RAW),
		{ }
	} },
	/* net/netlink/af_netlink.c */
	{ "netlink", "net-pf-16-proto-[0-9] net-pf-16-proto-[0-9][0-9]", 0, VECTORS{
		NETLINK(3), NETLINK(5), NETLINK(6), NETLINK(8), NETLINK(14), NETLINK(18),
		NETLINK(19), NETLINK(20), NETLINK(21), NETLINK(22),
		{ }
	} },
	/* net/netlink/genetlink.c */
	{ "generic-netlink", "net-pf-16-proto-16-family-*", 0, VECTORS{
		GENERIC("wireguard"), GENERIC("macsec"), GENERIC("l2tp"), GENERIC("nl80211"),
		GENERIC("TIPCv2"), GENERIC("gtp"), GENERIC("IPVS"), GENERIC("NET_DM"),
		GENERIC("batadv"), GENERIC("nbd"), GENERIC("nfc"), GENERIC("ovpn"),
		GENERIC("ovs_datapath"), GENERIC("ovs_vport"), GENERIC("ovs_flow"),
		GENERIC("ovs_packet"), GENERIC("ovs_meter"), GENERIC("ovs_ct_limit"),
		{ }
	} },
	/* net/core/sock.c, for net/core/sock_diag.c and net/ipv4/inet_diag.c */
	{ "sock-diag", "net-pf-16-proto-4-type-*", 0, VECTORS{
		DIAG(1), DIAG(2), DIAG(16), DIAG(17), DIAG(30), DIAG(40), DIAG(44),
		DIAG_PROTOCOL(6), DIAG_PROTOCOL(17), DIAG_PROTOCOL(132), DIAG_PROTOCOL(262),
		{ "net-pf-16-proto-4-type-2-255", find_socket, AF_INET, IPPROTO_RAW },
		{ "net-pf-16-proto-4-type-10", watch_sockets, SKNLGRP_INET6_TCP_DESTROY },
		{ }
	} },
	/* net/atm/resources.c, net/atm/common.c, net/atm/ioctl.c */
	{ "atm", "atm-device-* pppoatm br2684", 0, VECTORS{
		{ "atm-device-5", atm_device, 5 },
		{ "atm-device-7", atm_connect, 7 },
		{ "pppoatm", atm_backend, ATM_BACKEND_PPP },
		{ "br2684", atm_backend, ATM_BACKEND_BR2684 },
		{ }
	}, "CONFIG_ATM" },
	/* drivers/infiniband/core/device.c, drivers/infiniband/core/netlink.c */
	{ "rdma", "rdma-*", 0, VECTORS{
		RDMA_CLIENT("uverbs"), RDMA_CLIENT("umad"), RDMA_CLIENT("issm"),
		RDMA_CLIENT("rdma_cm"),
		{ "rdma-netlink-subsys-2", rdma_subsystem, RDMA_NL_IWCM, 0 },
		{ }
	}, "CONFIG_INFINIBAND" },
	/* net/socket.c, net/rds/transport.c */
	{ "bare-names", "bridge 8021q rds_*", 0, VECTORS{
		{ "bridge", request_device, SIOCGIFBR },
		{ "8021q", request_device, SIOCGIFVLAN },
		{ "rds_rdma", rds_transport, 0, .needs = "CONFIG_RDS" },
		{ "rds_tcp", rds_transport, 2, .needs = "CONFIG_RDS" },
		{ }
	} },
	/* net/core/dev_ioctl.c, net/ipv4/tcp_cong.c, net/ipv4/tcp_ulp.c, net/phonet/af_phonet.c */
	{ "guarded", "netdev-* tcp_* tcp-ulp-* net-pf-35-*", 0, VECTORS{
		{ "netdev-vector", request_device, SIOCGIFFLAGS },
		{ "tcp_vegas", tcp_option, 13, .text = "vegas" },
		{ "tcp-ulp-tls", tcp_option, 31, .text = "tls" },
		{ "net-pf-35-proto-2", open_socket, AF_PHONET, SOCK_SEQPACKET, 2,
		  .needs = "CONFIG_PHONET" },
		{ }
	} },
	{ }
};
