// SPDX-License-Identifier: GPL-2.0
/*
 * Writes random lists to autoload_allow and autoload_deny and makes requests for random names. If
 * the kernel accepts a list, it must let through (or deny) each name that one of the entries matches
 * by fnmatch(3), and no other name. If it refuses a list, the old list must stay. It must accept
 * lists in which only * and ? are special.
 *
 * Before fnmatch(3) compares them, names and patterns for names are folded, so that - and _ are the
 * same. Of an entry NAME@CGROUP, the cgroup must match, too: that of this process in the unified
 * hierarchy, whose path is not folded.
 *
 * The program in /proc/sys/kernel/modprobe must not exist, so that a name that is let through gets
 * -ENOENT. One that is denied gets 256.
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

#define KNOBS "/proc/sys/kernel/kmod_rs/"
/* As in patterns.rs and name.rs. */
#define MAX_LIST 4096
#define MAX_NAME 55
#define MAX_PATTERNS 2048
#define NOT_FOUND 256

/* The lists, the modes in which they decide, and what becomes of a name that they match. */
static const struct knob {
	const char *file, *mode;
	long matched, other;
} allow = { KNOBS "autoload_allow", "2\n", -ENOENT, NOT_FOUND },
  deny = { KNOBS "autoload_deny", "0\n", NOT_FOUND, -ENOENT };
static const struct knob *knob = &allow;

/* Characters that are special, and some that are not. */
static const char special[] = "**??[[[]]]!!^:.=---__\\\\@abcxyz09/+ \x01\x7f\x80\xff";
static const char harmless[] = "**??abcxyz09/_-.!]^:=\x01\x7f\x80\xff";
static char list[MAX_LIST + 64], before[MAX_LIST + 64], shown[MAX_LIST + 64];
static char *patterns[MAX_PATTERNS];
static char cgroup[MAX_LIST];
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

/* Appends a pattern for cgroups to the list, often one that matches. */
static int add_cgroup(int length)
{
	const char *c;

	if (length > MAX_LIST / 2)
		return length;
	list[length++] = '@';
	for (c = cgroup; *c; c++) {
		switch (below(40)) {
		case 0:
			list[length++] = '?';
			break;
		case 1:
			list[length++] = '*';
			c += below(strlen(c));
			break;
		case 2:
			length += sprintf(list + length, "[%c]", *c);
			break;
		case 3:
			list[length++] = choose(special);
			break;
		default:
			if (*c == '@')
				list[length++] = '\\';
			list[length++] = *c;
		}
	}
	return length;
}

static int make_list(const char *alphabet)
{
	int i, length = list_length();

	for (i = 0; i < length; i++)
		list[i] = alphabet == harmless && !below(6) ? ' ' : choose(alphabet);
	if (alphabet == special && !below(3))
		length = add_cgroup(length);
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
	int fd = open(knob->file, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, to, sizeof(shown) - 1);

	if (n < 1)
		err(1, "%s", knob->file);
	to[n - 1] = '\0';
	close(fd);
}

static void write_file(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err(1, "%s", file);
	close(fd);
}

/* Goes on with this list. The other one is empty then. */
static void use(const struct knob *list)
{
	write_file(allow.file, "\n");
	write_file(deny.file, "\n");
	write_file(KNOBS "autoload_mode", list->mode);
	knob = list;
}

/*
 * Returns 0 if the kernel accepts the list, and otherwise -1 with errno. Writes on if only a part
 * was taken, as all programs do.
 */
static int write_list(int length)
{
	int fd = open(knob->file, O_WRONLY), written = 0, error;
	ssize_t n;

	if (fd < 0)
		err(1, "%s", knob->file);
	do {
		n = write(fd, list + written, length - written);
		error = errno;
		if (n > 0)
			written += n;
	} while (n > 0 && written < length);
	close(fd);
	errno = error;
	return n < 0 ? -1 : 0;
}

static char folded(char c)
{
	return c == '-' ? '_' : c;
}

static void fold_name(char *to, const char *from)
{
	do
		*to++ = folded(*from);
	while (*from++);
}

