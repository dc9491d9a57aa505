// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs learn`: the list for `autoload_allow` that a run in which nothing is enforced would
//! have needed.

use crate::cli::{Cli, Learn};
use crate::failure::{Failure, Result, Status};
use crate::machine::Machine;
use crate::model::counters::Counters;
use crate::model::history::History;
use crate::model::learned::{Learned, LONGEST};
use crate::model::lines;
use crate::model::record::Record;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

/// Where records are from.
struct Source {
    records: Vec<Record>,
    /// How many lines were no records.
    others: usize,
    counters: Option<Counters>,
}

/// Prints the list, and sets it with `--apply`.
pub(crate) fn run(cli: &Cli, machine: &Machine, arguments: &Learn) -> Result {
    let knob = machine.knob("autoload_allow");
    let present = fs::read(&knob).unwrap_or_default();
    let sources = if arguments.files.is_empty() {
        vec![Source::from(History::get(cli, machine)?)]
    } else {
        let files = arguments.files.iter();
        files
            .map(|file| Source::read(file))
            .collect::<Result<_>>()?
    };

    let records = sources.iter().flat_map(|source| &source.records);
    let mut learned = Learned::from_records(records, &present);
    learned.note_others(sources.iter().map(|source| source.others).sum());
    for counters in sources.iter().filter_map(|source| source.counters.as_ref()) {
        learned.note_losses(counters, &present);
    }
    for note in &learned.notes {
        eprintln!("kmod-rs: {note}");
    }

    let list = learned.list();
    if list.len() > LONGEST {
        let sentence = format!(
            "the list is longer than {LONGEST} bytes: replace several of its entries by one"
        );
        if arguments.apply {
            return Err(Failure::new(
                Status::Error,
                format!("{sentence}; nothing is set"),
            ));
        }
        eprintln!("kmod-rs: {sentence}");
    }
    if arguments.apply {
        apply(machine, &knob, &list)?;
    }
    print(cli, list)
}

/// Prints the list.
fn print(cli: &Cli, list: Vec<u8>) -> Result {
    let mut out = io::stdout().lock();
    if cli.json {
        let list = String::from_utf8_lossy(&list);
        let line = serde_json::json!({"schema": 1, "autoload_allow": list});
        writeln!(out, "{line}")?;
    } else {
        out.write_all(&[&list[..], b"\n"].concat())?;
    }
    Ok(Status::Success)
}

/// Sets the list, and makes sure that it is the one in force. If not, the old one is.
fn apply(machine: &Machine, knob: &Path, list: &[u8]) -> Result<()> {
    let fail = |sentence| Err(Failure::new(Status::Error, sentence));
    if list.is_empty() {
        return fail("no record says that anything is needed: nothing is set".into());
    }
    let old = machine.read(knob)?;
    if let Err(e) = machine.set(knob, list) {
        return fail(format!(
            "the kernel refuses the list: the old one is in force ({e})"
        ));
    }
    if fs::read(knob).is_ok_and(|content| content.strip_suffix(b"\n") == Some(list)) {
        return Ok(());
    }
    match machine.set(knob, old.strip_suffix(b"\n").unwrap_or(&old)) {
        Ok(()) => fail("another list than this one was in force: the old one is set again".into()),
        Err(e) => fail(format!(
            "another list is in force, and the old one cannot be set again ({e})"
        )),
    }
}

impl From<History> for Source {
    fn from(history: History) -> Self {
        Self {
            records: history.recent,
            others: history.unknown_lines,
            counters: Some(history.counters),
        }
    }
}

impl Source {
    /// Reads a file of `kmod-rs save`, or lines as `recent` has them. `-` is standard input.
    ///
    /// The counters beside a file `recent` belong to it.
    fn read(file: &Path) -> Result<Self> {
        let content = if file == Path::new("-") {
            let mut content = Vec::new();
            io::stdin().read_to_end(&mut content).map(|_| content)
        } else {
            fs::read(file)
        };
        let content = content.map_err(|e| {
            let shown = file.display();
            Failure::new(Status::Error, format!("{shown} cannot be read: {e}"))
        })?;
        if let Some(history) = History::parse(&content)? {
            return Ok(history.into());
        }
        let records: Vec<_> = lines(&content).filter_map(Record::parse).collect();
        let all = content.split_inclusive(|&b| b == b'\n').count();
        let stats = file.file_name().filter(|name| *name == "recent");
        let stats = stats.and_then(|_| fs::read(file.with_file_name("stats")).ok());
        Ok(Self {
            others: all - records.len(),
            records,
            counters: stats.map(|content| Counters::parse(&content)),
        })
    }
}
