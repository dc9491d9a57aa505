// SPDX-License-Identifier: GPL-2.0
/*
 * Gives a program a capability, as setcap(8) does: whoever executes the program has it.
 *
 * usage: fcap CAPABILITY FILE    CAPABILITY is a number
 */
#include <err.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/xattr.h>

int main(int argc, char **argv)
{
	struct vfs_cap_data data = {
		.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
	};
	int capability;

	if (argc != 3)
		errx(2, "usage: fcap CAPABILITY FILE");
	capability = atoi(argv[1]);
	data.data[CAP_TO_INDEX(capability)].permitted = CAP_TO_MASK(capability);
	if (setxattr(argv[2], "security.capability", &data, sizeof(data), 0))
		err(1, "%s", argv[2]);
	return 0;
}
