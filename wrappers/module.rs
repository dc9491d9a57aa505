// SPDX-License-Identifier: GPL-2.0

//! The module that this code is in, and ways to keep it from being unloaded.
//!
//! C header: [`include/linux/module.h`](srctree/include/linux/module.h)

use core::{
    marker::PhantomData,
    mem,
    ptr, //
};
use kernel::{
    bindings,
    prelude::*,
    types::Opaque, //
};

extern "C" {
    /// `THIS_MODULE`; defined in the file that modpost generates.
    #[expect(improper_ctypes, reason = "only its address is used")]
    static __this_module: Opaque<bindings::module>;
}

/// Returns a pointer to the module that this code is in.
///
/// It is valid as long as code of the module runs.
pub(crate) const fn this() -> *mut bindings::module {
    (&raw const __this_module).cast_mut().cast()
}

/// Returns whether the init of the module has succeeded, and its exit has not begun.
///
/// If the caller has a reference on the module, `true` stays true until that is put.
///
/// Context: any.
pub(crate) fn is_live() -> bool {
    // SAFETY: `this()` is valid, as code of the module runs here. The module loader may write the
    // state at the same time; this is a single aligned word, which is read once.
    let state = unsafe { ptr::read_volatile(&raw const (*this()).state) };

    state == bindings::module_state_MODULE_STATE_LIVE
}

/// Keeps the module loaded until reboot, by a reference that is never put.
///
/// Returns [`EBUSY`] if the init of the module has not succeeded yet, as the module is freed in
/// spite of references if its init fails; or if the module is being unloaded.
///
/// Context: any.
pub(crate) fn keep() -> Result {
    if !is_live() {
        return Err(EBUSY);
    }
    mem::forget(Reference::try_get().map_err(|_| EBUSY)?);
    Ok(())
}

/// A reference on the module, which is not unloaded as long as this value lives.
///
/// As all code of the module, the code that drops this value needs another reason why the module
/// stays until that code has returned.
///
/// # Invariants
///
/// There is a reference on the module that this value has to put.
pub(crate) struct Reference(());

impl Reference {
    /// Takes a reference.
    ///
    /// Returns [`ENODEV`] if the module is being unloaded.
    ///
    /// Context: any.
    pub(crate) fn try_get() -> Result<Self> {
        // SAFETY: `this()` is valid, as code of the module runs here.
        if unsafe { bindings::try_module_get(this()) } {
            // INVARIANT: The reference was taken.
            Ok(Self(()))
        } else {
            Err(ENODEV)
        }
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // SAFETY: By the type invariant there is a reference, which is not used after this.
        unsafe { bindings::module_put(this()) };
    }
}

/// Waits until each task that has put a reference on the module, as its last act in the text of the
/// module, has left that text.
///
/// For the exit of the module. The callbacks of helpers and the jobs put theirs a few instructions
/// before they return to the kernel.
///
/// Context: may sleep.
pub(crate) fn wait_for_last_acts() {
    // This returns when each task has been seen to sleep or to run in user space. It does neither
    // between the put and its return. It takes no lock there either, for which it would sleep with
    // PREEMPT_RT.
    //
    // SAFETY: May be called in any context that may sleep.
    unsafe { bindings::synchronize_rcu_tasks() };
}

/// Proof that the module is not unloaded as long as the value lives.
///
/// # Safety
///
/// As long as a value lives, there is a reference on the module.
pub(crate) unsafe trait Held {
    /// Takes another reference on the module, to be put by `module_put()`.
    ///
    /// Context: any.
    fn get_module(&self) {
        // SAFETY: By the requirement there is a reference, so the reference count is not 0.
        unsafe { bindings::__module_get(this()) };
    }
}

// SAFETY: By the type invariant.
unsafe impl Held for Reference {}

// SAFETY: By the type invariant the livepatch core has a reference on the module.
unsafe impl Held for OnStack<'_> {}

/// Proof that the module cannot be unloaded as long as this value lives.
///
/// # Invariants
///
/// As long as this value lives, the current task has a function on its stack that livepatch looks
/// for on the stacks of all tasks. The livepatch core does not put its reference on the module
/// before that function is on no stack any more.
pub(crate) struct OnStack<'a> {
    /// The proof is about the stack of one task, so it must not be sent to another task. It is
    /// about one call on that stack, so it must not live longer than that call.
    _of_this_call: PhantomData<(&'a (), *const ())>,
}

impl OnStack<'_> {
    /// Calls `f` with a proof.
    ///
    /// # Safety
    ///
    /// The current task must have a function on its stack, until this call returns, that livepatch
    /// looks for on the stacks of all tasks before it puts its reference on the module.
    pub(crate) unsafe fn with<T>(f: impl FnOnce(&OnStack<'_>) -> T) -> T {
        // INVARIANT: By the requirement. The value lives only until `f` returns.
        f(&OnStack {
            _of_this_call: PhantomData,
        })
    }

    /// Takes a reference on the module.
    ///
    /// Context: any.
    pub(crate) fn reference(&self) -> Reference {
        self.get_module();
        // INVARIANT: The reference was taken.
        Reference(())
    }
}
