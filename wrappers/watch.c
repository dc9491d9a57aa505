// SPDX-License-Identifier: GPL-2.0
/*
 * A watch over what modprobe reads, for watch.rs: the marks of fsnotify.
 *
 * Why this is C: the marks and their group are structs that the module owns or
 * fills, and `bindings` has none of them. What a helper sees by its path depends
 * on inline functions (task_lock(), get_fs_root()) as well.
 *
 * A path is walked by hand, one component after the other. Each directory is
 * marked before something is looked up in it. So whatever changes on the way
 * afterwards is heard of, and whatever has changed before is seen.
 */
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/delayed_call.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/fsnotify_backend.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/nsproxy.h>
#include <linux/path.h>
#include <linux/pid_namespace.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/utsname.h>

#include "kmod_rs.h"

#ifdef CONFIG_FSNOTIFY
/* How many objects one watch marks at most. */
#define KMOD_RS_MAX_MARKS 128

/* How many symbolic links a path may go through. */
#define KMOD_RS_MAX_LINKS 8

/* How many bytes the names in one directory may have together, with their NULs. */
#define KMOD_RS_NAMES_SIZE 4096

/* Something happens to the object itself. */
#define KMOD_RS_SELF (FS_ATTRIB | FS_DELETE_SELF | FS_MOVE_SELF | FS_UNMOUNT)

/* A file: its content as well. */
#define KMOD_RS_FILE (KMOD_RS_SELF | FS_MODIFY)

/* A directory on the way: names in it as well. */
#define KMOD_RS_WAY (KMOD_RS_SELF | FS_CREATE | FS_DELETE | FS_MOVE)

/* A directory that modprobe reads: the files in it as well. */
#define KMOD_RS_WHOLE (KMOD_RS_WAY | FS_MODIFY | FS_EVENT_ON_CHILD)

/* Why a watch says that something has changed; as in watch.rs. */
#define KMOD_RS_CHANGED_FILE	1
#define KMOD_RS_CHANGED_MOUNT	2

struct kmod_rs_mark {
	struct fsnotify_mark mark;
	/* Each name in this directory matters, and not only those of kmod_rs_names. */
	bool is_whole;
};

/**
 * struct kmod_rs_watch - a watch
 * @changed: why something has changed, or 0
 * @group: the group of the marks; its private data is the watch
 * @mnt: the root when the watch was set. It is only compared, and so is @root. The
 *	 inode of the root is marked, so it is not freed while the mark is there. A
 *	 mount is freed only after it was detached, which the watch hears of.
 * @root: see @mnt
 * @inode: see @mnt
 * @release: the name of the directory of the kernel's modules
 * @nr: how many marks there are
 * @marks: the marks. The watch has a reference on each.
 *
 * Freed with its group, when the last mark has been freed. Until then it has a
 * reference on the module, as its functions may be called.
 */
struct kmod_rs_watch {
	atomic_t changed;
	struct fsnotify_group *group;
	struct vfsmount *mnt;
	struct dentry *root;
	struct inode *inode;
	char release[__NEW_UTS_LEN + 1];
	unsigned int nr;
	struct kmod_rs_mark *marks[KMOD_RS_MAX_MARKS];
};

/* What a walk works with. */
struct kmod_rs_walk {
	/* The part that was walked, without symbolic links; empty at the root. */
	char done[PATH_MAX];
	/* The part that is left. */
	char left[PATH_MAX];
	char other[PATH_MAX];
	/* The names in a directory, one after the other, and how long they are together. */
	char names[KMOD_RS_NAMES_SIZE];
	size_t length;
	bool is_cut;
	struct dir_context context;
};

/* The names that matter on the way to what modprobe reads, besides the release. */
static const char *const kmod_rs_names[] = {
	"etc", "run", "usr", "lib", "local", "sbin", "bin", "modprobe.d", "modules", "modprobe",
	"kmod",
};

/* The directories with the configuration of modprobe: see modprobe.d(5). */
static const char *const kmod_rs_configuration[] = {
	"/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d",
	"/lib/modprobe.d",
};

/* Where the directory of the kernel's modules may be. */
static const char *const kmod_rs_modules_in[] = { "/lib/modules", "/usr/lib/modules" };

/* The files that modprobe reads there: see modules.dep(5) and depmod(8). */
static const char *const kmod_rs_indexes[] = {
	"modules.alias", "modules.alias.bin", "modules.builtin", "modules.builtin.alias.bin",
	"modules.builtin.bin", "modules.builtin.modinfo", "modules.dep", "modules.dep.bin",
	"modules.softdep", "modules.symbols", "modules.symbols.bin", "modules.weakdep",
};

