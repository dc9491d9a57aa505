// SPDX-License-Identifier: GPL-2.0
/*
 * Measures requests inside the kernel, for scripts/bench/bench.sh.
 *
 * Write "HOW COUNT NAME" to /dev/kmod_bench, and read how long COUNT calls took together, in
 * nanoseconds. The writing task makes them, one after the other. HOW is one of
 *
 *	request		request_module()
 *	bare		call_usermodehelper() of the program that the parameter
 *			`program` names, with the arguments, the environment and the
 *			way to wait that request_module() would use
 *	socket		socket(2) of the family whose number is NAME, type SOCK_STREAM, and
 *			close(2)
 *
 * The write fails with EIO if a call returns anything but 0.
 *
 * C always admits 50 requests at once. To compare more requests than that, give the parameter
 * `concurrent_max` the address of kmod.c's semaphore, which root finds in /proc/kallsyms. While
 * this module is loaded, C admits a thousand.
 */
#include <linux/fs.h>
#include <linux/kmod.h>
#include <linux/kstrtox.h>
#include <linux/ktime.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/semaphore.h>
#include <linux/uaccess.h>
#include <linux/umh.h>

#define BENCH_MORE 950

static char *program = "/kmod_rs/bench-exit";
module_param(program, charp, 0400);

static unsigned long concurrent_max;
module_param(concurrent_max, ulong, 0400);

/* One task measures at a time. */
static DEFINE_MUTEX(bench_lock);
static u64 bench_took;

static int bench_request(char *name)
{
	return request_module("%s", name);
}

static int bench_bare(char *name)
{
	static char *envp[] = {
		"HOME=/", "TERM=linux", "PATH=/sbin:/usr/sbin:/bin:/usr/bin", NULL
	};
	char *argv[] = { program, "-q", "--", name, NULL };

	return call_usermodehelper(program, argv, envp, UMH_WAIT_PROC | UMH_KILLABLE);
}

static int bench_socket(char *name)
{
	struct socket *socket;
	int family, ret;

	ret = kstrtoint(name, 10, &family) ?: sock_create(family, SOCK_STREAM, 0, &socket);
	if (!ret)
		sock_release(socket);
	return ret;
}

static int bench_measure(int (*call)(char *name), int count, char *name)
{
	u64 start = ktime_get_ns();

	while (count-- > 0)
		if (call(name))
			return -EIO;
	bench_took = ktime_get_ns() - start;
	return 0;
}

static ssize_t bench_write(struct file *file, const char __user *buffer, size_t length,
			   loff_t *offset)
{
	char input[64], how[8], name[32];
	int count, ret;

	if (length >= sizeof(input))
		return -EINVAL;
	if (copy_from_user(input, buffer, length))
		return -EFAULT;
	input[length] = '\0';
	if (sscanf(input, "%7s %d %31s", how, &count, name) != 3)
		return -EINVAL;

	mutex_lock(&bench_lock);
	if (!strcmp(how, "request"))
		ret = bench_measure(bench_request, count, name);
	else if (!strcmp(how, "bare"))
		ret = bench_measure(bench_bare, count, name);
	else if (!strcmp(how, "socket"))
		ret = bench_measure(bench_socket, count, name);
	else
		ret = -EINVAL;
	mutex_unlock(&bench_lock);

	/* The next read gives the answer to this. */
	*offset = 0;
	return ret ?: length;
}

static ssize_t bench_read(struct file *file, char __user *buffer, size_t length, loff_t *offset)
{
	char line[32];
	int n = scnprintf(line, sizeof(line), "%llu\n", bench_took);

	return simple_read_from_buffer(buffer, length, offset, line, n);
}

static const struct file_operations bench_fops = {
	.owner = THIS_MODULE,
	.read = bench_read,
	.write = bench_write,
};

static struct miscdevice bench_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kmod_bench",
	.fops = &bench_fops,
	.mode = 0600,
};

static int __init kmod_bench_init(void)
{
	int i, ret = misc_register(&bench_device);

	for (i = 0; !ret && concurrent_max && i < BENCH_MORE; i++)
		up((struct semaphore *)concurrent_max);
	return ret;
}

static void __exit kmod_bench_exit(void)
{
	int i;

	for (i = 0; concurrent_max && i < BENCH_MORE; i++)
		down((struct semaphore *)concurrent_max);
	misc_deregister(&bench_device);
}

module_init(kmod_bench_init);
module_exit(kmod_bench_exit);
MODULE_DESCRIPTION("Measures request_module(), for the benchmark of kmod_rs");
MODULE_LICENSE("GPL");
