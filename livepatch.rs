// SPDX-License-Identifier: GPL-2.0

//! Taking `__request_module()` over, and giving it back.
//!
//! The patch itself and the function that replaces are in entry.c; here is the way from there to
//! [`Kmod::request_module`].
//!
//! C header: [`include/linux/livepatch.h`](srctree/include/linux/livepatch.h)

use crate::{
    request::{
        Kmod,
        Request, //
    },
    sysctl::{
        self,
        ModprobePath, //
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
    error::to_result,
    ffi::{
        c_char,
        c_int,
        c_ulong, //
    },
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    }, //
};

extern "C" {
    /// See entry.c.
    fn kmod_rs_livepatch_enable() -> c_int;

    /// See entry.c.
    fn kmod_rs_livepatch_active() -> bool;
}

/// What requests are passed to; null before the patch is enabled and after it is gone.
static KMOD: Atomic<*mut Kmod> = Atomic::new(ptr::null_mut());

/// `__request_module()` is ours for as long as this value lives, unless the administrator gives it
/// back before: `echo 0 > /sys/kernel/livepatch/kmod_rs/enabled`.
///
/// # Invariants
///
/// [`KMOD`] points to `kmod` while a request may arrive.
pub(crate) struct Livepatch {
    /// A raw pointer, as [`KMOD`] shares what it points to. Owned.
    kmod: *mut Kmod,
}

// SAFETY: Owns a `Kmod`, which is used by all tasks through shared references.
unsafe impl Send for Livepatch where Kmod: Send {}

// SAFETY: As above; there are no methods.
unsafe impl Sync for Livepatch where Kmod: Sync {}

impl Livepatch {
    /// Has `kmod` serve all requests from now on, before this even returns.
    ///
    /// Returns [`EBUSY`] while another livepatch is in transition, or while something else that
    /// may change where functions go (a kprobe with a post handler) is on this one; [`ENOEXEC`]
    /// if the module was not linked to its end; and what else `klp_enable_patch()` says.
    ///
    /// Context: from module init only, as the last step that can fail.
    pub(crate) fn enable(kmod: Kmod) -> Result<Self> {
        if !ModprobePath::is_reachable() {
            pr_err!(
                "built without \"objtool klp post-link\": build it with this project's Makefile\n"
            );
            return Err(ENOEXEC);
        }

        // INVARIANT: Before any request, and until `drop()`.
        let this = Self {
            kmod: KBox::into_raw(KBox::new(kmod, GFP_KERNEL)?),
        };
        // ORDERING: Whoever sees the pointer sees what it points to.
        KMOD.store(this.kmod, Release);

        // SAFETY: Called from module init, which is called once.
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
        // Either the patch could not be enabled, and no task was switched over; or the module is
        // being unloaded. The livepatch core holds a reference on it until each task has been
        // switched back, and none has our entry on its stack. So there is no request under way.
        KMOD.store(ptr::null_mut(), Relaxed);

        // SAFETY: From `KBox::into_raw()`, and by the above nobody uses it any more.
        drop(unsafe { KBox::from_raw(self.kmod) });
    }
}

/// Passes a request on: called by the entry, in the place of `__request_module()`.
///
/// # Safety
///
/// `name` points to a string, and `len` is the length that it would have had without a limit.
#[no_mangle]
unsafe extern "C" fn kmod_rs_handle_request(
    name: *const c_char,
    len: c_int,
    wait: bool,
    call_site: c_ulong,
) -> c_int {
    // ORDERING: With the store in `enable()`.
    let kmod = KMOD.load(Acquire);
    if kmod.is_null() {
        // Not before `enable()` nor after `drop()`, see there.
        return ENOENT.to_errno();
    }
    // SAFETY: By the invariant of `Livepatch`, and see `drop()`: this task has the entry on its
    // stack, so it lives until we return.
    let kmod = unsafe { &*kmod };

    // SAFETY: By the requirement; it is not written to while we use it.
    let formatted = unsafe { CStr::from_char_ptr(name) };

    let request = Request {
        name: Name::new(formatted),
        whole_name: formatted,
        // CAST: `vsnprintf()` returns no negative length.
        is_cut: len as usize >= NAME_LEN,
        wait,
        call_site,
    };
    // SAFETY: The entry has called this function, and livepatch looks for the entry.
    unsafe { OnStack::with(|on_stack| kmod.request_module(&request, on_stack)) }
}

/// The livepatch is about to be disabled: called by the livepatch core.
#[no_mangle]
extern "C" fn kmod_rs_handle_unpatch() {
    // ORDERING: With the store in `enable()`.
    let kmod = KMOD.load(Acquire);

    // SAFETY: By the invariant of `Livepatch`: while the patch is enabled requests may arrive, so it
    // lives. Null it is not.
    if let Some(kmod) = unsafe { kmod.as_ref() } {
        kmod.given_back();
    }
}

/// The file `kmod_rs/active`: 1 while requests come here.
///
/// From when the first task may be switched over until the last has been switched back.
pub(crate) struct Active;

impl sysctl::Uint for Active {
    const DIRECTORY: &'static CStr = c"kernel/kmod_rs";
    const NAME: &'static CStr = c"active";
    const MIN: u32 = 0;
    const MAX: u32 = 1;
    const MODE: u16 = 0o444;

    fn get(&self) -> u32 {
        // SAFETY: May be called from any context.
        unsafe { kmod_rs_livepatch_active() }.into()
    }
}
