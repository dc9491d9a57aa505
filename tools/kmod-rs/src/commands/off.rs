// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs off`: gives requests back, and unloads.

use crate::check;
use crate::cli::Cli;
use crate::control::{self, Progress};
use crate::failure::{Failure, Result, Status};
use crate::interrupt::Interrupt;
use crate::livepatch::Goal;
use crate::machine::Machine;

/// Gives requests back to the kernel, and unloads kmod_rs.
pub(crate) fn run(cli: &Cli, machine: &Machine) -> Result {
    if !machine.is_loaded() {
        return Err(Failure::new(
            Status::NotLoaded,
            "kmod_rs is not loaded: there is nothing to give back",
        ));
    }
    let mut progress = Progress::new(cli.json);
    let in_the_way = check::before_off(machine);
    control::prepare(machine, &in_the_way, &progress, "giving back")?;

    let interrupt = Interrupt::catch()?;
    control::reach(Goal::Off, machine, &interrupt, &mut progress, || Ok(()))?;
    progress.say(&control::successor(machine));
    Ok(Status::Success)
}
