// SPDX-License-Identifier: GPL-2.0
/*
 * Stands in for modprobe: reports what it was run for, then does what the name of the request says.
 * It is a program and not a script, because under emulation the start of a shell takes most of the
 * time of a test.
 *
 * It writes the line "start PID NAME" and, unless it is killed, "end PID NAME" to the FIFO
 * /tmp/events. A test reads the FIFO to wait for either. Names:
 *
 *	exit-N...	exit with status N
 *	signal-N...	die of signal N
 *	hold-...	do not end before the test gives up its lock on /tmp/gate
 *	sleep-MS...	end after MS milliseconds
 *	stuck-...	write to the file system that is mounted on /tmp/frozen
 *	tree-...	have a child that has a child; all three wait like hold-
 *	tree-stuck-...	the same, but the grandchild does what stuck- does
 *	leave-...	leave a child behind that waits like hold-
 *	bomb-...	fork without end, and so do the children, as another user
 *			who can have 40 processes
 *	spawn-...	have 300 children that wait, and 8 that start one child after
 *			the other without end; one that has lost its parent stays
 *	real-NAME	have the real modprobe load NAME
 *	crypto-real-NAME	the same, for a name of a class that autoclean unloads
 *	describe-...	write what it was run with to /tmp/description; the empty
 *			name does this as well
 *	itself-...	exit with 1 if argv[0] is not the path that was executed
 *	serial-...	exit with 1 more than the number in /tmp/serial, modulo 250
 *	again-WHO-...	request its own name. WHO is "self" for the process itself,
 *			"child", "nowait" for a child that does not wait, "daemon"
 *			for a grandchild that has lost its parent
 *	child-NAME	have a child request NAME
 *	children-N-NAME	have N children request NAME-1 to NAME-N at the same time
 *	pair-a...	have a child request pair-b..., and the other way round
 *	count-N		have a child request count-(N+1)
 *	net-pf-N	have a child open a socket of family N
 *
 * A process that makes a request writes "got PID NAME RESULT" and exits with 1 unless the result
 * was 0.
 *
 * A child and a grandchild as above write "child PID NAME" and "grandchild PID NAME" when they start.
 *
 * "exit-N" may also stand at the end of one of the other names. For any other name, the program
 * exits with 0.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int begins(const char *name, const char *with)
{
	return !strncmp(name, with, strlen(with));
}

static void event(const char *what, const char *name)
{
	int fd = open("/tmp/events", O_WRONLY | O_NONBLOCK);
	char line[128];
	int n;

	if (fd < 0)
		return;
	n = snprintf(line, sizeof(line), "%s %d %s\n", what, getpid(), name);
	/* The line is shorter than PIPE_BUF, so it is written in one piece. */
	if (write(fd, line, n) != n)
		_exit(99);
	close(fd);
}

static int is_itself(const char *path)
{
	char executed[256];
	ssize_t n = readlink("/proc/self/exe", executed, sizeof(executed) - 1);

	if (n < 0)
		return 0;
	executed[n] = '\0';
	return !strcmp(path, executed);
}

/* A kernel thread has no program, so there is no link to one. */
static int is_kernel_thread(pid_t pid)
{
	char path[32], target[256];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return readlink(path, target, sizeof(target)) < 0;
}

/* Writes the line of the process's status that begins with this key. */
static void status_of(FILE *to, const char *key)
{
	FILE *from = fopen("/proc/self/status", "r");
	char line[256];

	while (from && fgets(line, sizeof(line), from))
		if (!strncmp(line, key, strlen(key)))
			fputs(line, to);
	if (from)
		fclose(from);
}

static void link_of(FILE *to, const char *key, const char *path)
{
	char target[256];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	fprintf(to, "%s=%.*s\n", key, n < 0 ? 0 : (int)n, target);
}

