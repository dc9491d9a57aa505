// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs watch`: requests as they return.

use crate::cli::{self, Cli};
use crate::failure::{Failure, Result, Status};
use crate::interrupt::Interrupt;
use crate::machine::{not_loaded, Machine};
use crate::model::filter::Filter;
use crate::model::history::Header;
use crate::model::live::Request;
use crate::model::users::Users;
use crate::trace::Live;
use crate::view::clock::Clock;
use crate::view::{self, json, Screen, Took};
use anstyle::Style;
use serde_json::Map;
use std::io::{self, Write};

/// Shows requests until a signal ends the process.
pub(crate) fn run(cli: &Cli, machine: &Machine, filter: &cli::Filter) -> Result {
    if cli.from.is_some() {
        let sentence = "watch has no --from: see \"kmod-rs recent\"";
        return Err(Failure::new(Status::Usage, sentence));
    }
    if !machine.is_loaded() {
        return Err(not_loaded());
    }
    let header = Header::read(machine);
    let users = Users::read(machine);
    let filter = Filter::new(filter, &users, &header)?;
    let lines = Lines {
        clock: Clock::new(cli, &header),
        users,
        has_colours: Screen::get().has_colours,
    };
    let interrupt = Interrupt::catch_first()?;
    let mut live = Live::start(machine)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    if !cli.json {
        lines.titles(&mut out)?;
    }
    let mut is_last = false;
    while !is_last {
        // What came is shown before it waits for more.
        out.flush()?;
        live.wait()?;
        // What came before the signal is shown.
        is_last = interrupt.is_set();
        let news = live.news()?;
        for request in &news.requests {
            match request {
                Request::Whole(record) if !filter.matches(record) => (),
                Request::End(end) if !filter.matches_end(end) => (),
                _ if cli.json => json::write_fields(&mut out, request.line(), &Map::new())?,
                _ => lines.write(&mut out, request)?,
            }
        }
        for notice in news.notices() {
            out.flush()?;
            eprintln!("kmod-rs: {notice}");
        }
    }
    out.flush()?;
    Ok(Status::Success)
}

/// How a request is shown to people.
struct Lines<'a> {
    clock: Clock<'a>,
    users: Users,
    has_colours: bool,
}

impl Lines<'_> {
    fn titles(&self, out: &mut impl Write) -> io::Result<()> {
        let titles = [
            "TIME", "NAME", "OUTCOME", "USER", "COMMAND", "QUEUE", "HELPER", "DETAIL",
        ];
        write_columns(out, titles, Style::new())
    }

    fn write(&self, out: &mut impl Write, request: &Request) -> io::Result<()> {
        let took = |time: Option<_>| time.map_or_else(|| "-".into(), |t| Took(t).to_string());
        let style = |outcome| match self.has_colours {
            true => view::style(outcome),
            false => Style::new(),
        };
        match request {
            Request::Whole(record) => write_columns(
                out,
                [
                    &self.clock.show(record.time),
                    &record.name.to_string(),
                    &view::ending(record),
                    &self.users.show(record.uid),
                    &format!("{}[{}]", record.comm, record.pid),
                    &took(record.queue),
                    &took(record.helper_time),
                    &view::detail(record),
                ],
                style(record.outcome.as_ref()),
            ),
            Request::End(end) => write_columns(
                out,
                [
                    &self.clock.show(end.time),
                    &end.name.to_string(),
                    &end.outcome.to_string(),
                    "-",
                    "-",
                    &took(end.queue),
                    &took(end.helper_time),
                    "began before",
                ],
                style(Some(&end.outcome)),
            ),
        }
    }
}

/// Writes a line with the columns of `recent`, the outcome in a style. As nobody knows what comes,
/// they are as wide as what is mostly in them.
fn write_columns(out: &mut impl Write, columns: [&str; 8], style: Style) -> io::Result<()> {
    let [time, name, outcome, user, command, queue, helper, detail] = columns;
    let line = format!(
        "{time:<15}  {name:<20}  {style}{outcome:<8}{style:#}  {user:<8}  {command:<16}  {queue:>6}  {helper:>6}  {detail}"
    );
    writeln!(out, "{}", line.trim_end())
}
