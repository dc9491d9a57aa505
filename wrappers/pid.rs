// SPDX-License-Identifier: GPL-2.0

//! Thread groups: references on them, whether one has ended, and the ancestors of a task.
//!
//! The `kernel` crate does not wrap `struct pid`.
//!
//! C header: [`include/linux/pid.h`](srctree/include/linux/pid.h)

use core::ptr::{
    self,
    NonNull, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::{
        aref::ARef,
        rcu, //
    },
    task::{
        Pid,
        Task, //
    }, //
};

/// A reference on a thread group.
///
/// It always stands for that group. When the group has ended, the kernel may give its number to
/// another group, but not its `struct pid`.
///
/// # Invariants
///
/// The pointer is to a `struct pid` on which this value has a reference.
pub(crate) struct ThreadGroup(NonNull<bindings::pid>);

/// A value that identifies a thread group: the address of its `struct pid`.
///
/// As long as there is a [`ThreadGroup`] for a group, no other group has the same value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id(usize);

/// How many generations [`find_ancestor`] looks at, the current task's own included.
///
/// Far more than there usually are; the limit bounds the time.
const MAX_ANCESTORS: usize = 64;

// SAFETY: `put_pid()` may be called by any task.
unsafe impl Send for ThreadGroup {}

// SAFETY: The methods only read what does not change, or call functions that several tasks may call
// at once.
unsafe impl Sync for ThreadGroup {}

impl ThreadGroup {
    /// Takes a reference on the thread group of the current task.
    ///
    /// Returns `None` if the task has been reaped already, so that it is in no group.
    ///
    /// Context: any in which there is a current task.
    pub(crate) fn current() -> Option<Self> {
        // SAFETY: The current task is not freed while it runs.
        unsafe { Self::of(current!().as_ptr()) }
    }

    /// Returns the value that identifies the group.
    pub(crate) fn id(&self) -> Id {
        Id(self.0.as_ptr().addr())
    }

    /// Returns whether a task is left in the group; one that has exited counts until it is reaped.
    ///
    /// Context: any.
    pub(crate) fn has_tasks(&self) -> bool {
        let _guard = rcu::read_lock();

        // SAFETY: By the type invariant the `struct pid` is valid. The RCU read lock is held, and
        // the pointer to the task is only compared.
        !unsafe { bindings::pid_task(self.0.as_ptr(), bindings::pid_type_PIDTYPE_TGID) }.is_null()
    }

    /// Returns whether all tasks of the group have exited.
    ///
    /// They have given up their memory and their files then. The group may not have been reaped.
    ///
    /// Context: any.
    pub(crate) fn has_ended(&self) -> bool {
        let _guard = rcu::read_lock();

        // SAFETY: By the type invariant the `struct pid` is valid, and the RCU read lock is held.
        // The task that is found for this type is the leader of the group.
        unsafe {
            let leader = bindings::pid_task(self.0.as_ptr(), bindings::pid_type_PIDTYPE_TGID);
            leader.is_null() || has_ended(leader)
        }
    }

    /// Returns the number of the group in the initial namespace.
    pub(crate) fn number(&self) -> Pid {
        // SAFETY: By the type invariant the `struct pid` is valid. `numbers` has at least one
        // element, that of the initial namespace, which does not change.
        unsafe { (*self.0.as_ptr()).numbers.as_ptr().read().nr }
    }

    /// Takes a reference on the thread group of a task.
    ///
    /// Returns `None` if the task has been reaped already, so that it is in no group.
    ///
    /// Context: any.
    ///
    /// # Safety
    ///
    /// `task` is not freed during the call.
    pub(super) unsafe fn of(task: *mut bindings::task_struct) -> Option<Self> {
        // SAFETY: By the requirement.
        let pid = unsafe { bindings::get_task_pid(task, bindings::pid_type_PIDTYPE_TGID) };

        // INVARIANT: `get_task_pid()` has taken a reference.
        NonNull::new(pid).map(Self)
    }