/*
 * Writes a class of a pattern as one that is compared with folded names. It has a _ if it has either
 * - or _. Here the first member has a backslash, so that it is never special to fnmatch(3). Returns
 * what follows the class.
 */
static const char *fold_class(char **to, const char *from)
{
	int negated = from[1] == '!';
	const char *members = from + 1 + negated, *end = strchr(members + 1, ']');
	char class[MAX_LIST + 64];

	sprintf(class, "[\\%.*s]", (int)(end - members), members);
	*to += sprintf(*to, "[%s%s%s", negated ? "!" : "",
		       fnmatch(class, "-", 0) && fnmatch(class, "_", 0) ? "" : "\\_", class + 1);
	return end + 1;
}

/* Writes the pattern for names of an entry. Returns the one for cgroups, or NULL. */
static const char *fold_entry(char *to, const char *from)
{
	while (*from && *from != '@') {
		if (*from == '[') {
			from = fold_class(&to, from);
			continue;
		}
		if (*from == '\\')
			*to++ = *from++;
		*to++ = folded(*from++);
	}
	*to = '\0';
	return *from ? from + 1 : NULL;
}

static int is_matched(const char *entry, const char *name)
{
	static char pattern[4 * MAX_LIST];
	char folded_name[MAX_NAME + 1];
	const char *path = fold_entry(pattern, entry);

	fold_name(folded_name, name);
	return !fnmatch(pattern, folded_name, 0) && (!path || !fnmatch(path, cgroup, 0));
}

/* A path is no name while the rules can deny anything. */
static int is_path(const char *name)
{
	return (knob == &allow || nr_patterns) && (*name == '/' || !strncmp(name, "./", 2));
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
		if (*pattern == '@' && below(16))
			break;
		if ((*pattern == '-' || *pattern == '_') && below(2)) {
			name[length++] = *pattern == '-' ? '_' : '-';
		} else if (*pattern == '*') {
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
	int i, matched = 0;
	long answer, expected;

	if (!make_name(name))
		return;
	for (i = 0; i < nr_patterns && !matched; i++)
		matched = is_matched(patterns[i], name);
	expected = is_path(name) ? NOT_FOUND : matched ? knob->matched : knob->other;
	answer = ask(name);
	names++;
	matches += matched;
	if (answer != expected) {
		complain(knob->file, list);
		complain(matched ? "is not matched" : "is matched", name);
	}
}

static void try_list(void)
{
	const char *alphabet = below(4) ? special : harmless;
	int i, length = make_list(alphabet), is_whole = list[length - 1] == '\n', result;

	if (!below(32))
		use(below(2) ? &allow : &deny);
	read_list(before);
	result = write_list(length);
	lists++;
	read_list(shown);
	if (result) {
		list[length < MAX_LIST ? length : MAX_LIST] = '\0';
		if (errno != EINVAL || strcmp(shown, before))
			complain("refused otherwise", list);
		if (alphabet == harmless && length <= MAX_LIST && is_whole)
			complain("refused", list);
		return;
	}
	if (length > MAX_LIST || !is_whole)
		complain("taken, but too long or not whole", shown);
	split(length);
	if (strcmp(shown, list))
		complain("shown otherwise", list);
	taken++;
	for (i = 0; i < 8; i++)
		try_name();
}

/* Finds out in which cgroup of the unified hierarchy this process is. */
static void read_cgroup(void)
{
	FILE *file = fopen("/proc/self/cgroup", "r");
	char line[MAX_LIST];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "0::%[^\n]", cgroup) == 1)
			return;
	errx(1, "in no cgroup");
}

int main(int argc, char **argv)
{
	time_t end;

	if (argc != 3)
		errx(2, "usage: fuzz SECONDS SEED");
	srandom(atoi(argv[2]));
	read_cgroup();
	use(&allow);
	end = time(NULL) + atoi(argv[1]);
	while (time(NULL) < end && !bad)
		try_list();
	printf("%ld lists, %ld taken, %ld names, %ld matched\n", lists, taken, names, matches);
	return bad;
}
