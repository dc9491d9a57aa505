// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs` shows and controls kmod_rs, which loads kernel modules on request.
//!
//! - [`cli`] is what the user can say.
//! - [`commands`] has one file for each subcommand.
//! - [`model`] is what the module says, modelled once: records, counters, events.
//! - [`view`] shows it: as text for people, as a table, as JSON.
//! - [`livepatch`] is in which state the livepatch is and what comes next, [`control`] takes the
//!   steps, [`check`] is what stands in the way.
//! - [`probe`] makes a request and finds out who serves it.
//! - [`idle`] is which modules could go again, and why the others stay.
//! - [`machine`] is where the files of this machine are.
//! - [`settings`] is what was set in a module, and is put back when it comes again.
//! - [`trace`] is where the trace events come from.
//!
//! A subcommand reads a [`model`], decides, and gives it to a [`view`]. What decides is pure, so
//! that it is tested without a kernel; what touches the machine is thin.

mod check;
mod cli;
mod commands;
mod conf;
mod control;
mod failure;
mod file;
#[cfg(test)]
mod hostile;
mod idle;
mod interrupt;
mod kmsg;
mod livepatch;
mod machine;
mod model;
mod probe;
mod settings;
mod sysctl;
mod trace;
mod view;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match commands::run(&cli::Cli::parse()) {
        Ok(status) => status.into(),
        Err(failure) => failure.report(),
    }
}
