// SPDX-License-Identifier: GPL-2.0

//! Thread groups: which one a helper is, and how to end it.
//!
//! The `kernel` crate has no `struct pid`.
//!
//! C header: [`include/linux/pid.h`](srctree/include/linux/pid.h)

use core::ptr::NonNull;
use kernel::{
    bindings,
    ffi::c_int,
    prelude::*,
    task::Pid, //
};

/// A reference on a thread group.
///
/// It stands for that group for ever: once the group has ended, its number may be used again, but
/// not by this value.
///
/// # Invariants
///
/// Points to a `struct pid` on which this value holds a reference.
pub(crate) struct ThreadGroup(NonNull<bindings::pid>);

// SAFETY: The reference may be put by any task.
unsafe impl Send for ThreadGroup {}

// SAFETY: The methods may be called by any number of tasks at once.
unsafe impl Sync for ThreadGroup {}

impl ThreadGroup {
    /// The thread group of the current task.
    ///
    /// Context: any with a task.
    pub(crate) fn current() -> Option<Self> {
        // SAFETY: The current task lives.
        let pid =
            unsafe { bindings::get_task_pid(current!().as_ptr(), bindings::pid_type_PIDTYPE_TGID) };

        // INVARIANT: `get_task_pid()` has taken a reference.
        NonNull::new(pid).map(Self)
    }

    /// Its number in the initial namespace.
    pub(crate) fn number(&self) -> Pid {
        // SAFETY: By the type invariant; the numbers do not change, and there is at least one.
        unsafe { (*self.0.as_ptr()).numbers.as_ptr().read().nr }
    }

    /// Sends SIGKILL to the group, if it has not ended.
    ///
    /// Context: any, interrupts included.
    pub(crate) fn kill(&self) {
        // That it has ended already is the only error.
        //
        // SAFETY: By the type invariant. The last argument says that the kernel sends it.
        // CAST: A small number.
        let _ = unsafe { bindings::kill_pid(self.0.as_ptr(), bindings::SIGKILL as c_int, 1) };
    }
}

impl Drop for ThreadGroup {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::put_pid(self.0.as_ptr()) };
    }
}
