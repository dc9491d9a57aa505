// SPDX-License-Identifier: GPL-2.0

//! Notifications of modules that appear and go.
//!
//! The `kernel` crate does not wrap notifiers.
//!
//! C header: [`include/linux/module.h`](srctree/include/linux/module.h)

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

/// The callbacks of a watcher of modules.
pub(crate) trait Watch: Send + Sync + 'static {
    /// Called when the current task has initialised the module `name`.
    ///
    /// Context: may sleep. The kernel holds the rwsem of its notifier list for reading.
    fn live(&self, name: &CStr);

    /// Called when the module `name` is unloaded, or could not be initialised.
    ///
    /// Context: may sleep. The kernel holds the rwsem of its notifier list for reading.
    fn going(&self, name: &CStr);
}

/// The registration of a watcher, which is called as long as this value lives.
///
/// # Invariants
///
/// `block` is in the kernel's list of module notifiers, and its callback is [`Self::call`].
#[pin_data(PinnedDrop)]
pub(crate) struct Registration<T: Watch> {
    watcher: T,
    #[pin]
    block: Opaque<bindings::notifier_block>,
}

// SAFETY: `unregister_module_notifier()` may be called by any task, and `T` is `Send`.
unsafe impl<T: Watch> Send for Registration<T> {}

// SAFETY: No method takes a shared reference. The callback runs in any task and shares `T`, which
// is `Sync`.
unsafe impl<T: Watch> Sync for Registration<T> {}

impl<T: Watch> Registration<T> {
    /// Registers a watcher.
    ///
    /// Returns the error of `register_module_notifier()`.
    ///
    /// Context: may sleep; must not be called by a watcher.
    pub(crate) fn new(watcher: T) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            watcher,
            // INVARIANT: The block is in the list if this succeeds.
            block <- Opaque::try_ffi_init(|slot: *mut bindings::notifier_block| {
                let block = bindings::notifier_block {
                    notifier_call: Some(Self::call),
                    ..Default::default()
                };
                // SAFETY: `slot` is valid for writes, and stays where it is until the block is
                // unregistered, in `drop()`. `watcher`, which the callback uses, was initialised
                // above.
                to_result(unsafe {
                    slot.write(block);
                    bindings::register_module_notifier(slot)
                })
            }),
        })
    }

    /// Calls the watcher.
    ///
    /// # Safety
    ///
    /// Must only be called by the kernel's module loader, as the callback of `block`, which must be
    /// that of a `Registration<T>`. `module` must point to a `struct module`.
    unsafe extern "C" fn call(
        block: *mut bindings::notifier_block,
        state: c_ulong,
        module: *mut c_void,
    ) -> c_int {
        // SAFETY: By the requirement `block` is a field of a `Registration<T>`. That lives for this
        // call, as `unregister_module_notifier()` waits for the end of it. By the requirement
        // `module` is valid; its name is a C string and does not change.
        let (registration, name) = unsafe {
            let block = block.cast::<Opaque<bindings::notifier_block>>();
            (
                &*kernel::container_of!(block, Self, block),
                CStr::from_char_ptr((&raw const (*module.cast::<bindings::module>()).name).cast()),
            )
        };

        // CAST: A `c_ulong` is wider than the numbers of the states.
        if state == bindings::module_state_MODULE_STATE_LIVE as c_ulong {
            registration.watcher.live(name);
        } else if state == bindings::module_state_MODULE_STATE_GOING as c_ulong {
            registration.watcher.going(name);
        }
        bindings::NOTIFY_DONE as c_int
    }
}

#[pinned_drop]
impl<T: Watch> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant `block` is in the list. The function takes the rwsem of the
        // list for writing, so the callback does not run any more when it returns. It fails only
        // for a block that is not in the list.
        let _ = unsafe { bindings::unregister_module_notifier(self.block.get()) };
    }
}
