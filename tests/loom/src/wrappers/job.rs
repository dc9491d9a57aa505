// SPDX-License-Identifier: GPL-2.0

//! wrappers/job.rs for loom: a step is taken by the task that queues the job, as loom knows few
//! tasks. None of them holds a lock then.

use kernel::{
    init::PinInit,
    prelude::*, //
};
use std::sync::Arc;

pub(crate) enum Progress {
    Done,
}

pub(crate) trait Steps: Send + Sync + Sized + 'static {
    fn step(&self, job: &Arc<Job<Self>>) -> Progress;
}

pub(crate) struct Job<S> {
    steps: S,
}

impl<S: Steps> Job<S> {
    pub(crate) fn new(steps: S) -> impl PinInit<Self> {
        move || Self { steps }
    }

    pub(crate) fn steps(&self) -> &S {
        &self.steps
    }

    pub(crate) fn begin(&self) -> Result {
        Ok(())
    }

    pub(crate) fn queue(self: &Arc<Self>) {
        let Progress::Done = self.steps.step(self);
    }
}
