// SPDX-License-Identifier: GPL-2.0
/*
 * Adds a slave of a family to a 1-Wire bus. Any user may do that. The thread of the bus then makes a
 * request for the module of the family.
 *
 * usage: w1_add BUS FAMILY
 */
#include <err.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* From drivers/w1/w1_netlink.h. */
enum { W1_MASTER_CMD = 4, W1_CMD_SLAVE_ADD = 6 };

struct w1_netlink_msg {
	uint8_t type, status;
	uint16_t len;
	uint32_t bus, reserved;
};

struct w1_netlink_cmd {
	uint8_t cmd, reserved;
	uint16_t len;
	uint8_t family, id[6], crc;
};

int main(int argc, char **argv)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	char message[NLMSG_SPACE(sizeof(struct cn_msg) + sizeof(struct w1_netlink_msg) +
				 sizeof(struct w1_netlink_cmd))] = { 0 };
	struct nlmsghdr *header = (struct nlmsghdr *)message;
	struct cn_msg *connector = NLMSG_DATA(header);
	struct w1_netlink_msg *w1 = (struct w1_netlink_msg *)connector->data;
	struct w1_netlink_cmd *command = (struct w1_netlink_cmd *)(w1 + 1);
	int socket_fd = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_CONNECTOR);

	if (argc != 3)
		errx(1, "usage: w1_add BUS FAMILY");
	if (socket_fd < 0)
		err(1, "socket");

	*command = (struct w1_netlink_cmd){
		.cmd = W1_CMD_SLAVE_ADD,
		.len = 8,
		.family = strtoul(argv[2], NULL, 0),
	};
	*w1 = (struct w1_netlink_msg){
		.type = W1_MASTER_CMD,
		.len = sizeof(*command),
		.bus = strtoul(argv[1], NULL, 0),
	};
	connector->id.idx = CN_W1_IDX;
	connector->id.val = CN_W1_VAL;
	connector->len = sizeof(*w1) + sizeof(*command);
	header->nlmsg_len = NLMSG_LENGTH(sizeof(*connector) + connector->len);
	header->nlmsg_type = NLMSG_DONE;

	if (sendto(socket_fd, message, header->nlmsg_len, 0, (struct sockaddr *)&kernel,
		   sizeof(kernel)) < 0)
		err(1, "sendto");
	return 0;
}
