// SPDX-License-Identifier: GPL-2.0

//! Notifications of modules that are about to appear, appear and go, and of the system's suspend.
//!
//! The `kernel` crate does not wrap notifiers.
//!
//! C headers: [`include/linux/module.h`](srctree/include/linux/module.h),
//! [`include/linux/suspend.h`](srctree/include/linux/suspend.h)

use super::module_use::ModuleId;
use kernel::{
    bindings,
    error::to_result,
    ffi::{
        c_int,
        c_ulong,
        c_void, //
    },
    prelude::*,
    types::Opaque, //
};

/// What the kernel notifies a watcher of.
///
/// # Safety
///
/// `REGISTER` and `UNREGISTER` enter a block into one of the kernel's lists, and remove it.
/// `UNREGISTER` returns when the block's callback is not called any more. [`Self::notify`] may be
/// called with what the callbacks of this list are called with.
pub(crate) unsafe trait Notified: Send + Sync + 'static {
    /// Enters a block into the list.
    const REGISTER: unsafe extern "C" fn(*mut bindings::notifier_block) -> c_int;

    /// Removes a block from the list.
    const UNREGISTER: unsafe extern "C" fn(*mut bindings::notifier_block) -> c_int;

    /// The priority of a block. The kernel calls blocks with a higher one first.
    const PRIORITY: c_int = 0;

    /// Passes a notification on to the watcher.
    ///
    /// Returns the error of a watcher that refuses what it is notified of. The list must be one in
    /// which that is possible, or the kernel calls nobody else and goes on.
    ///
    /// # Safety
    ///
    /// Must only be called by the kernel, with the arguments of a notification of this list.
    unsafe fn notify(&self, event: c_ulong, data: *mut c_void) -> Result;
}

/// The callbacks of a watcher of modules.
pub(crate) trait WatchModules: Send + Sync + 'static {
    /// Called when the current task is about to run the first code of the module `name`.
    ///
    /// If this returns an error, no code of the module runs, and the task gets the error as that of
    /// finit_module(2) or init_module(2), as if the module itself had refused. So do all tasks that
    /// load the same file at this time: the kernel loads it once for all of them.
    ///
    /// Context: may sleep. The kernel holds the rwsem of its notifier list for reading.
    fn coming(&self, name: &CStr) -> Result;

    /// Called when the current task has initialised the module `name`.
    ///
    /// Context: may sleep. The kernel holds the rwsem of its notifier list for reading.
    fn live(&self, name: &CStr, id: ModuleId);

    /// Called when a module is unloaded (`is_unload`), or could not be initialised.
    ///
    /// Context: may sleep. The kernel holds the rwsem of its notifier list for reading.
    fn going(&self, id: ModuleId, is_unload: bool);
}

/// Notifies a watcher of modules.
pub(crate) struct Modules<T>(pub(crate) T);

// SAFETY: The two functions are those of the list of module notifiers. `unregister` takes the rwsem
// of the list for writing.
unsafe impl<T: WatchModules> Notified for Modules<T> {
    const REGISTER: unsafe extern "C" fn(*mut bindings::notifier_block) -> c_int =
        bindings::register_module_notifier;
    const UNREGISTER: unsafe extern "C" fn(*mut bindings::notifier_block) -> c_int =
        bindings::unregister_module_notifier;

    // Nobody else has heard of a module that is refused. (`prepare_coming_module()` tells those that
    // have heard of it that it goes.)
    const PRIORITY: c_int = c_int::MAX;

    unsafe fn notify(&self, event: c_ulong, data: *mut c_void) -> Result {
        let module = data.cast::<bindings::module>();
        // SAFETY: By the requirement `data` is a valid module; its name is a C string and does not
        // change.
        let name = unsafe { CStr::from_char_ptr((&raw const (*module).name).cast()) };
        let Some(id) = ModuleId::of(module) else {
            return Ok(());
        };

        // CAST: A `c_ulong` is wider than the numbers of the states.
        if event == bindings::module_state_MODULE_STATE_COMING as c_ulong {
            return self.0.coming(name);
        } else if event == bindings::module_state_MODULE_STATE_LIVE as c_ulong {
            self.0.live(name, id);
        } else if event == bindings::module_state_MODULE_STATE_GOING as c_ulong {
            // The last reference of a module that is unloaded is gone. One that could not be
            // initialised has its first one.
            //
            // SAFETY: By the requirement the module is valid.
            let is_unload = unsafe { bindings::module_refcount(module) } < 0;
            self.0.going(id, is_unload);
        }
        Ok(())
    }
}

/// The callbacks of a watcher of the system's suspend, to memory or to disk.
pub(crate) trait WatchSuspend: Send + Sync + 'static {
    /// Called before tasks are frozen.
    ///
    /// Context: may sleep. The kernel holds the rwsem of its notifier list.
    fn begins(&self);

    /// Called after tasks have been thawed, also if the suspend has failed.
    ///
    /// Context: may sleep. The kernel holds the rwsem of its notifier list.
    fn ended(&self);
}

