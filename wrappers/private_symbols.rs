// SPDX-License-Identifier: GPL-2.0

//! Proof that the private symbols of the kernel can be used; see ksyms.S.

use kernel::{
    ffi::c_char,
    prelude::*, //
};

extern "C" {
    /// The address of the kernel's `modprobe_path`; null without `objtool klp post-link`.
    ///
    /// See ksyms.S.
    static kmod_rs_modprobe_path: *const c_char;
}

/// Proof that the private symbols can be used.
///
/// # Invariants
///
/// The module loader has applied the livepatch relocations of the module, all of them.
#[derive(Clone, Copy)]
pub(crate) struct PrivateSymbols(());

impl PrivateSymbols {
    /// Looks whether the module was linked to its end. If so, the module loader has found all
    /// symbols, or it would have refused the module.
    ///
    /// Returns [`ENOEXEC`].
    ///
    /// Context: any.
    pub(crate) fn find() -> Result<Self> {
        // SAFETY: Written by the module loader, before any code of the module runs.
        if unsafe { kmod_rs_modprobe_path }.is_null() {
            return Err(ENOEXEC);
        }
        // INVARIANT: A step after the last link makes all relocations, or none.
        Ok(Self(()))
    }

    /// The kernel's `modprobe_path`: a buffer that is never freed, and whose last byte is NUL.
    pub(crate) fn modprobe_path(self) -> *const c_char {
        // SAFETY: As in `find()`.
        unsafe { kmod_rs_modprobe_path }
    }
}
