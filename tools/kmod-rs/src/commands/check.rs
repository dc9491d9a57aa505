// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs check NAME`: what the rules in force say of a name, and why.
//!
//! The module answers, so that this cannot drift. It judges the task that writes the name. For
//! another user or cgroup this is a child, which has the file as standard input; the answer is read
//! here.

use crate::cli::{Check, Cli};
use crate::failure::{Failure, Result, Status};
use crate::machine::Machine;
use crate::model::fields::Fields;
use crate::model::record::{Policy, Verdict};
use crate::model::text::Text;
use crate::model::users::Users;
use crate::view::{json, Shown};
use serde_json::Map;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Goes into the cgroup whose `cgroup.procs` is the first argument, if it is not empty, and runs
/// the others.
const ENTER: &str = r#"[ -z "$0" ] || echo 0 >"$0" && exec "$@""#;

/// Writes its argument to standard input, in one piece.
const ASK: &str = r#"printf %s "$0" >&0"#;

/// Asks the module, and shows its answer.
pub(crate) fn run(cli: &Cli, machine: &Machine, arguments: &Check) -> Result {
    let file = open(machine)?;
    let users = Users::read(machine);
    let child = child(machine, arguments, &users)?;
    let (line, answer) = ask(file, arguments.name.as_bytes(), child)?;
    let mut out = io::stdout().lock();
    match cli.json {
        true => json::write_fields(&mut out, &line, &Map::new())?,
        false => writeln!(out, "{}", answer.sentence(&users))?,
    }
    Ok(match answer.is_denial() {
        true => Status::Error,
        false => Status::Success,
    })
}

/// Returns whether the rules let an ordinary user ask for a name, who has no capabilities. Whether
/// they are enforced does not matter.
pub(crate) fn ordinary_user_may_ask(machine: &Machine, name: &Text) -> Result<bool> {
    let mut child = Command::new("setpriv");
    child.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    child.args(["--inh-caps=-all", "--bounding-set=-all"]);
    child.args(["sh", "-c", ASK]);
    child.arg(OsStr::from_bytes(name.as_bytes()));
    let (_, answer) = ask(open(machine)?, name.as_bytes(), Some(child))?;
    Ok(!answer.is_denial())
}

/// Opens the file by which the module is asked.
fn open(machine: &Machine) -> Result<File> {
    let path = machine.path("/proc/kmod_rs/check");
    if machine.is_loaded() && !machine.is_active() {
        let sentence = "kmod_rs does not serve requests, so no rules count: run \"kmod-rs on\"";
        return Err(Failure::new(Status::NotActive, sentence));
    }
    let opened = OpenOptions::new().read(true).write(true).open(&path);
    opened.map_err(|e| machine.explain(&path, &e))
}

/// Asks for a name, or has the child ask. Returns the line that the module answers with, and what it
/// means.
fn ask(mut file: File, name: &[u8], child: Option<Command>) -> Result<(Vec<u8>, Answer)> {
    match child {
        Some(child) => ask_by(child, &file),
        None => file.write(name).map(drop),
    }
    .map_err(|e| {
        let sentence = format!("the rules cannot be asked of {}: {e}", Shown(name));
        Failure::new(Status::Error, sentence)
    })?;
    let mut line = Vec::new();
    file.read_to_end(&mut line)?;
    line.truncate(line.trim_ascii_end().len());
    let answer = Answer::parse(&line).ok_or_else(|| {
        let sentence = "kmod_rs gives an answer of another form: use the kmod-rs of its version";
        Failure::new(Status::Error, sentence)
    })?;
    Ok((line, answer))
}

/// Returns the child that asks, if it is not this program itself.
fn child(machine: &Machine, arguments: &Check, users: &Users) -> Result<Option<Command>> {
    if arguments.user.is_none() && arguments.cgroup.is_none() && !arguments.no_capabilities {
        return Ok(None);
    }
    let mut command = Command::new("sh");
    command.args(["-c", ENTER]);
    match &arguments.cgroup {
        Some(cgroup) => command.arg(procs(machine, cgroup)?),
        None => command.arg(""),
    };
    command.args(["setpriv", "--clear-groups", "--inh-caps=-all"]);
    if let Some(user) = &arguments.user {
        let uid = users.find(user)?;
        command.args([format!("--reuid={uid}"), format!("--regid={uid}")]);
    }
    if arguments.no_capabilities {
        command.arg("--bounding-set=-all");
    }
    command.args(["sh", "-c", ASK]).arg(&arguments.name);
    Ok(Some(command))
}

