// SPDX-License-Identifier: GPL-2.0

//! Waits that only a fatal signal ends early.
//!
//! The `kernel` crate has an uninterruptible wait for a completion and interruptible ones for a
//! condition variable. Neither will do for `request_module()`: its caller must be killable while
//! it queues, but any other signal, and the ones that livepatch fakes to hurry a transition on,
//! must not end the wait. To be dropped when `kernel::sync::Completion` has such a wait.
//!
//! C header: [`include/linux/completion.h`](srctree/include/linux/completion.h)

use kernel::{
    bindings,
    prelude::*,
    time::Jiffies,
    types::Opaque, //
};

/// How a [`Completion::wait_killable_timeout`] ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitResult {
    /// The completion was completed.
    Completed,
    /// The time is over.
    TimedOut,
    /// The waiting task got a fatal signal.
    Killed,
}

/// A completion for one waiter, which can be killed.
///
/// See also [`kernel::sync::Completion`].
#[pin_data]
pub(crate) struct Completion {
    #[pin]
    inner: Opaque<bindings::completion>,
}

// SAFETY: A `struct completion` belongs to no task; any may use it.
unsafe impl Send for Completion {}

// SAFETY: The methods hand `inner` to C functions that take its internal lock.
unsafe impl Sync for Completion {}

impl Completion {
    /// Creates an initialiser for a completion that is not yet completed.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            inner <- Opaque::ffi_init(|slot: *mut bindings::completion| {
                // SAFETY: `slot` is valid for writes, and pinned as `Self` is.
                unsafe { bindings::init_completion(slot) };
            }),
        })
    }

    /// Wakes the waiter, or lets the next one pass.
    ///
    /// Context: any, spinlocks may be held.
    pub(crate) fn complete(&self) {
        // SAFETY: `inner` was initialised by `new()`.
        unsafe { bindings::complete(self.inner.get()) };
    }

    /// Waits until the completion is completed, `timeout` has passed, or the task is killed.
    ///
    /// Context: may sleep.
    pub(crate) fn wait_killable_timeout(&self, timeout: Jiffies) -> WaitResult {
        // SAFETY: `inner` was initialised by `new()`.
        let left =
            unsafe { bindings::wait_for_completion_killable_timeout(self.inner.get(), timeout) };

        // The C function returns the time left (at least 1), 0 when there is none, or
        // -ERESTARTSYS.
        match left {
            1.. => WaitResult::Completed,
            0 => WaitResult::TimedOut,
            _ => WaitResult::Killed,
        }
    }
}
