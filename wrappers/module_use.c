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
#include <linux/tracepoint.h>

#include "kmod_rs.h"

static struct tracepoint *kmod_rs_tp_module_get, *kmod_rs_tp_module_put;

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
	int error;

	kmod_rs_tp_module_get = kmod_rs_find_tracepoint("module_get");
	kmod_rs_tp_module_put = kmod_rs_find_tracepoint("module_put");
	if (!kmod_rs_tp_module_get || !kmod_rs_tp_module_put)
		return -ENOENT;
	error = tracepoint_probe_register(kmod_rs_tp_module_get, got, data);
	if (error)
		return error;
	error = tracepoint_probe_register(kmod_rs_tp_module_put, put, data);
	if (error) {
		tracepoint_probe_unregister(kmod_rs_tp_module_get, got, data);
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
	tracepoint_probe_unregister(kmod_rs_tp_module_get, got, data);
	tracepoint_probe_unregister(kmod_rs_tp_module_put, put, data);
	tracepoint_synchronize_unregister();
}
