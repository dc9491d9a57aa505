// SPDX-License-Identifier: GPL-2.0
/*
 * Ways in which a program makes the kernel request a module: those of the kernel's callers of
 * request_module() that an ordinary user can reach, if need be as root of a user namespace. Each
 * way is named for the name that the kernel requests first, and no two have the same name: a way is
 * another call into the kernel, or the same call with another name. The classes "guarded" have
 * those where the kernel itself requires a capability in the initial namespaces.
 *
 * Some ways need namespaces of their own. If the user is not root, these get a user namespace as
 * well. Some ways are there only when modules are loaded that others of them bring.
 *
 * When it is run as modprobe is, the program stands in for modprobe: it adds the requested name to
 * /tmp/reached, and loads nothing.
 *
 * usage: vectors list			CLASS NAME OPTION in lines, with the option that the
 *					kernel needs, or "-"
 *	  vectors patterns		CLASS PATTERN... in lines: what autoload_allow
 *					has to have for the class
 *	  vectors nodes			the device nodes that are opened, for /tmp/nodes
 *	  vectors run			all, one after the other
 *	  vectors run CLASS|NAME...	these
 *	  vectors -q -- NAME
 */
#define _GNU_SOURCE
#include "vectors.h"

#include <err.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define REACHED "/tmp/reached"
/* In seconds. No way takes that long. */
#define TIMEOUT 600

static const struct class *const tables[] = {
	socket_classes, cipher_classes, file_classes, link_classes, netfilter_classes,
	ipsec_classes,
};

#define NR_TABLES (sizeof(tables) / sizeof(*tables))
#define for_each_class(c) \
	for (const struct class *const *t = tables; t < tables + NR_TABLES; t++) \
		for (c = *t; c->name; c++)
#define for_each_vector(v, c) for (v = c->vectors; v->name; v++)

static void write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(1, "%s", path);
	close(fd);
}

/* Takes a network and mounts of its own, and what is needed to be allowed to. */
static void take_namespaces(void)
{
	int user = geteuid() ? CLONE_NEWUSER : 0;
	struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	char map[32];

	snprintf(map, sizeof(map), "0 %d 1", geteuid());
	if (unshare(user | CLONE_NEWNS | CLONE_NEWNET))
		err(1, "unshare");
	if (user) {
		write_to("/proc/self/setgroups", "deny");
		write_to("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %d 1", getegid());
		write_to("/proc/self/gid_map", map);
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		err(1, "mount");
	if (ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCSIFFLAGS, &loopback))
		err(1, "loopback");
}

static int wait_for(pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child)
		err(1, "no child");
	return status;
}

/* Runs in a task of its own, so that what it opens is closed afterwards. */
static void run(const struct vector *vector)
{
	pid_t child = fork();

	if (!child) {
		alarm(TIMEOUT);
		/* Success does not matter here, only what the kernel requests. */
		vector->act(vector);
		_exit(0);
	}
	if (wait_for(child))
		warnx("%s did not end", vector->name);
}

static int is_wanted(const struct class *class, const struct vector *vector, char **names)
{
	char **name;

	if (!*names)
		return 1;
	for (name = names; *name; name++)
		if (!strcmp(*name, class->name) || !strcmp(*name, vector->name))
			return 1;
	return 0;
}

static void run_all(int in_namespaces, char **names)
{
	const struct class *class;
	const struct vector *vector;

	for_each_class(class)
		for_each_vector(vector, class)
			if (class->needs_namespaces == in_namespaces &&
			    is_wanted(class, vector, names))
				run(vector);
}

static int is_node(const char *text)
{
	int end = 0;

	return text && sscanf(text, "%*[bc]%*d:%*d%n", &end) >= 0 && end && !text[end];
}

static int stand_in(const char *name)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%s\n", name);
	int fd = open(REACHED, O_WRONLY | O_CREAT | O_APPEND, 0600);

	return fd < 0 || write(fd, line, n) != n;
}

int main(int argc, char **argv)
{
	const struct class *class;
	const struct vector *vector;
	pid_t child;

	if (argc == 4 && !strcmp(argv[1], "-q"))
		return stand_in(argv[3]);

	if (argc == 2 && !strcmp(argv[1], "list")) {
		for_each_class(class)
			for_each_vector(vector, class)
				printf("%s %s %s\n", class->name, vector->name,
				       vector->needs ?: class->needs ?: "-");
		return 0;
	}

	if (argc == 2 && !strcmp(argv[1], "patterns")) {
		for_each_class(class)
			printf("%s %s\n", class->name, class->patterns);
		return 0;
	}

	if (argc == 2 && !strcmp(argv[1], "nodes")) {
		for_each_class(class)
			for_each_vector(vector, class)
				if (is_node(vector->text))
					puts(vector->text);
		return 0;
	}

	if (argc < 2 || strcmp(argv[1], "run"))
		errx(2, "usage: vectors list | patterns | nodes | run [CLASS|NAME...]");

	run_all(0, argv + 2);
	child = fork();
	if (!child) {
		take_namespaces();
		run_all(1, argv + 2);
		_exit(0);
	}
	return wait_for(child) != 0;
}
