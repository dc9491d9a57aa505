// SPDX-License-Identifier: GPL-2.0

//! The trace events of the group `kmod_rs`, fired from records.
//!
//! They are defined in events.h. While none of them is enabled, each place that could fire one
//! costs a call of [`enabled`], which looks at seven static branches.

use crate::{
    firewall::policy::{
        Ruling,
        Verdict, //
    },
    records::{
        outcome::Outcome,
        record::{
            self,
            Record, //
        }, //
    },
    wrappers::{
        log::{
            Escaped,
            Quoted, //
        },
        name::Name, //
    }, //
};
use kernel::{
    ffi::{
        c_char,
        c_int, //
    },
    fmt,
    prelude::*,
    str::CString,
    time::Delta, //
};

extern "C" {
    /// See events.c.
    fn kmod_rs_events_enabled() -> bool;

    /// See events.c.
    fn kmod_rs_events_begin(
        seq: u64,
        name: *const c_char,
        wait: bool,
        comm: *const c_char,
        uid: u32,
        loginuid: i64,
        userns: *const c_char,
        nspid: c_int,
        cgroup: *const c_char,
        call_site: *const c_char,
        chain: *const c_char,
    );

    /// See events.c.
    fn kmod_rs_events_end(
        seq: u64,
        name: *const c_char,
        outcome: *const c_char,
        result: c_int,
        helper: c_int,
        queue_us: i64,
        helper_us: i64,
        path: *const c_char,
    );

    /// See events.c.
    fn kmod_rs_events_denied(seq: u64, name: *const c_char, result: c_int, rule: *const c_char);

    /// See events.c.
    fn kmod_rs_events_loop(seq: u64, name: *const c_char, chain: *const c_char);

    /// See events.c.
    fn kmod_rs_events_timeout(seq: u64, name: *const c_char, queue_us: i64);

    /// See events.c.
    fn kmod_rs_events_module_loaded(seq: u64, name: *const c_char, module: *const c_char);

    /// See events.c.
    fn kmod_rs_events_module_denied(
        seq: u64,
        name: *const c_char,
        module: *const c_char,
        rule: *const c_char,
    );
}

/// Returns whether any of the events is enabled.
///
/// Context: any.
pub(crate) fn enabled() -> bool {
    // SAFETY: `kmod_rs_events_enabled()` has no requirement, and may be called in any context.
    unsafe { kmod_rs_events_enabled() }
}

/// Formats a value as a C string.
fn text(value: impl fmt::Display) -> Result<CString> {
    CString::try_from_fmt(fmt!("{value}"))
}

/// Converts a time to microseconds; -1 if it is not known.
fn us(time: Option<Delta>) -> i64 {
    time.map_or(-1, |time| time.as_nanos() / 1000)
}

/// Fires `request_begin`.
///
/// Returns [`ENOMEM`], and does not fire the event, if there is no memory for its texts.
///
/// Context: may sleep.
#[inline(never)]
pub(crate) fn begin(record: &Record) -> Result {
    let origin = record.origin();
    let name = text(Quoted(record.name().as_bytes()))?;
    let comm = text(Quoted(record.requester().comm()))?;
    let userns = text(record::userns(origin.is_in_init_userns))?;
    let cgroup = text(Quoted(origin.cgroup()))?;
    let call_site = text(Quoted(record.call_site()))?;
    let chain = text(record.short_chain())?;

    // SAFETY: The arguments are C strings that live until the end of the call, and the event copies
    // them.
    unsafe {
        kmod_rs_events_begin(
            record.seq(),
            name.as_char_ptr(),
            record.waits(),
            comm.as_char_ptr(),
            record.requester().uid(),
            origin.loginuid.map_or(-1, i64::from),
            userns.as_char_ptr(),
            origin.nspid,
            cgroup.as_char_ptr(),
            call_site.as_char_ptr(),
            chain.as_char_ptr(),
        );
    }
    Ok(())
}

/// Fires `request_end`, and before it the event for the outcome, if the outcome has one.
///
/// Returns [`ENOMEM`], and does not fire the events, if there is no memory for their texts.
///
/// Context: may sleep.
#[inline(never)]
pub(crate) fn end(record: &Record, outcome: Outcome, result: c_int) -> Result {
    let progress = record.progress();
    let name = text(Quoted(record.name().as_bytes()))?;
    let chain = text(record.short_chain())?;
    let path = text(record.path())?;
    let rule = match (record.verdict(), record.denied_module()) {
        (Some(verdict), Some((module, _))) if verdict.ruling == Ruling::Denied => {
            text(fmt!("\"{}, module {module}\"", verdict.rule))?
        }
        (Some(verdict), None) if verdict.ruling == Ruling::Denied => {
            text(fmt!("\"{}\"", verdict.rule))?
        }
        _ => CString::try_from(c"-")?,
    };
    let (seq, queue_us) = (record.seq(), us(progress.queue_time));

    // SAFETY: The arguments are C strings that live until the end of the calls, and the events copy
    // them.
    unsafe {
        match outcome {
            Outcome::Denied => {
                kmod_rs_events_denied(seq, name.as_char_ptr(), result, rule.as_char_ptr());
            }
            Outcome::Loop => kmod_rs_events_loop(seq, name.as_char_ptr(), chain.as_char_ptr()),
            Outcome::Timeout => kmod_rs_events_timeout(seq, name.as_char_ptr(), queue_us),
            _ => (),
        }
        kmod_rs_events_end(
            seq,
            name.as_char_ptr(),
            outcome.word().as_char_ptr(),
            result,
            progress.helper.unwrap_or(0),
            queue_us,
            us(progress.helper_time),
            path.as_char_ptr(),
        );
    }
    Ok(())
}

/// Fires `module_loaded`: a module has appeared because of a request.
///
/// Returns [`ENOMEM`], and does not fire the event, if there is no memory for its texts.
///
/// Context: may sleep.
pub(crate) fn module_loaded(record: &Record, module: &Name) -> Result {
    let name = text(Quoted(record.name().as_bytes()))?;
    let module = text(Escaped(module.as_bytes()))?;

    // SAFETY: The arguments are C strings that live until the end of the call, and the event copies
    // them.
    unsafe {
        kmod_rs_events_module_loaded(record.seq(), name.as_char_ptr(), module.as_char_ptr());
    }
    Ok(())
}

/// Fires `module_denied`: the firewall has refused the helper of a request a module.
///
/// Returns [`ENOMEM`], and does not fire the event, if there is no memory for its texts.
///
/// Context: may sleep.
pub(crate) fn module_denied(record: &Record, module: &Name, verdict: Verdict) -> Result {
    let name = text(Quoted(record.name().as_bytes()))?;
    let module = text(Escaped(module.as_bytes()))?;
    let rule = text(fmt!("\"{}\"", verdict.rule))?;

    // SAFETY: The arguments are C strings that live until the end of the call, and the event copies
    // them.
    unsafe {
        kmod_rs_events_module_denied(
            record.seq(),
            name.as_char_ptr(),
            module.as_char_ptr(),
            rule.as_char_ptr(),
        );
    }
    Ok(())
}
