// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs top`: what is going on.

use crate::cli::Cli;
use crate::failure::{Failure, Result, Status};
use crate::interrupt::Interrupt;
use crate::machine::{since_boot, Machine};
use crate::model::activity::Activity;
use crate::model::counters::Counters;
use crate::model::latency;
use crate::model::lines;
use crate::model::record::Record;
use crate::trace::{Change, Live};
use crate::view::top::{Asked, Dashboard, Sample};
use crate::view::{Screen, Shown};
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use std::collections::HashSet;
use std::fs;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// How long to wait for a key before what has happened is shown.
const FRAME: Duration = Duration::from_millis(250);

/// How often the counters, and the requests in flight, are read.
const MEASURE_EVERY: Duration = Duration::from_secs(1);

/// Shows what is going on until the user or a signal ends it.
pub(crate) fn run(cli: &Cli, machine: &Machine) -> Result {
    if cli.json || cli.from.is_some() {
        let sentence = "top has neither --json nor --from: see \"kmod-rs watch\" or \"recent\"";
        return Err(Failure::new(Status::Usage, sentence));
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        let sentence = "top needs a terminal: see \"kmod-rs watch\" or \"kmod-rs recent\"";
        return Err(Failure::new(Status::Error, sentence));
    }
    let interrupt = Interrupt::catch_first()?;
    let mut dashboard = Dashboard::new(title(machine), Screen::get().has_colours);
    // From here on, a panic restores the terminal as well.
    let mut terminal = Terminal(ratatui::try_init()?);
    let mut top = None;
    while !interrupt.is_set() {
        terminal.0.draw(|frame| dashboard.draw(frame))?;
        // The user sees something before anything is read, which may take a while.
        match &mut top {
            None => top = Some(Top::start(machine, &mut dashboard)?),
            Some(top) => {
                if keys(&mut dashboard)? == Asked::Quit {
                    break;
                }
                top.go_on(machine, &mut dashboard)?;
            }
        }
    }
    Ok(Status::Success)
}

/// The terminal, which is restored when this value is dropped.
struct Terminal(ratatui::DefaultTerminal);

impl Drop for Terminal {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn title(machine: &Machine) -> String {
    let word = |path| Shown(machine.word(path).unwrap_or_default().as_bytes()).to_string();
    format!(
        "kmod-rs top - {}, Linux {}, kmod_rs {}",
        word("/proc/sys/kernel/hostname"),
        word("/proc/sys/kernel/osrelease"),
        word("/sys/module/kmod_rs/version"),
    )
}

/// Waits for a key, not longer than a frame, and does what all keys say that were pressed.
fn keys(dashboard: &mut Dashboard) -> io::Result<Asked> {
    let mut wait = FRAME;
    while event::poll(wait)? {
        if let Event::Key(key) = event::read()? {
            if key.kind != KeyEventKind::Release && dashboard.key(key) == Asked::Quit {
                return Ok(Asked::Quit);
            }
        }
        wait = Duration::ZERO;
    }
    Ok(Asked::Nothing)
}

/// Where the requests come from.
struct Top {
    /// The events; `None` if there are none to be had.
    live: Option<Live>,
    /// The numbers of the requests that are counted and in `recent`.
    counted: HashSet<u64>,
    measured: Instant,
}

impl Top {
    /// Begins to follow the requests, and shows what the module remembers.
    fn start(machine: &Machine, dashboard: &mut Dashboard) -> Result<Self> {
        let live = match Live::start(machine) {
            Ok(live) => Some(live),
            Err(failure) => {
                dashboard.notice = Some(format!("{failure}; the records are read instead"));
                None
            }
        };
        let mut top = Self {
            live,
            counted: HashSet::new(),
            measured: Instant::now(),
        };
        // Only now, so that no request is between what is remembered and the first event.
        top.read_recent(machine, &mut dashboard.activity)?;
        top.measure(machine, dashboard);
        Ok(top)
    }

    /// Shows what has happened since.
    fn go_on(&mut self, machine: &Machine, dashboard: &mut Dashboard) -> Result<()> {
        if let Some(live) = &mut self.live {
            let news = live.news()?;
            if matches!(news.change, Some(Change::Back { .. })) {
                self.counted.clear();
            }
            for request in &news.requests {
                if !self.counted.remove(&request.seq()) {
                    dashboard.activity.add(request);
                }
            }
            dashboard.lost += news.lost;
            match news.change {
                Some(Change::Gone) => {
                    // The next module counts its requests from 1 again.
                    self.counted.clear();
                    dashboard.notice = Some(Change::Gone.notice().into());
                }
                Some(Change::Back { .. }) => dashboard.notice = None,
                Some(Change::Enabled) => dashboard.notice = Some(Change::Enabled.notice().into()),
                None => (),
            }
        }
        if self.measured.elapsed() >= MEASURE_EVERY {
            self.measured = Instant::now();
            if self.live.is_none() {
                if let Err(failure) = self.read_recent(machine, &mut dashboard.activity) {
                    // The next module counts its requests from 1 again.
                    self.counted.clear();
                    dashboard.notice = Some(failure.to_string());
                }
            }
            self.measure(machine, dashboard);
        }
        Ok(())
    }

    /// Counts the requests in `recent` that have not been counted.
    fn read_recent(&mut self, machine: &Machine, activity: &mut Activity) -> Result<()> {
        let content = machine.read(&machine.records("recent"))?;
        let mut counted = HashSet::new();
        for record in lines(&content).filter_map(Record::parse) {
            counted.insert(record.seq);
            if !self.counted.contains(&record.seq) {
                activity.add_record(&record);
            }
        }
        self.counted = counted;
        Ok(())
    }

    /// Reads the counters and the requests in flight. What cannot be read is shown as none.
    fn measure(&self, machine: &Machine, dashboard: &mut Dashboard) {
        let read = |name| fs::read(machine.records(name)).unwrap_or_default();
        dashboard.measured(Sample {
            time: since_boot(),
            counters: Counters::parse(&read("stats")),
            latency: latency::parse(&read("latency")),
            in_flight: lines(&read("inflight")).filter_map(Record::parse).collect(),
            limit: machine
                .word("/proc/sys/kernel/kmod-limit")
                .and_then(|limit| limit.parse().ok()),
            is_active: machine.is_active(),
        });
    }
}
