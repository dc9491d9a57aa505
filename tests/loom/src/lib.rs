// SPDX-License-Identifier: GPL-2.0

//! Tests what many tasks do at once, over all interleavings of a few of them.

#![cfg(test)]

#[path = "../../../concurrency.rs"]
#[expect(dead_code, reason = "the knobs are read and written by the module only")]
mod concurrency;
mod loans;
mod request;
mod shares;
mod slots;
mod unwaiting;
mod usermode_helper;
mod wrappers;

use loom::model::Builder;

/// Tries all interleavings with at most this many preemptions.
const PREEMPTIONS: usize = 3;

fn check(test: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(test);
}
