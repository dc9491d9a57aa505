// SPDX-License-Identifier: GPL-2.0

//! The kernel's own trace event for requests.
//!
//! C header: [`include/trace/events/module.h`](srctree/include/trace/events/module.h)

use kernel::{
    error::to_result,
    ffi::{
        c_char,
        c_int,
        c_ulong, //
    },
    prelude::*, //
};

extern "C" {
    /// See trace.c.
    fn kmod_rs_trace_init() -> c_int;

    /// See trace.c.
    fn kmod_rs_trace_module_request(name: *const c_char, wait: bool, call_site: c_ulong);
}

/// The tracepoint `module:module_request`.
///
/// # Invariants
///
/// `kmod_rs_trace_init()` has found the tracepoint.
pub(crate) struct ModuleRequest(());

impl ModuleRequest {
    /// Finds the tracepoint.
    ///
    /// Returns [`ENOENT`] if the kernel has no such tracepoint.
    ///
    /// Context: any.
    pub(crate) fn find() -> Result<Self> {
        // SAFETY: The function reads the kernel's list of tracepoints, which does not change, and
        // writes a variable of trace.c.
        to_result(unsafe { kmod_rs_trace_init() })?;

        // INVARIANT: The function has succeeded.
        Ok(Self(()))
    }

    /// Fires the event, if somebody has enabled it.
    ///
    /// `call_site` is the address in the caller of `request_module()`.
    ///
    /// Context: any.
    pub(crate) fn fire(&self, name: &CStr, wait: bool, call_site: usize) {
        // SAFETY: By the type invariant the tracepoint was found. `name` is a C string; probes are
        // given a `char *`, but only read it.
        unsafe { kmod_rs_trace_module_request(name.as_char_ptr(), wait, call_site) };
    }
}
