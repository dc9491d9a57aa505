// SPDX-License-Identifier: GPL-2.0

//! What the entry calls: from C to [`Kmod`].

use crate::{
    request::{
        Kmod,
        Request, //
    },
    wrappers::{
        module::OnStack,
        name::{
            Name,
            NAME_LEN, //
        }, //
    }, //
};
use core::ptr;
use kernel::{
    ffi::{
        c_char,
        c_int,
        c_ulong, //
    },
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Release, //
    }, //
};

/// What serves requests; null before [`Handler::set`] and after [`Handler::remove`].
static KMOD: Atomic<*mut Kmod> = Atomic::new(ptr::null_mut());

/// Serves the requests that the entry passes on, until it is removed.
///
/// When it is only dropped, requests are served for ever.
///
/// # Invariants
///
/// [`KMOD`] is `kmod`, which comes from [`KBox::into_raw`] and is not freed before
/// [`Handler::remove`]. There is at most one such value.
pub(super) struct Handler {
    kmod: *mut Kmod,
}

// SAFETY: A `Kmod` is used by all tasks through shared references, and may be freed by any.
unsafe impl Send for Handler where Kmod: Send + Sync {}

// SAFETY: There are no methods that take a shared reference.
unsafe impl Sync for Handler {}

impl Handler {
    /// Has `kmod` serve requests.
    ///
    /// Returns [`EBUSY`] if there is a handler, or [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(super) fn set(kmod: Kmod) -> Result<Self> {
        let kmod = KBox::into_raw(KBox::new(kmod, GFP_KERNEL)?);

        // ORDERING: A task that sees the pointer sees what it points to.
        if KMOD.cmpxchg(ptr::null_mut(), kmod, Release).is_err() {
            // SAFETY: From `KBox::into_raw()` above. Nobody has seen it.
            drop(unsafe { KBox::from_raw(kmod) });
            return Err(EBUSY);
        }
        // INVARIANT: `KMOD` was null, so there is no other.
        Ok(Self { kmod })
    }

    /// Has requests no longer served.
    ///
    /// # Safety
    ///
    /// No task is in [`kmod_rs_handle_request`] or [`kmod_rs_handle_unpatch`], or calls one of them
    /// any more.
    pub(super) unsafe fn remove(&mut self) {
        // ORDERING: By the requirement nobody else is there.
        KMOD.store(ptr::null_mut(), Release);

        // SAFETY: By the type invariant it is from `KBox::into_raw()`. By the requirement nobody
        // uses it.
        drop(unsafe { KBox::from_raw(self.kmod) });
    }
}

/// What serves requests.
///
/// # Safety
///
/// To be called by [`kmod_rs_handle_request`] and [`kmod_rs_handle_unpatch`] only, which must not
/// use it after they have returned.
unsafe fn kmod<'a>() -> Option<&'a Kmod> {
    // ORDERING: With `Handler::set()`.
    let kmod = KMOD.load(Acquire);

    // SAFETY: By the requirement one of the two is running. `Handler::remove()`, which frees it,
    // requires that neither is.
    unsafe { kmod.as_ref() }
}

/// Serves a request: called by the entry, in the place of `__request_module()`.
///
/// # Safety
///
/// To be called by the entry only, of entry.c. `name` points to a string; `len` is the length that
/// it would have without a limit.
#[no_mangle]
unsafe extern "C" fn kmod_rs_handle_request(
    name: *const c_char,
    len: c_int,
    wait: bool,
    call_site: c_ulong,
) -> c_int {
    // SAFETY: This is one of the two, and keeps no reference.
    let Some(kmod) = (unsafe { kmod() }) else {
        // The livepatch is not enabled without a handler.
        return ENOENT.to_errno();
    };

    // SAFETY: By the requirement; it is in the frame of the entry, which only reads it.
    let formatted = unsafe { CStr::from_char_ptr(name) };

    let request = Request {
        name: Name::new(formatted),
        whole_name: formatted,
        // CAST: `vsnprintf()` returns no negative length.
        is_cut: len as usize >= NAME_LEN,
        wait,
        call_site,
    };
    // SAFETY: By the requirement the entry is on the stack. Livepatch looks for it there.
    unsafe { OnStack::with(|on_stack| kmod.request_module(&request, on_stack)) }
}

/// The livepatch is about to be disabled: called by the livepatch core.
#[no_mangle]
extern "C" fn kmod_rs_handle_unpatch() {
    // SAFETY: This is one of the two, and keeps no reference.
    if let Some(kmod) = unsafe { kmod() } {
        kmod.given_back();
    }
}
