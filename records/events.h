/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The trace events of the group kmod_rs. Strings that come from users are
 * escaped before they get here, so that none can forge a line of the trace.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kmod_rs

#if !defined(KMOD_RS_EVENTS_H) || defined(TRACE_HEADER_MULTI_READ)
#define KMOD_RS_EVENTS_H

#include <linux/tracepoint.h>

TRACE_EVENT(request_begin,
	TP_PROTO(u64 seq, const char *name, bool wait, const char *comm, u32 uid,
		 s64 loginuid, const char *userns, int nspid, const char *cgroup,
		 const char *call_site, const char *chain),
	TP_ARGS(seq, name, wait, comm, uid, loginuid, userns, nspid, cgroup, call_site, chain),
	TP_STRUCT__entry(
		__field(u64, seq)
		__string(name, name)
		__field(bool, wait)
		__string(comm, comm)
		__field(u32, uid)
		__field(s64, loginuid)
		__string(userns, userns)
		__field(int, nspid)
		__string(cgroup, cgroup)
		__string(call_site, call_site)
		__string(chain, chain)
	),
	TP_fast_assign(
		__entry->seq = seq;
		__assign_str(name);
		__entry->wait = wait;
		__assign_str(comm);
		__entry->uid = uid;
		__entry->loginuid = loginuid;
		__assign_str(userns);
		__entry->nspid = nspid;
		__assign_str(cgroup);
		__assign_str(call_site);
		__assign_str(chain);
	),
	TP_printk("seq=%llu name=%s wait=%d comm=%s uid=%u loginuid=%lld userns=%s nspid=%d cgroup=%s call_site=%s chain=%s",
		  __entry->seq, __get_str(name), __entry->wait, __get_str(comm), __entry->uid,
		  __entry->loginuid, __get_str(userns), __entry->nspid, __get_str(cgroup),
		  __get_str(call_site), __get_str(chain))
);

/* A time is -1 if it is not known; the helper is 0 if there was none. */
TRACE_EVENT(request_end,
	TP_PROTO(u64 seq, const char *name, const char *outcome, int result, int helper,
		 s64 queue_us, s64 helper_us, const char *path),
	TP_ARGS(seq, name, outcome, result, helper, queue_us, helper_us, path),
	TP_STRUCT__entry(
		__field(u64, seq)
		__string(name, name)
		__string(outcome, outcome)
		__field(int, result)
		__field(int, helper)
		__field(s64, queue_us)
		__field(s64, helper_us)
		__string(path, path)
	),
	TP_fast_assign(
		__entry->seq = seq;
		__assign_str(name);
		__assign_str(outcome);
		__entry->result = result;
		__entry->helper = helper;
		__entry->queue_us = queue_us;
		__entry->helper_us = helper_us;
		__assign_str(path);
	),
	TP_printk("seq=%llu name=%s outcome=%s result=%d helper=%d queue_us=%lld helper_us=%lld path=%s",
		  __entry->seq, __get_str(name), __get_str(outcome), __entry->result,
		  __entry->helper, __entry->queue_us, __entry->helper_us, __get_str(path))
);

/* The rule is the firewall's; "-" if a security module denied the request. */
TRACE_EVENT(request_denied,
	TP_PROTO(u64 seq, const char *name, int result, const char *rule),
	TP_ARGS(seq, name, result, rule),
	TP_STRUCT__entry(
		__field(u64, seq)
		__string(name, name)
		__field(int, result)
		__string(rule, rule)
	),
	TP_fast_assign(
		__entry->seq = seq;
		__assign_str(name);
		__entry->result = result;
		__assign_str(rule);
	),
	TP_printk("seq=%llu name=%s result=%d rule=%s", __entry->seq, __get_str(name),
		  __entry->result, __get_str(rule))
);

TRACE_EVENT(request_loop,
	TP_PROTO(u64 seq, const char *name, const char *chain),
	TP_ARGS(seq, name, chain),
	TP_STRUCT__entry(
		__field(u64, seq)
		__string(name, name)
		__string(chain, chain)
	),
	TP_fast_assign(
		__entry->seq = seq;
		__assign_str(name);
		__assign_str(chain);
	),
	TP_printk("seq=%llu name=%s chain=%s", __entry->seq, __get_str(name), __get_str(chain))
);

TRACE_EVENT(request_timeout,
	TP_PROTO(u64 seq, const char *name, s64 queue_us),
	TP_ARGS(seq, name, queue_us),
	TP_STRUCT__entry(
		__field(u64, seq)
		__string(name, name)
		__field(s64, queue_us)
	),
	TP_fast_assign(
		__entry->seq = seq;
		__assign_str(name);
		__entry->queue_us = queue_us;
	),
	TP_printk("seq=%llu name=%s queue_us=%lld", __entry->seq, __get_str(name), __entry->queue_us)
);

TRACE_EVENT(module_loaded,
	TP_PROTO(u64 seq, const char *name, const char *module),
	TP_ARGS(seq, name, module),
	TP_STRUCT__entry(
		__field(u64, seq)
		__string(name, name)
		__string(module, module)
	),
	TP_fast_assign(
		__entry->seq = seq;
		__assign_str(name);
		__assign_str(module);
	),
	TP_printk("seq=%llu name=%s module=%s", __entry->seq, __get_str(name), __get_str(module))
);

/* The rule is the firewall's: the module was refused to a helper for the name. */
TRACE_EVENT(module_denied,
	TP_PROTO(u64 seq, const char *name, const char *module, const char *rule),
	TP_ARGS(seq, name, module, rule),
	TP_STRUCT__entry(
		__field(u64, seq)
		__string(name, name)
		__string(module, module)
		__string(rule, rule)
	),
	TP_fast_assign(
		__entry->seq = seq;
		__assign_str(name);
		__assign_str(module);
		__assign_str(rule);
	),
	TP_printk("seq=%llu name=%s module=%s rule=%s", __entry->seq, __get_str(name),
		  __get_str(module), __get_str(rule))
);

#endif /* KMOD_RS_EVENTS_H */

/* Outside of the include guard: define_trace.h includes this file again. */
#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE events
#include <trace/define_trace.h>
