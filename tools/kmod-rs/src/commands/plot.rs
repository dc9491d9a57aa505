// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs plot`: a picture of requests over time.

use super::recent::why_nothing;
use crate::cli::{Cli, Plot};
use crate::failure::{Result, Status};
use crate::file::write_or_print;
use crate::machine::Machine;
use crate::model::filter::Filter;
use crate::model::history::History;
use crate::model::timeline;
use crate::model::users::Users;
use crate::view::svg;

/// Writes the picture.
pub(crate) fn run(cli: &Cli, machine: &Machine, arguments: &Plot) -> Result {
    let history = History::get(cli, machine)?;
    let filter = Filter::new(&arguments.filter, &Users::read(machine), &history.header)?;
    let requests = history.requests();
    let shown: Vec<_> = requests
        .iter()
        .copied()
        .filter(|r| filter.matches(r))
        .collect();
    let picture = svg::plot(&history.header, &timeline::rows(&shown));
    let picture = picture.map_err(anyhow::Error::from)?;
    write_or_print(arguments.output.as_deref(), picture.as_bytes())?;
    if shown.is_empty() {
        eprintln!("kmod-rs: {}", why_nothing(&history, requests.len()));
    }
    Ok(Status::Success)
}