static void describe(int argc, char **argv, char **envp)
{
	FILE *to;
	DIR *fds = opendir("/proc/self/fd");
	struct dirent *entry;
	int i, open_files = 0;
	mode_t mask;

	/* They include the directory itself, "." and "..". */
	while (fds && (entry = readdir(fds)))
		open_files++;
	if (fds)
		closedir(fds);

	to = fopen("/tmp/description", "w");
	if (!to)
		_exit(98);
	for (i = 0; i < argc; i++)
		fprintf(to, "argv[%d]=%s\n", i, argv[i]);
	for (i = 0; envp[i]; i++)
		fprintf(to, "envp[%d]=%s\n", i, envp[i]);
	fprintf(to, "uid=%d euid=%d gid=%d egid=%d\n", getuid(), geteuid(), getgid(), getegid());
	mask = umask(0);
	fprintf(to, "umask=%03o\n", mask);
	fprintf(to, "nice=%d\n", getpriority(PRIO_PROCESS, 0));
	fprintf(to, "open_files=%d\n", open_files - 3);
	fprintf(to, "child_of_a_kernel_thread=%d\n", is_kernel_thread(getppid()));
	status_of(to, "Groups:");
	status_of(to, "NoNewPrivs:");
	status_of(to, "Seccomp:");
	status_of(to, "SigBlk:");
	status_of(to, "SigIgn:");
	status_of(to, "CapEff:");
	link_of(to, "exe", "/proc/self/exe");
	link_of(to, "cwd", "/proc/self/cwd");
	link_of(to, "root", "/proc/self/root");
	link_of(to, "mnt", "/proc/self/ns/mnt");
	link_of(to, "pid", "/proc/self/ns/pid");
	link_of(to, "user", "/proc/self/ns/user");
	link_of(to, "net", "/proc/self/ns/net");
	link_of(to, "uts", "/proc/self/ns/uts");
	link_of(to, "cgroup", "/proc/self/ns/cgroup");
	fclose(to);
}

/* Makes a request in this task, with HOW as in kmod_ask.c. */
static int ask(const char *how, const char *name)
{
	char question[128], answer[32] = "", got[128];
	int fd = open("/dev/kmod_ask", O_RDWR);
	int n = snprintf(question, sizeof(question), "%s %s", how, name);

	if (fd < 0 || write(fd, question, n) != n || read(fd, answer, sizeof(answer) - 1) <= 0)
		return 94;
	close(fd);
	answer[strcspn(answer, "\n")] = '\0';
	snprintf(got, sizeof(got), "%s %s", name, answer);
	event("got", got);
	return strcmp(answer, "0") != 0;
}

static int open_socket(const char *name)
{
	return socket(atoi(name + 7), SOCK_STREAM, 0) < 0;
}

static int status_of_child(pid_t child)
{
	int status;

	return child < 0 || waitpid(child, &status, 0) != child ? 93 : WEXITSTATUS(status);
}

static int ask_in_child(const char *how, const char *name)
{
	pid_t child = fork();

	if (!child)
		_exit(how ? ask(how, name) : open_socket(name));
	return status_of_child(child);
}

/* Makes requests for NAME-1 to NAME-N at the same time, from as many children. */
static int ask_in_children(const char *name)
{
	char *text, other[128];
	int status = 0, i, number = strtol(name, &text, 10);

	for (i = 1; i <= number; i++) {
		pid_t child = fork();

		if (child < 0)
			return 89;
		if (!child) {
			snprintf(other, sizeof(other), "%s-%d", text + 1, i);
			_exit(ask("w", other));
		}
	}
	while (wait(&i) > 0)
		status |= WEXITSTATUS(i);
	return status;
}

/* Makes a request in a grandchild whose parent has ended, and waits for it. */
static int ask_in_daemon(const char *name)
{
	unsigned char status = 92;
	int ends[2];
	pid_t child;

	if (pipe(ends))
		return 91;
	child = fork();
	if (!child) {
		pid_t parent = getpid();

		if (fork())
			_exit(0);
		while (getppid() == parent)
			sched_yield();
		status = ask("w", name);
		_exit(write(ends[1], &status, 1) != 1);
	}
	close(ends[1]);
	status_of_child(child);
	return read(ends[0], &status, 1) == 1 ? status : 90;
}

