// SPDX-License-Identifier: GPL-2.0
/*
 * Writes random lists to autoload_allow and makes requests for random names. If the kernel accepts
 * a list, it must let through each name that one of the patterns matches by fnmatch(3), and no
 * other name. If it refuses a list, the old list must stay. It must accept lists in which only *
 * and ? are special.
 *
 * autoload_mode has to be 2, so that a name that is not matched gets -EPERM. The program in
 * /proc/sys/kernel/modprobe must not exist, so that a name that is matched gets -ENOENT.
 *
 * Prints what differed, and at the end how many lists and names there were. The exit status is 1 if
 * anything differed.
 *
 * usage: fuzz SECONDS SEED
 */
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ALLOW "/proc/sys/kernel/kmod_rs/autoload_allow"
/* As in patterns.rs and name.rs. */
#define MAX_LIST 4096
#define MAX_NAME 55
#define MAX_PATTERNS 2048

/* Characters that are special, and some that are not. */
static const char special[] = "**??[[[]]]!!^:.=--\\\\abcxyz09/_ \x01\x7f\x80\xff";
static const char harmless[] = "**??abcxyz09/_-.!]^:=\x01\x7f\x80\xff";

static char list[MAX_LIST + 64], before[MAX_LIST + 64], shown[MAX_LIST + 64];
static char *patterns[MAX_PATTERNS];
static int nr_patterns, bad;
static long lists, taken, names, matches;

static int below(int n)
{
	return random() % n;
}

static int choose(const char *from)
{
	return from[below(strlen(from))];
}

/* The length is mostly short, now and then the maximum or more. */
static int list_length(void)
{
	switch (below(64)) {
	case 0: return MAX_LIST - 8 + below(16);
	case 1: return below(MAX_LIST);
	default: return 1 + below(40);
	}
}

static int make_list(const char *alphabet)
{
	int i, length = list_length();

	for (i = 0; i < length; i++)
		list[i] = alphabet == harmless && !below(6) ? ' ' : choose(alphabet);
	/* Most lists end with a newline. A few have a newline or a NUL inside. */
	if (below(8))
		list[length++] = '\n';
	if (alphabet == special && !below(200))
		list[below(length)] = '\n';
	if (alphabet == special && !below(200))
		list[below(length)] = '\0';
	return length;
}

/* Makes the list what the kernel would show: patterns with one blank between them. */
static void split(int length)
{
	static char text[sizeof(list)];
	char *pattern, *rest = text;

	memcpy(text, list, length);
	text[length] = '\0';
	text[strcspn(text, "\n")] = '\0';
	nr_patterns = 0;
	list[0] = '\0';
	while ((pattern = strsep(&rest, " \t"))) {
		if (!*pattern)
			continue;
		if (nr_patterns)
			strcat(list, " ");
		strcat(list, pattern);
		patterns[nr_patterns++] = pattern;
	}
}

static void complain(const char *what, const char *text)
{
	printf("%s:", what);
	for (; *text; text++)
		printf(isprint((unsigned char)*text) ? "%c" : "\\x%02x", (unsigned char)*text);
	printf("\n");
	bad = 1;
}

static void read_list(char *to)
{
	int fd = open(ALLOW, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, to, sizeof(shown) - 1);

	if (n < 1)
		err(1, ALLOW);
	to[n - 1] = '\0';
	close(fd);
}

/* Returns 0 if the kernel accepts the list, and otherwise -1 with errno. */
static int write_list(int length)
{
	int fd = open(ALLOW, O_WRONLY);
	ssize_t n = fd < 0 ? -2 : write(fd, list, length);
	int error = errno;

	if (n == -2)
		err(1, ALLOW);
	close(fd);
	errno = error;
	return n == length ? 0 : -1;
}

/* Makes a name, often one that fits a pattern. */
static int make_name(char *name)
{
	const char *pattern = nr_patterns && below(4) ? patterns[below(nr_patterns)] : NULL;
	int i, length = 0;

	if (!pattern) {
		length = 1 + below(MAX_NAME);
		for (i = 0; i < length; i++)
			name[i] = choose(special);
	}
	for (; pattern && *pattern && length < MAX_NAME; pattern++) {
		if (*pattern == '*') {
			for (i = below(4); i > 0 && length < MAX_NAME; i--)
				name[length++] = choose(special);
		} else if (*pattern == '?' || !below(12)) {
			name[length++] = choose(special);
		} else if (*pattern == '[' && pattern[1] && strchr(pattern + 2, ']')) {
			name[length++] = below(2) ? pattern[1] : pattern[2];
			pattern = strchr(pattern + 2, ']');
		} else if (*pattern != '\\' || !pattern[1]) {
			name[length++] = *pattern;
		}
	}
	name[length] = '\0';
	return length;
}

/* Returns what request_module() returned. */
static long ask(const char *name)
{
	char question[128], answer[32] = "";
	int fd = open("/dev/kmod_ask", O_RDWR);
	int n = snprintf(question, sizeof(question), "w %s", name);

	if (fd < 0 || write(fd, question, n) != n || read(fd, answer, sizeof(answer) - 1) <= 0)
		err(1, "/dev/kmod_ask");
	close(fd);
	return atol(answer);
}

static void try_name(void)
{
	char name[MAX_NAME + 1];
	int i, expected = 0;
	long answer;

	if (!make_name(name))
		return;
	for (i = 0; i < nr_patterns && !expected; i++)
		expected = !fnmatch(patterns[i], name, 0);
	answer = ask(name);
	names++;
	matches += expected;
	if (answer != (expected ? -ENOENT : -EPERM)) {
		complain("list", list);
		complain(expected ? "is not matched" : "is matched", name);
	}
}

static void try_list(void)
{
	const char *alphabet = below(4) ? special : harmless;
	int i, length = make_list(alphabet), result;

	read_list(before);
	result = write_list(length);
	lists++;
	read_list(shown);
	if (result) {
		list[length < MAX_LIST ? length : MAX_LIST] = '\0';
		if (errno != EINVAL || strcmp(shown, before))
			complain("refused otherwise", list);
		if (alphabet == harmless && length <= MAX_LIST)
			complain("refused", list);
		return;
	}
	if (length > MAX_LIST)
		complain("taken, but too long", shown);
	split(length);
	if (strcmp(shown, list))
		complain("shown otherwise", list);
	taken++;
	for (i = 0; i < 8; i++)
		try_name();
}

int main(int argc, char **argv)
{
	time_t end;

	if (argc != 3)
		errx(2, "usage: fuzz SECONDS SEED");
	srandom(atoi(argv[2]));
	end = time(NULL) + atoi(argv[1]);
	while (time(NULL) < end && !bad)
		try_list();
	printf("%ld lists, %ld taken, %ld names, %ld matched\n", lists, taken, names, matches);
	return bad;
}
