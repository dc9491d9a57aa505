// SPDX-License-Identifier: GPL-2.0
/*
 * Asks through /dev/kmod_ask and prints what request_module() returned, for what
 * a shell cannot do: have another name, write a newline in one piece, run where
 * there are no other programs.
 *
 * usage: ask [-d DEVICE] [-c COMM] HOW NAME
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const char *device = "/dev/kmod_ask";
	char question[256], answer[256];
	ssize_t n;
	int fd, option;

	while ((option = getopt(argc, argv, "d:c:")) != -1) {
		if (option == 'd')
			device = optarg;
		else if (option == 'c')
			prctl(PR_SET_NAME, optarg);
		else
			return 2;
	}
	if (argc - optind != 2)
		errx(2, "usage: ask [-d DEVICE] [-c COMM] HOW NAME");

	fd = open(device, O_RDWR);
	if (fd < 0)
		err(1, "%s", device);
	n = snprintf(question, sizeof(question), "%s %s", argv[optind], argv[optind + 1]);
	if (write(fd, question, n) != n)
		err(1, "write to %s", device);
	n = read(fd, answer, sizeof(answer));
	if (n < 0)
		err(1, "read from %s", device);
	fwrite(answer, 1, n, stdout);
	return 0;
}
