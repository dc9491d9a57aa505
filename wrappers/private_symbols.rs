// SPDX-License-Identifier: GPL-2.0

//! Proof that the private symbols of the kernel, which ksyms.S refers to, can be used.

use kernel::{
    bindings,
    ffi::c_char,
    prelude::*, //
};

extern "C" {
    /// The address of the kernel's `modprobe_path`, or null if the module was built without
    /// `objtool klp post-link`.
    ///
    /// See ksyms.S.
    static kmod_rs_modprobe_path: *const c_char;

    /// The address of the kernel's `modules`. See ksyms.S.
    static kmod_rs_modules: *const bindings::list_head;
}

/// Proof that the private symbols can be used.
///
/// # Invariants
///
/// The module loader has applied all livepatch relocations of the module.
#[derive(Clone, Copy)]
pub(crate) struct PrivateSymbols(());

impl PrivateSymbols {
    /// Checks that the module was built with `objtool klp post-link`.
    ///
    /// If it was, the module loader has found all symbols, or it would have refused the module.
    ///
    /// Returns [`ENOEXEC`] if it was not.
    ///
    /// Context: any.
    pub(crate) fn find() -> Result<Self> {
        // SAFETY: The variable is in ksyms.S. Only the module loader writes it, before any code of
        // the module runs.
        if unsafe { kmod_rs_modprobe_path }.is_null() {
            return Err(ENOEXEC);
        }
        // INVARIANT: `objtool klp post-link` makes all relocations, or none, and the module loader
        // refuses a module if it cannot apply one of them. It has applied this one.
        Ok(Self(()))
    }

    /// Returns the kernel's `modprobe_path`: a buffer of `KMOD_PATH_LEN` bytes that is never freed,
    /// and whose last byte is always NUL.
    pub(crate) fn modprobe_path(self) -> *const c_char {
        // SAFETY: As in `find()`.
        unsafe { kmod_rs_modprobe_path }
    }
    /// Returns the head of the kernel's list of modules, which is never freed.
    pub(crate) fn modules(self) -> *const bindings::list_head {
        // SAFETY: As in `find()`.
        unsafe { kmod_rs_modules }
    }
}
