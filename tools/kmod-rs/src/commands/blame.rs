// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs blame`: which requests took longest.

use super::recent::why_nothing;
use crate::cli::{self, Cli};
use crate::failure::{Result, Status};
use crate::machine::Machine;
use crate::model::filter::Filter;
use crate::model::history::History;
use crate::model::record::Record;
use crate::model::users::Users;
use crate::view::clock::Clock;
use crate::view::table::{Align, Cell, Table};
use crate::view::{self, json, OrDash, Screen, Took};
use serde_json::Map;
use std::cmp::Reverse;
use std::io::{self, BufWriter, Write};
use std::time::Duration;

/// Shows the requests that have returned, the slowest first.
pub(crate) fn run(cli: &Cli, machine: &Machine, filter: &cli::Filter) -> Result {
    let history = History::get(cli, machine)?;
    let users = Users::read(machine);
    let filter = Filter::new(filter, &users, &history.header)?;
    let requests = slowest_first(history.recent.iter().filter(|r| filter.matches(r)));

    let mut out = BufWriter::new(io::stdout().lock());
    if cli.json {
        for record in &requests {
            json::write_fields(&mut out, &record.line, &Map::new())?;
        }
    } else if !requests.is_empty() {
        // The users of another machine are others.
        let users = if cli.from.is_some() {
            Users::default()
        } else {
            users
        };
        let clock = Clock::new(cli, &history.header);
        table(&requests, &clock, &users).write(&mut out, &Screen::get())?;
    }
    out.flush()?;
    if requests.is_empty() {
        eprintln!("kmod-rs: {}", why_nothing(&history, history.recent.len()));
    }
    Ok(Status::Success)
}

/// Returns requests, those first that took longest; of equals, those that began first.
fn slowest_first<'a>(requests: impl Iterator<Item = &'a Record>) -> Vec<&'a Record> {
    let mut requests: Vec<_> = requests.collect();
    requests.sort_by_key(|record| Reverse(record.took()));
    requests
}

fn table(requests: &[&Record], clock: &Clock<'_>, users: &Users) -> Table<8> {
    let mut table = Table::new([
        ("TOOK", Align::Right),
        ("QUEUE", Align::Right),
        ("HELPER", Align::Right),
        ("NAME", Align::Left),
        ("OUTCOME", Align::Left),
        ("USER", Align::Left),
        ("COMMAND", Align::Left),
        ("TIME", Align::Left),
    ]);
    let took = |time: Option<Duration>| OrDash(time.map(Took));
    for record in requests {
        table.push([
            (&took(record.took())).into(),
            (&took(record.queue)).into(),
            (&took(record.helper_time)).into(),
            (&record.name).into(),
            Cell::new(&view::ending(record), view::style(record.outcome.as_ref())),
            (&users.show(record.uid)).into(),
            (&format_args!("{}[{}]", record.comm, record.pid)).into(),
            (&clock.show(record.time)).into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::history::tests::history;

    #[test]
    fn the_slowest_is_first() {
        let history = history();
        let seqs = |requests: Vec<&Record>| requests.iter().map(|r| r.seq).collect::<Vec<_>>();
        let requests = slowest_first(history.recent.iter().rev());
        assert_eq!(seqs(requests), [1, 4, 3]);
    }
}
