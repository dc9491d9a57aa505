// SPDX-License-Identifier: GPL-2.0
/*
 * The entry, which replaces __request_module(), and the livepatch that puts it
 * in its place.
 *
 * Why this is C: Rust cannot define a C-variadic function, and `bindings` has
 * neither the livepatch structures nor current_is_async(). Copies of them,
 * written by hand, could be wrong for the next kernel.
 *
 * Mirrors the first part of __request_module() of kernel/module/kmod.c: the
 * warning and the formatting of the name. The rest is in request.rs.
 */
#include <linux/async.h>
#include <linux/bug.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/kmod.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/stdarg.h>

#include "kmod_rs.h"

/* The size of a `Name` on the Rust side. */
static_assert(MODULE_NAME_LEN == KMOD_RS_NAME_LEN);

/*
 * The entry. The livepatch core looks for this function on the stacks of
 * sleeping tasks, and for nothing else of this module. So it must be on the
 * stack while the Rust side runs: it is not inlined, and the barrier keeps the
 * call of the Rust side from becoming a jump. scripts/check-module.sh checks
 * the built file for both.
 */
static noinline __printf(2, 3)
int kmod_rs_request_module(bool wait, const char *fmt, ...)
{
	char name[MODULE_NAME_LEN];
	va_list args;
	int len, ret;

	/*
	 * As in C. The init of a module may wait for all async work. If this
	 * task does such work and waits for that module, both wait for ever.
	 */
	WARN_ON_ONCE(wait && current_is_async());

	va_start(args, fmt);
	len = vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);

	ret = kmod_rs_handle_request(name, len, wait, _RET_IP_);
	barrier();
	return ret;
}

static struct klp_func kmod_rs_funcs[] = {
	{
		.old_name = "__request_module",
		.new_func = (void *)kmod_rs_request_module,
	},
	{ }
};

/* Called by the livepatch core just before the current task disables the patch. */
static void kmod_rs_pre_unpatch(struct klp_object *object)
{
	kmod_rs_handle_unpatch();
}

static struct klp_object kmod_rs_objects[] = {
	{
		/* An object without a name is vmlinux. */
		.funcs = kmod_rs_funcs,
		.callbacks.pre_unpatch = kmod_rs_pre_unpatch,
	},
	{ }
};

static struct klp_patch kmod_rs_patch = {
	.mod = THIS_MODULE,
	.objs = kmod_rs_objects,
};

/**
 * kmod_rs_livepatch_enable - take over __request_module()
 *
 * Requests may arrive before this returns.
 *
 * Context: from module init only; may sleep.
 * Return: 0, or the negative errno of klp_enable_patch().
 */
int kmod_rs_livepatch_enable(void)
{
	return klp_enable_patch(&kmod_rs_patch);
}

/**
 * kmod_rs_livepatch_active - tell whether requests come to the entry
 *
 * They do from when the first task may be switched over until the last one has
 * been switched back, or until a livepatch that replaces all others has taken
 * the place of this one.
 *
 * Context: any.
 * Return: true if requests come to the entry.
 */
bool kmod_rs_livepatch_active(void)
{
	return READ_ONCE(kmod_rs_funcs[0].patched);
}

MODULE_INFO(livepatch, "Y");
/* The file VERSION; the table of keys in Documentation/admin-guide.rst refers to it. */
MODULE_VERSION(KMOD_RS_VERSION);
