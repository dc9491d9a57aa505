// SPDX-License-Identifier: GPL-2.0
/*
 * Blocks other tasks until it is killed. Prints "blocked" when it does.
 *
 *	block exec FILE		a task that executes FILE waits before that, for as
 *				long as /proc/sys/fs/lease-break-time says
 *	block write DIRECTORY	a task that writes to that file system waits in the
 *				kernel and cannot be killed (SIGTERM ends this)
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	sigset_t signals;
	int fd, number;

	if (argc != 3)
		errx(2, "see the top of block.c");
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGIO);
	sigprocmask(SIG_BLOCK, &signals, NULL);

	fd = open(argv[2], O_RDONLY);
	if (fd < 0)
		err(1, "%s", argv[2]);
	if (!strcmp(argv[1], "exec")) {
		if (fcntl(fd, F_SETLEASE, F_WRLCK))
			err(1, "F_SETLEASE");
	} else if (ioctl(fd, FIFREEZE, 0)) {
		err(1, "FIFREEZE");
	}
	puts("blocked");
	fflush(stdout);

	do {
		sigwait(&signals, &number);
	} while (number != SIGTERM);

	if (!strcmp(argv[1], "exec"))
		fcntl(fd, F_SETLEASE, F_UNLCK);
	else
		ioctl(fd, FITHAW, 0);
	return 0;
}
