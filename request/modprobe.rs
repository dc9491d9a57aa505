// SPDX-License-Identifier: GPL-2.0

//! The helper of one request, and what is given back when it has ended.
//!
//! Mirrors `call_modprobe()` of `kernel/module/kmod.c`.

use super::{
    answers::Hearing,
    chain::Helper,
    deadline::Timeout,
    environment::Environment,
    helpers::Tracker,
    lending::{
        Claimed,
        SlotUse, //
    },
    refusals::Refusals,
    sharing::Leader,
    unloads::{
        Mark,
        Unloads, //
    }, //
    unwaiting::{
        self,
        Dropped,
        Permit,
        Startable, //
    },
};
use crate::{
    records::{
        outcome::Outcome,
        recorder::InFlight, //
    },
    usermode_helper::{
        self,
        Command,
        Invocation,
        NotStarted,
        WaitStatus,
        ENVIRONMENT, //
    },
    wrappers::{
        module::Reference,
        requester::Requester,
        spare_box::SpareBox, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// The helper of one request.
///
/// Lives until the helper has exited or, if the request does not wait, until the program has been
/// executed. If the requester is killed, the request returns earlier, but its slot stays taken
/// until the helper has exited. If the request does not wait and is kept, it returns earlier, too.
/// Only the deadline and, because of it, the slot may live longer.
pub(crate) struct Modprobe {
    /// The deadline of the helper, if it has one.
    pub(crate) timeout: Option<Timeout>,
    /// The duty to answer the followers, if the request is a leader.
    pub(crate) leader: Option<Leader>,
    /// The helper, with its place in the table of helpers.
    pub(crate) tracker: Tracker,
    /// What the helper is told of the request, if the administrator wants that.
    pub(crate) environment: Option<Environment>,
    /// The record of the request, if there is one.
    pub(crate) record: Option<InFlight>,
    /// When the helper began to run, if the request waits for it to exit.
    pub(crate) mark: Option<Mark>,
    /// What all helpers use.
    pub(crate) common: Arc<Common>,
    /// How many were refused when the helper began to run.
    pub(crate) refused_before: u64,
    /// Where it began, if the answer to the request may be remembered.
    pub(crate) hearing: Option<Arc<Hearing>>,
    /// What the helper runs on, until [`Self::ended`].
    pub(crate) right: Option<Right>,
}

// The next larger piece of memory is 512 bytes.
const _: () = assert!(size_of::<Invocation<Modprobe>>() <= 256);

/// What all helpers use.
#[pin_data]
pub(crate) struct Common {
    /// What is known of unloads.
    pub(crate) unloads: Arc<Unloads>,
    /// What is known of modules that were refused.
    pub(crate) refusals: Arc<Refusals>,
    /// The memory of the last helper that has ended, for the next one.
    #[pin]
    pub(crate) spare: SpareBox<Invocation<Modprobe>>,
}

impl Common {
    /// Creates a value from what it shares with others.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new(unloads: Arc<Unloads>, refusals: Arc<Refusals>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                unloads,
                refusals,
                spare <- SpareBox::new(),
            }),
            GFP_KERNEL,
        )
    }
}

/// The requests that do not wait.
pub(crate) type Unwaiting = unwaiting::Unwaiting<Invocation<Modprobe>>;

/// What a request was granted, before it has its helper.
pub(crate) enum Grant {
    /// A request that waits gets a slot.
    Slot(Claimed<Helper>),
    /// One that does not wait gets a permit.
    Permit(Permit<Invocation<Modprobe>>),
}

impl Grant {
    /// Returns the right to run this helper. To be called once for each helper.
    pub(crate) fn into_right(self, helper: &Arc<Helper>) -> Right {
        match self {
            Self::Slot(slot) => Right::Slot(slot.run(helper.clone())),
            Self::Permit(permit) => Right::Permit(permit),
        }
    }
}

/// The right to run the helper of a request.
pub(crate) enum Right {
    /// A request that waits has a slot.
    Slot(SlotUse<Helper>),
    /// One that does not wait has a permit.
    Permit(Permit<Invocation<Modprobe>>),
}

/// How the helper of a request ended.
pub(crate) struct Ending {
    /// The wait status of the program, or why there is none.
    pub(crate) result: Result<WaitStatus>,
    /// Whether the helper may have missed a module that was being unloaded, or was refused to
    /// another helper.
    pub(crate) may_have_missed: bool,
    /// Where the helper began, if the answer to the request may be remembered.
    pub(crate) hearing: Option<Arc<Hearing>>,
    /// Whether the helper has done nothing: it was not about to load a module, and has run no other
    /// program. Only if answers may be remembered.
    pub(crate) was_idle: bool,
}

impl Command for Modprobe {
    type Ending = Ending;

    fn path(&self) -> &CStr {
        self.helper().target().path()
    }

    fn args(&self) -> impl Iterator<Item = &CStr> {
        // `-q`: quiet. `--`: what follows is a name, even if it begins with a dash.
        let name = self.helper().name().as_cstr();
        [self.path(), c"-q", c"--", name].into_iter()
    }

    fn env(&self) -> Option<impl Iterator<Item = &CStr>> {
        let more = self.environment.as_ref()?;
        Some(Iterator::chain(ENVIRONMENT.into_iter(), more.strings()))
    }

