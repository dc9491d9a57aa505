// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs profiles`: rules for the firewall to begin with.

use crate::cli::{Cli, Enable, Profiles};
use crate::failure::{Failure, Result, Status};
use crate::file::write_whole;
use crate::machine::Machine;
use serde_json::json;
use std::fs;
use std::io::{self, Write};

/// Where the rules are that a machine has at boot.
const RULES: &str = "/etc/sysctl.d/60-kmod_rs.conf";

/// The line that says whether rules are enforced, in each profile and without `--enforce`.
const ENFORCED: &str = "kernel.kmod_rs.autoload_enforce = 1\n";
const NOT_ENFORCED: &str = "kernel.kmod_rs.autoload_enforce = 0\n";

/// A profile, as the sources of this program have it.
struct Profile {
    name: &'static str,
    /// The file for sysctl.d(5).
    rules: &'static str,
    /// The name and the content of a file for modules-load.d(5), if it needs one.
    modules: Option<(&'static str, &'static str)>,
}

const PROFILES: [Profile; 3] = [
    Profile {
        name: "server",
        rules: include_str!("../../../../Documentation/sysctl.d/60-kmod_rs-server.conf"),
        modules: None,
    },
    Profile {
        name: "desktop",
        rules: include_str!("../../../../Documentation/sysctl.d/60-kmod_rs-desktop.conf"),
        modules: None,
    },
    Profile {
        name: "container-host",
        rules: include_str!("../../../../Documentation/sysctl.d/60-kmod_rs-container-host.conf"),
        modules: Some((
            "/etc/modules-load.d/kmod_rs-container-host.conf",
            include_str!("../../../../Documentation/modules-load.d/kmod_rs-container-host.conf"),
        )),
    },
];

impl Profile {
    fn find(name: &str) -> Result<&'static Self> {
        PROFILES
            .iter()
            .find(|profile| profile.name == name)
            .ok_or_else(|| {
                let names: Vec<_> = PROFILES.iter().map(|profile| profile.name).collect();
                let sentence = format!("there is no profile {name}, but {}", names.join(", "));
                Failure::new(Status::Usage, sentence)
            })
    }

    /// Returns what the profile is for: the first sentence of its file.
    fn summary(&self) -> String {
        let comment = self.rules.lines().map_while(|line| line.strip_prefix("# "));
        let comment = comment.collect::<Vec<_>>().join(" ");
        let end = comment.find(". ").map_or(comment.len(), |end| end + 1);
        comment[..end].to_owned()
    }

    /// Returns the file for sysctl.d(5).
    fn rules(&self, enforce: bool) -> String {
        match enforce {
            true => self.rules.to_owned(),
            false => self.rules.replace(ENFORCED, NOT_ENFORCED),
        }
    }
}

/// Lists, shows or enables profiles.
pub(crate) fn run(cli: &Cli, machine: &Machine, what: &Profiles) -> Result {
    let mut out = io::stdout().lock();
    match what {
        Profiles::List => {
            for profile in &PROFILES {
                let (name, summary) = (profile.name, profile.summary());
                match cli.json {
                    true => writeln!(
                        out,
                        "{}",
                        json!({"schema": 1, "name": name, "summary": summary})
                    )?,
                    false => writeln!(out, "{name:<15} {summary}")?,
                }
            }
        }
        Profiles::Show { name } => {
            let profile = Profile::find(name)?;
            match cli.json {
                true => writeln!(
                    out,
                    "{}",
                    json!({"schema": 1, "name": name, "rules": profile.rules})
                )?,
                false => out.write_all(profile.rules.as_bytes())?,
            }
        }
        Profiles::Enable(arguments) => enable(machine, arguments, &mut out)?,
    }
    Ok(Status::Success)
}

/// Writes the files of a profile, and says so.
fn enable(machine: &Machine, arguments: &Enable, out: &mut impl Write) -> Result<()> {
    let profile = Profile::find(&arguments.name)?;
    if arguments.now {
        // Nothing is written if the rules cannot be set.
        machine.read(&machine.knob("autoload_mode"))?;
    }
    let rules = profile.rules(arguments.enforce);
    let mut files = vec![(RULES, rules.as_str())];
    files.extend(profile.modules);
    if !arguments.force {
        for (file, content) in &files {
            check_unchanged(machine, file, content)?;
        }
    }
    for (file, content) in &files {
        write_whole(&machine.path(file), content.as_bytes(), 0o644)?;
        writeln!(out, "{file} is written.")?;
    }
    if arguments.now {
        apply(machine, &rules)?;
        writeln!(out, "The rules are in force.")?;
    } else {
        writeln!(
            out,
            "The rules are in force from the next boot on, if kmod_rs is loaded before \
             systemd-sysctl.service runs. To set them now: sysctl --load {RULES}"
        )?;
    }
    let sentence = match arguments.enforce {
        true => "What they deny is denied.",
        false => {
            "What they would deny is allowed, and recorded: see \"kmod-rs recent --denied\" and \
             \"kmod-rs learn\". To enforce them, add --enforce."
        }
    };
    Ok(writeln!(out, "{sentence}")?)
}

/// Fails if a file is there that this program would not have written.
fn check_unchanged(machine: &Machine, file: &str, content: &str) -> Result<()> {
    let Ok(found) = fs::read(machine.path(file)) else {
        return Ok(());
    };
    let is_ours = |content: &str| content.as_bytes() == found;
    let is_a_profile = PROFILES
        .iter()
        .any(|profile| is_ours(profile.rules) || is_ours(&profile.rules(false)));
    if is_ours(content) || is_a_profile {
        return Ok(());
    }
    let sentence = format!(
        "{file} was changed by hand, or is of another version: nothing is written; \
         to replace it, add --force"
    );
    Err(Failure::new(Status::Error, sentence))
}

/// Sets the rules that a file for sysctl.d(5) has.
///
/// The last line comes first: whether the rules are enforced. The mode comes last, when the lists
/// are there.
fn apply(machine: &Machine, rules: &str) -> Result<()> {
    for line in rules.lines().rev() {
        let Some((key, value)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let file = machine.path(&format!("/proc/sys/{}", key.replace('.', "/")));
        machine.set(&file, value.as_bytes()).map_err(|e| {
            Failure::new(
                Status::Error,
                format!("cannot set {key}: {e}; others may be set"),
            )
        })?;
    }
    Ok(())
}
