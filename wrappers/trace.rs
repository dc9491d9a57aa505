// SPDX-License-Identifier: GPL-2.0

//! The kernel's own trace event of a request.
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
/// The tracepoint was found.
pub(crate) struct ModuleRequest(());

impl ModuleRequest {
    /// Finds the tracepoint.
    ///
    /// Returns [`ENOENT`] if the kernel has none.
    ///
    /// Context: may sleep.
    pub(crate) fn find() -> Result<Self> {
        // SAFETY: May be called from process context.
        to_result(unsafe { kmod_rs_trace_init() })?;

        // INVARIANT: Just found.
        Ok(Self(()))
    }

    /// Fires the event.
    ///
    /// Context: any.
    pub(crate) fn fire(&self, name: &CStr, wait: bool, call_site: usize) {
        // SAFETY: The tracepoint was found. The event copies the name and does not write to it.
        unsafe { kmod_rs_trace_module_request(name.as_char_ptr(), wait, call_site) };
    }
}
