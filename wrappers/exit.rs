// SPDX-License-Identifier: GPL-2.0

//! Notice of the end of a thread group.
//!
//! The kernel wakes those who wait for a pidfd when a process ends. The `kernel` crate has no way
//! to wait for one, nor to have a function called.
//!
//! C headers: [`include/linux/pid.h`](srctree/include/linux/pid.h),
//! [`include/linux/wait.h`](srctree/include/linux/wait.h)

use super::pid::ThreadGroup;
use kernel::{
    bindings,
    ffi::{
        c_int,
        c_uint,
        c_void, //
    },
    prelude::*,
    types::Opaque, //
};

/// What is to be done when a thread group has ended.
pub(crate) trait OnExit: Send + Sync + 'static {
    /// Called when the thread group has ended; possibly more than once.
    ///
    /// Context: atomic, with interrupts disabled (without PREEMPT_RT), and with `tasklist_lock` and
    /// the lock of a wait queue held. It can do little more than queue a work.
    fn exited(&self);
}

/// Notice of the end of one thread group, as long as this value lives.
///
/// If the group had ended before this was made, there is no notice. So look after that, with
/// [`ThreadGroup::has_ended`].
///
/// # Invariants
///
/// `entry` is in the wait queue of the `struct pid` of `group`, and its function is [`Self::wake`].
#[pin_data(PinnedDrop)]
pub(crate) struct Notice<T: OnExit> {
    then: T,
    group: ThreadGroup,
    #[pin]
    entry: Opaque<bindings::wait_queue_entry>,
}

// SAFETY: `remove_wait_queue()` may be called by any task, and `T` and `ThreadGroup` are `Send`.
unsafe impl<T: OnExit> Send for Notice<T> {}

// SAFETY: The only method with a shared reference returns one to `group`, which is `Sync`. The
// function of the entry runs in any task and shares `T`, which is `Sync`.
unsafe impl<T: OnExit> Sync for Notice<T> {}

impl<T: OnExit> Notice<T> {
    /// Creates an initialiser for a notice of the end of `group`, which calls `then`.
    ///
    /// Context: may sleep.
    pub(crate) fn new(group: ThreadGroup, then: T) -> impl PinInit<Self> {
        let pid = group.as_ptr();

        pin_init!(Self {
            then,
            group,
            // INVARIANT: The entry is put into the wait queue here.
            entry <- Opaque::ffi_init(move |slot: *mut bindings::wait_queue_entry| {
                let entry = bindings::wait_queue_entry {
                    func: Some(Self::wake),
                    ..Default::default()
                };
                // SAFETY: `slot` is valid for writes, and stays where it is until the entry is
                // removed, in `drop()`. `pid` is valid as long as `group`. The fields that the
                // function uses were initialised above.
                unsafe {
                    slot.write(entry);
                    bindings::add_wait_queue(&raw mut (*pid).wait_pidfd, slot);
                }
            }),
        })
    }

    /// Returns the thread group.
    pub(crate) fn group(&self) -> &ThreadGroup {
        &self.group
    }

    /// Gives notice if the group has ended. The kernel wakes more often: for each thread that ends
    /// if it has the number of the group.
    ///
    /// # Safety
    ///
    /// Must only be called by the kernel's `__wake_up()`, as the function of `entry`, which must be
    /// that of a `Notice<T>`.
    unsafe extern "C" fn wake(
        entry: *mut bindings::wait_queue_entry,
        _mode: c_uint,
        _flags: c_int,
        _key: *mut c_void,
    ) -> c_int {
        // SAFETY: By the requirement `entry` is a field of a `Notice<T>`. That lives for this call:
        // the lock of the wait queue is held, which `remove_wait_queue()` takes.
        let notice = unsafe {
            let entry = entry.cast::<Opaque<bindings::wait_queue_entry>>();
            &*kernel::container_of!(entry, Self, entry)
        };

        if notice.group.has_ended() {
            notice.then.exited();
        }
        // Nobody was woken, so that exclusive waiters are, too.
        0
    }
}

#[pinned_drop]
impl<T: OnExit> PinnedDrop for Notice<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant the entry is in this wait queue. It lives as long as the
        // `struct pid`, on which `group` has a reference. The function takes the lock of the queue,
        // so `wake()` does not run any more when it returns, and is not called again.
        unsafe {
            bindings::remove_wait_queue(
                &raw mut (*self.group.as_ptr()).wait_pidfd,
                self.entry.get(),
            );
        }
    }
}

#[kunit_tests(kmod_rs_exit)]
mod tests {
    use super::*;
    use kernel::sync::atomic::{
        Atomic,
        Relaxed, //
    };

    struct Count(Atomic<u32>);

    impl OnExit for Count {
        fn exited(&self) {
            self.0.add(1, Relaxed);
        }
    }

    #[test]
    fn nobody_is_told_of_a_group_that_runs() -> Result {
        let group = ThreadGroup::current().ok_or(ESRCH)?;
        let pid = group.as_ptr();
        let notice = KBox::pin_init(Notice::new(group, Count(Atomic::new(0))), GFP_KERNEL)?;

        // SAFETY: `notice` has a reference on the `struct pid`.
        unsafe { bindings::__wake_up(&raw mut (*pid).wait_pidfd, 3, 0, core::ptr::null_mut()) };
        assert_eq!(notice.then.0.load(Relaxed), 0);
        assert!(!notice.group().has_ended());
        Ok(())
    }
}
