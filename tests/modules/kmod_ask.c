// SPDX-License-Identifier: GPL-2.0
/*
 * A caller of request_module() that tests can steer.
 *
 * Write "HOW NAME" to /dev/kmod_ask, and read what request_module() returned, as a number in a
 * line. HOW is one or more of
 *
 *	w	wait: request_module()
 *	n	do not wait: request_module_nowait()
 *	a	make the request from an async worker, not from the task that
 *		writes
 *	k	make the request from a kernel thread
 *	v	also write the result to the log, for a requester that gets killed
 *	f	make a call fail, as written to /dev/kmod_ask_fail
 *	l	be late: if the wait for a slot ends without one, return from the
 *		wait only when there is one
 *	s	do not make the request now, but again and again while the system
 *		is being suspended, from before that begins until after it has
 *		ended
 *
 * NAME is what follows the first blank, newlines included. The request is made in the writing task.
 * Between the system call and request_module() there is nothing but this device, so the task can be
 * killed, have any credentials, and so on. With "s", the line has an answer for each time that it
 * was a different one than before. The file has to stay open.
 *
 * /dev/kmod_ask_fail takes "FUNCTION N": the Nth call of that kernel function for a request with
 * "f" is not made, and returns NULL (0: no call). Reading gives how many calls there have been.
 * Calls with 0 as the second argument do not count; for krealloc() these are the ones that free.
 * This does what failslab would do, on kernels that are built without it.
 *
 * While the parameter slow_enable is set, klp_enable_patch() does not return.
 *
 * On kernels with fault injection, a number that is written to the parameter fail_init becomes the
 * fail-nth of the task that loads the next module, just before that module's init is called. What
 * the kernel needs before that does not fail.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/async.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/kmod.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/livepatch.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/suspend.h>
#include <linux/uaccess.h>

#define ASK_MAX_INPUT 256
#define ASK_MAX_ANSWERS 8

struct ask {
	char input[ASK_MAX_INPUT];
	const char *name;
	bool wait, from_async, from_kthread, verbose, fail, late;
	int result;
	struct completion done;
	/* While the system is suspended. */
	struct notifier_block notifier;
	struct task_struct *asker;
	int answers[ASK_MAX_ANSWERS], nr_answers;
};

/* The task whose calls fail. */
static struct task_struct *fail_task;

/* The task whose wait ends late. */
static struct task_struct *late_task;

/* Not inlined, because the trace event has its name. */
static noinline void ask(struct ask *ask)
{
	if (ask->fail)
		WRITE_ONCE(fail_task, current);
	if (ask->late)
		WRITE_ONCE(late_task, current);
	ask->result = ask->wait ? request_module("%s", ask->name)
				: request_module_nowait("%s", ask->name);
	if (ask->fail)
		WRITE_ONCE(fail_task, NULL);
	if (ask->late)
		WRITE_ONCE(late_task, NULL);
	if (ask->verbose)
		pr_info("pid=%d name=%s result=%d\n", current->pid, ask->name,
			ask->result);
}

static void ask_async(void *data, async_cookie_t cookie)
{
	struct ask *a = data;

	ask(a);
	complete(&a->done);
}

static int ask_kthread(void *data)
{
	struct ask *a = data;

	ask(a);
	complete(&a->done);
	return 0;
}

/* --- Requests while the system is suspended --- */

static void ask_and_note(struct ask *a)
{
	ask(a);
	if (a->nr_answers < ASK_MAX_ANSWERS &&
	    (!a->nr_answers || a->answers[a->nr_answers - 1] != a->result))
		a->answers[a->nr_answers++] = a->result;
}

/* Not freezable. */
static int ask_again_and_again(void *data)
{
	while (!kthread_should_stop()) {
		ask_and_note(data);
		msleep(5);
	}
	return 0;
}

static int ask_notified(struct notifier_block *notifier, unsigned long event,
			void *data)
{
	struct ask *a = container_of(notifier, struct ask, notifier);
	struct task_struct *asker;

	switch (event) {
	case PM_SUSPEND_PREPARE:
		ask_and_note(a);
		asker = kthread_run(ask_again_and_again, a, "kmod_ask");
		if (IS_ERR(asker))
			return notifier_from_errno(PTR_ERR(asker));
		a->asker = asker;
		break;
	case PM_POST_SUSPEND:
		if (a->asker) {
			kthread_stop(a->asker);
			a->asker = NULL;
			ask_and_note(a);
		}
		break;
	}
	return NOTIFY_OK;
}

