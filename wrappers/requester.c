// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel knows of the current task, for requester.rs.
 *
 * Why this is C: audit_get_loginuid(), task_dfl_cgroup(), current_cred() and
 * cgroup_path() are inline functions or macros that depend on the
 * configuration, and only the C side of printf has %pS.
 *
 * A task has two sets of credentials. The objective ones, real_cred, are its
 * own. The subjective ones, cred, are those that it acts with. They may be
 * somebody else's for a moment, for example in overlayfs or io_uring.
 */
#include <linux/audit.h>
#include <linux/auxvec.h>
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/mm_types.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sprintf.h>
#include <linux/string.h>
#include <linux/thread_info.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

#include "kmod_rs.h"

/**
 * kmod_rs_requester_loginuid - get the user who logged in
 *
 * Context: any in which there is a current task.
 * Return: the id in the initial namespace, or (u32)-1 if nobody has logged in.
 */
u32 kmod_rs_requester_loginuid(void)
{
	return from_kuid(&init_user_ns, audit_get_loginuid(current));
}

/**
 * kmod_rs_requester_is_in_init_userns - is the current task in the initial user
 * namespace, by its objective credentials?
 *
 * Context: any in which there is a current task.
 * Return: true if it is.
 */
bool kmod_rs_requester_is_in_init_userns(void)
{
	return current_real_cred()->user_ns == &init_user_ns;
}

/**
 * kmod_rs_requester_acts_as - get the credentials that the current task acts with
 * @uid: gets the real user id, in the initial namespace
 * @is_in_init_userns: gets whether they belong to the initial user namespace
 *
 * Context: any in which there is a current task.
 * Return: true if these are others than its own. Otherwise nothing is written.
 */
bool kmod_rs_requester_acts_as(u32 *uid, bool *is_in_init_userns)
{
	const struct cred *cred = current_cred();

	if (cred == current_real_cred())
		return false;
	*uid = from_kuid(&init_user_ns, cred->uid);
	*is_in_init_userns = cred->user_ns == &init_user_ns;
	return true;
}

/**
 * kmod_rs_requester_is_in_init_pidns - is the current task in the initial pid
 * namespace?
 *
 * Context: any in which there is a current task.
 * Return: true if it is.
 */
bool kmod_rs_requester_is_in_init_pidns(void)
{
	return task_active_pid_ns(current) == &init_pid_ns;
}

/*
 * The word at a place of the auxiliary vector. That of a 32-bit program has
 * 32-bit words.
 */
static unsigned long kmod_rs_auxv(const struct mm_struct *mm, int place, bool is_32bit)
{
	if (is_32bit)
		return READ_ONCE(((const u32 *)mm->saved_auxv)[place]);
	return READ_ONCE(mm->saved_auxv[place]);
}

/**
 * kmod_rs_requester_is_elevated - was the program of the current task executed
 * with AT_SECURE?
 *
 * It was if the execution has given it another effective user or group id, or
 * capabilities that its real user does not have, or if a security module wants
 * that. The kernel keeps what it has told the program, in the auxiliary vector.
 * Only the program itself can change that, and a child that shares its memory.
 *
 * Context: any in which there is a current task.
 * Return: true if it was, or if that is not known: for a task that has lost its
 * memory because it exits, and while a program is executed.
 */
bool kmod_rs_requester_is_elevated(void)
{
	const struct mm_struct *mm = current->mm;
	const bool is_32bit = test_thread_flag(TIF_ADDR32);
	int place;

	if (!mm)
		return true;
	for (place = 0; place < AT_VECTOR_SIZE; place += 2) {
		switch (kmod_rs_auxv(mm, place, is_32bit)) {
		case AT_SECURE:
			return kmod_rs_auxv(mm, place + 1, is_32bit);
		case AT_NULL:
			return true;
		}
	}
	return true;
}

/**
 * kmod_rs_requester_nspid - get the id of the current task in its own namespace
 *
 * Context: any in which there is a current task.
 * Return: the id, as gettid(2) returns it to the task.
 */
int kmod_rs_requester_nspid(void)
{
	return task_pid_vnr(current);
}

