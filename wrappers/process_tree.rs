// SPDX-License-Identifier: GPL-2.0

//! Killing a thread group and all that descends from it.
//!
//! The `kernel` crate does not wrap `walk_process_tree()`. The kernel does not export it either, so
//! it is called through ksyms.S.
//!
//! C header: [`include/linux/sched/signal.h`](srctree/include/linux/sched/signal.h)

use super::{
    pid::{
        self,
        ThreadGroup, //
    },
    private_symbols::PrivateSymbols, //
};
use core::ptr;
use kernel::{
    alloc::flags::__GFP_NOWARN,
    bindings,
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        rcu, //
    },
    task::Task, //
};

extern "C" {
    /// See ksyms.S.
    #[expect(improper_ctypes, reason = "as in `bindings`")]
    fn kmod_rs_walk_process_tree(
        top: *mut bindings::task_struct,
        visitor: bindings::proc_visitor,
        data: *mut c_void,
    );
}

/// What the function that visits a task tells the kernel to do next.
const STOP: c_int = -1;
const SKIP_CHILDREN: c_int = 0;
const VISIT_CHILDREN: c_int = 1;

/// For how many processes there is room when a tree is killed, besides twice as many as it has.
const SPARE: usize = 32;

/// A walk over the tree below a thread group, and that group itself.
struct Walk<'a> {
    top: &'a ThreadGroup,
    /// Where references on the groups below `top` are collected, which are killed. None is killed
    /// if there is no such place.
    killed: Option<&'a mut KVVec<ThreadGroup>>,
    /// The leader of the group of the parent of `top`; null until the walk has come to `top`.
    parent: *const bindings::task_struct,
    /// How many groups there are below `top`.
    below: usize,
}

/// Sends SIGKILL to `top` and to all that descends from it.
///
/// Returns references on the groups below `top` that have not ended, or `None` if `top` has ended
/// already: then nothing is killed.
///
/// A group descends from `top` if its parent does. One whose parent has exited has another parent:
/// the closest ancestor that is a subreaper (prctl(2)), or PID 1. So what is not reached is:
///
/// - a process whose parent between it and `top` has exited, as that of a daemon has, unless `top`
///   or a descendant of it is a subreaper;
/// - a process that `top` itself has started with CLONE_PARENT, as its sibling.
///
/// No fork slips through. All are killed in one walk, during which the kernel holds
/// `tasklist_lock` for reading. `copy_process()` makes a child visible with this lock held for
/// writing, so either before the walk or after it. If before, the child is in the list of children
/// of a task that the walk comes to, as no task can exit and give its children another parent
/// during the walk, either. If after, SIGKILL is pending for the task that forks: a fatal signal is
/// put on the list of each thread of the group that does not exit, by the call that sends it. And
/// then `copy_process()` fails, which it looks for with both `tasklist_lock` and `siglock` held.
///
/// A group for which there is no room in the result is killed as well. This is so if there is no
/// memory, or if the number of groups has more than doubled since they were counted. Memory is
/// allocated in between, as that may sleep.
///
/// Context: may sleep. Takes `tasklist_lock`, and the `siglock` of each group with it held. The
/// walk takes time in proportion to the number of groups, as kill(2) of all processes does.
pub(crate) fn kill(symbols: PrivateSymbols, top: &ThreadGroup) -> Option<KVVec<ThreadGroup>> {
    let mut killed = KVVec::new();
    loop {
        let room = 2 * Walk::new(top).take(symbols)?.below + SPARE;
        if killed.capacity() >= room {
            break;
        }
        // Twice as much, so that the next count finds enough room. `killed` is empty.
        if killed.reserve(2 * room, GFP_KERNEL | __GFP_NOWARN).is_err() {
            break;
        }
    }

    let mut walk = Walk::new(top);
    walk.killed = Some(&mut killed);
    walk.take(symbols)?;
    Some(killed)
}

impl<'a> Walk<'a> {
    /// Prepares a walk that only counts.
    fn new(top: &'a ThreadGroup) -> Self {
        Self {
            top,
            killed: None,
            parent: ptr::null(),
            below: 0,
        }
    }

    /// Walks the tree. Returns `None` if `top` has ended, so that it has no descendants.
    ///
    /// `walk_process_tree()` does not visit the group that it begins at. So it begins at the parent
    /// of `top`, and [`visit`] passes over the other children of that.
    fn take(mut self, symbols: PrivateSymbols) -> Option<Self> {
        self.walk(symbols).then_some(self)
    }

