// SPDX-License-Identifier: GPL-2.0

//! The kernel's list of modules.
//!
//! C header: [`include/linux/module.h`](srctree/include/linux/module.h)

use super::private_symbols::PrivateSymbols;
use core::ptr;
use kernel::{
    bindings,
    container_of,
    sync::rcu, //
};

/// Returns whether a module is being unloaded: its exit has not begun yet, runs, or has returned,
/// but the module is still in the list. Nobody can load a module of the same name until it has left
/// the list.
///
/// May also return true for a module that has just been entered into the list, and is to be loaded.
///
/// Takes time in proportion to the number of modules.
///
/// Context: any.
pub(crate) fn is_any_leaving(symbols: PrivateSymbols) -> bool {
    let head = symbols.modules();
    let _guard = rcu::read_lock();

    // SAFETY: `head` is valid and never freed. Its `next` may change at any time, and is read once.
    let mut entry = unsafe { ptr::read_volatile(&raw const (*head).next) };
    while !ptr::eq(entry, head) {
        // SAFETY: The entries but the head are fields of modules. A module is freed at least one
        // grace period after it was removed from the list, and the RCU read lock is held. What is
        // read of it are single aligned words, each once. `module_refcount()` reads one more.
        unsafe {
            let module = container_of!(entry, bindings::module, list);
            let state = ptr::read_volatile(&raw const (*module).state);
            // A module without references has a count of -1. One that could not be initialised is
            // going, too, but has one.
            if matches!(
                state,
                bindings::module_state_MODULE_STATE_GOING
                    | bindings::module_state_MODULE_STATE_UNFORMED
            ) && bindings::module_refcount(module) < 0
            {
                return true;
            }
            entry = ptr::read_volatile(&raw const (*entry).next);
        }
    }
    false
}
