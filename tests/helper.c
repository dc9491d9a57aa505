// SPDX-License-Identifier: GPL-2.0
/*
 * Stands in for modprobe: says what it was run with, then does what the name
 * that it was asked for says. A program and not a script, because starting a
 * shell takes most of the time of a test under emulation.
 *
 * It writes a line "start PID NAME" and, unless it is killed, "end PID NAME" to
 * the FIFO /tmp/events, which a test reads to wait for either. Names:
 *
 *	exit-N...	exit with status N
 *	signal-N...	die of signal N
 *	hold-...	do not end before the test gives up its lock on /tmp/gate
 *	sleep-MS...	end after MS milliseconds
 *	stuck-...	write to the file system that is mounted on /tmp/frozen
 *	real-NAME	have the real modprobe load NAME
 *	describe-...	write what it was run with to /tmp/description; so does
 *			the empty name
 *	itself-...	exit with 1 if argv[0] is not the path that was executed
 *
 * "exit-N" may also stand at the end of one of the others. Any other name: exit
 * with 0.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void event(const char *what, const char *name)
{
	int fd = open("/tmp/events", O_WRONLY | O_NONBLOCK);
	char line[128];
	int n;

	if (fd < 0)
		return;
	n = snprintf(line, sizeof(line), "%s %d %s\n", what, getpid(), name);
	/* Shorter than PIPE_BUF, so it is written in one piece. */
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

/* A kernel thread has no program, so no link to one. */
static int is_kernel_thread(pid_t pid)
{
	char path[32], target[256];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return readlink(path, target, sizeof(target)) < 0;
}

/* What the kernel says of the process, of which "Key:" is the beginning. */
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

	/* The directory itself, and "." and "..", are among them. */
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

int main(int argc, char **argv, char **envp)
{
	const char *name = argc == 4 ? argv[3] : "?", *exit_status;
	int status = 0;

	event("start", name);

	exit_status = strstr(name, "exit-");
	if (exit_status)
		status = atoi(exit_status + 5);

	if (!strncmp(name, "signal-", 7)) {
		struct rlimit no_core = { 0, 0 };

		setrlimit(RLIMIT_CORE, &no_core);
		signal(atoi(name + 7), SIG_DFL);
		raise(atoi(name + 7));
	} else if (!strncmp(name, "hold-", 5)) {
		int gate = open("/tmp/gate", O_RDONLY);

		if (gate < 0 || flock(gate, LOCK_SH))
			status = 97;
	} else if (!strncmp(name, "sleep-", 6)) {
		long ms = atol(name + 6);
		struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

		nanosleep(&time, NULL);
	} else if (!strncmp(name, "stuck-", 6)) {
		if (open("/tmp/frozen/stuck", O_WRONLY | O_CREAT, 0600) < 0)
			status = 96;
	} else if (!strncmp(name, "real-", 5)) {
		execl("/sbin/modprobe", "modprobe", "-q", "--", name + 5, NULL);
		status = 95;
	} else if (!strncmp(name, "describe-", 9) || !*name) {
		describe(argc, argv, envp);
	} else if (!strncmp(name, "itself-", 7)) {
		status = !is_itself(argv[0]);
	}

	event("end", name);
	return status;
}
