/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A caller of request_module() in workers and threads of the kernel. The firewall looks at the
 * module that the caller is in, so there are several modules with this code.
 *
 * Write "HOW NAME" to /dev/MODULE, which is named like the module, and read what came of it, as a
 * number in a line. HOW is one of
 *
 *	q	make the request in a work
 *	f	make the request in a work whose function has freed it before
 *	k	make the request in a kthread worker
 *	t	make the request in a kernel thread
 *
 * and may have a "c" as well:
 *
 *	c	NAME is that of an algorithm. The crypto API is asked whether it is there, makes the
 *		request, and answers 1 or 0
 */
#include <linux/completion.h>
#include <linux/crypto.h>
#include <linux/fs.h>
#include <linux/kmod.h>
#include <linux/kthread.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

struct ask {
	char input[128];
	const char *name;
	bool algorithm;
	int result;
	struct completion done;
	struct kthread_work kthread_work;
};

struct ask_work {
	struct work_struct work;
	struct ask *ask;
	bool free_early;
};

/* Not inlined, nor is the call of it the last thing in a function: it has to be on the stack. */
static noinline void ask(struct ask *a)
{
	a->result = a->algorithm ? crypto_has_alg(a->name, 0, 0)
				 : request_module("%s", a->name);
	complete(&a->done);
}

static void ask_in_work(struct work_struct *work)
{
	struct ask_work *w = container_of(work, struct ask_work, work);
	bool free_early = w->free_early;
	struct ask *a = w->ask;

	if (free_early)
		kfree(w);
	ask(a);
	if (!free_early)
		kfree(w);
}

static void ask_in_kthread_work(struct kthread_work *work)
{
	ask(container_of(work, struct ask, kthread_work));
}

static int ask_in_thread(void *data)
{
	ask(data);
	return 0;
}

static int ask_from_work(struct ask *a, bool free_early)
{
	struct workqueue_struct *queue = alloc_workqueue(KBUILD_MODNAME, WQ_UNBOUND, 0);
	struct ask_work *w = kzalloc(sizeof(*w), GFP_KERNEL);

	if (!queue || !w) {
		kfree(w);
		if (queue)
			destroy_workqueue(queue);
		return -ENOMEM;
	}
	INIT_WORK(&w->work, ask_in_work);
	w->ask = a;
	w->free_early = free_early;
	queue_work(queue, &w->work);
	destroy_workqueue(queue);
	return 0;
}

static int ask_from_kthread_worker(struct ask *a)
{
	struct kthread_worker *worker = kthread_run_worker(0, KBUILD_MODNAME);

	if (IS_ERR(worker))
		return PTR_ERR(worker);
	kthread_init_work(&a->kthread_work, ask_in_kthread_work);
	kthread_queue_work(worker, &a->kthread_work);
	kthread_destroy_worker(worker);
	return 0;
}

static int ask_from_thread(struct ask *a)
{
	struct task_struct *task = kthread_create(ask_in_thread, a, KBUILD_MODNAME);

	if (IS_ERR(task))
		return PTR_ERR(task);
	get_task_struct(task);
	wake_up_process(task);
	wait_for_completion(&a->done);
	kthread_stop_put(task);
	return 0;
}

static int ask_open(struct inode *inode, struct file *file)
{
	file->private_data = kzalloc(sizeof(struct ask), GFP_KERNEL);
	return file->private_data ? 0 : -ENOMEM;
}

static int ask_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

static ssize_t ask_write(struct file *file, const char __user *buffer, size_t length,
			 loff_t *offset)
{
	struct ask *a = file->private_data;
	char *how, *name;
	int ret;

	if (length >= sizeof(a->input))
		return -EINVAL;
	if (copy_from_user(a->input, buffer, length))
		return -EFAULT;
	a->input[length] = '\0';

	name = a->input;
	how = strsep(&name, " ");
	if (!name)
		return -EINVAL;
	a->name = name;
	a->algorithm = strchr(how, 'c');
	init_completion(&a->done);
	/* The next read gives the answer to this. */
	*offset = 0;

	if (strchr(how, 'q') || strchr(how, 'f'))
		ret = ask_from_work(a, strchr(how, 'f'));
	else if (strchr(how, 'k'))
		ret = ask_from_kthread_worker(a);
	else if (strchr(how, 't'))
		ret = ask_from_thread(a);
	else
		ret = -EINVAL;
	return ret ?: length;
}

static ssize_t ask_read(struct file *file, char __user *buffer, size_t length, loff_t *offset)
{
	struct ask *a = file->private_data;
	char answer[16];
	int n = scnprintf(answer, sizeof(answer), "%d\n", a->result);

	return simple_read_from_buffer(buffer, length, offset, answer, n);
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
	.name = KBUILD_MODNAME,
	.fops = &ask_fops,
	.mode = 0666,
};

module_misc_device(ask_device);
MODULE_DESCRIPTION("Asks for modules in workers, for the tests of kmod_rs");
MODULE_LICENSE("GPL");