/// Notifies a watcher of the system's suspend.
pub(crate) struct Suspend<T>(pub(crate) T);

// SAFETY: The two functions are those of the list of PM notifiers. `unregister` takes the rwsem of
// the list for writing.
unsafe impl<T: WatchSuspend> Notified for Suspend<T> {
    const REGISTER: unsafe extern "C" fn(*mut bindings::notifier_block) -> c_int =
        bindings::register_pm_notifier;
    const UNREGISTER: unsafe extern "C" fn(*mut bindings::notifier_block) -> c_int =
        bindings::unregister_pm_notifier;

    unsafe fn notify(&self, event: c_ulong, _data: *mut c_void) -> Result {
        // CAST: A `c_ulong` is wider than the numbers of the events.
        match event as u32 {
            bindings::PM_SUSPEND_PREPARE
            | bindings::PM_HIBERNATION_PREPARE
            | bindings::PM_RESTORE_PREPARE => self.0.begins(),
            bindings::PM_POST_SUSPEND
            | bindings::PM_POST_HIBERNATION
            | bindings::PM_POST_RESTORE => self.0.ended(),
            _ => (),
        }
        Ok(())
    }
}

/// The registration of a watcher, which is notified as long as this value lives.
///
/// # Invariants
///
/// `block` is in the list of `T`, and its callback is [`Self::call`].
#[pin_data(PinnedDrop)]
pub(crate) struct Registration<T: Notified> {
    watcher: T,
    #[pin]
    block: Opaque<bindings::notifier_block>,
}

// SAFETY: The functions of `T` may be called by any task, and `T` is `Send`.
unsafe impl<T: Notified> Send for Registration<T> {}

// SAFETY: No method takes a shared reference. The callback runs in any task and shares `T`, which
// is `Sync`.
unsafe impl<T: Notified> Sync for Registration<T> {}

impl<T: Notified> Registration<T> {
    /// Registers a watcher.
    ///
    /// Returns the error of the kernel's function.
    ///
    /// Context: may sleep; must not be called by a watcher.
    pub(crate) fn new(watcher: T) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            watcher,
            // INVARIANT: The block is in the list if this succeeds.
            block <- Opaque::try_ffi_init(|slot: *mut bindings::notifier_block| {
                let block = bindings::notifier_block {
                    notifier_call: Some(Self::call),
                    priority: T::PRIORITY,
                    ..Default::default()
                };
                // SAFETY: `slot` is valid for writes, and stays where it is until the block is
                // unregistered, in `drop()`. `watcher`, which the callback uses, was initialised
                // above.
                to_result(unsafe {
                    slot.write(block);
                    T::REGISTER(slot)
                })
            }),
        })
    }

    /// Calls the watcher.
    ///
    /// # Safety
    ///
    /// Must only be called by the kernel, as the callback of `block`, which must be that of a
    /// `Registration<T>`, with the arguments of a notification of the list of `T`.
    unsafe extern "C" fn call(
        block: *mut bindings::notifier_block,
        event: c_ulong,
        data: *mut c_void,
    ) -> c_int {
        // SAFETY: By the requirement `block` is a field of a `Registration<T>`. That lives for this
        // call, as `T::UNREGISTER` waits for the end of it. The other arguments are what `notify()`
        // requires.
        let result = unsafe {
            let block = block.cast::<Opaque<bindings::notifier_block>>();
            let registration = &*kernel::container_of!(block, Self, block);
            registration.watcher.notify(event, data)
        };
        to_notifier(result)
    }
}

/// Returns what tells the kernel's notifier code of a result, as `notifier_from_errno()` does.
fn to_notifier(result: Result) -> c_int {
    match result {
        Ok(()) => bindings::NOTIFY_DONE as c_int,
        // CAST: Small numbers.
        Err(error) => {
            bindings::NOTIFY_STOP_MASK as c_int | (bindings::NOTIFY_OK as c_int - error.to_errno())
        }
    }
}

#[pinned_drop]
impl<T: Notified> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // It fails only for a block that is not in the list.
        //
        // SAFETY: By the type invariant `block` is in the list. The callback does not run any more
        // when this returns.
        let _ = unsafe { T::UNREGISTER(self.block.get()) };
    }
}

#[kunit_tests(kmod_rs_notifier)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_as_in_c() -> Result {
        assert_eq!(to_notifier(Ok(())), 0);
        // NOTIFY_BAD is EPERM.
        assert_eq!(to_notifier(Err(EPERM)), 0x8002);
        assert_eq!(to_notifier(Err(ENOMEM)), 0x800d);
        Ok(())
    }
}