/// Returns the file with which a task goes into a cgroup.
fn procs(machine: &Machine, cgroup: &str) -> Result<PathBuf> {
    let file = format!("/sys/fs/cgroup/{}/cgroup.procs", cgroup.trim_matches('/'));
    let path = machine.path(&file);
    match path.exists() {
        true => Ok(path),
        false => {
            let shown = Shown(cgroup.as_bytes());
            let sentence = format!(
                "there is no cgroup {shown} now: start what runs in it, or see systemd-cgls(1)"
            );
            Err(Failure::new(Status::Error, sentence))
        }
    }
}

/// Has a child ask.
fn ask_by(mut child: Command, file: &File) -> io::Result<()> {
    let output = child.stdin(Stdio::from(file.try_clone()?)).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(
            Text::from(output.stderr.trim_ascii()).to_string(),
        )),
    }
}

/// What the module says of a name.
#[derive(Debug)]
struct Answer {
    name: Text,
    uid: u32,
    cgroup: Option<Text>,
    /// On the name; `None` if the rules can deny nothing.
    verdict: Option<Verdict>,
    /// On a module that the name is known to bring.
    module: Option<(Text, Verdict)>,
}

impl Answer {
    fn parse(line: &[u8]) -> Option<Self> {
        let fields = Fields::parse(line)?;
        Some(Self {
            name: fields.text("name")?,
            uid: fields.number("uid")?,
            cgroup: fields.text("cgroup"),
            verdict: Verdict::parse(&fields, "policy", "rule"),
            module: fields.text("denied_module").zip(Verdict::parse(
                &fields,
                "module_policy",
                "module_rule",
            )),
        })
    }

    fn is_denial(&self) -> bool {
        let on_name = self.verdict.as_ref();
        let on_module = self.module.as_ref().map(|(_, verdict)| verdict);
        [on_name, on_module]
            .into_iter()
            .flatten()
            .any(|verdict| verdict.policy != Policy::Allowed)
    }

    /// Returns the answer for people.
    fn sentence(&self, users: &Users) -> String {
        let whose = match &self.cgroup {
            Some(cgroup) => format!("for {} in {cgroup}", users.show(self.uid)),
            None => format!("for {}", users.show(self.uid)),
        };
        let (what, verdict) = match (&self.module, &self.verdict) {
            (Some((module, verdict)), _) => (
                format!("{}, which brings the module {module},", self.name),
                verdict,
            ),
            (None, Some(verdict)) => (self.name.to_string(), verdict),
            (None, None) => {
                let name = &self.name;
                return format!("allowed: {name} {whose}, as the rules can deny nothing");
            }
        };
        let policy = match verdict.policy {
            Policy::Allowed => "allowed",
            Policy::Denied => "denied",
            Policy::WouldBeDenied => "would be denied, if autoload_enforce were 1",
        };
        format!("{policy}: {what} {whose}, by the rule {}", verdict.rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what people are told, and whether it is a denial.
    fn said(answer: &str) -> (String, bool) {
        let line = format!(
            "name=\"net-pf-9\" {answer} pid=1 comm=\"sh\" uid=1000 userns=initial cgroup=\"/a\""
        );
        let answer = Answer::parse(line.as_bytes()).unwrap();
        (answer.sentence(&Users::default()), answer.is_denial())
    }

    #[test]
    fn each_answer_in_a_sentence() {
        for (answer, sentence, is_denial) in [
            (
                "policy=- rule=-",
                "allowed: net-pf-9 for 1000 in /a, as the rules can deny nothing",
                false,
            ),
            (
                "policy=allowed rule=\"autoload_allow net-*\"",
                "allowed: net-pf-9 for 1000 in /a, by the rule autoload_allow net-*",
                false,
            ),
            (
                "policy=denied rule=\"autoload_mode 1\"",
                "denied: net-pf-9 for 1000 in /a, by the rule autoload_mode 1",
                true,
            ),
            (
                "policy=would-be-denied rule=\"autoload_mode 1\"",
                "would be denied, if autoload_enforce were 1: net-pf-9 for 1000 in /a, by the rule autoload_mode 1",
                true,
            ),
            (
                "policy=denied rule=\"autoload_deny x\" denied_module=\"x\" module_policy=denied module_rule=\"autoload_deny x\"",
                "denied: net-pf-9, which brings the module x, for 1000 in /a, by the rule autoload_deny x",
                true,
            ),
        ] {
            assert_eq!(said(answer), (sentence.to_owned(), is_denial));
        }
    }

    #[test]
    fn what_is_no_answer() {
        assert!(Answer::parse(b"").is_none());
        assert!(Answer::parse(b"policy=allowed rule=\"capability\"").is_none());
    }
}
