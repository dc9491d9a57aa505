// SPDX-License-Identifier: GPL-2.0
/*
 * The way into the kernel: what stands in for __request_module(), and the
 * livepatch that puts it there.
 *
 * Why this is C: Rust cannot define a C-variadic function, `bindings` has
 * neither the livepatch structures nor current_is_async(), and copying their
 * layout by hand would break on the next kernel. Mirrors the upper part of
 * kernel/module/kmod.c; everything after the formatting of the name is in
 * request.rs.
 */
#include <linux/async.h>
#include <linux/bug.h>
#include <linux/compiler.h>
#include <linux/crypto.h>
#include <linux/kernel.h>
#include <linux/kmod.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/stdarg.h>

#include "kmod_rs.h"

/* The Rust side has a buffer of this size. */
static_assert(MODULE_NAME_LEN == KMOD_RS_NAME_LEN);

/*
 * modprobe gets no name that is longer, but a request for such a one is not
 * without consequences: see ciphers.rs.
 */
static_assert(KMOD_RS_WHOLE_LEN == sizeof("crypto-") - 1 + CRYPTO_MAX_ALG_NAME + 1);

/*
 * Livepatch looks for this very function on the stacks of sleeping tasks, and
 * for nothing else of this module: it must stay there for as long as the Rust
 * side runs. So it is not inlined, and the barrier keeps the call to Rust from
 * becoming a jump. scripts/check-module.sh verifies both on the built file.
 */
static noinline __printf(2, 3)
int kmod_rs_request_module(bool wait, const char *fmt, ...)
{
	char name[KMOD_RS_WHOLE_LEN];
	va_list args;
	int len, ret;

	/*
	 * As in C: module init may wait for all async work, and so for the
	 * worker that waits for the module here.
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

/* The patch is about to be disabled, by the current task. */
static void kmod_rs_pre_unpatch(struct klp_object *object)
{
	kmod_rs_handle_unpatch();
}

static struct klp_object kmod_rs_objects[] = {
	{
		/* No name: vmlinux. */
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
 * Context: from module init only, may sleep. Requests arrive before it returns.
 * Return: 0, or the negative errno of klp_enable_patch().
 */
int kmod_rs_livepatch_enable(void)
{
	return klp_enable_patch(&kmod_rs_patch);
}

/**
 * kmod_rs_livepatch_active - do requests come here?
 *
 * True from the moment when the first task may be switched over until the last
 * one has been switched back. Also false once a livepatch that replaces all
 * others has taken the place of this one.
 *
 * Context: any.
 */
bool kmod_rs_livepatch_active(void)
{
	return READ_ONCE(kmod_rs_funcs[0].patched);
}

MODULE_INFO(livepatch, "Y");
