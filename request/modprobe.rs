// SPDX-License-Identifier: GPL-2.0

//! The helper of one request, and what is given back when it has ended.
//!
//! Mirrors `call_modprobe()` of `kernel/module/kmod.c`.

use super::{
    answers::Hearing,
    chain::Chain,
    deadline::Timeout,
    environment::Environment,
    helpers::Tracker,
    lending::SlotUse,
    refusals::Refusals,
    sharing::Leader,
    target::Target,
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
        WaitStatus, //
    },
    wrappers::{
        module::Reference,
        requester::Requester, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// The environment of each helper: that of the C code.
pub(super) const MODPROBE_ENV: [&CStr; 3] = [
    c"HOME=/",
    c"TERM=linux",
    c"PATH=/sbin:/usr/sbin:/bin:/usr/bin",
];

/// The helper of one request.
///
/// Lives until the helper has exited or, if the request does not wait, until the program has been
/// executed. If the requester is killed, the request returns earlier, but its slot stays taken
/// until the helper has exited. If the request does not wait and is kept, it returns earlier, too.
/// Only the deadline and, because of it, the slot may live longer.
pub(crate) struct Modprobe {
    /// The target of the request: the name and the program.
    pub(crate) target: Target,
    /// The task that made the request.
    pub(crate) requester: Requester,
    /// The chain of the request.
    pub(crate) chain: Chain,
    /// The deadline of the helper, if it has one.
    pub(crate) timeout: Option<Timeout>,
    /// The duty to answer the followers, if the request is a leader.
    pub(crate) leader: Option<Leader>,
    /// The place of the helper in the table of helpers.
    pub(crate) tracker: Tracker,
    /// What the helper is told of the request, if the administrator wants that.
    pub(crate) environment: Option<Environment>,
    /// The record of the request, if there is one.
    pub(crate) record: Option<InFlight>,
    /// When the helper began to run, if the request waits for it to exit.
    pub(crate) mark: Option<Mark>,
    /// What is known of unloads.
    pub(crate) unloads: Arc<Unloads>,
    /// What is known of modules that were refused.
    pub(crate) refusals: Arc<Refusals>,
    /// How many were refused when the helper began to run.
    pub(crate) refused_before: u64,
    /// Where it began, if the answer to the request may be remembered.
    pub(crate) hearing: Option<Arc<Hearing>>,
    /// What the helper runs on, until [`Self::ended`].
    pub(crate) right: Option<Right>,
}

/// The requests that do not wait.
pub(crate) type Unwaiting = unwaiting::Unwaiting<Invocation<Modprobe>>;

/// The right to run the helper of a request.
pub(crate) enum Right {
    /// A request that waits has a slot.
    Slot(SlotUse),
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
        self.target.path()
    }

    fn args(&self) -> impl Iterator<Item = &CStr> {
        // `-q`: quiet. `--`: what follows is a name, even if it begins with a dash.
        let name = self.target.name().as_cstr();
        [self.target.path(), c"-q", c"--", name].into_iter()
    }

    fn env(&self) -> impl Iterator<Item = &CStr> {
        let more = self.environment.iter().flat_map(Environment::strings);
        Iterator::chain(MODPROBE_ENV.into_iter(), more)
    }

    fn starting(&self) -> Result {
        let record = self.record.as_ref().map(|it| it.record().clone());
        let lender = match &self.right {
            Some(Right::Slot(slot)) => Some(slot.lender().clone()),
            _ => None,
        };
        self.tracker.start(
            *self.target.name(),
            self.requester,
            &self.chain,
            record,
            lender,
        )?;
        if let Some(Right::Permit(permit)) = &self.right {
            permit.hand_over()?;
            // If it was kept.
            if let Some(record) = &self.record {
                record.dequeued();
            }
        }
        if let Some(record) = &self.record {
            let helper = Requester::current().tgid();
            record.helper_started(helper, self.target.modprobe_path());
        }
        // Before the program reads anything: what changes from here on is noticed.
        if let Some(hearing) = &self.hearing {
            hearing.begin(&self.target);
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
        let is_overlapped =
            this.mark.is_some_and(|mark| this.unloads.overlap(mark)) || this.shares_refusal(result);
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
        let has_loaded = result == Ok(WaitStatus::SUCCESS) && this.tracker.has_loaded();

        let hearing = this.hearing.take();
        let was_idle =
            hearing.as_ref().is_some_and(|it| !it.has_waited()) && !this.tracker.has_tried();

        // The slot comes last, and may be kept by the deadline.
        let timeout = this.timeout.take();
        let right = this.right.take();
        drop(this);
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
    /// Returns whether the helper may have failed because another helper was refused a module.
    ///
    /// If several load the same file at the same time, the kernel loads it for one of them, and
    /// tells the others what it has told that one.
    fn shares_refusal(&self, result: Result<WaitStatus>) -> bool {
        has_failed(result)
            && self.tracker.refused().is_none()
            && self.refusals.count() != self.refused_before
    }

    /// Remembers the name if its helper has failed because it was refused a module.
    ///
    /// A helper that is told of its request may do something else for another one. Of a helper whose
    /// request does not wait, nobody knows how it ends.
    fn remember_refusal(&self, result: Result<WaitStatus>) {
        if self.environment.is_some() || !has_failed(result) {
            return;
        }
        if let Some(refused) = self.tracker.refused() {
            self.refusals.remember(
                self.target.name(),
                self.target.modprobe_path(),
                refused,
                self.chain.account(),
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
