// SPDX-License-Identifier: GPL-2.0

//! The log lines about requests.
//!
//! Documentation/admin-guide.rst explains each of them.

use super::{
    chain::Chain,
    helpers::Helpers,
    lending::TooMany, //
};
use crate::{
    concurrency::Slots,
    log_limits::{
        Again,
        Kind,
        LogLimits, //
    },
    records::{
        outcome::Outcome,
        record::Record, //
    },
    wrappers::{
        log::{
            Known,
            Quoted, //
        },
        name::Name,
        requester::{
            Account,
            Requester, //
        }, //
    }, //
};
use kernel::{
    ffi::c_int,
    prelude::*,
    sync::Arc, //
};

/// Logs that a request was refused because it is part of a loop.
#[inline(never)]
pub(crate) fn loop_stopped(
    log: &Arc<LogLimits>,
    chain: &Chain,
    name: &Name,
    requester: &Requester,
) {
    if let Some(again) = log.admit(Kind::Loop, chain.account(), name) {
        pr_warn!(
            "runaway modprobe loop assumed and stopped: {} ({}){}\n",
            chain.line_to(name),
            requester,
            again,
        );
    }
}

/// Logs that a request has given up waiting for a slot.
#[inline(never)]
pub(crate) fn no_slot(
    log: &Arc<LogLimits>,
    account: Account,
    slots: &Slots,
    helpers: &Helpers,
    name: &Name,
    requester: &Requester,
) {
    if let Some(again) = log.admit(Kind::Timeout, account, name) {
        pr_warn!(
            "runaway modprobe loop assumed and stopped: {} ({}) limit={} busy_timeout_ms={} running=\"{}\"{}\n",
            name,
            requester,
            slots.limit(),
            slots.busy_timeout_ms(),
            helpers.summary(),
            again,
        );
    }
}

/// Logs that a nested request was refused because too many helpers run.
#[inline(never)]
pub(crate) fn too_many_helpers(
    log: &Arc<LogLimits>,
    chain: &Chain,
    name: &Name,
    requester: &Requester,
    too_many: TooMany,
) {
    if let Some(again) = log.admit(Kind::Timeout, chain.account(), name) {
        pr_warn!(
            "runaway modprobe loop assumed and stopped: {} ({}) helpers={}{}\n",
            chain.line_to(name),
            requester,
            too_many.most,
            again,
        );
    }
}

/// Logs that a request that does not wait is refused because too many of those are kept.
#[inline(never)]
pub(crate) fn none_kept(
    log: &Arc<LogLimits>,
    account: Account,
    slots: &Slots,
    kept: u64,
    name: &Name,
    requester: &Requester,
) {
    if let Some(again) = log.admit(Kind::Timeout, account, name) {
        pr_warn!(
            "runaway modprobe loop assumed and stopped: {} ({}) limit={} kept={}{}\n",
            name,
            requester,
            slots.limit(),
            kept,
            again,
        );
    }
}

/// Logs that a request returns, if `log_requests` asks for it.
///
/// The value is 0 (nothing is logged), 1 (requests that had a helper and failed, within the limits
/// for log lines) or 2 (all requests, without a limit).
#[inline(never)]
pub(crate) fn returned(
    log: &Arc<LogLimits>,
    account: Account,
    record: &Record,
    outcome: Outcome,
    result: c_int,
    log_requests: u32,
) {
    let helper = record.progress().helper;
    let admitted = match log_requests {
        0 => None,
        1 if result == 0 || helper.is_none() => None,
        1 => log.admit(Kind::Request, account, record.name()),
        _ => Some(Again::NONE),
    };

    if let Some(again) = admitted {
        pr_info!(
            "request {} ({}) {}: seq={} result={} helper={} call_site={}{}\n",
            record.name(),
            record.requester(),
            outcome,
            record.seq(),
            result,
            Known(helper),
            Quoted(record.call_site()),
            again,
        );
    }
}
