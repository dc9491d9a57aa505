// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs metrics`: numbers for Prometheus.

use crate::cli::{Cli, Metrics};
use crate::failure::{Result, Status};
use crate::file::write_or_print;
use crate::machine::Machine;
use crate::model::history::History;
use crate::view::prometheus::{self, Now};
use std::fs;

/// Writes the metrics.
///
/// That the module is not loaded is an answer, and no failure: otherwise the last answer, that all
/// is well, would stay in the file.
pub(crate) fn run(cli: &Cli, machine: &Machine, arguments: &Metrics) -> Result {
    let metrics = if cli.from.is_none() && !machine.is_loaded() {
        prometheus::not_loaded()
    } else {
        let slots = fs::read_to_string(machine.path("/proc/sys/kernel/kmod-limit")).ok();
        let now = Now {
            is_active: machine.is_active(),
            slots: slots.and_then(|number| number.trim().parse().ok()),
        };
        let history = History::get(cli, machine)?;
        prometheus::metrics(&history, cli.from.is_none().then_some(now))
    };
    write_or_print(
        arguments.file.as_deref(),
        metrics.map_err(anyhow::Error::from)?.as_bytes(),
    )?;
    Ok(Status::Success)
}
