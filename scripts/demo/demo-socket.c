// SPDX-License-Identifier: GPL-2.0
/*
 * Make the kernel request a module, as any program can: open a socket for SCTP or for
 * VSOCK, or bind an AF_ALG socket to an algorithm.
 *
 * usage: demo-socket sctp | vsock | alg TYPE NAME
 */
#include <errno.h>
#include <linux/if_alg.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int report(const char *what, int result)
{
	printf("%s: %s\n", what, result < 0 ? strerror(errno) : "done");
	return result < 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_alg address = { .salg_family = AF_ALG };
	int fd;

	if (argc == 2 && !strcmp(argv[1], "sctp"))
		return report("socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP)",
			      socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP));
	if (argc == 2 && !strcmp(argv[1], "vsock"))
		return report("socket(AF_VSOCK, SOCK_STREAM, 0)",
			      socket(AF_VSOCK, SOCK_STREAM, 0));

	if (argc != 4 || strcmp(argv[1], "alg")) {
		fprintf(stderr, "usage: demo-socket sctp | vsock | alg TYPE NAME\n");
		return 2;
	}
	fd = socket(AF_ALG, SOCK_SEQPACKET, 0);
	if (report("socket(AF_ALG, SOCK_SEQPACKET, 0)", fd))
		return 1;
	snprintf((char *)address.salg_type, sizeof(address.salg_type), "%s", argv[2]);
	snprintf((char *)address.salg_name, sizeof(address.salg_name), "%s", argv[3]);
	return report("bind()", bind(fd, (struct sockaddr *)&address, sizeof(address)));
}
