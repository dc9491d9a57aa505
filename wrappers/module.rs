// SPDX-License-Identifier: GPL-2.0

//! The module that this code is in, and what keeps it from being unloaded.
//!
//! C header: [`include/linux/module.h`](srctree/include/linux/module.h)

use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    bindings,
    prelude::*,
    types::Opaque, //
};

extern "C" {
    /// `THIS_MODULE`, which modpost makes.
    #[expect(improper_ctypes, reason = "only its address is used")]
    static __this_module: Opaque<bindings::module>;
}

/// The module that this code is in.
pub(crate) fn this() -> *mut bindings::module {
    (&raw const __this_module).cast_mut().cast()
}

/// Whether the init of the module has succeeded, and its exit has not begun.
///
/// Context: any. What it says is true for as long as the caller has a reference on the module.
pub(crate) fn is_live() -> bool {
    // SAFETY: The module whose code is running is there. Its state is a word that the module loader
    // writes in one piece.
    let state = unsafe { ptr::read_volatile(&raw const (*this()).state) };

    state == bindings::module_state_MODULE_STATE_LIVE
}

/// Keeps the module until reboot, by a reference that nobody puts.
///
/// Returns [`EBUSY`] if it is being unloaded.
///
/// Context: any.
pub(crate) fn keep() -> Result {
    // SAFETY: The module whose code is running is there.
    if unsafe { bindings::try_module_get(this()) } {
        Ok(())
    } else {
        Err(EBUSY)
    }
}

/// Proof that the module cannot be unloaded before this value goes: unloading waits for a function
/// that the current task has on its stack.
///
/// # Invariants
///
/// The current task has such a function on its stack as long as this value lives.
pub(crate) struct OnStack<'a> {
    /// It is this task's stack, so it must not be sent to another task; and it is this call's part
    /// of the stack, so it must not live longer than the call.
    _of_this_call: PhantomData<(&'a (), *const ())>,
}

impl OnStack<'_> {
    /// Calls `f` with the proof.
    ///
    /// # Safety
    ///
    /// The caller is called by a function that livepatch looks for on the stacks of all tasks
    /// before it lets the module go.
    pub(crate) unsafe fn with<T>(f: impl FnOnce(&OnStack<'_>) -> T) -> T {
        // INVARIANT: By the requirement; it lives for the call of `f` only.
        f(&OnStack {
            _of_this_call: PhantomData,
        })
    }

    /// Takes a reference on the module, which must be put by `module_put()`.
    ///
    /// Context: any.
    pub(crate) fn get_module(&self) {
        // SAFETY: By the type invariant the module is not being unloaded, so there is no need to try.
        unsafe { bindings::__module_get(this()) };
    }
}