/*
 * Only file systems of which all changes are made on this machine, through its
 * own inodes. Those of overlayfs can be made in its layers.
 */
static bool kmod_rs_is_local(const struct super_block *sb)
{
	switch (sb->s_magic) {
	case BTRFS_SUPER_MAGIC:
	case EROFS_SUPER_MAGIC_V1:
	case EXT4_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case RAMFS_MAGIC:
	case SQUASHFS_MAGIC:
	case TMPFS_MAGIC:
	case XFS_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

static bool kmod_rs_is_name(const struct kmod_rs_watch *watch, const char *name, size_t length)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kmod_rs_names); i++)
		if (strlen(kmod_rs_names[i]) == length && !memcmp(kmod_rs_names[i], name, length))
			return true;
	return strlen(watch->release) == length && !memcmp(watch->release, name, length);
}

static void kmod_rs_change(struct kmod_rs_watch *watch, int why)
{
	/* What the first change was is kept. Fully ordered: what has changed is seen before. */
	atomic_cmpxchg(&watch->changed, 0, why);
}

/* Called in the task that changes something, with the kernel's locks for that held. */
static int kmod_rs_handle_event(struct fsnotify_group *group, u32 mask, const void *data,
				int data_type, struct inode *dir, const struct qstr *name,
				u32 cookie, struct fsnotify_iter_info *iter)
{
	const struct fsnotify_mark *mark = fsnotify_iter_inode_mark(iter);
	struct kmod_rs_watch *watch = group->private;

	if (mask & FSNOTIFY_MNT_EVENTS) {
		kmod_rs_change(watch, KMOD_RS_CHANGED_MOUNT);
		return 0;
	}
	/* A name comes or goes in a directory on the way, and it is another one. */
	if (mask & ALL_FSNOTIFY_DIRENT_EVENTS && name && mark &&
	    !READ_ONCE(container_of(mark, struct kmod_rs_mark, mark)->is_whole) &&
	    !kmod_rs_is_name(watch, name->name, name->len))
		return 0;
	kmod_rs_change(watch, KMOD_RS_CHANGED_FILE);
	return 0;
}

/* Called when a mark is removed: also because its file system is unmounted. */
static void kmod_rs_freeing_mark(struct fsnotify_mark *mark, struct fsnotify_group *group)
{
	kmod_rs_change(group->private, KMOD_RS_CHANGED_FILE);
}

static void kmod_rs_free_mark(struct fsnotify_mark *mark)
{
	kfree(container_of(mark, struct kmod_rs_mark, mark));
}

/* Called when the last mark has been freed, and kmod_rs_watch_end() was called. */
static void kmod_rs_free_watch(struct fsnotify_group *group)
{
	kfree(group->private);
	/* The last act: from here on the module may be unloaded, see wait_for_last_acts(). */
	module_put(THIS_MODULE);
}

static const struct fsnotify_ops kmod_rs_watch_ops = {
	.handle_event = kmod_rs_handle_event,
	.freeing_mark = kmod_rs_freeing_mark,
	.free_mark = kmod_rs_free_mark,
	.free_group_priv = kmod_rs_free_watch,
};

static int kmod_rs_mark(struct kmod_rs_watch *watch, void *object, unsigned int type, u32 mask)
{
	const bool is_whole = mask & FS_EVENT_ON_CHILD;
	struct fsnotify_mark *found;
	struct kmod_rs_mark *mark;
	int error;

	found = fsnotify_find_mark(object, type, watch->group);
	if (found) {
		mark = container_of(found, struct kmod_rs_mark, mark);
		if (is_whole)
			WRITE_ONCE(mark->is_whole, true);
		fsnotify_modify_mark_mask(found, mask, 0);
		fsnotify_put_mark(found);
		return 0;
	}
	if (watch->nr == KMOD_RS_MAX_MARKS)
		return -ENOSPC;
	mark = kzalloc(sizeof(*mark), GFP_KERNEL);
	if (!mark)
		return -ENOMEM;
	fsnotify_init_mark(&mark->mark, watch->group);
	mark->mark.mask = mask;
	mark->is_whole = is_whole;
	error = fsnotify_add_mark(&mark->mark, object, type, 0);
	if (error) {
		fsnotify_put_mark(&mark->mark);
		return error;
	}
	watch->marks[watch->nr++] = mark;
	return 0;
}

