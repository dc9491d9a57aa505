// SPDX-License-Identifier: GPL-2.0

//! wrappers/wait.rs for loom: a wait ends when the test says that the task is killed or that its
//! time is over.

use kernel::{
    init::PinInit,
    time::{
        self,
        Delta, //
    },
};
use loom::sync::{
    Condvar,
    Mutex,
    MutexGuard, //
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitResult {
    Completed,
    TimedOut,
    Killed,
}

/// What happens to a task from outside. In each test it happens to one task.
#[derive(Default)]
struct Fate {
    killed: bool,
    timed_out: bool,
}

loom::lazy_static! {
    static ref FATE: Mutex<Fate> = Mutex::new(Fate::default());
    static ref CHANGED: Condvar = Condvar::new();
}

loom::thread_local! {
    static IS_VICTIM: std::cell::Cell<bool> = std::cell::Cell::new(false);
}

fn fate() -> MutexGuard<'static, Fate> {
    FATE.lock().expect("no task panics with the lock held")
}

/// Makes the current task the victim: from here on, `kill` and `time_out` happen to it.
pub(crate) fn be_victim() {
    IS_VICTIM.with(|victim| victim.set(true));
}

/// Sends SIGKILL to the victim.
pub(crate) fn kill() {
    fate().killed = true;
    CHANGED.notify_all();
}

/// Ends the victim's time, however long that is.
pub(crate) fn time_out() {
    time::advance(Delta::from_millis(1_000_000));
    fate().timed_out = true;
    CHANGED.notify_all();
}

pub(crate) struct Completion {
    /// How many waits it ends.
    completed: Mutex<u32>,
}

impl Completion {
    pub(crate) fn new() -> impl PinInit<Self> {
        || Self {
            completed: Mutex::new(0),
        }
    }

    pub(crate) fn complete(&self) {
        // Waiters look at it with `FATE` locked, so they cannot miss it.
        let fate = fate();
        *self.completed.lock().expect("no task panics with it") += 1;
        drop(fate);
        CHANGED.notify_all();
    }

    pub(crate) fn wait_killable_timeout(&self, _timeout: Delta) -> WaitResult {
        let victim = IS_VICTIM.with(|victim| victim.get());
        let mut fate = fate();
        loop {
            {
                let mut completed = self.completed.lock().expect("no task panics with it");
                if *completed > 0 {
                    *completed -= 1;
                    return WaitResult::Completed;
                }
            }
            if victim && fate.killed {
                return WaitResult::Killed;
            }
            if victim && fate.timed_out {
                fate.timed_out = false;
                return WaitResult::TimedOut;
            }
            fate = CHANGED.wait(fate).expect("no task panics with it");
        }
    }
}
