// SPDX-License-Identifier: GPL-2.0

//! Records of requests: who made them, for what, from where, and how they ended.
//!
//! Has no counterpart in the C code. This file has the steps that the path of a request calls.

pub(crate) mod autoloaded;
pub(crate) mod call_sites;
pub(crate) mod chain_line;
mod events;
pub(crate) mod outcome;
mod progress;
pub(crate) mod record;
pub(crate) mod recorder;
pub(crate) mod remembered;
mod ring;
pub(crate) mod uses;

use self::{
    autoloaded::Autoloaded,
    outcome::Outcome,
    record::Beginning,
    recorder::{
        InFlight,
        Recorder, //
    }, //
};
use crate::{
    firewall::policy::Verdict,
    wrappers::name::Name, //
};
use kernel::{
    ffi::c_int,
    sync::Arc, //
};

/// The records of requests, and the modules that came from them.
pub(crate) struct Records {
    recorder: Arc<Recorder>,
    autoloaded: Arc<Autoloaded>,
}

impl Records {
    /// Creates the records from their two parts.
    pub(crate) fn new(recorder: Arc<Recorder>, autoloaded: Arc<Autoloaded>) -> Self {
        Self {
            recorder,
            autoloaded,
        }
    }

    /// Begins the record of a request that the current task makes.
    ///
    /// Returns `None` if no record is needed: `is_wanted` is false, no records are kept, and nobody
    /// traces. Also returns `None` if there is no memory for the record: the request goes on
    /// without one, and is counted.
    ///
    /// `chain` yields the names of the chain of the request, the closest helper's first.
    ///
    /// Context: may sleep; the caller may hold mutexes.
    #[inline(never)]
    pub(crate) fn begin<'a>(
        &self,
        beginning: &Beginning<'_>,
        chain: impl Iterator<Item = &'a Name> + Clone,
        is_wanted: bool,
    ) -> Option<InFlight> {
        let is_traced = events::enabled();
        if !self.recorder.keeps_records() && !is_traced && !is_wanted {
            return None;
        }
        let in_flight = self.recorder.begin(beginning, chain)?;

        if is_traced {
            // The event is left out if there is no memory for its texts.
            let _ = events::begin(in_flight.record());
        }
        Some(in_flight)
    }

    /// Counts the verdict of the firewall on a request, and adds it to the record.
    ///
    /// Context: any.
    pub(crate) fn judged(&self, record: Option<&InFlight>, verdict: Verdict) {
        self.recorder.count_verdict(verdict);
        if let Some(in_flight) = record {
            in_flight.record().judged(verdict);
        }
    }

    /// Counts a request that returns, and notes in its record how it ended.
    ///
    /// Returns the outcome; a success is [`Outcome::Nothing`] if there is a record and no module has
    /// appeared. Without a record this is not known.
    ///
    /// Context: may sleep; the caller may hold mutexes.
    #[inline(never)]
    pub(crate) fn end(
        &self,
        record: Option<&InFlight>,
        outcome: Outcome,
        result: c_int,
    ) -> Outcome {
        let Some(in_flight) = record else {
            self.recorder.count(outcome);
            return outcome;
        };
        let outcome = in_flight.answered(outcome, result);
        self.recorder.count(outcome);
        self.autoloaded.asked(in_flight.record());
        if events::enabled() {
            // The event is left out if there is no memory for its texts.
            let _ = events::end(in_flight.record(), outcome, result);
        }
        outcome
    }
}
