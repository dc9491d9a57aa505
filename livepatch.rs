// SPDX-License-Identifier: GPL-2.0

//! Takes `__request_module()` over, and gives it back.
//!
//! The patch and the entry, which replaces that function, are in livepatch/entry.c. The entry calls
//! livepatch/handler.rs, which calls [`Kmod`].
//!
//! C header: [`include/linux/livepatch.h`](srctree/include/linux/livepatch.h)

mod handler;

use self::handler::Handler;
use crate::{
    request::Kmod,
    wrappers::module, //
};
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

/// Whether [`Livepatch::enable`] was called: `klp_enable_patch()` must get each patch only once.
static WAS_ENABLED: Atomic<bool> = Atomic::new(false);

/// The livepatch, which sends all requests to a [`Kmod`] as long as this value lives.
///
/// The administrator can give `request_module()` back earlier, by
/// `echo 0 >/sys/kernel/livepatch/kmod_rs/enabled`.
pub(crate) struct Livepatch {
    handler: Handler,
}

impl Livepatch {
    /// Enables the livepatch, so that `kmod` serves all requests.
    ///
    /// The first requests may arrive before this returns. Returns
    ///
    /// - [`EBUSY`] if this was called before, if another livepatch is in transition, or if
    ///   something else that may redirect functions (a kprobe with a post handler) is attached to
    ///   `__request_module()`;
    /// - [`ENOMEM`];
    /// - what else `klp_enable_patch()` returns.
    ///
    /// Context: in module init; may sleep.
    ///
    /// # Safety
    ///
    /// The init of the module does not fail after this has succeeded. A module whose init fails is
    /// freed even if the livepatch is enabled.
    pub(crate) unsafe fn enable(kmod: Kmod) -> Result<Self> {
        if WAS_ENABLED.xchg(true, Full) {
            return Err(EBUSY);
        }
        let this = Self {
            handler: Handler::set(kmod)?,
        };

        // SAFETY: `WAS_ENABLED` says that this is the first call, so the livepatch core does not
        // have the patch yet. It takes a reference on the module, which by the requirement is not
        // freed before the core has put it.
        to_result(unsafe { kmod_rs_livepatch_enable() }).inspect_err(|error| {
            if *error == EBUSY {
                // The kernel does not say which of the two it is.
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
        // Requests may still arrive, so the handler stays for ever.
        if is_active() {
            return;
        }
        // Each helper in flight and each job has a reference on the module, so there is none. But
        // the last one may have put its own a moment ago, and still be in the text of the module.
        module::wait_for_last_acts();

        // SAFETY: The patch was never enabled, or it is disabled. If it is disabled, the livepatch
        // core has switched each task back at a time when the entry was not on its stack, and calls
        // no callback any more. (If the administrator forced the transition, the core did not look
        // at the stacks. But then it keeps its reference on the module, and there is no module
        // exit.) This value is dropped once.
        unsafe { self.handler.remove() };
    }
}

/// Returns whether requests come to the entry.
///
/// They do from when the first task may be switched over until the last one has been switched back.
///
/// Context: any.
pub(crate) fn is_active() -> bool {
    // SAFETY: May be called in any context.
    unsafe { kmod_rs_livepatch_active() }
}
