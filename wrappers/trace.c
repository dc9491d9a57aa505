// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoint module:module_request, fired for each request as kmod.c does.
 *
 * Why this is C: the tracepoint is not exported and the `kernel` crate can
 * declare only events of its own; its guard, tracepoint_srcu, has no bindings.
 */
#include <linux/errno.h>
#include <linux/jump_label.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <trace/events/module.h>

#include "kmod_rs.h"

static struct tracepoint *kmod_rs_tp_module_request;

static void kmod_rs_match_tracepoint(struct tracepoint *tp, void *priv)
{
	if (!strcmp(tp->name, "module_request"))
		kmod_rs_tp_module_request = tp;
}

/**
 * kmod_rs_trace_init - find the tracepoint
 *
 * Context: from module init, before the first request.
 * Return: 0, or -ENOENT if the kernel has no such tracepoint.
 */
int kmod_rs_trace_init(void)
{
	for_each_kernel_tracepoint(kmod_rs_match_tracepoint, NULL);
	return kmod_rs_tp_module_request ? 0 : -ENOENT;
}

/**
 * kmod_rs_trace_module_request - fire module:module_request
 * @name: name of the module, copied by the event
 * @wait: does the requester wait for modprobe to exit?
 * @call_site: address in the caller of request_module()
 *
 * What trace_module_request() of <linux/tracepoint.h> does, less the static
 * branch: that one could be patched only for a symbol of this module. It must be
 * kept in step with that header; scripts/check-kernel.sh refuses a kernel whose
 * macros are others.
 *
 * Context: any; kmod_rs_trace_init() must have succeeded.
 */
void kmod_rs_trace_module_request(char *name, bool wait, unsigned long call_site)
{
	/* The exact type, which control-flow integrity asks for. */
	typeof(&__traceiter_module_request) iterator;

	if (!static_key_enabled(&kmod_rs_tp_module_request->key))
		return;

	guard(srcu_fast_notrace)(&tracepoint_srcu);
	iterator = kmod_rs_tp_module_request->iterator;
	iterator(NULL, name, wait, call_site);
}
