// SPDX-License-Identifier: GPL-2.0
/*
 * Algorithms that the crypto API has a thread make of parts, for crypto.rs.
 *
 * Why this is C: `struct crypto_larval` is in a header of crypto/ and `struct
 * cryptomgr_param` in a C file there, so `bindings` has neither. The first one
 * is included, and Kbuild takes the second one from that file.
 * scripts/check-kernel.sh refuses a kernel in which they are not as they are
 * used here.
 *
 * A task that wants an algorithm enters a larval for it, which stands for the
 * algorithm until it is made, and calls the notifiers with the larval.
 * The one of the kernel, cryptomgr_notify(), starts a thread that makes the
 * algorithm, whose parameters refer to the larval. So what a notifier before
 * that one writes into the larval, in the task that wants the algorithm, is
 * what the thread finds there.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/cred.h>
#include <linux/crypto.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/notifier.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/rtnetlink.h>
#include <linux/rwsem.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sprintf.h>
#include <linux/stacktrace.h>
#include <linux/string.h>
#include <linux/uidgid.h>
#include <crypto/algapi.h>
#include <crypto/internal.h>

#include <cryptomgr_param.inc>

#include "kmod_rs.h"

static_assert(CRYPTO_MAX_ALG_NAME == KMOD_RS_ALGORITHM_LEN);

/**
 * kmod_rs_larval - get the larval that a notifier is called for
 * @event: what the notifier is called with
 * @data: the same
 *
 * Context: in a notifier of the crypto API.
 * Return: the larval, which is valid during the call of the notifier; NULL if it
 *	   is called for something else.
 */
struct crypto_larval *kmod_rs_larval(unsigned long event, void *data)
{
	return event == CRYPTO_MSG_ALG_REQUEST ? data : NULL;
}

/**
 * kmod_rs_larval_name - get the name of the algorithm that a larval stands for
 * @larval: the larval
 *
 * Context: any.
 * Return: the name, which is at most CRYPTO_MAX_ALG_NAME - 1 bytes long and does
 *	   not change.
 */
const char *kmod_rs_larval_name(const struct crypto_larval *larval)
{
	return larval->alg.cra_name;
}

/**
 * kmod_rs_larval_set - write a verdict into a larval
 * @larval: the larval
 * @verdict: the verdict
 * @hide: keep others from finding the larval, so that they make their own?
 *
 * The size of the context is that of an algorithm. A larval is allocated with 0
 * there, and nobody reads it.
 *
 * Nobody else writes to the flags at this time: those who look for an algorithm
 * only read them, and the thread does not exist yet.
 *
 * Context: in a notifier for CRYPTO_MSG_ALG_REQUEST that is called before that of
 * the kernel. Takes no lock.
 */
void kmod_rs_larval_set(struct crypto_larval *larval, u32 verdict, bool hide)
{
	WRITE_ONCE(larval->alg.cra_ctxsize, verdict);
	if (hide)
		WRITE_ONCE(larval->alg.cra_flags, larval->alg.cra_flags | CRYPTO_ALG_DYING);
}

/**
 * kmod_rs_crypto_is_maker - does the current task make an algorithm of parts?
 *
 * Context: any in which there is a current task.
 * Return: true if it is a thread that the crypto API has started for that.
 */
bool kmod_rs_crypto_is_maker(void)
{
	return kthread_func(current) == kmod_rs_cryptomgr_probe;
}

/*
 * The parameters of the current task, which makes an algorithm. They refer to the
 * larval, on which the task has a reference. Both stay until it has nothing left to
 * do but to exit.
 */
static struct cryptomgr_param *kmod_rs_maker(void)
{
	return current->flags & PF_EXITING ? NULL : kthread_data(current);
}

/**
 * kmod_rs_crypto_made - describe the algorithm that the current task makes
 * @name: gets the name, NUL-terminated
 * @size: size of the buffer
 *
 * Context: in a task that kmod_rs_crypto_is_maker() is true for.
 * Return: the verdict in the larval; 0 if there is none.
 */
