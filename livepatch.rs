// SPDX-License-Identifier: GPL-2.0

//! Taking `__request_module()` over, and giving it back.
//!
//! The patch and the function that replaces are in livepatch/entry.c. That calls
//! livepatch/handler.rs, which calls [`Kmod`].
//!
//! C header: [`include/linux/livepatch.h`](srctree/include/linux/livepatch.h)

mod handler;

use self::handler::Handler;
use crate::request::Kmod;
use kernel::{
    error::to_result,
    ffi::c_int,
    prelude::*,
    sync::atomic::{
        Atomic,
        Full, //
    }, //
};

extern "C" {
    /// See entry.c.
    fn kmod_rs_livepatch_enable() -> c_int;

    /// See entry.c.
    fn kmod_rs_livepatch_active() -> bool;
}

/// Whether the patch was enabled before: `klp_enable_patch()` takes each patch once.
static WAS_ENABLED: Atomic<bool> = Atomic::new(false);

/// `__request_module()` is ours as long as this value lives, unless the administrator gives it back
/// earlier: `echo 0 > /sys/kernel/livepatch/kmod_rs/enabled`.
pub(crate) struct Livepatch {
    handler: Handler,
}

impl Livepatch {
    /// Has `kmod` serve all requests from now on, before this even returns.
    ///
    /// Returns [`EBUSY`] when it is called a second time, while another livepatch is in transition,
    /// or while something else that may change where functions go (a kprobe with a post handler) is
    /// on this one; and what else `klp_enable_patch()` says.
    ///
    /// Context: from module init only, as the last step that can fail.
    pub(crate) fn enable(kmod: Kmod) -> Result<Self> {
        if WAS_ENABLED.xchg(true, Full) {
            return Err(EBUSY);
        }
        let this = Self {
            handler: Handler::set(kmod)?,
        };

        // SAFETY: Called once, by the above. The module's reference that the livepatch core takes is
        // to be had from init on.
        to_result(unsafe { kmod_rs_livepatch_enable() }).inspect_err(|error| {
            if *error == EBUSY {
                // The kernel does not say which of the two.
                pr_err!("another livepatch is in transition: try again when it is done\n");
                pr_err!(
                    "or __request_module() is in use by a kprobe with a post handler: remove it\n"
                );
            } else {
                pr_err!("cannot take over __request_module(): {error:?}\n");
            }
        })?;

        Ok(this)
    }
}

impl Drop for Livepatch {
    fn drop(&mut self) {
        // Not while requests may arrive; the handler then stays for ever.
        if is_active() {
            return;
        }
        // SAFETY: The patch was not enabled, or it is disabled by now. Then the livepatch core has
        // switched each task back, when the entry was not on its stack.
        unsafe { self.handler.remove() };
    }
}

/// Whether requests come here: from when the first task may be switched over until the last one has
/// been switched back.
///
/// Context: any.
pub(crate) fn is_active() -> bool {
    // SAFETY: May be called from any context.
    unsafe { kmod_rs_livepatch_active() }
}
