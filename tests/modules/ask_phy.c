// SPDX-License-Identifier: GPL-2.0
/*
 * What phy_device_create() makes of the answer to its request for a driver. Of all callers in the
 * kernel it is the one that a negative answer breaks (Documentation/callers.rst).
 *
 * Write the id of a PHY as a decimal number to /dev/ask_phy. The write fails with the errno that a
 * network driver would get, and so would have no PHY. This is the kernel's own function, unless that
 * is in a module. Then it is a copy of what it does with the answer.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kmod.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/phy.h>

#if IS_BUILTIN(CONFIG_PHYLIB)
static int create(u32 id)
{
	struct mii_bus *bus = mdiobus_alloc();
	struct phy_device *phy;
	int ret = 0;

	if (!bus)
		return -ENOMEM;
	snprintf(bus->id, sizeof(bus->id), KBUILD_MODNAME);
	phy = phy_device_create(bus, 0, id, false, NULL);
	if (IS_ERR(phy))
		ret = PTR_ERR(phy);
	else
		phy_device_free(phy);
	mdiobus_free(bus);
	return ret;
}
#else
static int create(u32 id)
{
	int ret = request_module(MDIO_MODULE_PREFIX MDIO_ID_FMT, MDIO_ID_ARGS(id));

	return ret < 0 && ret != -ENOENT ? ret : 0;
}
#endif

static ssize_t ask_write(struct file *file, const char __user *buffer, size_t length,
			 loff_t *offset)
{
	u32 id;
	int ret = kstrtou32_from_user(buffer, length, 10, &id);

	if (!ret)
		ret = create(id);
	return ret ?: length;
}

static const struct file_operations ask_fops = {
	.owner = THIS_MODULE,
	.write = ask_write,
};

static struct miscdevice ask_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = KBUILD_MODNAME,
	.fops = &ask_fops,
	.mode = 0666,
};

module_misc_device(ask_device);
MODULE_DESCRIPTION("Makes PHY devices, for the tests of kmod_rs");
MODULE_LICENSE("GPL");
