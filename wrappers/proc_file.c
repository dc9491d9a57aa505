// SPDX-License-Identifier: GPL-2.0
/*
 * A file in a directory of its own at the top of /proc, for proc_file.rs.
 *
 * Why this is C: `bindings` does not include <linux/proc_fs.h>, so it has
 * neither struct proc_ops nor the functions that take one.
 */
#include <linux/proc_fs.h>
#include <linux/slab.h>

#include "kmod_rs.h"

struct kmod_rs_proc {
	struct proc_ops ops;
	struct proc_dir_entry *directory;
};

/**
 * kmod_rs_proc_create - make a directory at the top of /proc, with a file in it
 * @directory: the name of the directory
 * @name: the name of the file, which only root may read and write
 * @open: the operations of the file
 * @read: see @open
 * @write: see @open
 * @release: see @open; called once for each @open that has returned 0
 * @data: what the inode of the file has as its private data
 *
 * The file may be opened before this returns.
 *
 * Context: may sleep.
 * Return: what kmod_rs_proc_remove() takes; NULL if there is no memory, or if
 * there is such a directory.
 */
void *kmod_rs_proc_create(const char *directory, const char *name,
			  int (*open)(struct inode *, struct file *),
			  ssize_t (*read)(struct file *, char __user *, size_t, loff_t *),
			  ssize_t (*write)(struct file *, const char __user *, size_t, loff_t *),
			  int (*release)(struct inode *, struct file *), void *data)
{
	struct kmod_rs_proc *proc = kzalloc(sizeof(*proc), GFP_KERNEL);

	if (!proc)
		return NULL;
	proc->ops.proc_open = open;
	proc->ops.proc_read = read;
	proc->ops.proc_write = write;
	proc->ops.proc_release = release;
	proc->directory = proc_mkdir(directory, NULL);
	if (!proc->directory || !proc_create_data(name, 0600, proc->directory, &proc->ops, data)) {
		kmod_rs_proc_remove(proc);
		return NULL;
	}
	return proc;
}

/**
 * kmod_rs_proc_remove - remove the file and its directory
 * @created: what kmod_rs_proc_create() has returned
 *
 * If the file is open, it is released here. None of its operations runs or is
 * called any more when this returns: see proc_entry_rundown().
 *
 * Context: may sleep. Waits for the operations that run.
 */
void kmod_rs_proc_remove(void *created)
{
	struct kmod_rs_proc *proc = created;

	proc_remove(proc->directory);
	kfree(proc);
}
