// SPDX-License-Identifier: GPL-2.0
/*
 * A module whose exit takes as long as told, so that requests can be made while it is being unloaded, and
 * whose init may fail.
 */
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/module.h>

static bool stay;
module_param(stay, bool, 0644);
MODULE_PARM_DESC(stay, "Whether the exit waits until this is 0");

static bool fail;
module_param(fail, bool, 0444);
MODULE_PARM_DESC(fail, "Whether the init fails");

static int __init slow_exit_init(void)
{
	return fail ? -EIO : 0;
}
module_init(slow_exit_init);

static void __exit slow_exit_exit(void)
{
	while (READ_ONCE(stay))
		msleep(5);
}
module_exit(slow_exit_exit);

MODULE_DESCRIPTION("A module whose exit takes long");
MODULE_LICENSE("GPL");
