// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs recent`: requests that were made.

use crate::cli::{Cli, Filter};
use crate::failure::{Result, Status};
use crate::machine::Machine;
use crate::model::lines;
use crate::model::record::Record;
use std::io::{self, Write};

/// Shows the requests that the module remembers.
pub(crate) fn run(_: &Cli, machine: &Machine, _: &Filter) -> Result {
    let content = machine.read(&machine.records("recent"))?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    for record in lines(&content).filter_map(Record::parse) {
        writeln!(out, "{} {} {}", record.seq, record.name, record.comm)?;
    }
    out.flush()?;
    Ok(Status::Success)
}
