// SPDX-License-Identifier: GPL-2.0

//! The subcommands, one file each.

mod answers;
mod autoclean;
mod blame;
mod check;
mod doctor;
mod idle;
mod journal;
mod learn;
mod metrics;
mod off;
mod on;
mod plot;
mod profiles;
mod recent;
mod save;
mod settings;
mod status;
mod top;
mod watch;
mod who;

use crate::cli::{Cli, Command};
use crate::failure::Result;
use crate::machine::Machine;

/// Runs the subcommand that the user asks for.
pub(crate) fn run(cli: &Cli) -> Result {
    let machine = Machine::at(&cli.root);
    match &cli.command {
        Command::On { file } => on::run(cli, &machine, file.as_ref()),
        Command::Off => off::run(cli, &machine),
        Command::Doctor => doctor::run(cli, &machine),
        Command::Plot(arguments) => plot::run(cli, &machine, arguments),
        Command::Blame(times) => blame::run(cli, &machine, times),
        Command::Learn(arguments) => learn::run(cli, &machine, arguments),
        Command::Check(arguments) => check::run(cli, &machine, arguments),
        Command::Profiles(what) => profiles::run(cli, &machine, what),
        Command::Answers(arguments) => answers::run(cli, &machine, arguments),
        Command::Idle(arguments) => idle::run(cli, &machine, arguments),
        Command::Autoclean(arguments) => autoclean::run(cli, &machine, arguments),
        Command::Settings(what) => settings::run(cli, &machine, what),
        Command::Metrics(arguments) => metrics::run(cli, &machine, arguments),
        Command::Recent(filter) => recent::run(cli, &machine, filter),
        Command::Status { probe } => status::run(cli, &machine, *probe),
        Command::Who { module } => who::run(cli, &machine, module),
        Command::Watch(filter) => watch::run(cli, &machine, filter),
        Command::Top => top::run(cli, &machine),
        Command::Journal => journal::run(cli, &machine),
        Command::Save { file } => save::run(cli, &machine, file),
    }
}