    /// As [`Self::take`]; returns whether the walk has come to `top`.
    fn walk(&mut self, _symbols: PrivateSymbols) -> bool {
        // If `top` gets another parent before the walk, the walk does not come to it.
        while self.parent.is_null() {
            let Some(parent) = parent_of(self.top) else {
                return false;
            };

            // SAFETY: By the type invariant of `PrivateSymbols` the jump in ksyms.S has its target.
            // There is a reference on the task `parent`. The function calls `visit()` before it
            // returns, with `self` as it requires, and keeps no pointer.
            unsafe {
                kmod_rs_walk_process_tree(parent.as_ptr(), Some(visit), ptr::from_mut(self).cast());
            }
        }
        true
    }
}

/// Returns a reference on the parent of a thread group, or `None` if the group has ended.
fn parent_of(group: &ThreadGroup) -> Option<ARef<Task>> {
    let _guard = rcu::read_lock();

    // SAFETY: There is a reference on the `struct pid`, and the RCU read lock is held. The task
    // that is found for this type is the leader of the group. It is not freed before the lock is
    // dropped, and its parent is not, either: a task that exits gives its children another parent
    // before it is reaped, and is freed one grace period after that. So there is a reference on it
    // still, and another one may be taken. A `Task` is a `task_struct`.
    unsafe {
        let leader = bindings::pid_task(group.as_ptr(), bindings::pid_type_PIDTYPE_TGID);
        if leader.is_null() || pid::has_ended(leader) {
            return None;
        }
        let parent = ptr::read_volatile(&raw const (*leader).real_parent);
        Some(ARef::from(&*parent.cast::<Task>()))
    }
}

/// Visits one process of a [`Walk`].
///
/// Context: called by the kernel, with `tasklist_lock` held.
///
/// # Safety
///
/// Must only be called by `walk_process_tree()`, with a pointer to a `Walk` that nobody else uses.
unsafe extern "C" fn visit(task: *mut bindings::task_struct, data: *mut c_void) -> c_int {
    // SAFETY: By the requirement.
    let walk = unsafe { &mut *data.cast::<Walk<'_>>() };

    // SAFETY: `tasklist_lock` is held, and the task is in the list of children of its parent. So it
    // has not been reaped, nor has its parent been freed, and it leads its group.
    let (parent, has_ended) = unsafe {
        (
            (*(*task).real_parent).group_leader.cast_const(),
            pid::has_ended(task),
        )
    };
    // SAFETY: As above, the task is not freed.
    let Some(group) = (unsafe { ThreadGroup::of(task) }) else {
        return SKIP_CHILDREN;
    };

    let is_top = group.id() == walk.top.id();
    if !is_top {
        if walk.parent.is_null() {
            return SKIP_CHILDREN;
        }
        if parent == walk.parent {
            // A sibling of `top`. The tree has been left.
            return STOP;
        }
    }
    if has_ended {
        // It has given its children away. If it is `top`, `walk.parent` stays null.
        return SKIP_CHILDREN;
    }

    if let Some(killed) = &mut walk.killed {
        // The only error is that the group has ended.
        //
        // SAFETY: There is a reference on the `struct pid`. The last argument says that the kernel
        // sends the signal, so the permissions of the current task do not matter.
        // CAST: A small number.
        let _ = unsafe { bindings::kill_pid(group.as_ptr(), bindings::SIGKILL as c_int, 1) };
        if !is_top {
            // If there is no room, the reference is put. It is not the last one.
            let _ = killed.push_within_capacity(group);
        }
    }
    if is_top {
        walk.parent = parent;
    } else {
        walk.below += 1;
    }
    VISIT_CHILDREN
}

#[kunit_tests(kmod_rs_process_tree)]
mod tests {
    use super::*;

    /// The tests run in a thread of the kernel.
    #[test]
    fn a_thread_of_the_kernel_has_nobody_below() -> Result {
        let thread = ThreadGroup::current().ok_or(ESRCH)?;
        let walk = Walk::new(&thread).take(PrivateSymbols::find()?);
        assert!(walk.is_some_and(|walk| walk.below == 0));
        Ok(())
    }

    #[test]
    fn a_thread_of_the_kernel_is_below_its_parent() -> Result {
        let thread = ThreadGroup::current().ok_or(ESRCH)?;
        let parent = parent_of(&thread).ok_or(ESRCH)?;
        // SAFETY: There is a reference on the task.
        let parent = unsafe { ThreadGroup::of(parent.as_ptr()) }.ok_or(ESRCH)?;
        let walk = Walk::new(&parent).take(PrivateSymbols::find()?);
        assert!(walk.is_some_and(|walk| walk.below > 0));
        Ok(())
    }
}
