// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel knows of the current task, for requester.rs.
 *
 * Why this is C: audit_get_loginuid(), task_dfl_cgroup(), current_user_ns() and
 * cgroup_path() are inline functions or macros that depend on the configuration,
 * and %pS is known to the C side of printf only.
 */
#include <linux/audit.h>
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sprintf.h>
#include <linux/string.h>
#include <linux/user_namespace.h>

#include "kmod_rs.h"

/**
 * kmod_rs_requester_loginuid - the user who logged in
 *
 * Context: any with a task.
 * Return: the id in the initial namespace, (u32)-1 if nobody did.
 */
u32 kmod_rs_requester_loginuid(void)
{
	return from_kuid(&init_user_ns, audit_get_loginuid(current));
}

/**
 * kmod_rs_requester_is_in_init_userns - is it in the initial user namespace?
 *
 * Context: any with a task.
 */
bool kmod_rs_requester_is_in_init_userns(void)
{
	return current_user_ns() == &init_user_ns;
}

/**
 * kmod_rs_requester_nspid - the process id as the task itself sees it
 *
 * Context: any with a task.
 */
int kmod_rs_requester_nspid(void)
{
	return task_pid_vnr(current);
}

#ifdef CONFIG_CGROUPS
/*
 * The path, NUL-terminated; false if it may not fit. Of one that is cut, some
 * kernels return an error, others the length of what is left.
 */
static bool kmod_rs_cgroup(char *buffer, size_t size)
{
	int length;

	guard(rcu)();
	length = cgroup_path(task_dfl_cgroup(current), buffer, size);
	return length >= 0 && length < size - 1;
}

/* The end of a path that is too long, behind an ellipsis. */
static void kmod_rs_cgroup_tail(char *buffer, size_t size)
{
	char *whole __free(kfree) = kmalloc(PATH_MAX, GFP_KERNEL);
	size_t length;

	buffer[0] = '\0';
	if (!whole || !kmod_rs_cgroup(whole, PATH_MAX))
		return;
	length = strlen(whole);
	if (length < size)
		strscpy(buffer, whole, size);
	else
		scnprintf(buffer, size, "...%s", whole + length - (size - 4));
}

/**
 * kmod_rs_requester_cgroup - the cgroup of the unified hierarchy
 * @buffer: gets the path, seen from the root; of a long one the end; NUL-terminated
 * @size: of the buffer
 *
 * Context: with a task; may sleep. Takes no lock but spinlocks.
 */
void kmod_rs_requester_cgroup(char *buffer, size_t size)
{
	if (!kmod_rs_cgroup(buffer, size))
		kmod_rs_cgroup_tail(buffer, size);
}
#else
void kmod_rs_requester_cgroup(char *buffer, size_t size)
{
	buffer[0] = '\0';
}
#endif

/**
 * kmod_rs_symbol - the name of a place in the kernel
 * @buffer: gets symbol+offset/size, and the module; cut, NUL-terminated
 * @size: of the buffer
 * @address: in the kernel or in a module that is there now
 *
 * Context: any.
 */
void kmod_rs_symbol(char *buffer, size_t size, unsigned long address)
{
	scnprintf(buffer, size, "%pS", (void *)address);
}
