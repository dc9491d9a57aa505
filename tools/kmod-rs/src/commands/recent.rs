// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs recent`: requests that were made.

use crate::cli::{Cli, Filter};
use crate::failure::{Result, Status};
use crate::machine::Machine;
use crate::model::history::History;
use std::io::{self, Write};

/// Shows the requests that the module remembers.
pub(crate) fn run(cli: &Cli, machine: &Machine, _: &Filter) -> Result {
    let history = History::get(cli, machine)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    for record in history.requests() {
        writeln!(out, "{} {} {}", record.seq, record.name, record.comm)?;
    }
    out.flush()?;
    Ok(Status::Success)
}
