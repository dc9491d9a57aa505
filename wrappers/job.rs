// SPDX-License-Identifier: GPL-2.0

//! Jobs: what is done step by step, in workers of the kernel, and keeps the module loaded until it
//! is done.
//!
//! The works of the `kernel` crate do not keep the module loaded that their function is in.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use super::{
    exit::OnExit,
    module::{
        self,
        Reference, //
    },
};
use core::mem;
use kernel::{
    bindings,
    impl_has_work,
    new_work,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Arc, //
    },
    workqueue::{
        self,
        Work,
        WorkItem, //
    }, //
};

/// What a step of a job has come to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Another step is taken when the job is queued again.
    Waiting,
    /// The job is done.
    Done,
}

/// What a [`Job`] does.
pub(crate) trait Steps: Send + Sync + Sized + 'static {
    /// Takes the next step.
    ///
    /// When this has returned [`Progress::Done`], the job must not be queued any more: the timers
    /// and notices that do so must be gone. Until then they keep the module loaded. If the job was
    /// queued before that, there is one more step, which must return the same again.
    ///
    /// Context: in a worker; may sleep. Steps of one job are taken one at a time.
    fn step(&self, job: &Arc<Job<Self>>) -> Progress;
}

/// A job, whose steps are taken in workers of the kernel.
///
/// # Invariants
///
/// `is_held` says that there is a reference on the module that this value has to put.
#[pin_data]
pub(crate) struct Job<S: Steps> {
    #[pin]
    work: Work<Self>,
    /// Whether the job was queued and the step has not begun.
    is_queued: Atomic<bool>,
    is_held: Atomic<bool>,
    #[pin]
    steps: S,
}

impl_has_work! {
    impl{S: Steps} HasWork<Self> for Job<S> { self.work }
}

impl<S: Steps> Job<S> {
    /// Creates an initialiser for a job that has not begun.
    pub(crate) fn new<E>(steps: impl PinInit<S, E>) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        try_pin_init!(Self {
            work <- new_work!("kmod_rs::Job::work"),
            is_queued: Atomic::new(false),
            // INVARIANT: No reference was taken.
            is_held: Atomic::new(false),
            steps <- steps,
        })
    }

    /// Returns what the job does.
    pub(crate) fn steps(&self) -> &S {
        &self.steps
    }

    /// Begins the job: takes a reference on the module, which is put when the job is done.
    ///
    /// To be called once. Returns [`ENODEV`] if the module is being unloaded.
    ///
    /// Context: any.
    pub(crate) fn begin(&self) -> Result {
        mem::forget(Reference::try_get()?);
        // INVARIANT: A reference was taken. If there had been one already, it would never be put.
        self.is_held.store(true, Relaxed);
        Ok(())
    }

    /// Has the next step taken soon, by a worker. Does nothing if the job has not begun.
    ///
    /// Context: any.
    pub(crate) fn queue(self: &Arc<Self>) {
        // ORDERING: What was done before this call is seen by the step: either by one that begins
        // later, or by the one that finds `is_queued` set here.
        if !self.is_held.load(Relaxed) || self.is_queued.xchg(true, Full) {
            return;
        }
        // The work is not queued already: `is_queued` was cleared when it ran. Workers of high
        // priority, so that a flood of processes does not delay what ends it. Not the queue in which
        // the kernel starts helpers: that can be full of helpers that hang.
        let _ = workqueue::system_highpri().enqueue(self.clone());
    }
}

impl<S: Steps> WorkItem for Job<S> {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        // ORDERING: As in `queue()`.
        this.is_queued.xchg(false, Full);
        let progress = this.steps.step(&this);

        // If the job was queued in the meantime, the last step is still to come. It is not queued
        // any more after this, as `Steps::step()` requires.
        //
        // INVARIANT: The reference is put below.
        let is_last = progress == Progress::Done
            && !this.is_queued.load(Relaxed)
            && this.is_held.xchg(false, Full);
        drop(this);
        if is_last {
            // The last act: from here on the module may be unloaded.
            //
            // SAFETY: By the type invariant there was a reference, which is not used any more.
            // Module exit waits for the rest of this function: see `wait_for_last_acts()`.
            unsafe { bindings::module_put(module::this()) };
        }
    }
}

/// Queues the job when a thread group has ended.
impl<S: Steps> OnExit for Arc<Job<S>> {
    fn exited(&self) {
        self.queue();
    }
}

#[kunit_tests(kmod_rs_job)]
mod tests {
    use super::*;
    use kernel::sync::Completion;

    /// A job of two steps.
    #[pin_data]
    struct Two {
        taken: Atomic<u32>,
        #[pin]
        is_taken: Completion,
    }

    impl Steps for Two {
        fn step(&self, _job: &Arc<Job<Self>>) -> Progress {
            self.taken.add(1, Relaxed);
            let progress = match self.taken.load(Relaxed) {
                1 => Progress::Waiting,
                _ => Progress::Done,
            };
            self.is_taken.complete_all();
            progress
        }
    }

    fn two() -> Result<Arc<Job<Two>>> {
        Arc::pin_init(
            Job::new(pin_init!(Two {
                taken: Atomic::new(0),
                is_taken <- Completion::new(),
            })),
            GFP_KERNEL,
        )
    }

    #[test]
    fn a_job_that_has_not_begun_is_not_queued() -> Result {
        let job = two()?;
        job.queue();
        assert!(!job.is_queued.load(Relaxed));
        Ok(())
    }

    #[test]
    fn the_module_is_held_until_the_last_step() -> Result {
        let job = two()?;
        job.begin()?;
        job.queue();
        job.steps().is_taken.wait_for_completion();
        assert!(job.is_held.load(Relaxed));

        // The second step.
        job.queue();
        while job.is_held.load(Relaxed) {
            kernel::time::delay::fsleep(kernel::time::Delta::from_millis(1));
        }
        assert_eq!(job.steps().taken.load(Relaxed), 2);
        Ok(())
    }
}
