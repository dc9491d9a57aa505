// SPDX-License-Identifier: GPL-2.0

//! The hook of the security modules for requests.
//!
//! The `kernel` crate does not wrap `security_kernel_module_request()`. The kernel does not export
//! it either, so it is called through ksyms.S.
//!
//! C header: [`include/linux/security.h`](srctree/include/linux/security.h)

use super::private_symbols::PrivateSymbols;
use kernel::{
    error::to_result,
    ffi::{
        c_char,
        c_int, //
    },
    prelude::*, //
};

extern "C" {
    /// See ksyms.S.
    fn kmod_rs_security_kernel_module_request(name: *const c_char) -> c_int;
}

/// Asks the security modules whether the current task may have the module `name` loaded.
///
/// Returns the error of the security module that denies it. As in C, any value but 0 denies it: one
/// that is no error becomes [`EPERM`].
///
/// Context: may sleep.
pub(crate) fn kernel_module_request(_symbols: PrivateSymbols, name: &CStr) -> Result {
    // SAFETY: By the type invariant of `PrivateSymbols` the jump in ksyms.S has its target. `name`
    // is a C string; the hook takes a `char *`, but only reads it.
    match unsafe { kmod_rs_security_kernel_module_request(name.as_char_ptr()) } {
        1.. => Err(EPERM),
        result => to_result(result),
    }
}
