// SPDX-License-Identifier: GPL-2.0
/*
 * Makes allocations fail, on kernels with CONFIG_FAILSLAB.
 *
 *	fail_nth ask "HOW NAME"
 *		makes requests through /dev/kmod_ask while the first allocation
 *		fails, then while the second fails, and so on, until there are no
 *		more. Prints which answers came, in the order of their first
 *		appearance, and how often each came.
 *	fail_nth random PERCENT TIMES "HOW NAME"
 *		makes so many requests while so many of all allocations fail:
 *		those of this task if failslab looks at make-it-fail
 *		(task-filter), otherwise those of all tasks. Prints the same.
 *	fail_nth load FILE FROM STEP
 *		loads a module while allocation number FROM of its init fails, then
 *		while number FROM + STEP fails, and so on. Checks after each failure that
 *		none of the module's own files is there. Ends when the module has
 *		been loaded, and prints the number to go on from, or "done" if
 *		nothing has failed any more.
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

#define MAX_ANSWERS 32

static const char * const files[] = {
	"/sys/module/kmod_rs", "/sys/kernel/livepatch/kmod_rs",
	"/proc/sys/kernel/kmod_rs", "/proc/sys/kernel/kmod-limit",
	"/sys/kernel/debug/kmod_rs",
};

static struct {
	long answer;
	int times;
} answers[MAX_ANSWERS];
static int nr_answers;

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		err(2, "%s", path);
	return fd;
}

static void write_number(int fd, const char *what, int n)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", n);
	if (write(fd, number, strlen(number)) < 0)
		err(2, "%s", what);
}

/* --- Requests --- */

static long ask(int fd, const char *question)
{
	char answer[32] = "";

	if (write(fd, question, strlen(question)) < 0)
		err(2, "write %s", question);
	if (read(fd, answer, sizeof(answer) - 1) <= 0)
		err(2, "read %s", question);
	return atol(answer);
}

static void count(long answer)
{
	int i;

	for (i = 0; i < nr_answers; i++)
		if (answers[i].answer == answer) {
			answers[i].times++;
			return;
		}
	if (nr_answers == MAX_ANSWERS)
		errx(2, "too many different answers");
	answers[nr_answers].answer = answer;
	answers[nr_answers++].times = 1;
}

static void print_answers(void)
{
	int i;

	for (i = 0; i < nr_answers; i++)
		printf("%d %ld\n", answers[i].times, answers[i].answer);
}

/* --- One allocation after the other --- */

static void fail_at(int nth, int n)
{
	write_number(nth, "fail-nth", n);
}

/* Returns whether an allocation has failed. From here on nothing fails. */
static int has_failed(int nth)
{
	char left[16] = "";

	if (pread(nth, left, sizeof(left) - 1, 0) <= 0)
		err(2, "fail-nth");
	fail_at(nth, 0);
	return !atoi(left);
}

static int ask_in_turn(const char *question)
{
	int nth = open_or_die("/proc/thread-self/fail-nth", O_RDWR);
	int fd = open_or_die("/dev/kmod_ask", O_RDWR);
	int n, failed = 1;
	long answer;

	for (n = 1; failed && n < 1000; n++) {
		fail_at(nth, n);
		answer = ask(fd, question);
		failed = has_failed(nth);
		count(answer);
	}
	print_answers();
	return failed;
}

static int load_in_turn(const char *path, int n, int step)
{
	int nth = open_or_die("/proc/thread-self/fail-nth", O_RDWR);
	int init = open_or_die("/sys/module/kmod_ask/parameters/fail_init", O_WRONLY);
	int failed, fd, ret, error;
	unsigned int i;

	for (; n < 20000; n += step) {
		fd = open_or_die(path, O_RDONLY);
		write_number(init, "fail_init", n);
		ret = syscall(SYS_finit_module, fd, "", 0);
		error = errno;
		failed = has_failed(nth);
		close(fd);
		if (!ret) {
			if (failed)
				printf("%d\n", n + step);
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
	errx(1, "more and more allocations");
}

/* --- At random --- */

static int ask_at_random(int percent, int times, const char *question)
{
	int knob = open_or_die("/sys/kernel/debug/failslab/probability", O_WRONLY);
	int mine = open_or_die("/proc/self/make-it-fail", O_WRONLY);
	int fd = open_or_die("/dev/kmod_ask", O_RDWR), i;

	write_number(mine, "make-it-fail", 1);
	write_number(knob, "probability", percent);
	for (i = 0; i < times; i++)
		count(ask(fd, question));
	write_number(knob, "probability", 0);
	print_answers();
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "ask"))
		return ask_in_turn(argv[2]);
	if (argc == 5 && !strcmp(argv[1], "random"))
		return ask_at_random(atoi(argv[2]), atoi(argv[3]), argv[4]);
	if (argc == 5 && !strcmp(argv[1], "load") && atoi(argv[4]) > 0)
		return load_in_turn(argv[2], atoi(argv[3]), atoi(argv[4]));
	errx(2, "see the top of fail_nth.c");
}