/* Does what a name says that makes a request, as listed above. */
static int ask_again(const char *name)
{
	char other[64];

	if (begins(name, "again-self"))
		return ask("w", name);
	if (begins(name, "again-nowait"))
		return ask_in_child("n", name);
	if (begins(name, "again-daemon"))
		return ask_in_daemon(name);
	if (begins(name, "again-child"))
		return ask_in_child("w", name);
	if (begins(name, "child-"))
		return ask_in_child("w", name + 6);
	if (begins(name, "children-"))
		return ask_in_children(name + 9);
	if (begins(name, "net-pf-"))
		return ask_in_child(NULL, name);
	if (begins(name, "count-"))
		snprintf(other, sizeof(other), "count-%d", atoi(name + 6) + 1);
	else
		snprintf(other, sizeof(other), "pair-%c%s", name[5] == 'a' ? 'b' : 'a', name + 6);
	return ask_in_child("w", other);
}

static int hold(void)
{
	int gate = open("/tmp/gate", O_RDONLY);

	return gate < 0 || flock(gate, LOCK_SH) ? 97 : 0;
}

static int write_to_frozen(void)
{
	return open("/tmp/frozen/stuck", O_WRONLY | O_CREAT, 0600) < 0 ? 96 : 0;
}

static int grow_tree(const char *name)
{
	if (!fork()) {
		event("child", name);
		if (!fork()) {
			event("grandchild", name);
			_exit(begins(name, "tree-stuck-") ? write_to_frozen() : hold());
		}
		_exit(hold());
	}
	return hold();
}

static int fork_for_ever(void)
{
	struct rlimit processes = { 40, 40 };

	if (setrlimit(RLIMIT_NPROC, &processes) || setuid(4040))
		return 89;
	for (;;)
		fork();
}

static void spawn_for_ever(void)
{
	const struct timespec moment = { 0, 2000000 };
	pid_t parent = getpid();

	for (;;) {
		pid_t child = fork();

		if (!child) {
			nanosleep(&moment, NULL);
			while (getppid() != parent)
				pause();
			_exit(0);
		}
		waitpid(child, NULL, 0);
	}
}

static int have_spawners(void)
{
	int i;

	for (i = 0; i < 300; i++)
		if (!fork())
			_exit(pause());
	for (i = 0; i < 8; i++)
		if (!fork())
			spawn_for_ever();
	return pause();
}

int main(int argc, char **argv, char **envp)
{
	const char *name = argc == 4 ? argv[3] : "?", *exit_status;
	int status = 0;

	event("start", name);

	exit_status = strstr(name, "exit-");
	if (exit_status)
		status = atoi(exit_status + 5);

	if (begins(name, "signal-")) {
		struct rlimit no_core = { 0, 0 };

		setrlimit(RLIMIT_CORE, &no_core);
		signal(atoi(name + 7), SIG_DFL);
		raise(atoi(name + 7));
	} else if (begins(name, "hold-")) {
		status = hold() ?: status;
	} else if (begins(name, "tree-")) {
		status = grow_tree(name);
	} else if (begins(name, "leave-")) {
		if (!fork()) {
			event("child", name);
			_exit(hold());
		}
	} else if (begins(name, "bomb-")) {
		status = fork_for_ever();
	} else if (begins(name, "spawn-")) {
		status = have_spawners();
	} else if (begins(name, "sleep-")) {
		long ms = atol(name + 6);
		struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

		nanosleep(&time, NULL);
	} else if (begins(name, "stuck-")) {
		status = write_to_frozen() ?: status;
	} else if (begins(name, "real-") || begins(name, "crypto-real-")) {
		execl("/sbin/modprobe", "modprobe", "-q", "--",
		      strstr(name, "real-") + strlen("real-"), NULL);
		status = 95;
	} else if (begins(name, "describe-") || !*name) {
		describe(argc, argv, envp);
	} else if (begins(name, "itself-")) {
		status = !is_itself(argv[0]);
	} else if (begins(name, "serial-")) {
		unsigned long serial;
		int fd = open("/tmp/serial", O_RDONLY);

		if (fd < 0 || read(fd, &serial, sizeof(serial)) != sizeof(serial))
			status = 255;
		else
			status = 1 + serial % 250;
	} else if (begins(name, "again-") || begins(name, "child-") ||
		   begins(name, "children-") || begins(name, "pair-") ||
		   begins(name, "count-") || begins(name, "net-pf-")) {
		status = ask_again(name);
	}

	event("end", name);
	return status;
}
