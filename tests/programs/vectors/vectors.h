/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of this program share. Each file has the ways of some classes, and a table of
 * them.
 */
#ifndef VECTORS_H
#define VECTORS_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where the test makes device nodes. Their names say what they are: "c10:200" is the character
 * device with these numbers, and "b7:0" the block device.
 */
#define NODES "/tmp/nodes/"

/* One way. A way has the name that the kernel requests first, and no other way has this name. */
struct vector {
	const char *name;
	int (*act)(const struct vector *vector);
	/* For act(). */
	long a, b, c;
	const char *text;
	/* The option without which the kernel has no such way, if the class does not have it. */
	const char *needs;
};

/*
 * Ways that need the same, and that are allowed together. Several classes are called "guarded": the
 * kernel itself requires a capability in the initial namespaces for their ways.
 */
struct class {
	const char *name;
	/* What autoload_allow has to have for the class. */
	const char *patterns;
	int needs_namespaces;
	/* The last one has no name. */
	const struct vector *vectors;
	/* The option without which the kernel has no such ways. */
	const char *needs;
};

#define VECTORS (const struct vector[])

/* Fields that are not given are 0. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* The last class of each table has no name. */
extern const struct class socket_classes[], cipher_classes[], file_classes[], link_classes[],
	netfilter_classes[], ipsec_classes[];

/* --- messages.c: messages to the kernel, put together piece by piece ------------------------- */

/* Begins a message. */
void message(int type, int flags, const void *header, size_t length);
/* Begins a message of generic netlink. Returns 0 if there is such a family. */
int generic_message(const char *family, int command);
/* Each appends an attribute. number() is in network byte order, the others are as they are here. */
struct nlattr *attribute(int type, const void *data, size_t length);
void string(int type, const char *text);
void number(int type, uint32_t value);
void byte(int type, unsigned char value);
void half(int type, unsigned short value);
void word(int type, unsigned int value);
/* What is appended until end_nest() is part of the attribute. */
struct nlattr *nest(int type);
void end_nest(struct nlattr *begun);
/* Sends the messages. The kernel has acted on them before this returns. */
int ask(int protocol);

/* --- entries.c: other ways to make a system call --------------------------------------------- */

/* The ring's worker makes the call, and not the task itself. */
#define BY_WORKER 0
/* The ring's own thread makes it. */
#define BY_POLLER 1

/* The family, the type, who makes the call. */
int ring_socket(const struct vector *vector);
/* The text is the node, and c says who makes the call. */
int ring_open(const struct vector *vector);
/* The address and its length. */
int ring_bind(int fd, const void *address, size_t length);

/* The entry of 32-bit programs, which any program can use. Pointers must be below 4 GiB. */
long call_32(long number, long a, long b, long c, long d, long e);
int socket_32(const struct vector *vector);
int socketcall_32(const struct vector *vector);
int mount_32(const struct vector *vector);
int open_32(const struct vector *vector);

int pair_of_sockets(const struct vector *vector);

#endif
