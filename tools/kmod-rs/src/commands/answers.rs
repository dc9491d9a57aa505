// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs answers`: what is answered from memory.

use crate::cli::{Answers, Cli};
use crate::failure::{Failure, Result, Status};
use crate::machine::Machine;
use crate::model::answer::Answer;
use crate::model::lines;
use crate::view::table::{Align, Table};
use crate::view::{json, Screen, Took};
use serde_json::Map;
use std::io::{self, Write};

/// The knob that says how many answers are remembered.
const KNOB: &str = "answers";

/// Shows the answers, or forgets them.
pub(crate) fn run(cli: &Cli, machine: &Machine, arguments: &Answers) -> Result {
    if cli.from.is_some() {
        let sentence = "what is remembered is said of this machine only: leave --from out";
        return Err(Failure::new(Status::Usage, sentence));
    }
    let answers = machine.read(&machine.records("answers"))?;
    let answers: Vec<_> = lines(&answers).filter_map(Answer::parse).collect();
    if arguments.flush {
        return flush(machine, answers.len());
    }

    let mut out = io::BufWriter::new(io::stdout().lock());
    if cli.json {
        for it in &answers {
            json::write_fields(&mut out, &it.line, &Map::new())?;
        }
    } else if !answers.is_empty() {
        table(&answers).write(&mut out, &Screen::get())?;
    }
    out.flush()?;
    if answers.is_empty() {
        eprintln!("kmod-rs: {}", why_nothing(machine)?);
    }
    Ok(Status::Success)
}

/// Forgets all answers: writing the knob does that, also if it stays as it is.
fn flush(machine: &Machine, answers: usize) -> Result {
    let knob = machine.knob(KNOB);
    let value = machine.read(&knob)?;
    machine
        .set(&knob, value.trim_ascii_end())
        .map_err(|e| machine.explain(&knob, &e))?;
    match answers {
        1 => println!("1 answer is forgotten"),
        n => println!("{n} answers are forgotten"),
    }
    Ok(Status::Success)
}

fn table(answers: &[Answer]) -> Table<4> {
    let mut table = Table::new([
        ("NAME", Align::Left),
        ("ANSWER", Align::Left),
        ("AGE", Align::Right),
        ("HITS", Align::Right),
    ]);
    for it in answers {
        let answer = match it.why.as_bytes() {
            b"miss" => "not found".into(),
            b"there" => "there already".into(),
            b"found" => "none: it is found, and cannot be loaded".into(),
            _ => it.why.to_string(),
        };
        table.push([
            (&it.name).into(),
            (&answer).into(),
            (&Took(it.age)).into(),
            (&it.hits).into(),
        ]);
    }
    table
}

/// Returns why there are no answers.
fn why_nothing(machine: &Machine) -> Result<&'static str> {
    let capacity = machine.read(&machine.knob(KNOB))?;
    if capacity.trim_ascii() == b"0" {
        return Ok("no answers are remembered: set kernel.kmod_rs.answers with sysctl(8)");
    }
    let stats = machine.read(&machine.records("stats"))?;
    let off = lines(&stats).find_map(|line| line.strip_prefix(b"answers_off "));
    Ok(match off.unwrap_or(b"-") {
        b"-" => "no request has got an answer that is remembered",
        b"filesystem" => {
            "no answers are remembered: modprobe reads something on a file system whose changes \
             cannot be watched"
        }
        b"elsewhere" => {
            "no answers are remembered: a symbolic link of modprobe's leads to where nothing is \
             watched, or PID 1 has another mount namespace"
        }
        b"toomany" => "no answers are remembered: modprobe reads too many files",
        b"nothingfound" => {
            "no answers are remembered until a request has succeeded: only then is it known that \
             modprobe can find something"
        }
        b"nolook" => "no answers are remembered: this modprobe does not understand -R",
        _ => "no answers are remembered: there was no memory, or there was another error",
    })
}
