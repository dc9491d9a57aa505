// SPDX-License-Identifier: GPL-2.0
/*
 * Other ways into the kernel than the system calls of this program: io_uring, whose calls are made
 * by other tasks, and the entry of 32-bit programs.
 */
#define _GNU_SOURCE
#include "vectors.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- io_uring --------------------------------------------------------------------------------- */

/* Linux 6.11 */
#define OP_BIND 56

/* Submits one call, and waits until it has been made. */
static int submit(const struct io_uring_sqe *call, long who)
{
	struct io_uring_params parameters = {
		.flags = who == BY_POLLER ? IORING_SETUP_SQPOLL : 0,
		.sq_thread_idle = 1,
	};
	int flags = IORING_ENTER_GETEVENTS | (who == BY_POLLER ? IORING_ENTER_SQ_WAKEUP : 0);
	int fd = syscall(SYS_io_uring_setup, 1, &parameters);
	size_t length = parameters.sq_off.array + sizeof(unsigned int);
	struct io_uring_sqe *calls;
	char *ring;

	ring = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	calls = mmap(NULL, sizeof(*calls), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		     IORING_OFF_SQES);
	if (ring == MAP_FAILED || calls == MAP_FAILED)
		return 1;
	*calls = *call;
	if (who == BY_WORKER)
		calls->flags |= IOSQE_ASYNC;
	*(unsigned int *)(ring + parameters.sq_off.array) = 0;
	__atomic_store_n((unsigned int *)(ring + parameters.sq_off.tail), 1, __ATOMIC_SEQ_CST);
	return syscall(SYS_io_uring_enter, fd, 1, 1, flags, NULL, 0) < 0;
}

int ring_socket(const struct vector *vector)
{
	struct io_uring_sqe call = {
		.opcode = IORING_OP_SOCKET, .fd = vector->a, .off = vector->b,
	};

	return submit(&call, vector->c);
}

int ring_open(const struct vector *vector)
{
	struct io_uring_sqe call = {
		.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .open_flags = O_RDWR | O_NONBLOCK,
	};
	char path[64];

	snprintf(path, sizeof(path), NODES "%s", vector->text);
	call.addr = (uintptr_t)path;
	return submit(&call, vector->c);
}

int ring_bind(int fd, const void *address, size_t length)
{
	struct io_uring_sqe call = {
		.opcode = OP_BIND, .fd = fd, .addr = (uintptr_t)address, .addr2 = length,
	};

	return submit(&call, BY_WORKER);
}

/* --- The entry of 32-bit programs ------------------------------------------------------------- */

/* Numbers of these calls, which are not those of 64-bit programs. */
#define OPEN_32 5
#define MOUNT_32 21
#define SOCKETCALL_32 102
#define SOCKET_32 359

long call_32(long number, long a, long b, long c, long d, long e)
{
	long result;

	asm volatile("int $0x80"
		     : "=a"(result)
		     : "0"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
		     : "r8", "r9", "r10", "r11", "memory");
	return result;
}

/* The family, the type. */
int socket_32(const struct vector *vector)
{
	return call_32(SOCKET_32, vector->a, vector->b, 0, 0, 0) < 0;
}

/* The family, the type. */
int socketcall_32(const struct vector *vector)
{
	/* Static, so below 4 GiB: the program is not position-independent. */
	static unsigned int arguments[3];

	arguments[0] = vector->a;
	arguments[1] = vector->b;
	return call_32(SOCKETCALL_32, 1, (long)arguments, 0, 0, 0) < 0;
}

/* The text is the file system. */
int mount_32(const struct vector *vector)
{
	return call_32(MOUNT_32, (long)"none", (long)"/mnt", (long)vector->text, 0, 0) < 0;
}

/* The text is the node. */
int open_32(const struct vector *vector)
{
	static char path[64];

	snprintf(path, sizeof(path), NODES "%s", vector->text);
	return call_32(OPEN_32, (long)path, O_RDWR | O_NONBLOCK, 0, 0, 0) < 0;
}

/* --- socketpair(2) ---------------------------------------------------------------------------- */

/* The family, the type. */
int pair_of_sockets(const struct vector *vector)
{
	int pair[2];

	return socketpair(vector->a, vector->b, 0, pair);
}
