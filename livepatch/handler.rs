// SPDX-License-Identifier: GPL-2.0

//! What the C code of entry.c calls: the way from the entry to [`Kmod`].

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

/// The [`Kmod`] that serves requests; null before [`Handler::set`] and after [`Handler::remove`].
static KMOD: Atomic<*mut Kmod> = Atomic::new(ptr::null_mut());

/// The [`Kmod`] that serves the requests that the entry passes on, until [`Handler::remove`].
///
/// If this value is only dropped, the [`Kmod`] stays for ever.
///
/// # Invariants
///
/// - [`KMOD`] is `kmod`, which comes from [`KBox::into_raw`] and is not freed before
///   [`Handler::remove`].
/// - There is at most one such value.
pub(super) struct Handler {
    kmod: *mut Kmod,
}

// SAFETY: A `Kmod` is used by all tasks through shared references, for which it must be `Sync`, and
// may be freed by any task, for which it must be `Send`. The compiler checks that it is both.
unsafe impl Send for Handler where Kmod: Send + Sync {}

// SAFETY: No method takes a shared reference.
unsafe impl Sync for Handler {}

impl Handler {
    /// Has `kmod` serve requests.
    ///
    /// Returns [`EBUSY`] if there is a handler already, or [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(super) fn set(kmod: Kmod) -> Result<Self> {
        let kmod = KBox::into_raw(KBox::new(kmod, GFP_KERNEL)?);

        // ORDERING: Pairs with `kmod()`: a task that sees the pointer also sees what it points to.
        if KMOD.cmpxchg(ptr::null_mut(), kmod, Release).is_err() {
            // SAFETY: From `KBox::into_raw()` above. No other task has seen it.
            drop(unsafe { KBox::from_raw(kmod) });
            return Err(EBUSY);
        }
        // INVARIANT: `KMOD` was null, so there is no other handler.
        Ok(Self { kmod })
    }

    /// Frees the [`Kmod`], so that it serves no requests any more.
    ///
    /// # Safety
    ///
    /// - No task is in [`kmod_rs_handle_request`] or [`kmod_rs_handle_unpatch`], or calls one of
    ///   them later.
    /// - This is called once.
    pub(super) unsafe fn remove(&mut self) {
        // ORDERING: By the requirement no other task uses `KMOD`.
        KMOD.store(ptr::null_mut(), Release);

        // SAFETY: By the type invariants it is from `KBox::into_raw()` and was not freed yet. By
        // the requirement no task uses it.
        drop(unsafe { KBox::from_raw(self.kmod) });
    }
}

/// Returns the [`Kmod`] that serves requests.
///
/// # Safety
///
/// Only [`kmod_rs_handle_request`] and [`kmod_rs_handle_unpatch`] may call this, and they must not
/// use the reference after they have returned.
unsafe fn kmod<'a>() -> Option<&'a Kmod> {
    // ORDERING: Pairs with `Handler::set()`.
    let kmod = KMOD.load(Acquire);

    // SAFETY: By the requirement the current task is in one of these two functions as long as it
    // uses the reference. `Handler::remove()`, which frees the `Kmod`, requires that no task is.
    unsafe { kmod.as_ref() }
}

/// Serves a request, and returns what `__request_module()` returns.
///
/// Context: called by the entry; may sleep. The requester may hold mutexes.
///
/// # Safety
///
/// - Only the entry, in entry.c, may call this.
/// - `name` points to a C string that does not change during the call. `len` is the length that the
///   name would have without a limit.
#[no_mangle]
unsafe extern "C" fn kmod_rs_handle_request(
    name: *const c_char,
    len: c_int,
    wait: bool,
    call_site: c_ulong,
) -> c_int {
    // SAFETY: This function may call `kmod()`, and keeps no reference when it returns.
    let Some(kmod) = (unsafe { kmod() }) else {
        // The livepatch is enabled only with a handler, so this does not happen.
        return ENOENT.to_errno();
    };

    let request = Request {
        // SAFETY: By the requirement.
        name: unsafe { Name::from_ptr(name) },
        // CAST: `vsnprintf()` returns no negative length.
        is_cut: len as usize >= NAME_LEN,
        wait,
        call_site,
    };
    // SAFETY: By the requirement the entry has called this function. The livepatch core looks for
    // the entry on the stacks of all tasks before it lets the module go.
    unsafe { OnStack::with(|on_stack| kmod.request_module(&request, on_stack)) }
}

/// Reports that the livepatch is about to be disabled.
///
/// Context: called by the livepatch core through entry.c, in the task that disables the livepatch
/// and with `klp_mutex` held; may sleep.
#[no_mangle]
extern "C" fn kmod_rs_handle_unpatch() {
    // SAFETY: This function may call `kmod()`, and keeps no reference when it returns.
    if let Some(kmod) = unsafe { kmod() } {
        kmod.given_back();
    }
}
