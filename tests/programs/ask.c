// SPDX-License-Identifier: GPL-2.0
/*
 * Makes a request through /dev/kmod_ask and prints what request_module() returned. It does what a
 * shell cannot do: have another name, write a newline in one piece, and run where there are no
 * other programs.
 *
 * With -t a second thread makes the request. The ids of the thread and of the process come on
 * standard error. With -k the task first writes NAME to this descriptor, on which somebody else has
 * opened /proc/kmod_rs/check.
 *
 * usage: ask [-d DEVICE] [-c COMM] [-t] [-k DESCRIPTOR] HOW NAME
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const char *device = "/dev/kmod_ask";
static int check = -1;
static char **arguments;

static void ask(void)
{
	char question[256], answer[256];
	ssize_t n;
	int fd;

	n = strlen(arguments[1]);
	if (check >= 0 && write(check, arguments[1], n) != n)
		err(1, "write to descriptor %d", check);
	fd = open(device, O_RDWR);
	if (fd < 0)
		err(1, "%s", device);
	n = snprintf(question, sizeof(question), "%s %s", arguments[0], arguments[1]);
	if (write(fd, question, n) != n)
		err(1, "write to %s", device);
	n = read(fd, answer, sizeof(answer));
	if (n < 0)
		err(1, "read from %s", device);
	fwrite(answer, 1, n, stdout);
}

static void *thread(void *unused)
{
	fprintf(stderr, "%d %d\n", gettid(), getpid());
	ask();
	return unused;
}

int main(int argc, char **argv)
{
	int option, in_thread = 0;
	pthread_t other;

	while ((option = getopt(argc, argv, "d:c:tk:")) != -1) {
		if (option == 'd')
			device = optarg;
		else if (option == 'c')
			prctl(PR_SET_NAME, optarg);
		else if (option == 't')
			in_thread = 1;
		else if (option == 'k')
			check = atoi(optarg);
		else
			return 2;
	}
	if (argc - optind != 2)
		errx(2, "usage: ask [-d DEVICE] [-c COMM] [-t] [-k DESCRIPTOR] HOW NAME");
	arguments = argv + optind;

	if (!in_thread)
		ask();
	else if (pthread_create(&other, NULL, thread, NULL) || pthread_join(other, NULL))
		errx(1, "no thread");
	return 0;
}
