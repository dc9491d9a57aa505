// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs idle`: which modules could go again, and why the others stay.

use crate::cli::{Cli, Idle, Times};
use crate::commands::check::ordinary_user_may_ask;
use crate::failure::{Failure, Result, Status};
use crate::idle::modules::Modules;
use crate::idle::rules::Rules;
use crate::idle::samples::Samples;
use crate::idle::{Judgement, Pass, Reason, Verdict};
use crate::machine::{since_boot, Machine};
use crate::model::autoloaded::Autoload;
use crate::model::lines;
use crate::model::record::Record;
use crate::model::text::Text;
use crate::view::table::{Align, Cell, Table};
use crate::view::{json, OrDash, Screen, Shown, Took};
use anstyle::{AnsiColor, Style};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

/// Shows what could go.
pub(crate) fn run(cli: &Cli, machine: &Machine, arguments: &Idle) -> Result {
    let facts = Facts::read(cli, machine, &arguments.times)?;
    let judgements = facts.judge(machine, arguments.all)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    if cli.json {
        for it in &judgements {
            let line = it
                .autoload
                .as_ref()
                .map(|it| &it.line[..])
                .unwrap_or_default();
            match line {
                b"" => json::write(&mut out, &to_json(it))?,
                line => json::write_fields(&mut out, line, &to_json(it))?,
            }
        }
    } else {
        table(&judgements).write(&mut out, &Screen::get())?;
        if let Some(note) = facts.note() {
            writeln!(out, "{note}")?;
        }
    }
    out.flush()?;
    Ok(Status::Success)
}

/// What is read for a pass.
pub(crate) struct Facts {
    pub(crate) rules: Rules,
    pub(crate) modules: Modules,
    pub(crate) autoloaded: Vec<Autoload>,
    pub(crate) samples: Samples,
    in_flight: Vec<Text>,
    pub(crate) now: Duration,
    /// Whether the kernel tells when a module was used last.
    is_exact: bool,
    /// Whether the rules of the firewall can deny ordinary users a name.
    has_firewall: bool,
}

impl Facts {
    pub(crate) fn read(cli: &Cli, machine: &Machine, times: &Times) -> Result<Self> {
        if cli.from.is_some() {
            let sentence = "what could go is said of this machine only: leave --from out";
            return Err(Failure::new(Status::Usage, sentence));
        }
        let rules = Rules::read(machine, times)?;
        // What is in flight comes first: a module that has come meanwhile is then used, or is not
        // in the samples.
        let in_flight = machine.read(&machine.records("inflight"))?;
        let autoloaded = machine.read(&machine.records("autoloaded"))?;
        let autoloaded: Vec<_> = lines(&autoloaded).filter_map(Autoload::parse).collect();
        let modules = Modules::read(machine).map_err(|said| Failure::new(Status::Error, said))?;
        let word = |knob: &str| machine.word(&format!("/proc/sys/kernel/kmod_rs/{knob}"));
        Ok(Self {
            rules,
            modules,
            autoloaded,
            samples: Samples::read(machine),
            in_flight: lines(&in_flight)
                .filter_map(Record::parse)
                .map(|record| record.name)
                .collect(),
            now: since_boot(),
            is_exact: word("track_use").is_some_and(|it| it != "0"),
            has_firewall: word("autoload_mode").as_deref() != Some("0"),
        })
    }

    /// Judges the modules.
    pub(crate) fn judge(&self, machine: &Machine, all: bool) -> Result<Vec<Judgement>> {
        // Each question takes a process, and many modules come for the same name.
        let answers = RefCell::new(BTreeMap::new());
        let failure = RefCell::new(None);
        let may_ask = |name: &Text| {
            let mut answers = answers.borrow_mut();
            *answers.entry(name.clone()).or_insert_with(|| {
                !self.has_firewall
                    || ordinary_user_may_ask(machine, name).unwrap_or_else(|e| {
                        failure.replace(Some(e));
                        false
                    })
            })
        };
        let pass = Pass {
            rules: &self.rules,
            modules: &self.modules,
            autoloaded: &self.autoloaded,
            samples: &self.samples,
            in_flight: &self.in_flight,
            now: self.now,
            may_ask: &may_ask,
        };
        let judgements = pass.judge(all);
        match failure.take() {
            Some(failure) => Err(failure),
            None => Ok(judgements),
        }
    }

    /// Returns what has to be known of the times.
    pub(crate) fn note(&self) -> Option<&'static str> {
        (!self.is_exact).then_some(
            "track_use is 0: a module is idle if each pass of \"kmod-rs autoclean --yes\" has found \
             it so. Whether it was used between two of them is not known.",
        )
    }
}

/// Returns what is said of a module as JSON, besides the line of the module.
fn to_json(it: &Judgement) -> Map<String, Value> {
    let reason = |reason: &Reason| {
        Value::Object(Map::from_iter([
            ("reason".into(), reason.word.to_string().into()),
            ("what".into(), reason.what.clone().into()),
        ]))
    };
    let mut object = Map::new();
    if it.autoload.is_none() {
        object.insert("module".into(), it.module.clone().into());
    }
    object.insert("verdict".into(), it.verdict().to_string().into());
    let idle = it.idle.map(|idle| idle.as_secs_f64());
    object.insert("idle_s".into(), idle.into());
    object.insert("stack".into(), it.stack.clone().into());
    object.insert("reasons".into(), it.reasons.iter().map(reason).collect());
    object
}

/// Returns what people see.
fn table(judgements: &[Judgement]) -> Table<6> {
    let mut table = Table::new([
        ("MODULE", Align::Left),
        ("FOR", Align::Left),
        ("IDLE", Align::Right),
        ("USES", Align::Right),
        ("VERDICT", Align::Left),
        ("WHY", Align::Left),
    ]);
    for it in judgements {
        let verdict = it.verdict();
        let style = match verdict {
            Verdict::Goes => AnsiColor::Green.on_default(),
            Verdict::Waits => AnsiColor::Yellow.on_default(),
            Verdict::Stays => Style::new(),
        };
        let autoload = it.autoload.as_ref();
        table.push([
            (&Shown(it.module.as_bytes())).into(),
            (&OrDash(autoload.map(|it| &it.name))).into(),
            (&OrDash(it.idle.map(Took))).into(),
            (&OrDash(autoload.and_then(|it| it.uses))).into(),
            Cell::new(&verdict, style),
            (&why(it)).into(),
        ]);
    }
    table
}

/// Returns why a module stays, or what goes along with it.
pub(crate) fn why(it: &Judgement) -> String {
    let reasons: Vec<_> = it.reasons.iter().map(Reason::to_string).collect();
    let others: Vec<_> = it
        .stack
        .iter()
        .filter(|other| **other != it.module)
        .cloned()
        .collect();
    let shown = match (&reasons[..], &others[..]) {
        ([], []) => String::new(),
        ([], others) => format!("with {}", others.join(" ")),
        (reasons, _) => reasons.join(", "),
    };
    Text::from(shown.as_str()).to_string()
}
