/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A module whose init requests another module and logs the result.
 */
#include <linux/kmod.h>
#include <linux/module.h>

static int __init nest_init(void)
{
#ifdef NEST_NEXT
	pr_info(KBUILD_MODNAME ": pid=%d asks for " NEST_NEXT "\n", current->pid);
	pr_info(KBUILD_MODNAME ": " NEST_NEXT " result=%d\n", request_module(NEST_NEXT));
#else
	pr_info(KBUILD_MODNAME ": asks for nothing\n");
#endif
	return 0;
}

static void __exit nest_exit(void)
{
}

module_init(nest_init);
module_exit(nest_exit);
MODULE_DESCRIPTION("Asks for a module when it is loaded, for the tests of kmod_rs");
MODULE_LICENSE("GPL");