u32 kmod_rs_crypto_made(char *name, size_t size)
{
	const struct cryptomgr_param *param = kmod_rs_maker();

	strscpy(name, param ? param->larval->alg.cra_name : "", size);
	return param ? READ_ONCE(param->larval->alg.cra_ctxsize) : 0;
}

/*
 * Does somebody wait for the larval besides the task that has entered it? These have
 * a reference: the list of algorithms and that task, until it removes the larval
 * from the list and wakes all others, and the thread.
 */
static bool kmod_rs_others_wait(struct crypto_larval *larval)
{
	unsigned int refs = refcount_read(&larval->alg.cra_refcnt);

	return list_empty(&larval->alg.cra_list) ? refs > 1 : refs > 3;
}

/**
 * kmod_rs_crypto_disown - tell others not to wait for what the current task makes
 *
 * Nobody finds the larval from now on. If somebody besides the task that entered it
 * waits for it, all who wait are woken. They look for the algorithm again, or are
 * told to (-EAGAIN), because the larval has no result. It never gets one: what the
 * thread makes becomes the result of another larval, which nobody knows.
 *
 * If there is no memory for that one, they get what the thread gets.
 *
 * Context: in a task that kmod_rs_crypto_is_maker() is true for, in a request for
 * a module. Takes crypto_alg_sem, which the crypto API does not hold then.
 */
void kmod_rs_crypto_disown(void)
{
	struct cryptomgr_param *param = kmod_rs_maker();
	struct crypto_larval *larval, *other;

	if (!param)
		return;
	larval = param->larval;
	/* Who has found the larval has its reference when this has had the lock. */
	crypto_shoot_alg(&larval->alg);
	if (!kmod_rs_others_wait(larval))
		return;
	other = crypto_larval_alloc(larval->alg.cra_name, 0, 0);
	if (IS_ERR(other))
		return;
	refcount_set(&other->alg.cra_refcnt, 1);
	other->alg.cra_ctxsize = larval->alg.cra_ctxsize;
	INIT_LIST_HEAD(&other->alg.cra_list);
	param->larval = other;
	complete_all(&larval->completion);
	crypto_alg_put(&larval->alg);
}

/* --- The chain of notifiers --- */

/*
 * A task that has a thread started holds the lock of the chain for reading, and
 * sleeps. If it hardly runs, because its priority is low, that takes long. Others
 * may read meanwhile, unless somebody waits to write. So nobody waits for longer
 * than this, in milliseconds, and then gives way to those who read.
 */
#define KMOD_RS_CHAIN_WAIT	100
#define KMOD_RS_CHAIN_PAUSE	400

/* How many pauses are between two lines in the log. */
#define KMOD_RS_CHAIN_QUIET	20

/* A change of the chain. */
struct kmod_rs_chain_change {
	struct notifier_block *block;
	bool add;
	int result;
	struct completion done;
};

/*
 * Makes the change. The lock is held for writing, so only the list is left, which
 * is all of a chain without a lock.
 */
static int kmod_rs_chain_change(const struct kmod_rs_chain_change *change)
{
	struct raw_notifier_head *list =
		container_of(&crypto_chain.head, struct raw_notifier_head, head);

	return change->add ? raw_notifier_chain_register(list, change->block) :
			     raw_notifier_chain_unregister(list, change->block);
}

/* Waits for the lock until it gets SIGKILL, and makes the change. */
static int kmod_rs_chain_thread(void *data)
{
	struct kmod_rs_chain_change *change = data;

	allow_signal(SIGKILL);
	change->result = down_write_killable(&crypto_chain.rwsem);
	if (!change->result) {
		change->result = kmod_rs_chain_change(change);
		up_write(&crypto_chain.rwsem);
	}
	/* Does not return to the module, which may be unloaded then. */
	kthread_complete_and_exit(&change->done, 0);
}

/*
 * Waits for the lock, for a while, and makes the change. Returns -EINTR if there
 * was not enough time, or what kthread_create() returns.
 */
