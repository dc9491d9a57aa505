// SPDX-License-Identifier: GPL-2.0

//! Completions with a wait that has a timeout and that only a fatal signal interrupts.
//!
//! The `kernel` crate has an uninterruptible wait for a completion, and interruptible waits for a
//! condition variable. `request_module()` needs a killable one: while a request waits, its
//! requester can be killed. But no other signal ends the wait, and neither does the fake signal
//! that livepatch sends to speed a transition up. To be removed when `kernel::sync::Completion` has
//! such a wait.
//!
//! C header: [`include/linux/completion.h`](srctree/include/linux/completion.h)

use kernel::{
    bindings,
    prelude::*,
    time::{
        msecs_to_jiffies,
        Delta,
        Jiffies, //
    },
    types::Opaque, //
};

/// How a [`Completion::wait_killable_timeout`] ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitResult {
    /// The completion was completed.
    Completed,
    /// The timeout has passed.
    TimedOut,
    /// The waiting task got a fatal signal.
    Killed,
}

/// A completion, for tasks that wait and can be killed.
///
/// Each [`Self::complete`] ends one wait, and [`Self::complete_all`] ends all.
///
/// See also [`kernel::sync::Completion`].
///
/// # Invariants
///
/// `inner` is initialised.
#[pin_data]
pub(crate) struct Completion {
    #[pin]
    inner: Opaque<bindings::completion>,
}

// SAFETY: A `struct completion` may be used by any task.
unsafe impl Send for Completion {}

// SAFETY: The methods pass `inner` to C functions that take its own lock.
unsafe impl Sync for Completion {}

impl Completion {
    /// Creates an initialiser for a completion that is not completed.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            // INVARIANT: `inner` is initialised here.
            inner <- Opaque::ffi_init(|slot: *mut bindings::completion| {
                // SAFETY: `slot` is valid for writes, and is pinned.
                unsafe { bindings::init_completion(slot) };
            }),
        })
    }

    /// Wakes the task that waits; if none does, the next wait returns at once.
    ///
    /// Context: any; the caller may hold spinlocks.
    pub(crate) fn complete(&self) {
        // SAFETY: By the type invariant `inner` is initialised.
        unsafe { bindings::complete(self.inner.get()) };
    }

    /// Wakes all tasks that wait. Later waits return at once.
    ///
    /// Context: any; the caller may hold spinlocks.
    pub(crate) fn complete_all(&self) {
        // SAFETY: By the type invariant `inner` is initialised.
        unsafe { bindings::complete_all(self.inner.get()) };
    }

    /// Waits until the completion is completed, the time is over, or the current task is killed.
    ///
    /// The time is at least `timeout`, which is not negative, and less than 50 days.
    ///
    /// Context: may sleep.
    pub(crate) fn wait_killable_timeout(&self, timeout: Delta) -> WaitResult {
        let timeout = jiffies_ceil(timeout);

        // SAFETY: By the type invariant `inner` is initialised.
        let left =
            unsafe { bindings::wait_for_completion_killable_timeout(self.inner.get(), timeout) };

        // The C function returns the jiffies that are left (at least 1) if the completion was
        // completed, 0 if the timeout has passed, and -ERESTARTSYS if the task was killed.
        match left {
            1.. => WaitResult::Completed,
            0 => WaitResult::TimedOut,
            _ => WaitResult::Killed,
        }
    }
}

/// Converts a time to jiffies, rounded up; the result is at least 1.
fn jiffies_ceil(time: Delta) -> Jiffies {
    // CAST: By the requirement of the caller it fits. A part of a millisecond is cut off, which the
    // last jiffy makes up for.
    msecs_to_jiffies(time.as_millis() as u32) + 1
}

#[kunit_tests(kmod_rs_wait)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_rounded_up() -> Result {
        assert!(jiffies_ceil(Delta::from_nanos(1)) >= 1);
        assert!(jiffies_ceil(Delta::from_millis(20)) > msecs_to_jiffies(20));
        Ok(())
    }
}
