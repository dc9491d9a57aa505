// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs save FILE`: all records, to a file.

use crate::cli::Cli;
use crate::failure::{Failure, Result, Status};
use crate::file::write_whole;
use crate::machine::Machine;
use crate::model::history::Snapshot;
use std::path::Path;

/// Saves what the module remembers.
pub(crate) fn run(cli: &Cli, machine: &Machine, file: &Path) -> Result {
    if cli.from.is_some() {
        let sentence = "save takes the records of this machine: copy the file of --from instead";
        return Err(Failure::new(Status::Usage, sentence));
    }
    let snapshot = Snapshot::read(machine)?;
    write_whole(file, &snapshot.file(), 0o600)?;
    Ok(Status::Success)
}