static int kmod_rs_mark_inode(struct kmod_rs_watch *watch, const struct path *path, u32 mask)
{
	struct inode *inode = d_inode(path->dentry);

	if (!kmod_rs_is_local(inode->i_sb) || IS_CASEFOLDED(inode))
		return -EOPNOTSUPP;
	return kmod_rs_mark(watch, inode, FSNOTIFY_OBJ_TYPE_INODE, mask);
}

/* Removes the last component of what was walked. */
static void kmod_rs_step_back(struct kmod_rs_walk *walk)
{
	char *slash = strrchr(walk->done, '/');

	if (slash)
		*slash = '\0';
}

/* Puts the target of a symbolic link before what is left, and begins where it does. */
static int kmod_rs_follow(struct kmod_rs_walk *walk, const struct path *path, const char *rest)
{
	DEFINE_DELAYED_CALL(done);
	const char *target = vfs_get_link(path->dentry, &done);
	int length;

	if (IS_ERR(target))
		return PTR_ERR(target);
	length = snprintf(walk->other, sizeof(walk->other), "%s/%s", target, rest);
	do_delayed_call(&done);
	if (length >= sizeof(walk->other))
		return -ENAMETOOLONG;
	memcpy(walk->left, walk->other, length + 1);
	if (*walk->left == '/')
		*walk->done = '\0';
	else
		kmod_rs_step_back(walk);
	return 0;
}

/*
 * Marks each directory on the way to what is at a path, or would be. With
 * @is_in_whole, the last name is in a directory in which each name matters.
 */
static int kmod_rs_walk(struct kmod_rs_watch *watch, struct kmod_rs_walk *walk, const char *text,
			bool is_in_whole)
{
	unsigned int links = 0;
	struct path path;
	size_t length;
	char *rest;
	int error;

	*walk->done = '\0';
	if (strscpy(walk->left, text) < 0)
		return -ENAMETOOLONG;
	for (;;) {
		char *name = walk->left + strspn(walk->left, "/");

		length = strcspn(name, "/");
		rest = name + length;
		rest += strspn(rest, "/");
		if (!length)
			return 0;
		if (length <= 2 && !memcmp(name, "..", length)) {
			if (length == 2)
				kmod_rs_step_back(walk);
			memmove(walk->left, rest, strlen(rest) + 1);
			continue;
		}

		error = kern_path(*walk->done ? walk->done : "/", 0, &path);
		if (error)
			return error;
		if (!d_is_dir(path.dentry)) {
			/* Nothing can be in it. If it is replaced, the directory before hears of it. */
			path_put(&path);
			return 0;
		}
		error = kmod_rs_mark_inode(watch, &path, KMOD_RS_WAY);
		path_put(&path);
		if (error)
			return error;
		if (!kmod_rs_is_name(watch, name, length) && !(is_in_whole && !*rest))
			return -EXDEV;
		/* Only the text itself ends in that directory. */
		if (!*rest)
			is_in_whole = false;

		if (strlen(walk->done) + length + 2 > sizeof(walk->done))
			return -ENAMETOOLONG;
		strcat(walk->done, "/");
		strncat(walk->done, name, length);
		error = kern_path(walk->done, 0, &path);
		if (error == -ENOENT)
			return 0;
		if (error)
			return error;
		if (!d_is_symlink(path.dentry)) {
			path_put(&path);
			memmove(walk->left, rest, strlen(rest) + 1);
			continue;
		}
		error = ++links > KMOD_RS_MAX_LINKS ? -ELOOP : kmod_rs_follow(walk, &path, rest);
		path_put(&path);
		if (error)
			return error;
	}
}

/* Gets what is at a path that was walked: 1 if there is something, 0 if not. */
static int kmod_rs_find(const char *text, struct path *path)
{
	int error = kern_path(text, LOOKUP_FOLLOW, path);

	if (error == -ENOENT || error == -ENOTDIR)
		return 0;
	return error ? error : 1;
}

/* Watches a file that modprobe reads. */
static int kmod_rs_watch_file(struct kmod_rs_watch *watch, struct kmod_rs_walk *walk,
			      const char *text, bool is_in_whole)
{
	struct path path;
	int found, error = kmod_rs_walk(watch, walk, text, is_in_whole);

	if (error)
		return error;
	found = kmod_rs_find(text, &path);
	if (found <= 0)
		return found;
	if (d_is_reg(path.dentry))
		error = kmod_rs_mark_inode(watch, &path, KMOD_RS_FILE);
	else if (!d_is_dir(path.dentry))
		error = -EOPNOTSUPP;
	path_put(&path);
	return error;
}

