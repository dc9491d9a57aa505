// SPDX-License-Identifier: GPL-2.0

//! What becomes of a request, as it becomes known.
//!
//! Has no counterpart in the C code.

use super::outcome::Outcome;
use kernel::{
    ffi::c_int,
    task::Pid,
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

/// What has become of a request, as far as that is known.
#[derive(Clone, Copy)]
pub(crate) struct Progress {
    /// When the request began to wait; taken when it stops waiting.
    queued: Option<Instant<Monotonic>>,
    /// How long the request has waited for its leader's helper and for a slot.
    pub(crate) queue_time: Option<Delta>,
    /// When the helper was started; taken when it is known to have ended.
    helper_started: Option<Instant<Monotonic>>,
    /// The process id of the helper, in the initial namespace.
    pub(crate) helper: Option<Pid>,
    /// How long the helper ran.
    pub(crate) helper_time: Option<Delta>,
    /// How the helper ended.
    helper_outcome: Option<Outcome>,
    /// The outcome and the result that the request returned with.
    answer: Option<(Outcome, c_int)>,
    /// How many modules have appeared because of the request.
    modules: u32,
}

impl Progress {
    /// Nothing has become of the request yet.
    pub(super) const NONE: Self = Self {
        queued: None,
        queue_time: None,
        helper_started: None,
        helper: None,
        helper_time: None,
        helper_outcome: None,
        answer: None,
        modules: 0,
    };

    /// Returns how the request ended, as far as that is known; `None` if it has not returned.
    ///
    /// If the requester was killed, this is the outcome of the helper as soon as that has ended. If
    /// the helper succeeded, or the request does not wait, it depends on whether a module has
    /// appeared. If the request was kept, it is what has become of it since.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        let outcome = match self.answer?.0 {
            Outcome::Killed => self.helper_outcome.unwrap_or(Outcome::Killed),
            Outcome::Kept => self
                .helper_outcome
                .or(self.helper.map(|_| Outcome::Started))
                .unwrap_or(Outcome::Kept),
            outcome => outcome,
        };
        Some(outcome.with_modules(self.modules()))
    }

    /// Returns the number that the caller got; `None` if the request has not returned.
    pub(crate) fn result(&self) -> Option<c_int> {
        self.answer.map(|(_, result)| result)
    }

    /// Notes that the request begins to wait, for its leader's helper or for a slot.
    pub(super) fn queued(&mut self, now: Instant<Monotonic>) {
        self.queued = Some(now);
    }

    /// Notes that the request has stopped waiting.
    ///
    /// Returns how long it waited, or `None` if it was not waiting.
    pub(super) fn dequeued(&mut self) -> Option<Delta> {
        let waited = self.queued.take()?.elapsed();

        self.queue_time = Some(waited);
        Some(waited)
    }

    /// Notes the process id of the helper, which is about to execute the program.
    pub(super) fn helper_started(&mut self, helper: Pid, now: Instant<Monotonic>) {
        self.helper = Some(helper);
        self.helper_started = Some(now);
    }

    /// Notes how the helper has ended.
    ///
    /// Returns how long it ran, if it was started.
    pub(super) fn helper_ended(&mut self, outcome: Outcome) -> Option<Delta> {
        self.helper_outcome = Some(outcome);
        self.helper_time = self.helper_started.take().map(|start| start.elapsed());
        self.helper_time
    }

    /// Notes what has become of a request that was kept, if no helper is started for it.
    pub(super) fn not_started(&mut self, outcome: Outcome) {
        self.helper_outcome = Some(outcome);
    }

    /// Notes the outcome and the result that the request returns with. If it was waiting, it has
    /// stopped, unless it is kept.
    ///
    /// Returns whether it is [`Outcome::Loaded`] or [`Outcome::Nothing`] if it is one of these:
    /// modules appear before the helper that loads them ends. Otherwise returns `outcome`. Also
    /// returns how long the request waited, as [`Self::dequeued`] does.
    pub(super) fn answered(&mut self, outcome: Outcome, result: c_int) -> (Outcome, Option<Delta>) {
        self.answer = Some((outcome, result));

        let waited = match outcome {
            Outcome::Kept => None,
            _ => self.dequeued(),
        };
        let outcome = match outcome {
            Outcome::Loaded => outcome.with_modules(self.modules()),
            outcome => outcome,
        };
        (outcome, waited)
    }

    /// Counts a module that has appeared because of the request.
    ///
    /// Returns how many there were before.
    pub(super) fn add_module(&mut self) -> usize {
        let before = self.modules();

        self.modules += 1;
        before
    }

    /// Returns how many modules have appeared because of the request.
    pub(super) fn modules(&self) -> usize {
        // CAST: A `usize` has at least 32 bits here.
        self.modules as usize
    }
}