static int kmod_rs_chain_wait(struct kmod_rs_chain_change *change)
{
	struct task_struct *thread;

	init_completion(&change->done);
	thread = kthread_create(kmod_rs_chain_thread, change, "kmod_rs_chain");
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	get_task_struct(thread);
	wake_up_process(thread);
	if (!wait_for_completion_timeout(&change->done, msecs_to_jiffies(KMOD_RS_CHAIN_WAIT))) {
		send_sig(SIGKILL, thread, 1);
		wait_for_completion(&change->done);
	}
	put_task_struct(thread);
	return change->result;
}

/*
 * Is the task in a function of the chain, called by the crypto API? This is not
 * known of a task that runs now.
 */
static bool kmod_rs_in_chain(struct task_struct *task)
{
	unsigned long entries[32];
	unsigned int i, count;
	bool in_a_chain = false;
	char name[32];

	count = stack_trace_save_tsk(task, entries, ARRAY_SIZE(entries), 0);
	for (i = 0; i < count; i++) {
		scnprintf(name, sizeof(name), "%ps", (void *)entries[i]);
		if (in_a_chain && str_has_prefix(name, "crypto_"))
			return true;
		in_a_chain = !strcmp(name, "blocking_notifier_call_chain");
	}
	return false;
}

/* Says who holds the lock. */
static void kmod_rs_chain_report(void)
{
	struct task_struct *process, *task, *holder = NULL;
	unsigned int others = 0;

	rcu_read_lock();
	for_each_process_thread(process, task) {
		if (task == current || !kmod_rs_in_chain(task))
			continue;
		if (holder)
			others++;
		else
			holder = task;
	}
	if (holder)
		pr_info("%s[%d] waits for the notifiers of ciphers, which are in use by: %*pE[%d] uid %u and %u others\n",
			current->comm, task_pid_nr(current),
			(int)strnlen(holder->comm, sizeof(holder->comm)), holder->comm,
			task_pid_nr(holder), from_kuid(&init_user_ns, task_uid(holder)), others);
	else
		pr_info("%s[%d] waits for the notifiers of ciphers, which are in use\n",
			current->comm, task_pid_nr(current));
	rcu_read_unlock();
}

/*
 * Makes a change. Returns -EINTR if a signal has come and the caller may be
 * interrupted, or what the kernel's function returns.
 */
static int kmod_rs_chain(struct notifier_block *block, bool add, bool may_interrupt)
{
	struct kmod_rs_chain_change change = { .block = block, .add = add };
	unsigned int pauses;
	int ret;

	for (pauses = 0;; pauses++) {
		if (down_write_trylock(&crypto_chain.rwsem)) {
			ret = kmod_rs_chain_change(&change);
			up_write(&crypto_chain.rwsem);
			return ret;
		}
		ret = kmod_rs_chain_wait(&change);
		if (ret != -EINTR && ret != -ENOMEM)
			return ret;
		if (pauses % KMOD_RS_CHAIN_QUIET == 0)
			kmod_rs_chain_report();
		if (!may_interrupt)
			msleep(KMOD_RS_CHAIN_PAUSE);
		else if (msleep_interruptible(KMOD_RS_CHAIN_PAUSE))
			return -EINTR;
	}
}

/**
 * kmod_rs_crypto_register - register a notifier of the crypto API
 * @block: the notifier
 *
 * Does what crypto_register_notifier() does, but tasks that want an algorithm do
 * not wait for long behind it: see above.
 *
 * Context: may sleep; not in a notifier.
 * Return: 0, -EINTR if a signal has come, or the error of the kernel's function.
 */
int kmod_rs_crypto_register(struct notifier_block *block)
{
	return kmod_rs_chain(block, true, true);
}

/**
 * kmod_rs_crypto_unregister - unregister a notifier of the crypto API
 * @block: the notifier
 *
 * Does what crypto_unregister_notifier() does: see kmod_rs_crypto_register().
 *
 * Context: may sleep; not in a notifier.
 * Return: 0, or the error of the kernel's function.
 */
int kmod_rs_crypto_unregister(struct notifier_block *block)
{
	return kmod_rs_chain(block, false, false);
}
