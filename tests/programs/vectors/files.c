// SPDX-License-Identifier: GPL-2.0
/* File systems and their options, line disciplines, device nodes. */
#define _GNU_SOURCE
#include "vectors.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/ppp-ioctl.h>
#include <sound/asequencer.h>
#include <sound/asound.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- File systems ----------------------------------------------------------------------------- */

static int mount_it(const struct vector *vector)
{
	return mount("none", "/mnt", vector->text, 0, NULL);
}

static int open_file_system(const struct vector *vector)
{
	return syscall(SYS_fsopen, vector->text, 0) < 0;
}

struct option {
	char file_system[32], key[32], value[32];
};

/* The text is "FILE-SYSTEM OPTION VALUE". */
static struct option option_of(const struct vector *vector)
{
	struct option option = { 0 };

	sscanf(vector->text, "%31s %31s %31s", option.file_system, option.key, option.value);
	return option;
}

/* The kernel reads the options before it finds that the user must not mount this file system. */
static int mount_with(const struct vector *vector)
{
	struct option option = option_of(vector);
	char options[80];

	snprintf(options, sizeof(options), "%s=%s", option.key, option.value);
	return mount("none", "/mnt", option.file_system, 0, options);
}

static int configure_with(const struct vector *vector)
{
	struct option option = option_of(vector);
	int fd = syscall(SYS_fsopen, option.file_system, 0);

	return syscall(SYS_fsconfig, fd, FSCONFIG_SET_STRING, option.key, option.value, 0) < 0;
}

/* --- Devices ---------------------------------------------------------------------------------- */

/* The discipline. */
static int set_discipline(const struct vector *vector)
{
	int discipline = vector->a;

	return ioctl(open("/dev/ptmx", O_RDWR | O_NOCTTY), TIOCSETD, &discipline);
}

/* The text is the node. */
static int open_node(const struct vector *vector)
{
	char path[64];

	snprintf(path, sizeof(path), NODES "%s", vector->text);
	return open(path, O_RDWR | O_NONBLOCK);
}

/* The number of the timer. */
static int select_timer(const struct vector *vector)
{
	struct snd_timer_select selection = {
		.id = {
			.dev_class = SNDRV_TIMER_CLASS_GLOBAL,
			.dev_sclass = SNDRV_TIMER_SCLASS_NONE,
			.device = vector->a,
		},
	};

	return ioctl(open_node(vector), SNDRV_TIMER_IOCTL_SELECT, &selection);
}

/* The number of the client. The kernel requests each only once while its sequencer is loaded. */
static int ask_sequencer(const struct vector *vector)
{
	struct snd_seq_client_info client = { .client = vector->a };

	return ioctl(open_node(vector), SNDRV_SEQ_IOCTL_GET_CLIENT_INFO, &client);
}

/* The kind of compression, on a new device of PPP. */
static int compress(const struct vector *vector)
{
	unsigned char option[2] = { vector->a, sizeof(option) };
	struct ppp_option_data data = { .ptr = option, .length = sizeof(option) };
	int fd = open_node(vector), unit = -1;

	if (ioctl(fd, PPPIOCNEWUNIT, &unit))
		return 1;
	return ioctl(fd, PPPIOCSCOMPRESS, &data);
}

/* --- All of them ------------------------------------------------------------------------------ */