static bool kmod_rs_add_name(struct dir_context *context, const char *name, int length,
			     loff_t offset, u64 ino, unsigned int type)
{
	struct kmod_rs_walk *walk = container_of(context, struct kmod_rs_walk, context);

	if ((length == 1 || length == 2) && !memcmp(name, "..", length))
		return true;
	if (walk->length + length + 1 > sizeof(walk->names)) {
		walk->is_cut = true;
		return false;
	}
	memcpy(walk->names + walk->length, name, length);
	walk->length += length;
	walk->names[walk->length++] = '\0';
	return true;
}

/* Gets the names in a directory. */
static int kmod_rs_list(struct kmod_rs_walk *walk, const struct path *path)
{
	struct file *file = dentry_open(path, O_RDONLY | O_DIRECTORY, current_cred());
	loff_t position;
	int error;

	if (IS_ERR(file))
		return PTR_ERR(file);
	walk->length = 0;
	walk->is_cut = false;
	walk->context = (struct dir_context){ .actor = kmod_rs_add_name };
	/* A file system may give them in several pieces. */
	do {
		position = walk->length;
		error = iterate_dir(file, &walk->context);
	} while (!error && !walk->is_cut && walk->length != position);
	fput(file);
	if (error)
		return error;
	return walk->is_cut ? -ENOSPC : 0;
}

/*
 * Watches a directory that modprobe reads. With @names it reads these files there
 * (NULL: all of them).
 */
static int kmod_rs_watch_directory(struct kmod_rs_watch *watch, struct kmod_rs_walk *walk,
				   const char *text, const char *const *names, size_t nr)
{
	char *file __free(kfree) = NULL;
	struct path path;
	size_t i, offset;
	int found, error;

	error = kmod_rs_walk(watch, walk, text, false);
	if (error)
		return error;
	found = kmod_rs_find(text, &path);
	if (found <= 0)
		return found;
	if (!d_is_dir(path.dentry)) {
		path_put(&path);
		return -EOPNOTSUPP;
	}
	error = kmod_rs_mark_inode(watch, &path, KMOD_RS_WHOLE);
	if (!error && !names)
		error = kmod_rs_list(walk, &path);
	path_put(&path);

	/* What is in it has other links, perhaps, of which the directory does not hear. */
	for (i = 0; !error && names && i < nr; i++) {
		kfree(file);
		file = kasprintf(GFP_KERNEL, "%s/%s", text, names[i]);
		error = file ? kmod_rs_watch_file(watch, walk, file, true) : -ENOMEM;
	}
	for (offset = 0; !error && !names && offset < walk->length;
	     offset += strlen(walk->names + offset) + 1) {
		kfree(file);
		file = kasprintf(GFP_KERNEL, "%s/%s", text, walk->names + offset);
		error = file ? kmod_rs_watch_file(watch, walk, file, true) : -ENOMEM;
	}
	return error;
}

/*
 * Notes the root of the current task, and marks the namespace that its mounts are
 * in, which must be that of PID 1.
 */
static int kmod_rs_watch_root(struct kmod_rs_watch *watch)
{
	struct mnt_namespace *ns = current->nsproxy->mnt_ns;
	struct task_struct *init = init_pid_ns.child_reaper;
	struct path root;
	bool is_same;
	int error;

	task_lock(init);
	is_same = init->nsproxy && init->nsproxy->mnt_ns == ns;
	task_unlock(init);
	if (!is_same)
		return -EXDEV;
	error = kmod_rs_mark(watch, ns, FSNOTIFY_OBJ_TYPE_MNTNS, FSNOTIFY_MNT_EVENTS);
	if (error)
		return error;

	get_fs_root(current->fs, &root);
	watch->mnt = root.mnt;
	watch->root = root.dentry;
	watch->inode = d_inode(root.dentry);
	/*
	 * The kernel looks for marks when it begins to change the mounts, and it
	 * changes them with the namespace's semaphore held. This takes it: whoever has
	 * seen no mark is done, and what they did is seen from here on.
	 */
	may_umount(root.mnt);
	error = kmod_rs_mark_inode(watch, &root, KMOD_RS_WAY);
	path_put(&root);
	return error;
}

static int kmod_rs_watch_all(struct kmod_rs_watch *watch, const char *program)
{
	struct kmod_rs_walk *walk __free(kvfree) = kvzalloc(sizeof(*walk), GFP_KERNEL);
	char *directory __free(kfree) = NULL;
	int error;
	size_t i;

	if (!walk)
		return -ENOMEM;
	error = kmod_rs_watch_root(watch);
	if (!error)
		error = kmod_rs_watch_file(watch, walk, program, false);
	for (i = 0; !error && i < ARRAY_SIZE(kmod_rs_configuration); i++)
		error = kmod_rs_watch_directory(watch, walk, kmod_rs_configuration[i], NULL, 0);
	for (i = 0; !error && i < ARRAY_SIZE(kmod_rs_modules_in); i++) {
		kfree(directory);
		directory = kasprintf(GFP_KERNEL, "%s/%s", kmod_rs_modules_in[i], watch->release);
		error = directory ? kmod_rs_watch_directory(watch, walk, directory, kmod_rs_indexes,
							    ARRAY_SIZE(kmod_rs_indexes)) :
				    -ENOMEM;
	}
	return error;
}

