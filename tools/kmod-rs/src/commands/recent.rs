// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs recent`: requests that were made.

use crate::cli::{self, Cli};
use crate::failure::{Result, Status};
use crate::machine::Machine;
use crate::model::filter::Filter;
use crate::model::history::{History, Seconds};
use crate::model::record::Record;
use crate::model::users::Users;
use crate::view::clock::Clock;
use crate::view::table::{Align, Cell, Table};
use crate::view::{self, json, OrDash, Screen, Took};
use serde_json::Map;
use std::io::{self, Write};

/// How much is written at a time.
const BUFFER: usize = 1 << 16;

/// Shows the requests that the module remembers and that the user asks for.
pub(crate) fn run(cli: &Cli, machine: &Machine, filter: &cli::Filter) -> Result {
    let history = History::get(cli, machine)?;
    let users = Users::read(machine);
    let filter = Filter::new(filter, &users, &history.header)?;
    let requests = history.requests();
    let shown: Vec<_> = requests
        .iter()
        .copied()
        .filter(|r| filter.matches(r))
        .collect();

    let mut out = io::BufWriter::with_capacity(BUFFER, io::stdout().lock());
    if cli.json {
        for record in &shown {
            json::write_fields(&mut out, &record.line, &Map::new())?;
        }
    } else if !shown.is_empty() {
        // The users of another machine are others.
        let users = if cli.from.is_some() {
            Users::default()
        } else {
            users
        };
        let clock = Clock::new(cli, &history.header);
        table(&shown, &clock, &users).write(&mut out, &Screen::get())?;
    }
    out.flush()?;
    match history.unknown_lines {
        0 => (),
        1 => eprintln!("kmod-rs: 1 line is left out, as it is no record"),
        n => eprintln!("kmod-rs: {n} lines are left out, as they are no records"),
    }
    if shown.is_empty() {
        eprintln!("kmod-rs: {}", why_nothing(&history, requests.len()));
    }
    // The process ends, and to free a million texts takes longer than to leave them.
    std::mem::forget(history);
    Ok(Status::Success)
}

fn table(records: &[&Record], clock: &Clock<'_>, users: &Users) -> Table<8> {
    let mut table = Table::new([
        ("TIME", Align::Left),
        ("NAME", Align::Left),
        ("OUTCOME", Align::Left),
        ("USER", Align::Left),
        ("COMMAND", Align::Left),
        ("QUEUE", Align::Right),
        ("HELPER", Align::Right),
        ("DETAIL", Align::Left),
    ]);
    for record in records {
        table.push([
            (&clock.show(record.time)).into(),
            (&record.name).into(),
            Cell::new(&view::ending(record), view::style(record.outcome.as_ref())),
            (&users.show(record.uid)).into(),
            (&format_args!("{}[{}]", record.comm, record.pid)).into(),
            (&OrDash(record.queue.map(Took))).into(),
            (&OrDash(record.helper_time.map(Took))).into(),
            (&view::detail(record)).into(),
        ]);
    }
    table
}

/// Returns why nothing is shown.
pub(super) fn why_nothing(history: &History, requests: usize) -> String {
    let pushed_out = ["records_pushed_out", "denials_pushed_out"]
        .iter()
        .filter_map(|key| history.counters.number(key))
        .sum::<u64>();
    let until = ["records_pushed_out_until", "denials_pushed_out_until"]
        .iter()
        .filter_map(|key| history.counters.time(key))
        .max()
        .unwrap_or_default();
    match (history.counters.number("records"), requests, pushed_out) {
        (Some(0), 0, _) => "no records are kept: load kmod_rs with records=256".into(),
        (_, 0, _) => "there was no request".into(),
        (_, _, 0) => format!("none of the {requests} requests is like that"),
        (_, _, _) => format!(
            "none of the {requests} requests that are remembered is like that; \
             {pushed_out} are forgotten, the newest from t={}",
            Seconds(until)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::counters::Counters;
    use crate::model::history::tests::history;

    #[test]
    fn why_there_is_nothing() {
        let mut history = history();
        assert!(why_nothing(&history, 0).contains("no request"));
        assert!(why_nothing(&history, 4).contains("none of the 4"));
        history.counters = Counters::parse(b"records 256\nrecords_pushed_out 7\n");
        assert!(why_nothing(&history, 4).contains("7 are forgotten"));
        history.counters = Counters::parse(b"records 0\n");
        assert!(why_nothing(&history, 0).contains("records=256"));
    }
}
