// SPDX-License-Identifier: GPL-2.0
/*
 * Makes requests through /dev/kmod_ask in many tasks at once, and checks the answers. The tasks
 * begin when the last one has been started.
 *
 * Each argument is a request and the answers that it may get: "HOW NAME ANSWER...", with HOW as in
 * kmod_ask.c. Each task makes these requests again and again, and each task begins with a different
 * one. A task ends when it has made all of them --rounds times, or when the file of --until exists.
 * With --kills, tasks are killed and replaced that many times. A "%" in NAME becomes a different
 * number each time.
 *
 * The answer "fresh" stands for the answer of a helper for "serial-..." that was started after the
 * request was made.
 *
 * With --uids, each task is another user: the first one has the user ID FIRST, the next one
 * FIRST + STEP, and so on. STEP is 1 if it is not given, and may be 0.
 *
 * With --flip, /proc/sys/kernel/modprobe meanwhile changes between two paths as fast as possible.
 *
 * Prints each answer that was not among the given ones and how often it came, or "no other
 * answers". With --time, a line before that has the nanoseconds from the beginning of the tasks to
 * the last answer. The exit status is 1 if there was another answer, if a task did not end as it
 * should have, or if a request was not answered (a task that was killed may leave one without an
 * answer). Standard error says how many requests were made and answered.
 *
 * usage: load --tasks=N (--rounds=N | --until=FILE | --kills=N [--seed=N])
 *	       [--uids=FIRST[,STEP]] [--flip=PATH,PATH] [--time] QUESTION...
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_TASKS 1000
#define MAX_QUESTIONS 32
#define MAX_ANSWERS 8
#define MAX_OTHERS 8
/* As in helper.c. */
#define SERIALS 250

struct question {
	char *text;
	long answers[MAX_ANSWERS];
	int nr_answers, is_fresh;
};

static struct question questions[MAX_QUESTIONS];
static int nr_questions, rounds;
static uid_t first_uid, uid_step = 1;
static const char *until;

/* Helpers for "serial-..." read this: how many such requests have been made. */
static unsigned long *serial;

/* The tasks begin when nobody can write to this pipe any more. */
static int barrier[2];

/* What the tasks have seen. It is only added to, and atomically. */
static struct {
	long asked, answered;
	long last_answer;
	long others[MAX_QUESTIONS][MAX_OTHERS], times[MAX_QUESTIONS][MAX_OTHERS];
} *seen;

static void parse(struct question *question, char *text)
{
	char *how = strsep(&text, " "), *name = strsep(&text, " "), *answer;

	if (!name || asprintf(&question->text, "%s %s", how, name) < 0)
		errx(2, "a question is \"HOW NAME ANSWER...\"");
	while ((answer = strsep(&text, " ")) && question->nr_answers < MAX_ANSWERS)
		if (!strcmp(answer, "fresh"))
			question->is_fresh = 1;
		else
			question->answers[question->nr_answers++] = atol(answer);
}

/*
 * The exit status is 1 more than the serial number at the start of the helper, modulo SERIALS.
 * While one request is being answered, far fewer than half of SERIALS are made.
 */
static int is_fresh(long answer, unsigned long asked)
{
	unsigned long status = answer / 256;

	return answer % 256 == 0 && status >= 1 && status <= SERIALS &&
	       (status - 1 + SERIALS - asked % SERIALS) % SERIALS < SERIALS / 2;
}

static void map_serial(void)
{
	int fd = open("/tmp/serial", O_RDWR | O_CREAT, 0600);

	if (fd < 0 || ftruncate(fd, sizeof(*serial)))
		err(1, "/tmp/serial");
	serial = mmap(NULL, sizeof(*serial), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (serial == MAP_FAILED)
		err(1, "mmap /tmp/serial");
	close(fd);
}

static void note(int q, long answer)
{
	long nothing;
	int i;

	for (i = 0; i < questions[q].nr_answers; i++)
		if (questions[q].answers[i] == answer)
			return;
	/* 0 means a free place. The answer 0 is stored as 1, which never comes as an answer. */
	if (!answer)
		answer = 1;
	for (i = 0; i < MAX_OTHERS; i++) {
		nothing = 0;
		if (__atomic_compare_exchange_n(&seen->others[q][i], &nothing, answer, 0,
						__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) ||
		    nothing == answer) {
			__atomic_add_fetch(&seen->times[q][i], 1, __ATOMIC_SEQ_CST);
			return;
		}
	}
}

/* Returns the time in nanoseconds. */
static long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000 + time.tv_nsec;
}

