// SPDX-License-Identifier: GPL-2.0

//! Keeping the module from being unloaded.
//!
//! C header: [`include/linux/module.h`](srctree/include/linux/module.h)

use kernel::{
    bindings,
    prelude::*, //
};

/// Keeps a module until reboot, by a reference that nobody puts.
///
/// Returns [`EBUSY`] if it is being unloaded.
///
/// Context: any.
pub(crate) fn keep(module: &'static ThisModule) -> Result {
    // SAFETY: A `ThisModule` that lives for ever stands for a module whose code is running.
    if unsafe { bindings::try_module_get(module.as_ptr()) } {
        Ok(())
    } else {
        Err(EBUSY)
    }
}
