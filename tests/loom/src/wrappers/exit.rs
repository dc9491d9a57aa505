// SPDX-License-Identifier: GPL-2.0

//! wrappers/exit.rs for loom: the process that was last watched by a task exits when the test says
//! so.

use super::pid::ThreadGroup;
use kernel::init::PinInit;
use std::{
    cell::RefCell,
    marker::PhantomData,
    sync::Arc, //
};

pub(crate) trait OnExit: Send + Sync + 'static {
    fn exited(&self);
}

loom::thread_local! {
    static WATCHED: RefCell<Option<Arc<dyn OnExit>>> = RefCell::new(None);
}

/// The process that the current task has watched last exits.
pub(crate) fn exit() {
    let watched = WATCHED.with(|watched| watched.borrow_mut().take());
    watched.expect("a process is watched").exited();
}

pub(crate) struct Notice<T>(PhantomData<T>);

impl<T: OnExit> Notice<T> {
    pub(crate) fn new(_group: ThreadGroup, then: T) -> impl PinInit<Self> {
        move || {
            let then: Arc<dyn OnExit> = Arc::new(then);
            WATCHED.with(|watched| *watched.borrow_mut() = Some(then));
            Self(PhantomData)
        }
    }
}