/* The kinds of accounts, in the upper half of the number of one; as in requester.rs. */
#define KMOD_RS_ACCOUNT_USER		(0ULL << 32)
#define KMOD_RS_ACCOUNT_KERNEL		(1ULL << 32)
#define KMOD_RS_ACCOUNT_CONTAINER	(2ULL << 32)

/*
 * The person behind a user namespace: the user who made the outermost one. If
 * that was root, who makes them for others, the user who is root in it.
 */
static kuid_t kmod_rs_owner(const struct user_namespace *ns)
{
	kuid_t root;

	while (ns->level > 1)
		ns = ns->parent;
	root = make_kuid((struct user_namespace *)ns, 0);
	return uid_eq(ns->owner, GLOBAL_ROOT_UID) && uid_valid(root) ? root : ns->owner;
}

/**
 * kmod_rs_requester_account - get the account that requests of the current task are on
 *
 * Whatever ids a person has by a user namespace of their own (/etc/subuid), they
 * are on one account; so are all users of a container that has a pid namespace
 * and no user namespace of its own. What decides is what the task cannot choose:
 * its objective credentials, and the namespaces that it is in.
 *
 * Context: any in which there is a current task.
 * Return: the number of the account.
 */
u64 kmod_rs_requester_account(void)
{
	const struct cred *cred = current_real_cred();
	const struct pid_namespace *ns = task_active_pid_ns(current);

	if (current->flags & PF_KTHREAD)
		return KMOD_RS_ACCOUNT_KERNEL;
	if (cred->user_ns != &init_user_ns)
		return KMOD_RS_ACCOUNT_USER | __kuid_val(kmod_rs_owner(cred->user_ns));
	if (!ns || ns == &init_pid_ns)
		return KMOD_RS_ACCOUNT_USER | __kuid_val(cred->uid);

	while (ns->level > 1)
		ns = ns->parent;
	return KMOD_RS_ACCOUNT_CONTAINER | ns->ns.inum;
}

#ifdef CONFIG_CGROUPS
/*
 * Gets the path, NUL-terminated. Returns false if it may have been cut: for a
 * path that is too long, some kernels return an error, and others the length of
 * what fits.
 */
static bool kmod_rs_cgroup(char *buffer, size_t size)
{
	int length;

	guard(rcu)();
	length = cgroup_path(task_dfl_cgroup(current), buffer, size);
	return length >= 0 && length < size - 1;
}

/* Gets "..." and the end of a long path, or "" if there is no memory. */
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
 * kmod_rs_requester_whole_cgroup - get the path of the current task's cgroup in
 * the unified hierarchy, seen from its root
 * @buffer: gets the path; NUL-terminated
 * @size: size of the buffer, at least 1
 *
 * Context: as for kmod_rs_requester_cgroup().
 * Return: true if that is the whole path.
 */
bool kmod_rs_requester_whole_cgroup(char *buffer, size_t size)
{
	return kmod_rs_cgroup(buffer, size);
}

/**
 * kmod_rs_requester_cgroup - get the path of the current task's cgroup in the
 * unified hierarchy
 * @buffer: gets the path from the root, or "..." and its end if it is too long;
 *	    NUL-terminated
 * @size: size of the buffer, at least 4
 *
 * Context: may sleep. Takes no lock except for the spinning one that guards the
 * names of cgroups.
 */
void kmod_rs_requester_cgroup(char *buffer, size_t size)
{
	if (!kmod_rs_cgroup(buffer, size))
		kmod_rs_cgroup_tail(buffer, size);
}
#else
bool kmod_rs_requester_whole_cgroup(char *buffer, size_t size)
{
	return false;
}

void kmod_rs_requester_cgroup(char *buffer, size_t size)
{
	buffer[0] = '\0';
}
#endif

/**
 * kmod_rs_symbol - get the name of a place in the code of the kernel
 * @buffer: gets symbol+offset/size, and the name of the module if there is one,
 *	    or as much of it as fits; NUL-terminated
 * @size: size of the buffer
 * @address: the place, in the kernel or in a module that is loaded now
 *
 * Context: any.
 */
void kmod_rs_symbol(char *buffer, size_t size, unsigned long address)
{
	scnprintf(buffer, size, "%pS", (void *)address);
}
