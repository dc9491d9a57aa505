// SPDX-License-Identifier: GPL-2.0
/*
 * The trace events of the group kmod_rs, as functions that Rust can call.
 *
 * Why this is C: events are defined by macros, and the `kernel` crate can only
 * fire events that its own bindings have.
 */
#include "kmod_rs.h"

#define CREATE_TRACE_POINTS
#include "events.h"

/**
 * kmod_rs_events_enabled - is any of the events enabled?
 *
 * Context: any.
 * Return: true if at least one of them is.
 */
bool kmod_rs_events_enabled(void)
{
	return trace_request_begin_enabled() || trace_request_end_enabled() ||
	       trace_request_denied_enabled() || trace_request_loop_enabled() ||
	       trace_request_timeout_enabled() || trace_module_loaded_enabled() ||
	       trace_module_denied_enabled();
}

/*
 * Each of these fires the event of its name, which copies the strings.
 *
 * Context: any.
 */

void kmod_rs_events_begin(u64 seq, const char *name, bool wait, const char *comm, u32 uid,
			  s64 loginuid, const char *userns, int nspid, const char *cgroup,
			  const char *call_site, const char *chain)
{
	trace_request_begin(seq, name, wait, comm, uid, loginuid, userns, nspid, cgroup,
			    call_site, chain);
}

void kmod_rs_events_end(u64 seq, const char *name, const char *outcome, int result, int helper,
			s64 queue_us, s64 helper_us, const char *path)
{
	trace_request_end(seq, name, outcome, result, helper, queue_us, helper_us, path);
}

void kmod_rs_events_denied(u64 seq, const char *name, int result, const char *rule)
{
	trace_request_denied(seq, name, result, rule);
}

void kmod_rs_events_loop(u64 seq, const char *name, const char *chain)
{
	trace_request_loop(seq, name, chain);
}

void kmod_rs_events_timeout(u64 seq, const char *name, s64 queue_us)
{
	trace_request_timeout(seq, name, queue_us);
}

void kmod_rs_events_module_loaded(u64 seq, const char *name, const char *module)
{
	trace_module_loaded(seq, name, module);
}

void kmod_rs_events_module_denied(u64 seq, const char *name, const char *module, const char *rule)
{
	trace_module_denied(seq, name, module, rule);
}
