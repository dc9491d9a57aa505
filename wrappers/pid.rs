// SPDX-License-Identifier: GPL-2.0

//! Thread groups: which one a helper is, which ones a task descends from, and how to end one.
//!
//! The `kernel` crate has no `struct pid`.
//!
//! C header: [`include/linux/pid.h`](srctree/include/linux/pid.h)

use core::ptr::{
    self,
    NonNull, //
};
use kernel::{
    bindings,
    ffi::c_int,
    prelude::*,
    sync::rcu,
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

/// Which thread group it is, for comparisons: equal for the same group, and different for others
/// for as long as somebody has a [`ThreadGroup`] of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id(usize);

/// How many ancestors [`find_ancestor`] looks at: more than any that begets another in earnest.
const MAX_ANCESTORS: usize = 64;

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

    /// Which one it is.
    pub(crate) fn id(&self) -> Id {
        Id(self.0.as_ptr().addr())
    }

    /// Whether a task is left of it, be it one that has exited and has not been waited for.
    ///
    /// Context: any.
    pub(crate) fn has_tasks(&self) -> bool {
        let _guard = rcu::read_lock();

        // SAFETY: By the type invariant; RCU is locked, and the task is not touched.
        !unsafe { bindings::pid_task(self.0.as_ptr(), bindings::pid_type_PIDTYPE_TGID) }.is_null()
    }

    /// Its number in the initial namespace.
    pub(crate) fn number(&self) -> Pid {
        // SAFETY: By the type invariant; the numbers do not change, and there is at least one.
        unsafe { (*self.0.as_ptr()).numbers.as_ptr().read().nr }
    }

    /// Sends SIGKILL to the group, if it has not ended.
    ///
    /// Context: any, hard interrupts included; with PREEMPT_RT, where the `siglock` that it takes
    /// sleeps, where spinlocks may be taken.
    pub(crate) fn kill(&self) {
        // That it has ended already is the only error.
        //
        // SAFETY: By the type invariant. The last argument says that the kernel sends it.
        // CAST: A small number.
        let _ = unsafe { bindings::kill_pid(self.0.as_ptr(), bindings::SIGKILL as c_int, 1) };
    }
}

/// Calls `visit` for the thread group of the current task, for that of its parent, and so on, until
/// it finds something. The number is that of the generations between, 0 being the task's own.
///
/// Who has lost its parent continues with the one that it was given instead. Looks at a bounded
/// number of ancestors.
///
/// Context: any with a task; `visit` must not sleep.
pub(crate) fn find_ancestor<T>(mut visit: impl FnMut(Id, usize) -> Option<T>) -> Option<T> {
    let _guard = rcu::read_lock();
    let mut task = current!().as_ptr();

    for generation in 0..MAX_ANCESTORS {
        // SAFETY: The current task lives. Whoever is a parent while RCU is locked is not freed before
        // it is unlocked, and so on: a task that ends leaves its children to another before it goes
        // itself. (Yama's `task_is_descendant()` relies on the same.) A task has its `signal` as long
        // as it is there itself. The group is NULL once the task has been waited for; its address is
        // only compared.
        let (group, parent) = unsafe {
            let signal = (*task).signal;
            // CAST: A small number.
            let group = &raw const (*signal).pids[bindings::pid_type_PIDTYPE_TGID as usize];
            (
                ptr::read_volatile(group),
                ptr::read_volatile(&raw const (*task).real_parent),
            )
        };

        if let found @ Some(_) = visit(Id(group.addr()), generation) {
            return found;
        }
        // The first task is its own parent.
        if parent == task {
            break;
        }
        task = parent;
    }
    None
}

impl Drop for ThreadGroup {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::put_pid(self.0.as_ptr()) };
    }
}
