// SPDX-License-Identifier: GPL-2.0

//! The end of a delayed work.
//!
//! The `kernel` crate can enqueue a delayed work, but neither cancel it nor wait for it. A module
//! has to do both before it is unloaded. To be removed when that crate can.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use kernel::{
    bindings,
    prelude::*,
    sync::Arc,
    workqueue::{
        HasDelayedWork,
        Work,
        WorkItem, //
    }, //
};

/// Cancels a delayed work, and keeps it from being enqueued again.
///
/// When this returns, the work does not run, and will not.
///
/// Context: may sleep; must not be called by the work.
pub(crate) fn disable<T, const ID: u64>(item: &Arc<T>)
where
    T: WorkItem<ID, Pointer = Arc<T>> + HasDelayedWork<T, ID>,
{
    let item = Arc::as_ptr(item).cast_mut();

    // SAFETY: `item` points to a valid value, as there is a reference on it. By the requirements of
    // `HasDelayedWork` the work in it is that of a `delayed_work`, which was initialised with it.
    let was_enqueued = unsafe {
        let work = Work::raw_get(T::raw_get_work(item));
        bindings::disable_delayed_work_sync(kernel::container_of!(
            work,
            bindings::delayed_work,
            work
        ))
    };
    if was_enqueued {
        // SAFETY: `Queue::enqueue_delayed()` has made the pointer by `Arc::into_raw()`, for the
        // work to take it back when it runs. It was cancelled, so it does not run.
        drop(unsafe { Arc::from_raw(item) });
    }
}

#[kunit_tests(kmod_rs_delayed_work)]
mod tests {
    use super::*;
    use kernel::{
        sync::atomic::{
            Atomic,
            Relaxed, //
        },
        workqueue::{
            self,
            impl_has_delayed_work,
            new_delayed_work,
            DelayedWork, //
        }, //
    };

    #[pin_data]
    struct Counter {
        runs: Atomic<u32>,
        #[pin]
        work: DelayedWork<Self>,
    }

    impl_has_delayed_work! {
        impl HasDelayedWork<Self> for Counter { self.work }
    }

    impl WorkItem for Counter {
        type Pointer = Arc<Self>;

        fn run(this: Arc<Self>) {
            this.runs.add(1, Relaxed);
        }
    }

    #[test]
    fn a_work_that_is_disabled_does_not_run_and_has_no_reference() -> Result {
        let counter = Arc::pin_init(
            pin_init!(Counter {
                runs: Atomic::new(0),
                work <- new_delayed_work!("kmod_rs::delayed_work::tests"),
            }),
            GFP_KERNEL,
        )?;
        let enqueue = |counter: &Arc<Counter>| {
            let queue = workqueue::system_power_efficient();
            queue.enqueue_delayed(counter.clone(), 1000)
        };

        assert!(enqueue(&counter).is_ok());
        assert!(enqueue(&counter).is_err());
        disable(&counter);
        assert!(enqueue(&counter).is_err());
        disable(&counter);
        assert_eq!(counter.runs.load(Relaxed), 0);
        assert!(Arc::into_unique_or_drop(counter).is_some());
        Ok(())
    }
}
