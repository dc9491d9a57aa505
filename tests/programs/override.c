// SPDX-License-Identifier: GPL-2.0
/*
 * Opens a socket of a family with two different sets of credentials: the task's own, and others
 * that are in place during the call. io_uring has them: it was given them by somebody else, or its
 * worker is older than they are.
 *
 *	root		an ordinary user has the credentials of root in place, from when the task
 *			still was root
 *	nobody		root has those of an ordinary user in place
 *	container	root has those of root in another user namespace in place
 *	worker		a worker that was made when the task still was root has those of an
 *			ordinary user in place
 *
 * Before that, it writes the name that the kernel will ask for to DESCRIPTOR in the same way. On it
 * somebody else has opened /proc/kmod_rs/check.
 *
 * usage: override HOW FAMILY [DESCRIPTOR]
 */
#define _GNU_SOURCE
#include <err.h>
#include <grp.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static int ring, check = -1;
static struct io_uring_params params;
static struct io_uring_sqe *sqe;
static char *submissions, *completions;

static void *map(size_t size, off_t what)
{
	void *address = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, what);

	if (address == MAP_FAILED)
		err(1, "mmap of the ring");
	return address;
}

static void make_ring(void)
{
	ring = syscall(__NR_io_uring_setup, 1, &params);
	if (ring < 0)
		err(1, "io_uring_setup");
	submissions = map(params.sq_off.array + params.sq_entries * sizeof(unsigned int),
			  IORING_OFF_SQ_RING);
	completions = map(params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe),
			  IORING_OFF_CQ_RING);
	sqe = map(params.sq_entries * sizeof(*sqe), IORING_OFF_SQES);
}

/* Gives the ring the credentials that the task has now. */
static int personality(void)
{
	int id = syscall(__NR_io_uring_register, ring, IORING_REGISTER_PERSONALITY, NULL, 0);

	if (id < 0)
		err(1, "io_uring_register");
	return id;
}

/* Makes a system call by the ring. Returns what that returns, or a negative errno. */
static int call(const struct io_uring_sqe *what)
{
	unsigned int *tail = (unsigned int *)(submissions + params.sq_off.tail);
	unsigned int *head = (unsigned int *)(completions + params.cq_off.head);
	struct io_uring_cqe *cqes = (struct io_uring_cqe *)(completions + params.cq_off.cqes);
	int result;

	*sqe = *what;
	((unsigned int *)(submissions + params.sq_off.array))[0] = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		err(1, "io_uring_enter");
	result = cqes[*head & (params.cq_entries - 1)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

/* Writes the name that the kernel asks for to `check`. */
static void write_name(int family, int personality, int flags)
{
	char name[16];
	const struct io_uring_sqe write = {
		.opcode = IORING_OP_WRITE,
		.flags = flags,
		.fd = check,
		.off = -1,
		.addr = (uintptr_t)name,
		.len = snprintf(name, sizeof(name), "net-pf-%d", family),
		.personality = personality,
	};
	const int result = call(&write);

	if (result != (int)write.len)
		errx(1, "write to descriptor %d: %s", check, strerror(-result));
}

/* Opens a socket. Returns its number, or a negative errno. */
static int open_socket(int family, int personality, int flags)
{
	const struct io_uring_sqe socket = {
		.opcode = IORING_OP_SOCKET,
		.flags = flags,
		.fd = family,
		.off = SOCK_STREAM,
		.personality = personality,
	};

	if (check >= 0 && family != AF_UNIX)
		write_name(family, personality, flags);
	return call(&socket);
}

static void become(uid_t real, uid_t effective, uid_t saved)
{
	if (setresuid(real, effective, saved))
		err(1, "setresuid");
}

static int personality_of_nobody(void)
{
	int id;

	become(NOBODY, NOBODY, 0);
	id = personality();
	become(0, 0, 0);
	return id;
}

static int personality_of_container(void)
{
	int status;
	pid_t child = fork();

	if (child < 0)
		err(1, "fork");
	if (!child) {
		if (unshare(CLONE_NEWUSER))
			err(0, "unshare");
		exit(personality());
	}
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || !WEXITSTATUS(status))
		errx(1, "no credentials of another user namespace");
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	int family, result;

	if (argc != 3 && argc != 4)
		errx(2, "usage: override HOW FAMILY [DESCRIPTOR]");
	family = atoi(argv[2]);
	if (argc == 4)
		check = atoi(argv[3]);
	make_ring();

	if (!strcmp(argv[1], "root")) {
		int root = personality();

		if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY))
			err(1, "cannot become nobody");
		become(NOBODY, NOBODY, NOBODY);
		result = open_socket(family, root, 0);
	} else if (!strcmp(argv[1], "nobody")) {
		result = open_socket(family, personality_of_nobody(), 0);
	} else if (!strcmp(argv[1], "container")) {
		result = open_socket(family, personality_of_container(), 0);
	} else if (!strcmp(argv[1], "worker")) {
		/* This makes the workers, which stay: one for files, and one for the rest. */
		if (check >= 0)
			write_name(family, 0, IOSQE_ASYNC);
		if (open_socket(AF_UNIX, 0, IOSQE_ASYNC) < 0)
			errx(1, "no socket");
		become(NOBODY, NOBODY, NOBODY);
		result = open_socket(family, 0, IOSQE_ASYNC);
	} else {
		errx(2, "how?");
	}
	printf("%s\n", result < 0 ? strerror(-result) : "done");
	return 0;
}
