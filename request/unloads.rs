// SPDX-License-Identifier: GPL-2.0

//! Unloads of modules that overlap with a helper.
//!
//! Has no counterpart in the C code. While a module is unloaded, from before its exit runs until it
//! has left the list of modules, the kernel refuses to load it with -EBUSY, and modprobe gives up.
//! And before that, modprobe finds it loaded and does nothing. So a helper that overlaps with an
//! unload may end without the module, in whatever way it ends, and one that runs a moment later
//! would load it.

use crate::wrappers::{
    module_list,
    private_symbols::PrivateSymbols,
    wait::{
        Completion,
        WaitResult, //
    }, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed, //
        },
        Arc, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

/// How long a request waits at most for a module to leave, in milliseconds.
///
/// What the exit of that module waits for may be what the requester holds.
const LEAVE_MS: i64 = 1000;

/// How long a request sleeps until it looks again, in milliseconds.
///
/// The kernel notifies nobody when a module has left its list.
const LOOK_MS: i64 = 5;

/// What is known of unloads.
///
/// The kernel notifies its watchers in the middle of an unload: when the exit has returned, and
/// before the module leaves the list. So a module that leaves is in the list, or is counted, or
/// both.
pub(crate) struct Unloads {
    symbols: PrivateSymbols,
    /// How many notifications of unloads there were.
    notified: Atomic<u64>,
    /// How many of them are about modules that are known to have left the list.
    left: Atomic<u64>,
}

/// When a helper began to run, in terms of unloads.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    notified: u64,
    /// Whether a module was leaving.
    is_overlapped: bool,
}

impl Unloads {
    /// Creates a value that knows of no unload.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new(symbols: PrivateSymbols) -> Result<Arc<Self>> {
        Ok(Arc::new(
            Self {
                symbols,
                notified: Atomic::new(0),
                left: Atomic::new(0),
            },
            GFP_KERNEL,
        )?)
    }

    /// Counts the notification of an unload.
    ///
    /// Context: any.
    pub(crate) fn notify(&self) {
        // ORDERING: The module leaves the list after this: see `overlap()`.
        self.notified.fetch_add(1, Full);
    }

    /// Marks the time at which a helper begins to run.
    ///
    /// Context: any.
    pub(crate) fn mark(&self) -> Mark {
        // ORDERING: The list is read after this. So a module that is counted here, and is not found
        // in the list, has left it.
        let notified = self.notified.load(Acquire);
        let mut is_overlapped = false;

        // ORDERING: The number says what was true once, and stays true.
        if self.left.load(Relaxed) != notified {
            is_overlapped = self.is_any_leaving();
            if !is_overlapped {
                self.left.store(notified, Relaxed);
            }
        }
        Mark {
            notified,
            is_overlapped,
        }
    }

    /// Returns whether an unload has overlapped with the time since `mark`, up to now.
    ///
    /// Context: any.
    pub(crate) fn overlap(&self, mark: Mark) -> bool {
        // The list first: a module that leaves it in between has been counted then.
        mark.is_overlapped || self.is_any_leaving() || self.notified.load(Acquire) != mark.notified
    }

    /// Waits until no module is leaving.
    ///
    /// Returns false if this takes longer than [`LEAVE_MS`], if the requester is killed, or if
    /// there is no memory.
    ///
    /// Context: may sleep; the caller may hold mutexes.
    pub(crate) fn wait(&self) -> bool {
        let start = Instant::<Monotonic>::now();
        let Ok(never) = Arc::pin_init(Completion::new(), GFP_KERNEL) else {
            return false;
        };

        while self.is_any_leaving() {
            if start.elapsed() > Delta::from_millis(LEAVE_MS)
                || never.wait_killable_timeout(Delta::from_millis(LOOK_MS)) == WaitResult::Killed
            {
                return false;
            }
        }
        true
    }

    /// Returns whether a module is being unloaded.
    ///
    /// Context: any.
    pub(crate) fn is_any_leaving(&self) -> bool {
        module_list::is_any_leaving(self.symbols)
    }
}

#[kunit_tests(kmod_rs_unloads)]
mod tests {
    use super::*;

    #[test]
    fn an_unload_in_between_is_noticed() -> Result {
        let unloads = Unloads::new(PrivateSymbols::find()?)?;
        let before = Mark {
            notified: 0,
            is_overlapped: false,
        };
        unloads.notify();
        assert!(unloads.overlap(before));
        Ok(())
    }

    #[test]
    fn a_module_that_was_leaving_is_noticed() -> Result {
        let unloads = Unloads::new(PrivateSymbols::find()?)?;
        assert!(unloads.overlap(Mark {
            notified: 0,
            is_overlapped: true,
        }));
        Ok(())
    }
}