static void note_time(void)
{
	long time = now(), last = __atomic_load_n(&seen->last_answer, __ATOMIC_SEQ_CST);

	while (last < time && !__atomic_compare_exchange_n(&seen->last_answer, &last, time, 0,
							   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
}

static void ask(int q)
{
	const char *text = questions[q].text, *percent = strchr(text, '%');
	char answer[32] = "", numbered[256];
	int fd = open("/dev/kmod_ask", O_RDWR | O_CLOEXEC);
	unsigned long asked = 0;
	long number;

	if (fd < 0)
		err(1, "/dev/kmod_ask");
	if (questions[q].is_fresh)
		asked = __atomic_add_fetch(serial, 1, __ATOMIC_SEQ_CST);
	number = __atomic_add_fetch(&seen->asked, 1, __ATOMIC_SEQ_CST);
	if (percent) {
		snprintf(numbered, sizeof(numbered), "%.*s%ld%s", (int)(percent - text), text,
			 number, percent + 1);
		text = numbered;
	}
	if (write(fd, text, strlen(text)) < 0)
		err(1, "write %s", text);
	if (read(fd, answer, sizeof(answer) - 1) <= 0)
		err(1, "read %s", text);
	note_time();
	__atomic_add_fetch(&seen->answered, 1, __ATOMIC_SEQ_CST);
	close(fd);
	if (!questions[q].is_fresh || !is_fresh(atol(answer), asked))
		note(q, atol(answer));
}

static void task(int number)
{
	/* Reading would take the lock of the pipe, for which a thousand tasks would wait. */
	struct pollfd barrier_ends = { .fd = barrier[0] };
	int round, i;

	if (first_uid && setuid(first_uid + number * uid_step))
		err(1, "setuid");
	/* A change of the user takes this back. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(barrier[1]);
	if (poll(&barrier_ends, 1, -1) != 1 || !(barrier_ends.revents & POLLHUP))
		errx(1, "the barrier is no pipe");
	for (round = 0; !rounds || round < rounds; round++)
		for (i = 0; i < nr_questions; i++) {
			if (until && !access(until, F_OK))
				return;
			ask((number + i) % nr_questions);
		}
}

static pid_t start(int number)
{
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		task(number);
		_exit(0);
	}
	return pid;
}

static pid_t start_flipping(char *path)
{
	char *other = strchr(path, ',');
	pid_t pid;
	int fd;

	if (!other)
		errx(2, "--flip takes two paths");
	*other++ = '\0';
	fd = open("/proc/sys/kernel/modprobe", O_WRONLY);
	if (fd < 0)
		err(1, "/proc/sys/kernel/modprobe");
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		if (pwrite(fd, path, strlen(path), 0) < 0 ||
		    pwrite(fd, other, strlen(other), 0) < 0)
			err(1, "write to /proc/sys/kernel/modprobe");
}

/* Kills tasks at moments that depend on --seed, so at all points of their work. */
static void kill_tasks(pid_t *tasks, int nr_tasks, int kills)
{
	int i, number;

	for (i = 0; i < kills; i++) {
		struct timespec time = { 0, rand() % 4000000 };

		nanosleep(&time, NULL);
		number = rand() % nr_tasks;
		kill(tasks[number], SIGKILL);
		waitpid(tasks[number], NULL, 0);
		tasks[number] = start(i);
	}
}

static int report(void)
{
	int q, i, others = 0;

	for (q = 0; q < nr_questions; q++)
		for (i = 0; i < MAX_OTHERS && seen->others[q][i]; i++) {
			printf("%s: %ld, %ld times\n", questions[q].text,
			       seen->others[q][i] == 1 ? 0 : seen->others[q][i],
			       seen->times[q][i]);
			others = 1;
		}
	if (!others)
		printf("no other answers\n");
	fprintf(stderr, "# asked %ld times, answered %ld times\n", seen->asked, seen->answered);
	return others;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "tasks", required_argument, NULL, 't' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "until", required_argument, NULL, 'u' },
		{ "kills", required_argument, NULL, 'k' },
		{ "seed", required_argument, NULL, 's' },
		{ "uids", required_argument, NULL, 'U' },
		{ "flip", required_argument, NULL, 'f' },
		{ "time", no_argument, NULL, 'T' },
		{ }
	};
	int option, nr_tasks = 1, kills = 0, is_timed = 0, i, status, bad = 0;
	long began;
	pid_t tasks[MAX_TASKS], flipper = 0;
	char *flip = NULL;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (option) {
		case 't': nr_tasks = atoi(optarg); break;
		case 'r': rounds = atoi(optarg); break;
		case 'u': until = optarg; break;
		case 'k': kills = atoi(optarg); break;
		case 's': srand(atoi(optarg)); break;
		case 'U':
			if (sscanf(optarg, "%u,%u", &first_uid, &uid_step) < 1)
				errx(2, "--uids takes user IDs");
			break;
		case 'f': flip = optarg; break;
		case 'T': is_timed = 1; break;
		default: return 2;
		}
	for (i = optind; i < argc && nr_questions < MAX_QUESTIONS; i++)
		parse(&questions[nr_questions++], argv[i]);
	if (nr_tasks < 1 || nr_tasks > MAX_TASKS || !nr_questions || !(rounds || until || kills))
		errx(2, "see the top of load.c");

	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		err(1, "mmap");
	for (i = 0; i < nr_questions && !serial; i++)
		if (questions[i].is_fresh)
			map_serial();
	if (flip)
		flipper = start_flipping(flip);
	if (pipe(barrier))
		err(1, "pipe");
	for (i = 0; i < nr_tasks; i++)
		tasks[i] = start(i);
	began = now();
	close(barrier[1]);
	barrier[1] = -1;
	if (kills) {
		kill_tasks(tasks, nr_tasks, kills);
		for (i = 0; i < nr_tasks; i++)
			kill(tasks[i], SIGKILL);
	}
	for (i = 0; i < nr_tasks; i++) {
		if (waitpid(tasks[i], &status, 0) < 0)
			err(1, "waitpid");
		if (!kills && status)
			bad = 1;
	}
	if (flipper) {
		kill(flipper, SIGKILL);
		waitpid(flipper, NULL, 0);
	}
	if (!kills && seen->answered != seen->asked)
		bad = 1;
	if (is_timed)
		printf("%ld ns\n", seen->last_answer - began);
	return report() || bad;
}
