// SPDX-License-Identifier: GPL-2.0
/*
 * Somebody else's kprobe on __request_module(). It counts. With post=1 it also has a handler for
 * after the instruction. Then it claims the right to change where the function goes, which only one
 * user of ftrace can have at a time.
 */
#include <linux/kprobes.h>
#include <linux/module.h>

static bool post;
module_param(post, bool, 0444);

static uint hits;
module_param(hits, uint, 0444);

static int probe_before(struct kprobe *probe, struct pt_regs *regs)
{
	hits++;
	return 0;
}

static void probe_after(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe probe = {
	.symbol_name = "__request_module",
	.pre_handler = probe_before,
};

static int __init probe_request_init(void)
{
	if (post)
		probe.post_handler = probe_after;
	return register_kprobe(&probe);
}

static void __exit probe_request_exit(void)
{
	unregister_kprobe(&probe);
}

module_init(probe_request_init);
module_exit(probe_request_exit);
MODULE_DESCRIPTION("A kprobe on what kmod_rs patches, for its tests");
MODULE_LICENSE("GPL");