    /// Returns the `struct pid`, which is valid as long as this value.
    pub(super) fn as_ptr(&self) -> *mut bindings::pid {
        self.0.as_ptr()
    }
}

/// A task that may have children.
pub(crate) struct Parent(ARef<Task>);

impl Parent {
    /// Returns the current task, which leads its thread group.
    ///
    /// Context: any in which there is a current task.
    pub(crate) fn current() -> Self {
        Self(ARef::from(&**current!()))
    }

    /// Returns whether the thread group of the task, which has ended, has run a program and waited
    /// for its end.
    ///
    /// A process that is waited for leaves its page faults to its parent, and has had some.
    ///
    /// Context: any.
    pub(crate) fn has_waited(&self) -> bool {
        let task = self.0.as_ptr();

        // SAFETY: This value has a reference on the task, and `signal` lives as long as its task.
        // The two numbers may change at the same time; each is one aligned word, which is read once.
        unsafe {
            let signal = (*task).signal;
            let minor = ptr::read_volatile(&raw const (*signal).cmin_flt);
            let major = ptr::read_volatile(&raw const (*signal).cmaj_flt);
            minor != 0 || major != 0
        }
    }
}

/// Returns whether all tasks have exited of the group that `leader` leads.
///
/// As the kernel's `pidfd_poll()` has it: the leader has exited, and no other task is left.
///
/// # Safety
///
/// `leader` leads its group, and the RCU read lock or `tasklist_lock` is held since it was found.
pub(super) unsafe fn has_ended(leader: *const bindings::task_struct) -> bool {
    // SAFETY: By the requirement the task is not freed here, and `signal` lives as long as its
    // task. The two fields may change at the same time; each is one aligned word, which is read
    // once. The address of the list's head is only compared.
    unsafe {
        let exit_state = ptr::read_volatile(&raw const (*leader).exit_state);
        let next = ptr::read_volatile(&raw const (*leader).thread_node.next);
        exit_state != 0 && next.cast_const() == &raw const (*(*leader).signal).thread_head
    }
}

/// Calls `visit` for the thread group of the current task, then for that of its parent, and so on,
/// until `visit` returns something, and returns that.
///
/// The second argument of `visit` is the number of generations in between: 0 for the group of the
/// current task itself, 1 for that of its parent. The parent of an orphan is the process that it
/// was reparented to. At most [`MAX_ANCESTORS`] groups are visited.
///
/// Context: any in which there is a current task. `visit` is called with the RCU read lock held, so
/// it must not sleep.
pub(crate) fn find_ancestor<T>(mut visit: impl FnMut(Id, usize) -> Option<T>) -> Option<T> {
    let _guard = rcu::read_lock();
    let mut task = current!().as_ptr();

    for generation in 0..MAX_ANCESTORS {
        // SAFETY: `task` is not freed before the RCU read lock is dropped. The current task has not
        // been reaped: one that reaps itself on exit runs no code of the module after that. A task
        // that exits gives its children another parent before it is reaped, and is freed at least
        // one grace period after that. So a task that is found in `real_parent` was reaped after
        // the RCU read lock was taken, or not at all; and so on for its own parent. (Yama's
        // `task_is_descendant()` relies on the same.) `signal` lives as long as its task. The
        // pointer to the group, which is null if the task has been reaped, is only compared.
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
        // SAFETY: By the type invariant there is a reference, which is not used after this.
        unsafe { bindings::put_pid(self.0.as_ptr()) };
    }
}

#[kunit_tests(kmod_rs_pid)]
mod tests {
    use super::*;

    #[test]
    fn who_runs_has_not_ended() -> Result {
        let group = ThreadGroup::current().ok_or(ESRCH)?;
        assert!(group.has_tasks());
        assert!(!group.has_ended());
        Ok(())
    }
}