/* --- The device --- */

static int ask_open(struct inode *inode, struct file *file)
{
	file->private_data = kzalloc(sizeof(struct ask), GFP_KERNEL);
	return file->private_data ? 0 : -ENOMEM;
}

static int ask_release(struct inode *inode, struct file *file)
{
	struct ask *a = file->private_data;

	if (a->notifier.notifier_call)
		unregister_pm_notifier(&a->notifier);
	kfree(a);
	return 0;
}

static ssize_t ask_write(struct file *file, const char __user *buffer,
			 size_t length, loff_t *offset)
{
	struct ask *a = file->private_data;
	struct task_struct *task;
	char *how, *name;

	if (length >= sizeof(a->input) || a->notifier.notifier_call)
		return -EINVAL;
	if (copy_from_user(a->input, buffer, length))
		return -EFAULT;
	a->input[length] = '\0';

	name = a->input;
	how = strsep(&name, " ");
	if (!name)
		return -EINVAL;
	a->name = name;
	a->wait = strchr(how, 'w');
	a->from_async = strchr(how, 'a');
	a->from_kthread = strchr(how, 'k');
	a->verbose = strchr(how, 'v');
	a->fail = strchr(how, 'f');
	a->late = strchr(how, 'l');
	init_completion(&a->done);
	/* The next read gives the answer to this. */
	*offset = 0;

	if (strchr(how, 's')) {
		a->notifier.notifier_call = ask_notified;
		register_pm_notifier(&a->notifier);
	} else if (a->from_async) {
		async_schedule(ask_async, a);
		wait_for_completion(&a->done);
	} else if (a->from_kthread) {
		task = kthread_run(ask_kthread, a, "kmod_ask");
		if (IS_ERR(task))
			return PTR_ERR(task);
		wait_for_completion(&a->done);
	} else {
		ask(a);
	}
	return length;
}

static ssize_t ask_read(struct file *file, char __user *buffer, size_t length,
			loff_t *offset)
{
	struct ask *a = file->private_data;
	char answers[16 * ASK_MAX_ANSWERS];
	int i, n = 0;

	if (!a->notifier.notifier_call)
		n = scnprintf(answers, sizeof(answers), "%d", a->result);
	for (i = 0; i < a->nr_answers; i++)
		n += scnprintf(answers + n, sizeof(answers) - n, "%s%d",
			       i ? " " : "", a->answers[i]);
	n += scnprintf(answers + n, sizeof(answers) - n, "\n");

	return simple_read_from_buffer(buffer, length, offset, answers, n);
}

static const struct file_operations ask_fops = {
	.owner = THIS_MODULE,
	.open = ask_open,
	.release = ask_release,
	.write = ask_write,
	.read = ask_read,
};

static struct miscdevice ask_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kmod_ask",
	.fops = &ask_fops,
	.mode = 0666,
};

/* --- Failing calls --- */

static DEFINE_MUTEX(fail_lock);
static struct kprobe fail_probe;
static char fail_function[KSYM_NAME_LEN];
static int fail_at, fail_calls;

/*
 * Returns NULL to the caller of a function, from the function's entry, on x86. The stack pointer
 * cannot be changed here, so another function does the return.
 */
void fail_return(void);
asm("	.pushsection .text\n"
    "	.type fail_return, @function\n"
    "fail_return:\n"
    "	" ASM_ENDBR
    "	" ASM_RET
    "	.size fail_return, . - fail_return\n"
    "	.popsection\n");

static int fail_handler(struct kprobe *probe, struct pt_regs *regs)
{
	if (current != READ_ONCE(fail_task) || !regs->si || ++fail_calls != fail_at)
		return 0;

	regs->ax = 0;
	regs->ip = (unsigned long)fail_return;
	return 1;
}
NOKPROBE_SYMBOL(fail_handler);

static void fail_stop(void)
{
	if (fail_at)
		unregister_kprobe(&fail_probe);
	fail_at = 0;
}

static ssize_t fail_write(struct file *file, const char __user *buffer,
			  size_t length, loff_t *offset)
{
	char input[256];
	int at, ret = 0;

	if (length >= sizeof(input))
		return -EINVAL;
	if (copy_from_user(input, buffer, length))
		return -EFAULT;
	input[length] = '\0';

	mutex_lock(&fail_lock);
	fail_stop();
	fail_calls = 0;
	if (sscanf(input, "%255s %d", fail_function, &at) != 2) {
		ret = -EINVAL;
	} else if (at > 0) {
		memset(&fail_probe, 0, sizeof(fail_probe));
		fail_probe.symbol_name = fail_function;
		fail_probe.pre_handler = fail_handler;
		ret = register_kprobe(&fail_probe);
		if (!ret)
			fail_at = at;
	}
	mutex_unlock(&fail_lock);
	return ret ?: length;
}

