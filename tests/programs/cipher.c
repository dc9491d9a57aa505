// SPDX-License-Identifier: GPL-2.0
/*
 * Asks for a cipher in several tasks at once, by binding an AF_ALG socket to it. The tasks begin
 * when the last one has been started. A "%" in NAME becomes the number of the task.
 *
 * A task ends when it has asked --rounds times, or when the file of --until exists. With --uids, the
 * tasks are ordinary users without capabilities: the first one has this user ID, the next one the ID
 * after it, and so on.
 *
 * Prints how often each answer came, in the order of the errno: "100 done, 3 No such file or
 * directory".
 *
 * usage: cipher --tasks=N (--rounds=N | --until=FILE) [--uids=FIRST] TYPE NAME
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <linux/if_alg.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ERRNO 256

static int tasks = 1, rounds, first_uid = -1;
static const char *until;
/* How many answers there were of each kind. The tasks share it. */
static unsigned int *answers;

static void ask(const struct sockaddr_alg *address)
{
	int fd = socket(AF_ALG, SOCK_SEQPACKET, 0), answer = 0;

	if (fd < 0)
		err(1, "socket(AF_ALG)");
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)))
		answer = errno < MAX_ERRNO ? errno : MAX_ERRNO - 1;
	close(fd);
	__atomic_add_fetch(&answers[answer], 1, __ATOMIC_RELAXED);
}

static int run(int number, const char *type, const char *name, int begin)
{
	struct sockaddr_alg address = { .salg_family = AF_ALG };
	const char *percent = strchr(name, '%');
	struct pollfd begin_ends = { .fd = begin };
	int i;

	snprintf((char *)address.salg_type, sizeof(address.salg_type), "%s", type);
	if (percent)
		snprintf((char *)address.salg_name, sizeof(address.salg_name), "%.*s%d%s",
			 (int)(percent - name), name, number, percent + 1);
	else
		snprintf((char *)address.salg_name, sizeof(address.salg_name), "%s", name);

	/* This drops all capabilities. */
	if (first_uid >= 0 && (setresgid(first_uid, first_uid, first_uid) ||
			       setresuid(first_uid + number, first_uid + number, first_uid + number)))
		err(1, "setresuid");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The pipe is closed when the last task has been started. Reading would take its lock. */
	if (poll(&begin_ends, 1, -1) != 1 || !(begin_ends.revents & POLLHUP))
		err(1, "poll");
	for (i = 0; until ? access(until, F_OK) : i < rounds; i++)
		ask(&address);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "tasks", required_argument, NULL, 't' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "until", required_argument, NULL, 'f' },
		{ "uids", required_argument, NULL, 'u' },
		{ },
	};
	int option, i, status, failed = 0, begin[2];
	const char *separator = "";

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 't': tasks = atoi(optarg); break;
		case 'r': rounds = atoi(optarg); break;
		case 'f': until = optarg; break;
		case 'u': first_uid = atoi(optarg); break;
		default: return 2;
		}
	}
	if (argc - optind != 2 || !rounds == !until)
		errx(2, "usage: cipher --tasks=N (--rounds=N | --until=FILE) [--uids=FIRST] TYPE NAME");

	answers = mmap(NULL, MAX_ERRNO * sizeof(*answers), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (answers == MAP_FAILED || pipe(begin))
		err(1, "mmap or pipe");
	for (i = 0; i < tasks; i++) {
		switch (fork()) {
		case -1:
			err(1, "fork");
		case 0:
			close(begin[1]);
			_exit(run(i, argv[optind], argv[optind + 1], begin[0]));
		}
	}
	close(begin[0]);
	close(begin[1]);
	while (wait(&status) > 0)
		failed |= status;

	for (i = 0; i < MAX_ERRNO; i++) {
		if (!answers[i])
			continue;
		printf("%s%u %s", separator, answers[i], i ? strerror(i) : "done");
		separator = ", ";
	}
	puts("");
	return failed != 0;
}
