// SPDX-License-Identifier: GPL-2.0

//! Notifications of each use of a module.
//!
//! A module is used when somebody takes a reference on it or puts one: for each socket of a protocol
//! family, for each mount of a file system. The kernel has a tracepoint for either.
//!
//! C headers: [`include/linux/tracepoint.h`](srctree/include/linux/tracepoint.h),
//! [`include/trace/events/module.h`](srctree/include/trace/events/module.h)

use core::num::NonZeroUsize;
use kernel::{
    bindings,
    error::to_result,
    ffi::{
        c_int,
        c_ulong,
        c_void, //
    },
    prelude::*,
    sync::Arc, //
};

/// The tracepoints call a probe with the data that it was registered with, the module, and the place
/// that took or put the reference.
type Probe = unsafe extern "C" fn(*mut c_void, *mut bindings::module, c_ulong);

#[expect(
    improper_ctypes,
    reason = "the probes only use the address of a module"
)]
extern "C" {
    /// See module_use.c.
    fn kmod_rs_module_use_attach(got: Probe, put: Probe, data: *mut c_void) -> c_int;

    /// See module_use.c.
    fn kmod_rs_module_use_detach(got: Probe, put: Probe, data: *mut c_void);
}

/// Tells modules apart, from when the kernel enters them into its list until it frees them.
///
/// It is the address of the kernel's `struct module`, which is only compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ModuleId(NonZeroUsize);

impl ModuleId {
    /// Returns the ID of a module, or `None` for a null pointer.
    ///
    /// Context: any.
    pub(crate) fn of(module: *mut bindings::module) -> Option<Self> {
        NonZeroUsize::new(module.addr()).map(Self)
    }

    /// Returns a number that differs for different modules.
    ///
    /// Context: any.
    pub(crate) fn number(self) -> usize {
        self.0.get()
    }
}

/// Returns the time of CLOCK_MONOTONIC, in nanoseconds.
///
/// It may be some microseconds off while the clock is being adjusted.
///
/// Context: any.
pub(crate) fn now() -> i64 {
    // SAFETY: May be called in any context.
    // CAST: 292 years.
    unsafe { bindings::ktime_get_mono_fast_ns() as i64 }
}

/// The callbacks of a watcher of uses.
///
/// They are called in any context, also in interrupts and with any lock held. They must take no lock,
/// allocate nothing, and take or put no reference on a module.
pub(crate) trait WatchUses: Send + Sync + 'static {
    /// Called when somebody has taken a reference on a module.
    fn got(&self, module: ModuleId);

    /// Called when somebody has put a reference on a module, which may be gone by now.
    fn put(&self, module: ModuleId);
}

/// The registration of a watcher, which is called as long as this value lives.
///
/// # Invariants
///
/// The two probes of this type are registered, with a pointer to `watcher` as their data.
pub(crate) struct Registration<T: WatchUses> {
    watcher: Arc<T>,
}

impl<T: WatchUses> Registration<T> {
    /// Registers a watcher.
    ///
    /// Returns [`ENOENT`] if the kernel has no such tracepoints, [`EEXIST`] if the watcher is
    /// registered already, and [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new(watcher: Arc<T>) -> Result<Self> {
        let data = Self::data(&watcher);

        // SAFETY: The probes are of the type that the tracepoints call. If this succeeds, `watcher`
        // lives until the probes are not called any more, see `drop()`; if it fails, they are not
        // called any more.
        to_result(unsafe { kmod_rs_module_use_attach(Self::got, Self::put, data) })?;

        // INVARIANT: The probes were registered with `watcher`.
        Ok(Self { watcher })
    }

    fn data(watcher: &Arc<T>) -> *mut c_void {
        Arc::as_ptr(watcher).cast_mut().cast()
    }

    /// Tells the watcher that a reference was taken.
    ///
    /// # Safety
    ///
    /// Must only be called by a tracepoint, as a probe of a `Registration<T>`.
    unsafe extern "C" fn got(data: *mut c_void, module: *mut bindings::module, _ip: c_ulong) {
        let Some(module) = ModuleId::of(module) else {
            return;
        };
        // SAFETY: By the requirement `data` is what `new()` has registered: a pointer to a `T`,
        // which is only shared, and which lives until no probe runs any more.
        unsafe { &*data.cast::<T>() }.got(module);
    }

    /// Tells the watcher that a reference was put.
    ///
    /// # Safety
    ///
    /// Must only be called by a tracepoint, as a probe of a `Registration<T>`.
    unsafe extern "C" fn put(data: *mut c_void, module: *mut bindings::module, _ip: c_ulong) {
        let Some(module) = ModuleId::of(module) else {
            return;
        };
        // SAFETY: As in `got()`.
        unsafe { &*data.cast::<T>() }.put(module);
    }
}

impl<T: WatchUses> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the probes are registered with this data. No call is in
        // progress when this returns, and only then `watcher` is dropped.
        unsafe { kmod_rs_module_use_detach(Self::got, Self::put, Self::data(&self.watcher)) };
    }
}