static ssize_t fail_read(struct file *file, char __user *buffer, size_t length,
			 loff_t *offset)
{
	char calls[16];
	int n = scnprintf(calls, sizeof(calls), "%d\n", fail_calls);

	return simple_read_from_buffer(buffer, length, offset, calls, n);
}

static const struct file_operations fail_fops = {
	.owner = THIS_MODULE,
	.read = fail_read,
	.write = fail_write,
};

static struct miscdevice fail_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kmod_ask_fail",
	.fops = &fail_fops,
	.mode = 0600,
};

/* --- Returning late --- */

/* Stands in for wait_for_completion_killable_timeout(). */
static long late_wait(struct completion *done, unsigned long timeout)
{
	struct task_struct *task = late_task;
	long ret;
	int i;

	/* The call below must not come here again. */
	WRITE_ONCE(late_task, NULL);
	ret = wait_for_completion_killable_timeout(done, timeout);
	for (i = 0; ret <= 0 && !completion_done(done) && i < 2000; i++)
		msleep(5);
	WRITE_ONCE(late_task, task);
	return ret;
}

static bool slow_enable;
module_param(slow_enable, bool, 0600);

static struct task_struct *enabling_task;

/* Stands in for klp_enable_patch(). */
static int late_enable(struct klp_patch *patch)
{
	int i, ret = klp_enable_patch(patch);

	for (i = 0; READ_ONCE(slow_enable) && i < 2000; i++)
		msleep(5);
	enabling_task = NULL;
	return ret;
}

static int late_wait_handler(struct kprobe *probe, struct pt_regs *regs)
{
	if (current != READ_ONCE(late_task))
		return 0;

	regs->ip = (unsigned long)late_wait;
	return 1;
}
NOKPROBE_SYMBOL(late_wait_handler);

static int late_enable_handler(struct kprobe *probe, struct pt_regs *regs)
{
	if (!READ_ONCE(slow_enable) || current == enabling_task)
		return 0;

	/* Its own call must not come here again. */
	enabling_task = current;
	regs->ip = (unsigned long)late_enable;
	return 1;
}
NOKPROBE_SYMBOL(late_enable_handler);

static struct kprobe late_wait_probe = {
	.symbol_name = "wait_for_completion_killable_timeout",
	.pre_handler = late_wait_handler,
};

static struct kprobe late_enable_probe = {
	.symbol_name = "klp_enable_patch",
	.pre_handler = late_enable_handler,
};

/* --- Failing in init --- */

#ifdef CONFIG_FAULT_INJECTION
static unsigned int fail_init;
module_param(fail_init, uint, 0600);

static int fail_init_handler(struct kprobe *probe, struct pt_regs *regs)
{
	if (READ_ONCE(fail_init))
		current->fail_nth = xchg(&fail_init, 0);
	return 0;
}
NOKPROBE_SYMBOL(fail_init_handler);

static struct kprobe fail_init_probe = {
	.symbol_name = "do_init_module",
	.pre_handler = fail_init_handler,
};
#endif

static struct kprobe *probes[] = {
	&late_wait_probe,
	&late_enable_probe,
#ifdef CONFIG_FAULT_INJECTION
	&fail_init_probe,
#endif
};

static int __init kmod_ask_init(void)
{
	int ret = register_kprobes(probes, ARRAY_SIZE(probes));

	if (ret)
		return ret;
	ret = misc_register(&ask_device);
	if (ret)
		goto unregister;
	ret = misc_register(&fail_device);
	if (ret)
		goto deregister;
	return 0;

deregister:
	misc_deregister(&ask_device);
unregister:
	unregister_kprobes(probes, ARRAY_SIZE(probes));
	return ret;
}

static void __exit kmod_ask_exit(void)
{
	unregister_kprobes(probes, ARRAY_SIZE(probes));
	fail_stop();
	misc_deregister(&fail_device);
	misc_deregister(&ask_device);
}

module_init(kmod_ask_init);
module_exit(kmod_ask_exit);
MODULE_DESCRIPTION("Asks for modules, for the tests of kmod_rs");
MODULE_LICENSE("GPL");
