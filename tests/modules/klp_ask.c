// SPDX-License-Identifier: GPL-2.0
/*
 * Another livepatch. It changes kmod_ask, so its transition lasts as long as a
 * task is in a request there.
 */
#include <linux/fs.h>
#include <linux/livepatch.h>
#include <linux/module.h>

static ssize_t klp_ask_write(struct file *file, const char __user *buffer,
			     size_t length, loff_t *offset)
{
	return -EIO;
}

static struct klp_func klp_ask_funcs[] = {
	{ .old_name = "ask_write", .new_func = klp_ask_write },
	{ }
};

static struct klp_object klp_ask_objects[] = {
	{ .name = "kmod_ask", .funcs = klp_ask_funcs },
	{ }
};

static struct klp_patch klp_ask_patch = {
	.mod = THIS_MODULE,
	.objs = klp_ask_objects,
};

static int __init klp_ask_init(void)
{
	return klp_enable_patch(&klp_ask_patch);
}

static void __exit klp_ask_exit(void)
{
}

module_init(klp_ask_init);
module_exit(klp_ask_exit);
MODULE_DESCRIPTION("A livepatch beside kmod_rs, for its tests");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