#define DISCIPLINE(n) { "tty-ldisc-" #n, set_discipline, n }
#define FILE_SYSTEM(name) { "fs-" name, mount_it, .text = name }
#define FSOPEN(name) { "fs-" name, open_file_system, .text = name }
#define OPTION(prefix, act, fs, needed, key, value) \
	{ prefix value, act, .text = fs " " key " " value, .needs = "CONFIG_" #needed "_FS" }
#define MOUNT_OPTION(prefix, ...) OPTION(prefix, mount_with, __VA_ARGS__)
#define CONFIGURE_OPTION(prefix, ...) OPTION(prefix, configure_with, __VA_ARGS__)
#define CHARACTERS(major, minor) \
	{ "char-major-" #major "-" #minor, open_node, .text = "c" #major ":" #minor }
#define BLOCKS(major, minor) \
	{ "block-major-" #major "-" #minor, open_node, .text = "b" #major ":" #minor }

#define COMPRESSION(n) { "ppp-compress-" #n, compress, n, .text = "c108:0" }

#define TIMER "c116:33"
#define SEQUENCER "c116:1"

const struct class file_classes[] = {
	/* drivers/tty/tty_ldisc.c */
	{ "line-disciplines", "tty-ldisc-*", 0, VECTORS{
		DISCIPLINE(1), DISCIPLINE(2), DISCIPLINE(3), DISCIPLINE(5), DISCIPLINE(6),
		DISCIPLINE(7), DISCIPLINE(13), DISCIPLINE(14), DISCIPLINE(15), DISCIPLINE(17),
		DISCIPLINE(18), DISCIPLINE(20), DISCIPLINE(21), DISCIPLINE(25), DISCIPLINE(28),
		DISCIPLINE(30),
		{ }
	} },
	/* fs/filesystems.c, for fs/namespace.c and fs/fsopen.c */
	{ "file-systems", "fs-*", 1, VECTORS{
		FILE_SYSTEM("xfs"), FILE_SYSTEM("btrfs"), FILE_SYSTEM("f2fs"),
		FILE_SYSTEM("cifs"), FILE_SYSTEM("nfs"), FILE_SYSTEM("ceph"),
		FILE_SYSTEM("overlay"), FILE_SYSTEM("hfsplus"), FILE_SYSTEM("ntfs3"),
		FILE_SYSTEM("udf"), FILE_SYSTEM("jfs"), FILE_SYSTEM("erofs"),
		FILE_SYSTEM("9p"),
		FSOPEN("afs"), FSOPEN("exfat"), FSOPEN("gfs2"), FSOPEN("hfs"),
		FSOPEN("minix"), FSOPEN("nilfs2"), FSOPEN("ocfs2"), FSOPEN("orangefs"),
		FSOPEN("romfs"), FSOPEN("squashfs"), FSOPEN("ubifs"), FSOPEN("vboxsf"),
		{ "fs-ufs", mount_32, .text = "ufs" },
		/* The name ends at the dot. */
		{ "fs-vector", mount_it, .text = "vector.subtype" },
		{ }
	} },
	/* fs/nls/nls_base.c */
	{ "charsets", "nls_*", 1, VECTORS{
		MOUNT_OPTION("nls_", "jfs", JFS, "iocharset", "cp850"),
		CONFIGURE_OPTION("nls_", "jfs", JFS, "iocharset", "cp852"),
		MOUNT_OPTION("nls_", "udf", UDF, "iocharset", "koi8-r"),
		CONFIGURE_OPTION("nls_", "udf", UDF, "iocharset", "koi8-u"),
		MOUNT_OPTION("nls_", "hfs", HFS, "codepage", "cp932"),
		CONFIGURE_OPTION("nls_", "hfs", HFS, "iocharset", "big5"),
		MOUNT_OPTION("nls_", "hfsplus", HFSPLUS, "nls", "cp1251"),
		CONFIGURE_OPTION("nls_", "hfsplus", HFSPLUS, "nls", "gb2312"),
		{ }
	} },
	/* net/9p/mod.c */
	{ "9p", "9p-*", 1, VECTORS{
		MOUNT_OPTION("9p-", "9p", 9P, "trans", "tcp"),
		MOUNT_OPTION("9p-", "9p", 9P, "trans", "unix"),
		MOUNT_OPTION("9p-", "9p", 9P, "trans", "rdma"),
		CONFIGURE_OPTION("9p-", "9p", 9P, "trans", "fd"),
		CONFIGURE_OPTION("9p-", "9p", 9P, "trans", "virtio"),
		CONFIGURE_OPTION("9p-", "9p", 9P, "trans", "xen"),
		{ }
	} },
	/*
	 * fs/char_dev.c, drivers/char/misc.c, block/genhd.c, drivers/video/fbdev/core/fb_chrdev.c.
	 * In Debian everybody may open the first three, members of groups and the user at the
	 * console many others, and root all of them.
	 */
	{ "devices", "char-major-* block-major-* fb[0-9]*", 0, VECTORS{
		/* The nodes that modules.devname has: net/tun, vhost-net, vhost-vsock. */
		CHARACTERS(10, 200), CHARACTERS(10, 238), CHARACTERS(10, 241),
		/* vhci, nvram, vfio/vfio, cuse, uinput, btrfs-control, autofs, mapper/control. */
		CHARACTERS(10, 137), CHARACTERS(10, 144), CHARACTERS(10, 196),
		CHARACTERS(10, 203), CHARACTERS(10, 223), CHARACTERS(10, 234),
		CHARACTERS(10, 235), CHARACTERS(10, 236),
		/* loop-control, uhid, rfkill, ppp, snd/timer, snd/seq. */
		CHARACTERS(10, 237), CHARACTERS(10, 239), CHARACTERS(10, 242),
		CHARACTERS(108, 0), CHARACTERS(116, 33), CHARACTERS(116, 1),
		/* kvm; printers, tapes, dsp, sg, frame grabbers, mtd, parport. */
		CHARACTERS(10, 232), CHARACTERS(6, 0), CHARACTERS(9, 0), CHARACTERS(14, 3),
		CHARACTERS(21, 0), CHARACTERS(81, 0), CHARACTERS(90, 0), CHARACTERS(99, 0),
		{ "char-major-10-250", ring_open, .c = BY_WORKER, .text = "c10:250" },
		{ "char-major-10-251", open_32, .text = "c10:251" },
		{ "fb7", open_node, .text = "c29:7" },
		/* Floppies, loop, disks, md, CDs, nbd, DRBD, Xen. */
		BLOCKS(2, 0), BLOCKS(7, 0), BLOCKS(8, 0), BLOCKS(9, 0), BLOCKS(11, 0),
		BLOCKS(43, 0), BLOCKS(147, 0), BLOCKS(202, 0),
		{ "block-major-1-5", ring_open, .c = BY_POLLER, .text = "b1:5" },
		{ }
	} },
	/* drivers/net/ppp/ppp_generic.c. For this device, root of a user namespace is enough. */
	{ "ppp", "ppp-compress-*", 1, VECTORS{
		COMPRESSION(18), COMPRESSION(21), COMPRESSION(24), COMPRESSION(26),
		{ }
	}, "CONFIG_PPP" },
	/* sound/core/sound.c, timer.c, seq/seq_clientmgr.c, sound/sound_core.c */
	{ "sound", "snd-* sound-slot-*", 0, VECTORS{
		{ "snd-card-0", open_node, .text = "c116:0" },
		{ "snd-timer-2", select_timer, 2, .text = TIMER },
		{ "snd-timer-3", select_timer, 3, .text = TIMER },
		{ "snd-seq-client-14", ask_sequencer, 14, .text = SEQUENCER },
		{ "sound-slot-1", open_node, .text = "c14:19" },
		{ "sound-slot-2", open_node, .text = "c14:35" },
		{ }
	}, "CONFIG_SND" },
	{ }
};
