// SPDX-License-Identifier: GPL-2.0

//! Being told when modules come and go.
//!
//! The `kernel` crate has no notifiers.
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

/// Who wants to be told.
pub(crate) trait Watch: Send + Sync + 'static {
    /// A module of this name has been initialised, by the current task.
    ///
    /// Context: may sleep.
    fn live(&self, name: &CStr);

    /// A module of this name goes, or could not be initialised.
    ///
    /// Context: may sleep.
    fn going(&self, name: &CStr);
}

/// The watcher is told for as long as this value lives.
///
/// # Invariants
///
/// `block` is in the list of those that are told.
#[pin_data(PinnedDrop)]
pub(crate) struct Registration<T: Watch> {
    watcher: T,
    #[pin]
    block: Opaque<bindings::notifier_block>,
}

// SAFETY: May be unregistered by any task.
unsafe impl<T: Watch> Send for Registration<T> {}

// SAFETY: There are no methods; the callback uses `T` by reference, which is `Sync`.
unsafe impl<T: Watch> Sync for Registration<T> {}

impl<T: Watch> Registration<T> {
    /// Has the watcher told from now on.
    ///
    /// Context: may sleep.
    pub(crate) fn new(watcher: T) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            watcher,
            // INVARIANT: Registered when this succeeds.
            block <- Opaque::try_ffi_init(|slot: *mut bindings::notifier_block| {
                let block = bindings::notifier_block {
                    notifier_call: Some(Self::call),
                    ..Default::default()
                };
                // SAFETY: The initialiser may write to `slot`, which is pinned until the block is
                // unregistered, in `drop()`. `watcher`, which the callback uses, was written above.
                to_result(unsafe {
                    slot.write(block);
                    bindings::register_module_notifier(slot)
                })
            }),
        })
    }

    /// Tells the watcher.
    ///
    /// # Safety
    ///
    /// To be called by the module loader only, with the block of a `Registration<T>`.
    unsafe extern "C" fn call(
        block: *mut bindings::notifier_block,
        state: c_ulong,
        module: *mut c_void,
    ) -> c_int {
        // SAFETY: By the requirement. It lives until `unregister_module_notifier()` has waited for
        // the end of this function. The name ends in a NUL and does not change.
        let (registration, name) = unsafe {
            let block = block.cast::<Opaque<bindings::notifier_block>>();
            (
                &*kernel::container_of!(block, Self, block),
                CStr::from_char_ptr((&raw const (*module.cast::<bindings::module>()).name).cast()),
            )
        };

        // CAST: As wide, or wider.
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
        // SAFETY: By the type invariant. Returns when the callback does not run any more. That it
        // is not in the list is the only error.
        let _ = unsafe { bindings::unregister_module_notifier(self.block.get()) };
    }
}
