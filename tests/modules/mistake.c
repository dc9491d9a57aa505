// SPDX-License-Identifier: GPL-2.0
/*
 * Makes the mistakes that the debugging kernel must notice. Write the kind to
 * /sys/module/mistake/parameters/make:
 *
 *	memory	read memory that has been freed
 *	shift	shift an int by more bits than it has
 *	bounds	read beyond the end of an array
 *	sleep	sleep with preemption disabled
 *	spin	take a spinlock with preemption disabled, which is a mistake with
 *		PREEMPT_RT
 *	rcu	read a pointer outside of a read-side critical section
 *	timer	free a timer that is pending
 *	list	add an entry that is in the list already
 *	leak	forget allocated memory, LEAKS times
 *	locks	take two locks in one order, then in the other
 */
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timer.h>

struct with_timer {
	struct timer_list timer;
};

/* Volatile, so that the compiler does not see what will happen. */
static volatile int sink, forty = 40;
static int array[8];
static void __rcu *pointer;

static void make_memory(void)
{
	int *gone = kmalloc(64, GFP_KERNEL);

	if (!gone)
		return;
	kfree(gone);
	sink = READ_ONCE(*gone);
}

static void make_shift(void)
{
	sink = 1 << forty;
}

static void make_bounds(void)
{
	sink = array[forty / 5];
}

static void make_sleep(void)
{
	preempt_disable();
	might_sleep();
	preempt_enable();
}

static void make_spin(void)
{
	static DEFINE_SPINLOCK(lock);

	/* The kernel reports one such mistake in a second. */
	schedule_timeout_uninterruptible(HZ + 1);
	preempt_disable();
	spin_lock(&lock);
	spin_unlock(&lock);
	preempt_enable();
}

static void make_rcu(void)
{
	sink = !!rcu_dereference(pointer);
}

static void never(struct timer_list *timer)
{
}

static void make_timer(void)
{
	struct with_timer *with_timer = kmalloc(sizeof(*with_timer), GFP_KERNEL);

	if (!with_timer)
		return;
	timer_setup(&with_timer->timer, never, 0);
	mod_timer(&with_timer->timer, jiffies + 600 * HZ);
	kfree(with_timer);
}

static void make_list(void)
{
	static LIST_HEAD(list);
	static LIST_HEAD(entry);

	list_add(&entry, &list);
	list_add(&entry, &list);
	INIT_LIST_HEAD(&list);
}

/*
 * The addresses are kept in a form that kmemleak does not recognise, so that
 * the memory can be freed at the end. There are many, because stale pointers on
 * stacks hide the last ones.
 */
#define LEAKS 100
static unsigned long leaked[LEAKS];

static void make_leak(void)
{
	int i;

	for (i = 0; i < LEAKS; i++)
		if (!leaked[i])
			leaked[i] = ~(unsigned long)kmalloc(77, GFP_KERNEL);
}

static void make_locks(void)
{
	static DEFINE_MUTEX(one);
	static DEFINE_MUTEX(other);

	mutex_lock(&one);
	mutex_lock(&other);
	mutex_unlock(&other);
	mutex_unlock(&one);

	mutex_lock(&other);
	mutex_lock(&one);
	mutex_unlock(&one);
	mutex_unlock(&other);
}

static const struct {
	const char *name;
	void (*make)(void);
} kinds[] = {
	{ "memory", make_memory },
	{ "shift", make_shift },
	{ "bounds", make_bounds },
	{ "sleep", make_sleep },
	{ "spin", make_spin },
	{ "rcu", make_rcu },
	{ "timer", make_timer },
	{ "list", make_list },
	{ "leak", make_leak },
	{ "locks", make_locks },
};

static int make_set(const char *value, const struct kernel_param *param)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (sysfs_streq(value, kinds[i].name)) {
			kinds[i].make();
			return 0;
		}
	}
	return -EINVAL;
}

static const struct kernel_param_ops make_ops = {
	.set = make_set,
};
module_param_cb(make, &make_ops, NULL, 0200);

static int __init mistake_init(void)
{
	return 0;
}

static void __exit mistake_exit(void)
{
	int i;

	for (i = 0; i < LEAKS; i++)
		if (leaked[i])
			kfree((void *)~leaked[i]);
}

module_init(mistake_init);
module_exit(mistake_exit);

MODULE_DESCRIPTION("Mistakes for the debugging kernel to see");
MODULE_LICENSE("GPL");
