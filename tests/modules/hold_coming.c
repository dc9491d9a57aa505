// SPDX-License-Identifier: GPL-2.0
/*
 * Holds a module that is about to come to life, so that others can load the same file meanwhile.
 * Loaded before kmod_rs, it is told of the module first.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/string.h>

static bool hold;
module_param(hold, bool, 0644);
MODULE_PARM_DESC(hold, "Whether to hold it");

static char name[MODULE_NAME_LEN];
module_param_string(name, name, sizeof(name), 0444);
MODULE_PARM_DESC(name, "The name of the module to be held");

static int hold_coming(struct notifier_block *block, unsigned long event, void *data)
{
	const struct module *module = data;

	if (event == MODULE_STATE_COMING && !strcmp(module->name, name) && READ_ONCE(hold)) {
		pr_info("holds %s\n", name);
		while (READ_ONCE(hold))
			msleep(5);
	}
	return NOTIFY_DONE;
}

static struct notifier_block hold_coming_block = {
	.notifier_call = hold_coming,
	.priority = INT_MAX,
};

static int __init hold_coming_init(void)
{
	return register_module_notifier(&hold_coming_block);
}
module_init(hold_coming_init);

static void __exit hold_coming_exit(void)
{
	unregister_module_notifier(&hold_coming_block);
}
module_exit(hold_coming_exit);

MODULE_DESCRIPTION("Holds a module that is about to come to life");
MODULE_LICENSE("GPL");
