// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs autoclean`: unloads a module that came by a request and is not used any more.
//!
//! One pass unloads one module at most, with what goes along. Between the look at a module and its
//! end, somebody may begin to use it: the kernel then refuses, as it does for anybody.

use super::idle::{why, Facts};
use crate::check;
use crate::cli::{Autoclean, Cli};
use crate::control::{self, Progress};
use crate::failure::{Failure, Result, Status};
use crate::idle::samples::{make_directory, DIRECTORY};
use crate::idle::{veto, Judgement, Reason, Verdict, Word};
use crate::kmsg;
use crate::machine::{not_loaded, Machine};
use crate::settings;
use crate::view::{json, word, Shown};
use rustix::fs::{flock, FlockOperation};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{self, Write};

/// Unloads a module, or says what would be done.
pub(crate) fn run(cli: &Cli, machine: &Machine, arguments: &Autoclean) -> Result {
    if !machine.is_loaded() {
        return Err(not_loaded());
    }
    let progress = Progress::new(cli.json);
    // Held to the end: two passes at once would both unload.
    let _lock = match arguments.yes {
        true => {
            let findings = [check::modules_disabled(machine)];
            let in_the_way: Vec<_> = findings.into_iter().filter(|it| it.is_problem()).collect();
            control::prepare(machine, &in_the_way, &progress, "unloading modules")?;
            Some(lock(machine)?)
        }
        false => None,
    };
    let mut facts = Facts::read(cli, machine, &arguments.times)?;
    if arguments.yes {
        facts
            .samples
            .see(&facts.modules, &facts.autoloaded, facts.now);
        // Before anything goes: what is not written was not seen.
        facts.samples.write(machine)?;
    }
    let mut judgements = facts.judge(machine, false)?;
    let mut chosen = choose(machine, &mut judgements);
    if arguments.yes {
        if let Some(it) = chosen.map(|i| &judgements[i]) {
            if let Some(reason) = save_settings(machine, it) {
                let shown = Shown(it.module.as_bytes());
                progress.say(&format!(
                    "{shown} stays, as its settings cannot be kept: {reason}"
                ));
                chosen = None;
            }
        }
        if let Some(chosen) = chosen {
            let gone = unload(machine, &judgements[chosen])?;
            report(cli, &judgements[chosen], &gone)?;
        }
    } else {
        forecast(cli, &judgements, chosen)?;
        if let Some(note) = facts.note().filter(|_| !cli.json) {
            println!("{note}");
        }
    }
    Ok(Status::Success)
}

/// Keeps other passes out until what it returns is dropped.
fn lock(machine: &Machine) -> Result<File> {
    make_directory(machine)?;
    let failure =
        |e: io::Error| Failure::new(Status::Error, format!("cannot lock {DIRECTORY}: {e}"));
    let directory = File::open(machine.path(DIRECTORY)).map_err(failure)?;
    flock(&directory, FlockOperation::LockExclusive).map_err(|e| failure(e.into()))?;
    Ok(directory)
}

/// Returns the index of the module that goes: that which is idle for the longest time, and that no
/// program keeps. Notes on the others why they stay.
fn choose(machine: &Machine, judgements: &mut [Judgement]) -> Option<usize> {
    let mut may_go: Vec<usize> = (0..judgements.len())
        .filter(|&i| judgements[i].verdict() == Verdict::Goes)
        .collect();
    // Of those that are idle for the same time, what came last goes first.
    may_go.sort_by_key(|&i| std::cmp::Reverse((judgements[i].idle, i)));
    may_go.into_iter().find(|&i| {
        let it = &mut judgements[i];
        // Programs are run on this machine only.
        let ask = |module: &String| match machine.is_this() {
            true => veto::ask(machine, module, veto::LIMIT),
            false => None,
        };
        let said = it
            .stack
            .iter()
            .find_map(|module| Some((module, ask(module)?)));
        let reason = said.map(|(module, said)| {
            let said = Shown(said.as_bytes()).to_string();
            match *module == it.module {
                true => Reason::new(Word::Veto, said),
                false => Reason::new(Word::Stack, format!("{module}: veto ({said})")),
            }
        });
        it.reasons.extend(reason);
        it.reasons.is_empty()
    })
}

