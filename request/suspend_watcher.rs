// SPDX-License-Identifier: GPL-2.0

//! Keeps requests that wait from holding the system's suspend up, and starts helpers afterwards
//! that could not be started meanwhile.
//!
//! Has no counterpart in the C code, in which no request waits for longer than five seconds. A task
//! that waits for a slot or for a leader cannot be frozen, because its caller may hold locks. If
//! tasks cannot be frozen, the suspend fails after 20 seconds.

use crate::{
    request::{
        answers::Answers,
        modprobe::Unwaiting,
        sharing::Sharing, //
    },
    wrappers::notifier::WatchSuspend, //
};
use kernel::sync::Arc;

/// Shortens the waits of requests while the system is being suspended, and has those go on after it
/// that are kept.
pub(crate) struct SuspendWatcher {
    /// The requests that wait.
    pub(crate) sharing: Arc<Sharing>,
    /// The requests that do not.
    pub(crate) unwaiting: Arc<Unwaiting>,
    /// The remembered answers.
    pub(crate) answers: Arc<Answers>,
}

impl WatchSuspend for SuspendWatcher {
    fn begins(&self) {
        self.sharing.slots().set_suspending(true);
        self.sharing.wake_all();
        self.answers.stop_following();
    }

    fn ended(&self) {
        self.sharing.slots().set_suspending(false);
        // The kernel has allowed helpers before it notifies.
        self.unwaiting.resume();
    }
}
