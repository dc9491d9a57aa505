// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs settings`: keeps what was set in a module, and puts it back.

use crate::cli::{Cli, Settings};
use crate::control::Progress;
use crate::failure::{Failure, Result, Status};
use crate::machine::Machine;
use crate::settings::Module;

/// Keeps settings, or puts them back. The exit status is 1 if that could not be done with all.
pub(crate) fn run(cli: &Cli, machine: &Machine, what: &Settings) -> Result {
    let progress = Progress::new(cli.json);
    let mut is_well = true;
    let mut complain = |sentence: String| {
        progress.say(&sentence);
        is_well = false;
    };
    let named = |names: &[String]| {
        names
            .iter()
            .map(|it| Module::new(it))
            .collect::<Result<Vec<_>>>()
    };
    match what {
        Settings::Save { modules } => {
            for module in named(modules)? {
                match module.save(machine) {
                    Ok(problems) => {
                        for problem in problems {
                            complain(format!("{module}: {problem}"));
                        }
                    }
                    Err(failure) => complain(failure.to_string()),
                }
            }
        }
        Settings::Restore { modules } => {
            let (modules, problems) = match &modules[..] {
                [] => Module::all(machine),
                names => (named(names)?, Vec::new()),
            };
            problems.into_iter().for_each(&mut complain);
            for module in modules {
                match module.restore(machine) {
                    Ok(None) => progress.say(&format!("nothing is kept of {module}")),
                    Ok(Some(problems)) => {
                        for problem in problems {
                            complain(format!("{module}: {problem}"));
                        }
                    }
                    Err(failure) => complain(failure.to_string()),
                }
            }
        }
    }
    match is_well {
        true => Ok(Status::Success),
        false => Err(Failure::new(
            Status::Error,
            "what is named above was left out, and the rest was done",
        )),
    }
}
