// SPDX-License-Identifier: GPL-2.0

//! A box that is used again.
//!
//! Of values that come and go all the time, the memory of the last one that has gone does for the
//! next one. That saves a piece of memory in the usual case, in which there is one at a time.

use core::mem::MaybeUninit;
use kernel::{
    new_spinlock,
    prelude::*,
    sync::SpinLock, //
};

/// The memory of one value, if a value was given back.
#[pin_data]
pub(crate) struct SpareBox<T> {
    #[pin]
    place: SpinLock<Option<KBox<MaybeUninit<T>>>>,
}

impl<T> SpareBox<T> {
    /// Creates an initialiser for a value that has no memory.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            place <- new_spinlock!(None, "kmod_rs::SpareBox::place"),
        })
    }

    /// Returns memory for a value: that of one that was given back or, if there is none, new memory.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep. Takes `place`.
    pub(crate) fn take(&self) -> Result<KBox<MaybeUninit<T>>> {
        let place = self.place.lock().take();
        match place {
            Some(place) => Ok(place),
            None => Ok(KBox::new_uninit(GFP_KERNEL)?),
        }
    }

    /// Drops a value and keeps its memory, in the place of what was kept before.
    ///
    /// With KASAN, no memory is kept: who uses a value that was dropped is found only if its memory
    /// has been freed.
    ///
    /// Context: that of the destructor of the value. Takes `place` after that.
    pub(crate) fn keep(&self, value: KBox<T>) {
        if cfg!(CONFIG_KASAN) {
            return;
        }
        let place = KBox::drop_contents(value);
        let surplus = self.place.lock().replace(place);
        // Only now, without the lock.
        drop(surplus);
    }
}

#[kunit_tests(kmod_rs_spare_box)]
mod tests {
    use super::*;
    use kernel::sync::Arc;

    #[test]
    fn one_box_is_kept() -> Result {
        let spare = Arc::pin_init(SpareBox::new(), GFP_KERNEL)?;
        let content = Arc::new(1, GFP_KERNEL)?;
        let first = spare.take()?.write(content.clone());
        let second = spare.take()?.write(content.clone());
        let address: *const _ = &*second;

        spare.keep(first);
        spare.keep(second);
        assert!(Arc::into_unique_or_drop(content).is_some());
        if !cfg!(CONFIG_KASAN) {
            assert!(spare.take()?.as_ptr() == address);
        }
        Ok(())
    }
}
