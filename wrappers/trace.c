// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoint module:module_request, which kernel/module/kmod.c fires for
 * each request.
 *
 * Why this is C: the tracepoint is not exported, and the `kernel` crate can
 * only declare tracepoints that were defined for Rust. tracepoint_srcu, which
 * guards the call of the probes, has no bindings.
 */
#include <linux/errno.h>
#include <linux/jump_label.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <trace/events/module.h>

#include "kmod_rs.h"

static struct tracepoint *kmod_rs_tp_module_request;

struct kmod_rs_search {
	const char *name;
	struct tracepoint *found;
};

static void kmod_rs_match_tracepoint(struct tracepoint *tp, void *priv)
{
	struct kmod_rs_search *search = priv;

	if (!strcmp(tp->name, search->name))
		search->found = tp;
}

/**
 * kmod_rs_find_tracepoint - find a tracepoint that is not exported
 * @name: its name, without that of its group
 *
 * Context: any.
 * Return: the tracepoint, or NULL if the kernel has none of that name.
 */
struct tracepoint *kmod_rs_find_tracepoint(const char *name)
{
	struct kmod_rs_search search = { .name = name };

	for_each_kernel_tracepoint(kmod_rs_match_tracepoint, &search);
	return search.found;
}

/**
 * kmod_rs_trace_init - find the tracepoint
 *
 * Context: any.
 * Return: 0, or -ENOENT if the kernel has no such tracepoint.
 */
int kmod_rs_trace_init(void)
{
	if (!kmod_rs_tp_module_request)
		kmod_rs_tp_module_request = kmod_rs_find_tracepoint("module_request");
	return kmod_rs_tp_module_request ? 0 : -ENOENT;
}

/**
 * kmod_rs_trace_module_request - fire module:module_request
 * @name: name that the request is for, which the event copies
 * @wait: does the request wait for its helper to exit?
 * @call_site: address in the caller of request_module()
 *
 * Does what trace_module_request() does, which the macros in
 * <linux/tracepoint.h> make, except for one thing: it reads the static key
 * instead of using a static branch, which could only refer to a key that the
 * module can link to. It must be kept in step with that header;
 * scripts/check-kernel.sh refuses a kernel in which the macros are different.
 *
 * Context: any. kmod_rs_trace_init() must have succeeded.
 */
void kmod_rs_trace_module_request(char *name, bool wait, unsigned long call_site)
{
	/* CFI checks that an indirect call is of exactly the function's type. */
	typeof(&__traceiter_module_request) iterator;

	if (!static_key_enabled(&kmod_rs_tp_module_request->key))
		return;

	guard(srcu_fast_notrace)(&tracepoint_srcu);
	iterator = kmod_rs_tp_module_request->iterator;
	iterator(NULL, name, wait, call_site);
}
