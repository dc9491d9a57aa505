// SPDX-License-Identifier: GPL-2.0
/*
 * Opens a socket of a family as an ordinary user, but with the credentials of root in place during
 * the call. These are the credentials that io_uring was given while the task still was root. The
 * task itself is nobody.
 *
 * usage: override FAMILY
 */
#define _GNU_SOURCE
#include <err.h>
#include <grp.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534

static void *map(int ring, size_t size, off_t what)
{
	void *address = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, what);

	if (address == MAP_FAILED)
		err(1, "mmap of the ring");
	return address;
}

int main(int argc, char **argv)
{
	struct io_uring_params params = { 0 };
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	char *submissions, *completions;
	int ring, root;

	if (argc != 2)
		errx(2, "usage: override FAMILY");

	ring = syscall(__NR_io_uring_setup, 1, &params);
	if (ring < 0)
		err(1, "io_uring_setup");
	submissions = map(ring, params.sq_off.array + params.sq_entries * sizeof(unsigned int),
			  IORING_OFF_SQ_RING);
	completions = map(ring, params.cq_off.cqes + params.cq_entries * sizeof(*cqe),
			  IORING_OFF_CQ_RING);
	sqe = map(ring, params.sq_entries * sizeof(*sqe), IORING_OFF_SQES);

	root = syscall(__NR_io_uring_register, ring, IORING_REGISTER_PERSONALITY, NULL, 0);
	if (root < 0)
		err(1, "io_uring_register");
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		err(1, "cannot become nobody");

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_SOCKET;
	sqe->fd = atoi(argv[1]);
	sqe->off = SOCK_STREAM;
	sqe->personality = root;
	((unsigned int *)(submissions + params.sq_off.array))[0] = 0;
	__atomic_store_n((unsigned int *)(submissions + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		err(1, "io_uring_enter");

	cqe = (struct io_uring_cqe *)(completions + params.cq_off.cqes);
	printf("%s\n", cqe->res < 0 ? strerror(-cqe->res) : "done");
	return 0;
}
