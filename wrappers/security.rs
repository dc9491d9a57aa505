// SPDX-License-Identifier: GPL-2.0

//! What the security modules say of a request.
//!
//! The `kernel` crate does not wrap this hook, and it is not exported: see ksyms.S.
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

/// Asks the security modules whether the current task may have a module of this name loaded.
///
/// Context: may sleep.
pub(crate) fn kernel_module_request(_symbols: PrivateSymbols, name: &CStr) -> Result {
    // SAFETY: By the invariant of `_symbols` the jump has its target. The hook reads the name and does
    // not write to it.
    to_result(unsafe { kmod_rs_security_kernel_module_request(name.as_char_ptr()) })
}
