// SPDX-License-Identifier: GPL-2.0

//! Records of requests: who asked for what, from where, and what became of it.
//!
//! Has no counterpart in the C code. This file is what the path of a request sees of the records.

pub(crate) mod autoloaded;
mod events;
pub(crate) mod record;
pub(crate) mod recorder;

use self::{
    autoloaded::Autoloaded,
    record::Outcome,
    recorder::{
        InFlight,
        Recorder, //
    }, //
};
use crate::{
    firewall::policy::Verdict,
    wrappers::{
        name::Name,
        requester::Requester, //
    }, //
};
use kernel::{
    ffi::c_int,
    sync::Arc, //
};

/// All that is remembered of requests.
pub(crate) struct Records {
    recorder: Arc<Recorder>,
    autoloaded: Arc<Autoloaded>,
}

impl Records {
    /// Puts both parts together.
    pub(crate) fn new(recorder: Arc<Recorder>, autoloaded: Arc<Autoloaded>) -> Self {
        Self {
            recorder,
            autoloaded,
        }
    }

    /// Begins the record of a request that the current task makes, if it `is_wanted`, if records
    /// are kept, or if somebody traces. Without memory for it the request goes on without a record,
    /// and is counted.
    ///
    /// `chain` has the names of the helpers that the request descends from, the closest one first.
    ///
    /// Context: may sleep; the caller may hold mutexes.
    #[inline(never)]
    pub(crate) fn begin<'a>(
        &self,
        name: &Name,
        wait: bool,
        call_site: usize,
        requester: &Requester,
        chain: impl Iterator<Item = &'a Name> + Clone,
        is_wanted: bool,
    ) -> Option<InFlight> {
        let is_traced = events::enabled();
        if !self.recorder.keeps_records() && !is_traced && !is_wanted {
            return None;
        }
        let in_flight = self
            .recorder
            .begin(name, wait, call_site, requester, chain)?;

        if is_traced {
            // Without memory there is no event.
            let _ = events::begin(in_flight.record());
        }
        Some(in_flight)
    }

    /// Counts what the firewall said of a request, and puts it into the record.
    ///
    /// Context: any.
    pub(crate) fn judged(&self, record: Option<&InFlight>, verdict: Verdict) {
        self.recorder.count_verdict(verdict);
        if let Some(in_flight) = record {
            in_flight.record().judged(verdict);
        }
    }

    /// Counts a request that returns, and ends its record.
    ///
    /// Context: may sleep; the caller may hold mutexes.
    #[inline(never)]
    pub(crate) fn end(&self, record: Option<&InFlight>, outcome: Outcome, result: c_int) {
        self.recorder.count(outcome);
        let Some(in_flight) = record else {
            return;
        };
        in_flight.answered(outcome, result);
        self.autoloaded.asked(in_flight.record());
        if events::enabled() {
            // Without memory there is no event.
            let _ = events::end(in_flight.record(), outcome, result);
        }
    }
}
