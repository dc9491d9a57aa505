// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints module:module_get and module:module_put, which the kernel
 * fires when somebody takes a reference on a module, and puts it.
 *
 * Why this is C: module_put is not exported, so it has to be looked for, and the
 * `kernel` crate has no way to register probes. tracepoint_srcu, which
 * tracepoint_synchronize_unregister() waits for, has no bindings.
 */
#include <linux/errno.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#include "kmod_rs.h"

struct kmod_rs_refcnt_tracepoints {
	struct tracepoint *get;
	struct tracepoint *put;
};

static void kmod_rs_match_refcnt(struct tracepoint *tp, void *priv)
{
	struct kmod_rs_refcnt_tracepoints *found = priv;

	if (!strcmp(tp->name, "module_get"))
		found->get = tp;
	else if (!strcmp(tp->name, "module_put"))
		found->put = tp;
}

static struct kmod_rs_refcnt_tracepoints kmod_rs_find_refcnt(void)
{
	struct kmod_rs_refcnt_tracepoints found = {};

	for_each_kernel_tracepoint(kmod_rs_match_refcnt, &found);
	return found;
}

/**
 * kmod_rs_module_use_attach - have probes called for each use of a module
 * @got: called when a reference on a module was taken, in any context
 * @put: called when one was put, in any context
 * @data: first argument of the probes
 *
 * Context: may sleep.
 * Return: 0; -ENOENT if the kernel has no such tracepoints; -EEXIST if the probes
 * are there with @data already; -ENOMEM. If it fails, the probes are not called
 * any more.
 */
int kmod_rs_module_use_attach(kmod_rs_use_probe *got, kmod_rs_use_probe *put, void *data)
{
	struct kmod_rs_refcnt_tracepoints found = kmod_rs_find_refcnt();
	int error;

	if (!found.get || !found.put)
		return -ENOENT;
	error = tracepoint_probe_register(found.get, got, data);
	if (error)
		return error;
	error = tracepoint_probe_register(found.put, put, data);
	if (error) {
		tracepoint_probe_unregister(found.get, got, data);
		tracepoint_synchronize_unregister();
	}
	return error;
}

/**
 * kmod_rs_module_use_detach - undo kmod_rs_module_use_attach()
 * @got: as it was given there
 * @put: as it was given there
 * @data: as it was given there
 *
 * When this returns, the probes are not called any more, and no call is in
 * progress.
 *
 * Context: may sleep.
 */
void kmod_rs_module_use_detach(kmod_rs_use_probe *got, kmod_rs_use_probe *put, void *data)
{
	struct kmod_rs_refcnt_tracepoints found = kmod_rs_find_refcnt();

	tracepoint_probe_unregister(found.get, got, data);
	tracepoint_probe_unregister(found.put, put, data);
	tracepoint_synchronize_unregister();
}