/// Keeps the settings of what goes. Returns why that cannot be done.
fn save_settings(machine: &Machine, it: &Judgement) -> Option<String> {
    it.stack.iter().find_map(|name| {
        let module = settings::Module::new(name).ok()?;
        if !module.has_file(machine) {
            return None;
        }
        match module.save(machine) {
            Ok(problems) => problems.into_iter().next(),
            Err(failure) => Some(failure.to_string()),
        }
    })
}

/// Has modprobe unload a module, and logs it. Returns the modules that are gone.
fn unload(machine: &Machine, it: &Judgement) -> Result<Vec<String>> {
    let mut modprobe = control::program("modprobe", ["-r", "--", it.module.as_str()]);
    let result = control::run(&mut modprobe, None);
    let is_there = |module: &&String| machine.path(&format!("/sys/module/{module}")).exists();
    let gone: Vec<String> = it
        .stack
        .iter()
        .filter(|it| !is_there(it))
        .cloned()
        .collect();
    if !gone.is_empty() {
        let names: Vec<_> = gone.iter().map(|it| word(it.as_bytes())).collect();
        let (idle, name) = (
            it.idle
                .map_or("-".into(), |idle| idle.as_secs().to_string()),
            (it.autoload.as_ref()).map_or(String::new(), |it| word(it.name.as_bytes())),
        );
        let line = format!(
            "kmod_rs: autoclean: unloaded=\"{}\" idle_s={idle} for=\"{name}\"",
            names.join(" ")
        );
        kmsg::write(machine, &line)?;
    }
    result.map_err(|reason| {
        let sentence = format!("{} stays: {reason}", Shown(it.module.as_bytes()));
        Failure::new(Status::Error, sentence)
    })?;
    Ok(gone)
}

/// Says what went.
fn report(cli: &Cli, it: &Judgement, gone: &[String]) -> Result<()> {
    let mut out = io::stdout().lock();
    if cli.json {
        let object = Map::from_iter([
            ("unloaded".to_owned(), Value::from(gone)),
            ("idle_s".into(), it.idle.map(|it| it.as_secs_f64()).into()),
            (
                "for".into(),
                (it.autoload.as_ref()).map(|it| json::text(&it.name)).into(),
            ),
        ]);
        json::write(&mut out, &object)?;
    } else if !gone.is_empty() {
        writeln!(out, "unloaded {}", Shown(gone.join(" ").as_bytes()))?;
    }
    Ok(())
}

/// Says what would go, and what else could.
fn forecast(cli: &Cli, judgements: &[Judgement], chosen: Option<usize>) -> Result<()> {
    let mut out = io::stdout().lock();
    for (i, it) in judgements.iter().enumerate() {
        let shown = Shown(it.module.as_bytes());
        let would = match it.verdict() {
            Verdict::Goes if Some(i) == chosen => "unload",
            Verdict::Goes => "unload-later",
            Verdict::Waits => "wait",
            Verdict::Stays => continue,
        };
        if cli.json {
            let object = Map::from_iter([
                ("module".to_owned(), it.module.clone().into()),
                ("would".into(), would.into()),
                ("stack".into(), it.stack.clone().into()),
            ]);
            json::write(&mut out, &object)?;
            continue;
        }
        let why = why(it);
        match (would, why.as_str()) {
            ("unload", "") => writeln!(out, "would unload {shown}")?,
            ("unload", with) => writeln!(out, "would unload {shown} {with}")?,
            ("wait", why) => writeln!(out, "would wait with {shown}: {why}")?,
            _ => writeln!(out, "would unload {shown} in a later pass")?,
        }
    }
    let staying = judgements
        .iter()
        .filter(|it| it.verdict() == Verdict::Stays)
        .count();
    if !cli.json {
        writeln!(
            out,
            "{staying} of {} modules that came by a request stay: \"kmod-rs idle\" says why",
            judgements.len()
        )?;
    }
    Ok(())
}
