// SPDX-License-Identifier: GPL-2.0

//! The subcommands, one file each.

mod recent;

use crate::cli::{Cli, Command};
use crate::failure::Result;
use crate::machine::Machine;

/// Runs the subcommand that the user asks for.
pub(crate) fn run(cli: &Cli) -> Result {
    let machine = Machine::at(&cli.root);
    match &cli.command {
        Command::Recent(filter) => recent::run(cli, &machine, filter),
    }
}
