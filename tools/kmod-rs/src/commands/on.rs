// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs on`: takes over.

use crate::check::{self, Verdict};
use crate::cli::Cli;
use crate::control::{self, Progress};
use crate::failure::{Failure, Result, Status};
use crate::interrupt::Interrupt;
use crate::livepatch::{Goal, Situation, State};
use crate::machine::Machine;
use std::path::PathBuf;

/// Has kmod_rs serve requests.
pub(crate) fn run(cli: &Cli, machine: &Machine, file: Option<&PathBuf>) -> Result {
    let mut progress = Progress::new(cli.json);
    let now = Situation::read(machine);
    // What is loaded and in its place already needs nothing.
    if now.state == State::Absent {
        let in_the_way = check::before_on(machine);
        control::prepare(machine, &in_the_way, &progress, "taking over")?;
    } else if now.state != State::InForce {
        control::prepare(machine, &[], &progress, "taking over")?;
    }

    let interrupt = Interrupt::catch()?;
    let load = || control::load(machine, file, &interrupt, &Progress::new(cli.json));
    control::reach(Goal::On, machine, &interrupt, &mut progress, load)?;

    let serves = check::serves(machine);
    if serves.verdict != Verdict::Ok {
        return Err(Failure::new(Status::NotActive, serves));
    }
    progress.say(&serves.what);
    Ok(Status::Success)
}
