// SPDX-License-Identifier: GPL-2.0
/* Messages of netlink. */
#define _GNU_SOURCE
#include "vectors.h"

#include <arpa/inet.h>
#include <err.h>
#include <linux/genetlink.h>
#include <string.h>
#include <sys/socket.h>

static struct {
	char bytes[8192] __attribute__((aligned(NLMSG_ALIGNTO)));
	size_t length;
	struct nlmsghdr *message;
} request;

/* Appends data, or zeroes if there is none, and the padding. Returns where they are. */
static void *append(const void *data, size_t length)
{
	char *at = request.bytes + request.length;

	if (request.length + NLMSG_ALIGN(length) > sizeof(request.bytes))
		errx(1, "a request is too long");
	if (data)
		memcpy(at, data, length);
	request.length += NLMSG_ALIGN(length);
	return at;
}

/* The length of a message includes everything up to the beginning of the next one. */
static void end_message(void)
{
	if (request.message)
		request.message->nlmsg_len =
			request.bytes + request.length - (char *)request.message;
}

void message(int type, int flags, const void *header, size_t length)
{
	struct nlmsghdr *begun;

	end_message();
	begun = append(NULL, sizeof(*begun));
	begun->nlmsg_type = type;
	begun->nlmsg_flags = NLM_F_REQUEST | flags;
	request.message = begun;
	append(header, length);
}

struct nlattr *attribute(int type, const void *data, size_t length)
{
	struct nlattr *begun = append(NULL, sizeof(*begun));

	begun->nla_type = type;
	begun->nla_len = sizeof(*begun) + length;
	append(data, length);
	return begun;
}

void string(int type, const char *text)
{
	attribute(type, text, strlen(text) + 1);
}

void number(int type, uint32_t value)
{
	value = htonl(value);
	attribute(type, &value, sizeof(value));
}

void byte(int type, unsigned char value)
{
	attribute(type, &value, sizeof(value));
}

void half(int type, unsigned short value)
{
	attribute(type, &value, sizeof(value));
}

void word(int type, unsigned int value)
{
	attribute(type, &value, sizeof(value));
}

struct nlattr *nest(int type)
{
	return attribute(type | NLA_F_NESTED, NULL, 0);
}

void end_nest(struct nlattr *begun)
{
	begun->nla_len = request.bytes + request.length - (char *)begun;
}

/* Sends the messages, and returns the socket, to which the answer comes. */
static int transmit(int protocol)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	end_message();
	if (fd >= 0 && sendto(fd, request.bytes, request.length, 0, (struct sockaddr *)&kernel,
			      sizeof(kernel)) < 0)
		fd = -1;
	memset(&request, 0, sizeof(request));
	return fd;
}

int ask(int protocol)
{
	return transmit(protocol) < 0;
}

/* Returns the number of a family of generic netlink, or -1. */
static int family_number(const char *family)
{
	struct genlmsghdr header = { .cmd = CTRL_CMD_GETFAMILY, .version = 1 };
	struct {
		struct nlmsghdr message;
		struct genlmsghdr header;
		char attributes[8192];
	} answer;
	struct nlattr *found;
	char *at = answer.attributes, *end;
	ssize_t length;

	message(GENL_ID_CTRL, 0, &header, sizeof(header));
	string(CTRL_ATTR_FAMILY_NAME, family);
	length = recv(transmit(NETLINK_GENERIC), &answer, sizeof(answer), MSG_DONTWAIT);
	if (length < NLMSG_HDRLEN || answer.message.nlmsg_type != GENL_ID_CTRL)
		return -1;
	for (end = (char *)&answer + length; at < end; at += NLA_ALIGN(found->nla_len)) {
		found = (struct nlattr *)at;
		if (found->nla_type == CTRL_ATTR_FAMILY_ID)
			return *(uint16_t *)(found + 1);
	}
	return -1;
}

int generic_message(const char *family, int command)
{
	struct genlmsghdr header = { .cmd = command, .version = 1 };
	int type = family_number(family);

	if (type >= 0)
		message(type, NLM_F_ACK, &header, sizeof(header));
	return type < 0;
}
