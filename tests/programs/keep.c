// SPDX-License-Identifier: GPL-2.0
/*
 * Uses a module and keeps on using it, or asks for what a module has.
 *
 * `alg` binds an AF_ALG socket, `discipline` sets the line discipline of a new terminal. Both print
 * "ready", and keep what they have until standard input ends. `forward` prints what the table
 * `filter` of iptables does with packets to be forwarded, `link` whether a network interface is
 * there and up, which it asks for by an ioctl.
 *
 * usage: keep alg TYPE NAME | discipline NUMBER | forward | link NAME
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/if_alg.h>
#include <linux/if.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void keep(void)
{
	char byte;

	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
}

static void use_cipher(const char *type, const char *name)
{
	struct sockaddr_alg address = { .salg_family = AF_ALG };
	int fd = socket(AF_ALG, SOCK_SEQPACKET, 0);

	snprintf((char *)address.salg_type, sizeof(address.salg_type), "%s", type);
	snprintf((char *)address.salg_name, sizeof(address.salg_name), "%s", name);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "bind to %s", name);
	keep();
}

static void use_discipline(int number)
{
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);

	if (fd < 0 || ioctl(fd, TIOCSETD, &number))
		err(1, "line discipline %d", number);
	keep();
}

static void print_forward(void)
{
	struct ipt_getinfo info = { .name = "filter" };
	struct ipt_get_entries *entries;
	struct xt_standard_target *target;
	struct ipt_entry *entry;
	socklen_t size = sizeof(info);
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);

	if (fd < 0 || getsockopt(fd, IPPROTO_IP, IPT_SO_GET_INFO, &info, &size))
		err(1, "the table filter");
	size = sizeof(*entries) + info.size;
	entries = calloc(1, size);
	if (!entries)
		err(1, "calloc");
	strcpy(entries->name, "filter");
	entries->size = info.size;
	if (getsockopt(fd, IPPROTO_IP, IPT_SO_GET_ENTRIES, entries, &size))
		err(1, "the entries of the table filter");
	entry = (void *)((char *)entries->entrytable + info.hook_entry[NF_INET_FORWARD]);
	target = (void *)((char *)entry + entry->target_offset);
	/* A verdict is stored as its opposite, less one. */
	puts(target->verdict == -NF_DROP - 1 ? "DROP" : target->verdict == -NF_ACCEPT - 1 ? "ACCEPT" : "?");
}

static void print_link(const char *name)
{
	struct ifreq request = {};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request))
		err(1, "%s", name);
	puts(request.ifr_flags & IFF_UP ? "up" : "down");
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "alg"))
		use_cipher(argv[2], argv[3]);
	else if (argc == 3 && !strcmp(argv[1], "discipline"))
		use_discipline(atoi(argv[2]));
	else if (argc == 2 && !strcmp(argv[1], "forward"))
		print_forward();
	else if (argc == 3 && !strcmp(argv[1], "link"))
		print_link(argv[2]);
	else
		errx(2, "usage: keep alg TYPE NAME | discipline NUMBER | forward | link NAME");
	return 0;
}