    fn starting(&self) -> Result {
        self.tracker.start()?;
        if let Some(Right::Permit(permit)) = &self.right {
            permit.hand_over()?;
            // If it was kept.
            if let Some(record) = &self.record {
                record.dequeued();
            }
        }
        if let Some(record) = &self.record {
            let helper = Requester::current().tgid();
            record.helper_started(helper, self.helper().target().modprobe_path());
        }
        // Before the program reads anything: what changes from here on is noticed.
        if let Some(hearing) = &self.hearing {
            hearing.begin(self.helper().target());
        }
        if let Some(timeout) = &self.timeout {
            timeout.start()?;
        }
        // From here on, only the execution of the program can fail.
        if let Some(leader) = &self.leader {
            leader.started();
        }
        Ok(())
    }

    fn ended(mut this: KBox<Invocation<Self>>, result: Result<WaitStatus>) -> Ending {
        let is_overlapped = this
            .mark
            .is_some_and(|mark| this.common.unloads.overlap(mark))
            || this.shares_refusal(result);
        this.remember_refusal(result);

        if let Some(record) = &this.record {
            record.helper_ended(result);
        }
        match this.leader.take() {
            Some(leader) if is_about_the_target(result) && !is_overlapped => leader.tell(result),
            // The followers are without a leader, if there are any.
            leader => drop(leader),
        }

        let has_exited = result.is_ok_and(|status| !status.is_signal());
        let has_loaded = result == Ok(WaitStatus::SUCCESS) && this.helper().has_loaded();

        let hearing = this.hearing.take();
        let was_idle =
            hearing.as_ref().is_some_and(|it| !it.has_waited()) && !this.helper().has_tried();

        // The slot comes last, and may be kept by the deadline.
        let timeout = this.timeout.take();
        let right = this.right.take();
        let common = this.common.clone();
        common.spare.keep(this);
        if let Some(timeout) = timeout {
            timeout.command_ended(match right {
                Some(Right::Slot(slot)) => Some(slot),
                // The permit belongs to the process.
                _ => None,
            });
        }
        Ending {
            result,
            may_have_missed: is_overlapped && has_exited && !has_loaded,
            hearing,
            was_idle,
        }
    }
}

impl Modprobe {
    fn helper(&self) -> &Helper {
        self.tracker.helper()
    }

    /// Returns whether the helper may have failed because another helper was refused a module.
    ///
    /// If several load the same file at the same time, the kernel loads it for one of them, and
    /// tells the others what it has told that one.
    fn shares_refusal(&self, result: Result<WaitStatus>) -> bool {
        has_failed(result)
            && self.helper().refused().is_none()
            && self.common.refusals.count() != self.refused_before
    }

    /// Remembers the name if its helper has failed because it was refused a module.
    ///
    /// A helper that is told of its request may do something else for another one. Of a helper whose
    /// request does not wait, nobody knows how it ends.
    fn remember_refusal(&self, result: Result<WaitStatus>) {
        if self.environment.is_some() || !has_failed(result) {
            return;
        }
        let helper = self.helper();
        if let Some(refused) = helper.refused() {
            self.common.refusals.remember(
                helper.name(),
                helper.target().modprobe_path(),
                refused,
                helper.account(),
            );
        }
    }
}

impl Startable for Invocation<Modprobe> {
    fn permit(&self) -> Option<&Permit<Self>> {
        match &self.right {
            Some(Right::Permit(permit)) => Some(permit),
            _ => None,
        }
    }

    // Not inlined, because scripts/check-module.sh knows it by its name.
    #[inline(never)]
    fn start(this: KBox<Self>, reference: &Reference) -> Result<(), KBox<Self>> {
        let record = this.record.clone();

        match usermode_helper::start(this, reference) {
            Ok(()) => Ok(()),
            Err(NotStarted::Disabled(this)) => Err(this),
            Err(NotStarted::Failed(error)) => {
                if let Some(record) = record {
                    record.helper_ended(Err(error));
                }
                Ok(())
            }
        }
    }

    fn dropped(this: KBox<Self>, why: Dropped) {
        if let Some(record) = &this.record {
            record.not_started(match why {
                Dropped::Shared => Outcome::Shared,
                Dropped::SwitchedOff => Outcome::Off,
            });
        }
    }
}

/// Returns whether a helper has exited with a status other than 0.
fn has_failed(result: Result<WaitStatus>) -> bool {
    result.is_ok_and(|status| status != WaitStatus::SUCCESS && !status.is_signal())
}

/// Returns whether how a helper ended says something about its target.
///
/// If it was killed by a signal (the OOM killer's, `helper_timeout_ms`), or if there was no memory,
/// that concerns this one helper, and another one may fare better.
fn is_about_the_target(result: Result<WaitStatus>) -> bool {
    match result {
        Ok(status) => !status.is_signal(),
        Err(error) => error != ENOMEM && error != EAGAIN,
    }
}

#[kunit_tests(kmod_rs_modprobe)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_status_and_an_errno_of_exec_are_answers() -> Result {
        // exit(0), exit(1), exit(255); execve() says -ENOENT, -EACCES.
        for raw in [0, 1 << 8, 255 << 8, -2, -13] {
            assert!(is_about_the_target(WaitStatus::from_raw(raw)));
        }
        // SIGKILL, SIGSEGV with a core dump; -ENOMEM, -EAGAIN.
        for raw in [9, 0x8b, -12, -11] {
            assert!(!is_about_the_target(WaitStatus::from_raw(raw)));
        }
        Ok(())
    }
}
