// SPDX-License-Identifier: GPL-2.0
/*
 * A 1-Wire bus on which there is nothing.
 */
#include <linux/module.h>
#include <linux/w1.h>

/* Nothing answers. */
static u8 w1_bus_touch_bit(void *data, u8 bit)
{
	return 1;
}

static u8 w1_bus_reset(void *data)
{
	return 1;
}

static struct w1_bus_master bus = {
	.touch_bit = w1_bus_touch_bit,
	.reset_bus = w1_bus_reset,
};

static int __init w1_bus_init(void)
{
	return w1_add_master_device(&bus);
}

static void __exit w1_bus_exit(void)
{
	w1_remove_master_device(&bus);
}

module_init(w1_bus_init);
module_exit(w1_bus_exit);
MODULE_DESCRIPTION("A 1-Wire bus, for the tests of kmod_rs");
MODULE_LICENSE("GPL");
