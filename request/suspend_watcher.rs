// SPDX-License-Identifier: GPL-2.0

//! Keeps requests that wait from holding the system's suspend up.
//!
//! Has no counterpart in the C code, in which no request waits for longer than five seconds. A task
//! that waits for a slot or for a leader cannot be frozen, because its caller may hold locks. If
//! tasks cannot be frozen, the suspend fails after 20 seconds.

use crate::{
    request::sharing::Sharing,
    wrappers::notifier::WatchSuspend, //
};
use kernel::sync::Arc;

/// Shortens the waits of requests while the system is being suspended.
pub(crate) struct SuspendWatcher(pub(crate) Arc<Sharing>);

impl WatchSuspend for SuspendWatcher {
    fn begins(&self) {
        self.0.slots().set_suspending(true);
        self.0.wake_all();
    }

    fn ended(&self) {
        self.0.slots().set_suspending(false);
    }
}
