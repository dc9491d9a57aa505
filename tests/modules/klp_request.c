// SPDX-License-Identifier: GPL-2.0
/*
 * Somebody else's livepatch of __request_module(): all requests get an answer
 * that neither C nor Rust gives. With replace=1 it replaces all livepatches
 * that are there.
 */
#include <linux/kmod.h>
#include <linux/livepatch.h>
#include <linux/module.h>

static bool replace;
module_param(replace, bool, 0444);

static noinline __printf(2, 3) int klp_request_module(bool wait, const char *fmt, ...)
{
	return -EL2HLT;
}

static struct klp_func klp_request_funcs[] = {
	{
		.old_name = "__request_module",
		.new_func = (void *)klp_request_module,
	},
	{ }
};

static struct klp_object klp_request_objects[] = {
	{ .funcs = klp_request_funcs },
	{ }
};

static struct klp_patch klp_request_patch = {
	.mod = THIS_MODULE,
	.objs = klp_request_objects,
};

static int __init klp_request_init(void)
{
	klp_request_patch.replace = replace;
	return klp_enable_patch(&klp_request_patch);
}

static void __exit klp_request_exit(void)
{
}

module_init(klp_request_init);
module_exit(klp_request_exit);
MODULE_DESCRIPTION("Another livepatch of what kmod_rs patches, for its tests");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
