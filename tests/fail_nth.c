// SPDX-License-Identifier: GPL-2.0
/*
 * Makes one allocation of a system call fail, on kernels that can do that
 * (CONFIG_FAULT_INJECTION): the first, then the second, and so on, until there
 * are no more of them. Prints what came of each, and how often in succession.
 *
 *	fail_nth ask "HOW NAME"	asks through /dev/kmod_ask
 *	fail_nth load FILE FROM	loads a module. Checks after each failure that none
 *				of the files is there that are its own; ends when the
 *				module has been loaded, and prints the number to go
 *				on from, or "done"
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char * const files[] = {
	"/sys/module/kmod_rs", "/sys/kernel/livepatch/kmod_rs",
	"/proc/sys/kernel/kmod_rs", "/proc/sys/kernel/kmod-limit",
};

static int fail_fd;

static void fail_at(int n)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", n);
	if (pwrite(fail_fd, number, strlen(number), 0) < 0)
		err(1, "fail-nth");
}

/* Has it failed by now? Nothing fails from here on. */
static int has_failed(void)
{
	char left[16] = "";

	if (pread(fail_fd, left, sizeof(left) - 1, 0) <= 0)
		err(1, "fail-nth");
	fail_at(0);
	return !atoi(left);
}

static int ask(const char *question)
{
	long answer, last = 0;
	int n, failed = 1, times = 0, fd;

	for (n = 1; failed && n < 1000; n++) {
		char text[32] = "";

		fd = open("/dev/kmod_ask", O_RDWR);
		if (fd < 0)
			err(1, "/dev/kmod_ask");
		fail_at(n);
		if (write(fd, question, strlen(question)) < 0)
			err(1, "write");
		failed = has_failed();
		if (read(fd, text, sizeof(text) - 1) <= 0)
			err(1, "read");
		close(fd);
		answer = atol(text);
		if (times && answer != last) {
			printf("%d %ld\n", times, last);
			times = 0;
		}
		last = answer;
		times++;
	}
	printf("%d %ld\n", times, last);
	return 0;
}

static int load(const char *path, int n)
{
	unsigned int i;
	int failed = 1, fd, ret, error;

	for (; n < 20000; n++) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			err(1, "%s", path);
		fail_at(n);
		ret = syscall(SYS_finit_module, fd, "", 0);
		error = errno;
		failed = has_failed();
		close(fd);
		if (!ret) {
			if (failed)
				printf("%d\n", n + 1);
			else
				puts("done");
			return 0;
		}
		if (!failed)
			errx(1, "%d: %s, though nothing failed", n, strerror(error));
		if (error != ENOMEM)
			printf("# %d: %s\n", n, strerror(error));
		for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
			if (!access(files[i], F_OK))
				errx(1, "%d: left %s", n, files[i]);
	}
	return 1;
}

int main(int argc, char **argv)
{
	fail_fd = open("/proc/thread-self/fail-nth", O_RDWR);
	if (fail_fd < 0)
		err(1, "fail-nth");
	if (argc == 3 && !strcmp(argv[1], "ask"))
		return ask(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "load"))
		return load(argv[2], atoi(argv[3]));
	errx(2, "see the top of fail_nth.c");
}