/**
 * kmod_rs_watch_end - end a watch
 * @data: what kmod_rs_watch_set() has returned; not to be used any more
 *
 * The marks may still be there for a moment. When they have been freed, the
 * reference on the module is put.
 *
 * Context: may sleep.
 */
void kmod_rs_watch_end(void *data)
{
	struct kmod_rs_watch *watch = data;
	struct fsnotify_group *group = watch->group;
	unsigned int i;

	for (i = 0; i < watch->nr; i++) {
		fsnotify_destroy_mark(&watch->marks[i]->mark, group);
		fsnotify_put_mark(&watch->marks[i]->mark);
	}
	fsnotify_put_group(group);
}

/**
 * kmod_rs_watch_set - watch what modprobe reads
 * @program: the path of modprobe
 *
 * What paths lead to is what they lead to for the current task.
 *
 * The caller has a reference on the module, which the watch takes over.
 *
 * Context: in a helper that is about to execute its program; may sleep.
 * Return: the watch, or an error pointer: -EOPNOTSUPP if something is on a file
 * system that cannot be watched, or is no file; -EXDEV if a symbolic link leads to
 * where nothing is watched, or if PID 1 has another mount namespace; -ENOSPC if
 * there are too many files; or another error. Then the reference was put, or is put
 * when the marks have been freed.
 */
void *kmod_rs_watch_set(const char *program)
{
	struct kmod_rs_watch *watch = kzalloc(sizeof(*watch), GFP_KERNEL);
	int error;

	if (!watch) {
		module_put(THIS_MODULE);
		return ERR_PTR(-ENOMEM);
	}
	strscpy(watch->release, init_utsname()->release);
	watch->group = fsnotify_alloc_group(&kmod_rs_watch_ops, 0);
	if (IS_ERR(watch->group)) {
		error = PTR_ERR(watch->group);
		kfree(watch);
		module_put(THIS_MODULE);
		return ERR_PTR(error);
	}
	watch->group->private = watch;
	error = kmod_rs_watch_all(watch, program);
	if (error) {
		kmod_rs_watch_end(watch);
		return ERR_PTR(error);
	}
	return watch;
}

/**
 * kmod_rs_watch_changed - has something changed since the watch was set?
 * @data: the watch
 *
 * Context: any.
 * Return: why, or 0 if nothing has.
 */
int kmod_rs_watch_changed(const void *data)
{
	const struct kmod_rs_watch *watch = data;

	return atomic_read_acquire(&watch->changed);
}

/**
 * kmod_rs_watch_change - say that something has changed
 * @data: the watch
 * @why: what kmod_rs_watch_changed() returns from now on, unless there was a
 *	 change before; not 0
 *
 * Context: any.
 */
void kmod_rs_watch_change(void *data, int why)
{
	kmod_rs_change(data, why);
}

/**
 * kmod_rs_watch_has_root - does PID 1 have the root that the watch was set with?
 * @data: the watch
 *
 * Context: may sleep.
 * Return: true if it does.
 */
bool kmod_rs_watch_has_root(const void *data)
{
	const struct kmod_rs_watch *watch = data;
	struct task_struct *init = init_pid_ns.child_reaper;
	struct path root = {};
	bool is_same;

	task_lock(init);
	if (init->fs)
		get_fs_root(init->fs, &root);
	task_unlock(init);
	if (!root.mnt)
		return false;
	is_same = root.mnt == watch->mnt && root.dentry == watch->root &&
		  d_inode(root.dentry) == watch->inode;
	path_put(&root);
	return is_same;
}
#else
/* Without fsnotify nothing can be watched. */
void *kmod_rs_watch_set(const char *program)
{
	module_put(THIS_MODULE);
	return ERR_PTR(-EOPNOTSUPP);
}

void kmod_rs_watch_end(void *data)
{
}

int kmod_rs_watch_changed(const void *data)
{
	return 0;
}

void kmod_rs_watch_change(void *data, int why)
{
}

bool kmod_rs_watch_has_root(const void *data)
{
	return false;
}
#endif
