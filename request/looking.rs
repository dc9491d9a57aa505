// SPDX-License-Identifier: GPL-2.0

//! The second look: does modprobe really find nothing?
//!
//! Has no counterpart in the C code. That modprobe exits with 1 does not say that it has found
//! nothing: an insertion that fails, or the command of an `install` line, ends in the same way. So
//! before such an answer is remembered, modprobe is asked to look and to do nothing
//! (`modprobe -R`). A program that does not know this option would find nothing either. So it is
//! first seen to find something that a helper has found.
//!
//! That something is there already needs no second look, as modprobe has found it. But it needs to be
//! known that this modprobe can look: a program that does something else may succeed in the same way.
//!
//! No request waits for this, unless it is for the same target. The look has a slot if one is free,
//! and is left out otherwise.

use super::{
    answers::{
        Heard,
        Looking,
        Why, //
    },
    chain::{
        Chain,
        Helper, //
    },
    helpers::{
        Helpers,
        Tracker, //
    },
    lending::HelperCount,
    target::Target, //
};
use crate::{
    concurrency::Slots,
    usermode_helper::{
        self,
        Command,
        Invocation,
        Wait,
        WaitStatus, //
    },
    wrappers::{
        job::{
            Job,
            Progress,
            Steps, //
        },
        module::Reference,
        requester::{
            Account,
            LazyCgroup,
            Requester, //
        }, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// A second look, which a worker takes.
pub(super) struct Look {
    /// What is looked for, and where it is remembered.
    pub(super) looking: Looking,
    /// The target of the request.
    pub(super) target: Target,
    /// What its helper has found: [`Why::Miss`] or [`Why::There`].
    pub(super) why: Why,
    /// The account of the request.
    pub(super) account: Account,
    /// Where that helper began.
    pub(super) heard: Heard,
    /// What helpers run on.
    pub(super) slots: Arc<Slots>,
    /// How many helpers there are.
    pub(super) helper_count: Arc<HelperCount>,
    /// The helpers that run.
    pub(super) helpers: Arc<Helpers>,
}

impl Look {
    /// Remembers the answer at once, if no look is needed, or has the look taken, soon.
    ///
    /// Returns [`ENOMEM`], or [`ENODEV`] if the module is being unloaded.
    ///
    /// Context: may sleep.
    pub(super) fn remember_or_begin(self) -> Result {
        let answers = self.looking.answers();
        if self.why == Why::There && answers.finds(&self.heard.watched) {
            return answers.remember(&self.target, self.account, &self.heard, self.why);
        }
        let job = Arc::pin_init(Job::new(self), GFP_KERNEL)?;

        job.begin()?;
        job.queue();
        Ok(())
    }

    fn look(&self) -> Result {
        let answers = self.looking.answers();
        let watched = &self.heard.watched;
        let held = Reference::try_get()?;
        let _slot = self.slots.try_take().ok_or(EBUSY)?;
        let _counted = self.helper_count.count();

        if !answers.finds(watched) && !self.finds_known(&held)? {
            return Ok(());
        }
        let why = match self.why {
            Why::There => Why::There,
            _ => match self.run(&self.target, &held)? {
                WaitStatus::NOT_FOUND => Why::Miss,
                WaitStatus::SUCCESS => Why::Found,
                _ => return Ok(()),
            },
        };
        answers.remember(&self.target, self.account, &self.heard, why)
    }

    /// Returns whether modprobe finds something that a helper has found.
    fn finds_known(&self, held: &Reference) -> Result<bool> {
        let answers = self.looking.answers();
        let watched = &self.heard.watched;
        let mut was_known = false;

        while let Some(known) = answers.known(watched.path()) {
            if self.run(&known, held)? == WaitStatus::SUCCESS {
                answers.note_found(watched, known);
                return Ok(true);
            }
            // It may have been there only for a while. This ends: there are two at most, or as many
            // as helpers succeed meanwhile.
            answers.note_not_found(&known);
            was_known = true;
        }
        answers.nothing_known(was_known);
        Ok(false)
    }

    /// Has modprobe look for a target, and returns how it ended.
    fn run(&self, target: &Target, held: &Reference) -> Result<WaitStatus> {
        // Requests that it makes are nested.
        let helper = Helper::new(
            target.clone(),
            Requester::current(),
            &Chain::outermost(self.account),
            &LazyCgroup::known(None),
            None,
        )?;
        let resolve = Resolve(self.helpers.track(helper));
        let command = KBox::init(Invocation::new(resolve), GFP_KERNEL)?;
        self.looking.answers().count_look();
        usermode_helper::run(command, Wait::Exit, held)?
    }
}

impl Steps for Look {
    fn step(&self, _job: &Arc<Job<Self>>) -> Progress {
        // What could not be looked for is not remembered.
        let _ = self.look();
        Progress::Done
    }
}

/// A modprobe that looks for a target.
struct Resolve(Tracker);

impl Resolve {
    fn target(&self) -> &Target {
        self.0.helper().target()
    }
}

impl Command for Resolve {
    type Ending = Result<WaitStatus>;

    fn path(&self) -> &CStr {
        self.target().path()
    }

    fn args(&self) -> impl Iterator<Item = &CStr> {
        let name = self.target().name().as_cstr();
        [self.path(), c"-q", c"-R", c"--", name].into_iter()
    }

    fn starting(&self) -> Result {
        self.0.start()
    }

    fn ended(_this: KBox<Invocation<Self>>, result: Result<WaitStatus>) -> Result<WaitStatus> {
        result
    }
}
