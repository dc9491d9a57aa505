// SPDX-License-Identifier: GPL-2.0

//! The log lines about requests.
//!
//! Documentation/admin-guide.rst explains each of them.

use super::{
    chain::Chain,
    helpers::Helpers, //
};
use crate::{
    concurrency::Slots,
    records::{
        outcome::Outcome,
        record::Record, //
    },
    wrappers::{
        log::{
            self,
            Known,
            Quoted, //
        },
        name::Name,
        requester::Requester, //
    }, //
};
use kernel::{
    ffi::c_int,
    prelude::*, //
};

/// Logs that a request was refused because it is part of a loop.
#[inline(never)]
pub(crate) fn loop_stopped(chain: &Chain, name: &Name, requester: &Requester) {
    if log::allowed() {
        pr_warn!(
            "runaway modprobe loop assumed and stopped: {} ({})\n",
            chain.line_to(name),
            requester,
        );
    }
}

/// Logs that a request has given up waiting for a slot.
#[inline(never)]
pub(crate) fn no_slot(slots: &Slots, helpers: &Helpers, name: &Name, requester: &Requester) {
    if log::allowed() {
        pr_warn!(
            "runaway modprobe loop assumed and stopped: {} ({}) limit={} busy_timeout_ms={} running=\"{}\"\n",
            name,
            requester,
            slots.limit(),
            slots.busy_timeout_ms(),
            helpers.summary(),
        );
    }
}

/// Logs that a request returns, if `log_requests` asks for it.
///
/// The value is 0 (nothing is logged), 1 (requests that had a helper and failed, within the limit
/// for log lines) or 2 (all requests, without a limit).
#[inline(never)]
pub(crate) fn returned(record: &Record, outcome: Outcome, result: c_int, log_requests: u32) {
    let helper = record.progress().helper;
    let is_logged = match log_requests {
        0 => false,
        1 => result != 0 && helper.is_some() && log::allowed(),
        _ => true,
    };

    if is_logged {
        pr_info!(
            "request {} ({}) {}: seq={} result={} helper={} call_site={}\n",
            record.name(),
            record.requester(),
            outcome,
            record.seq(),
            result,
            Known(helper),
            Quoted(record.origin().call_site()),
        );
    }
}
