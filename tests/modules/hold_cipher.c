// SPDX-License-Identifier: GPL-2.0
/*
 * Holds tasks of ordinary users that want a cipher: in the notifiers of the crypto API, between the
 * moment at which others can find their larval and the start of the thread that makes the cipher.
 * This is where a task of low priority may stay for long. Also asks for a cipher in a worker.
 *
 * If it is loaded before kmod_rs, tasks are held before kmod_rs decides about them, with "early=1",
 * or after that.
 */
#include <linux/cred.h>
#include <linux/crypto.h>
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/notifier.h>
#include <linux/string.h>
#include <linux/uidgid.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <crypto/algapi.h>

static DECLARE_WAIT_QUEUE_HEAD(released);
static char held_name[CRYPTO_MAX_ALG_NAME];
static atomic_t held_tasks = ATOMIC_INIT(0);

static bool early;
module_param(early, bool, 0444);
MODULE_PARM_DESC(early, "Whether tasks are held before kmod_rs decides about them");

static int hold_set(const char *value, const struct kernel_param *kp)
{
	strscpy(held_name, value);
	strim(held_name);
	wake_up_all(&released);
	return 0;
}

static int hold_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", atomic_read(&held_tasks));
}

static const struct kernel_param_ops hold_ops = { .set = hold_set, .get = hold_get };
module_param_cb(hold, &hold_ops, NULL, 0644);
MODULE_PARM_DESC(hold, "Written: hold tasks that want this cipher. Read: how many are held");

static bool is_held(const char *name)
{
	return !uid_eq(current_uid(), GLOBAL_ROOT_UID) && !strcmp(name, held_name);
}

static int hold_notify(struct notifier_block *block, unsigned long event, void *data)
{
	/* A larval begins with an algorithm. */
	const struct crypto_alg *larval = data;

	if (event == CRYPTO_MSG_ALG_REQUEST && is_held(larval->cra_name)) {
		atomic_inc(&held_tasks);
		wait_event_killable(released, !is_held(larval->cra_name));
		atomic_dec(&held_tasks);
	}
	return NOTIFY_DONE;
}

static struct notifier_block hold_block = { .notifier_call = hold_notify };

static struct {
	struct work_struct work;
	char name[CRYPTO_MAX_ALG_NAME];
	bool found;
} asked;

static void ask_work(struct work_struct *work)
{
	asked.found = crypto_has_alg(asked.name, 0, 0);
}

static int worker_set(const char *value, const struct kernel_param *kp)
{
	strscpy(asked.name, value);
	strim(asked.name);
	INIT_WORK(&asked.work, ask_work);
	schedule_work(&asked.work);
	flush_work(&asked.work);
	return asked.found ? 0 : -ENOENT;
}

static const struct kernel_param_ops worker_ops = { .set = worker_set };
module_param_cb(worker, &worker_ops, NULL, 0200);
MODULE_PARM_DESC(worker, "Written: ask for this cipher in a worker");

static int __init hold_cipher_init(void)
{
	/* Of blocks with the same priority, the one that is registered first is called first. */
	hold_block.priority = early ? INT_MAX : 1;
	return crypto_register_notifier(&hold_block);
}
module_init(hold_cipher_init);

static void __exit hold_cipher_exit(void)
{
	crypto_unregister_notifier(&hold_block);
}
module_exit(hold_cipher_exit);

MODULE_DESCRIPTION("Holds tasks that want a cipher");
MODULE_LICENSE("GPL");
