// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs status`: whether kmod_rs is loaded, serves, and how it is set up.

use super::doctor::Installed;
use crate::check::{self, Finding};
use crate::cli::Cli;
use crate::failure::{Failure, Result, Status};
use crate::livepatch::{Situation, State};
use crate::machine::Machine;
use crate::model::counters::Counters;
use crate::model::lines;
use crate::model::record::Record;
use crate::model::text::Text;
use crate::probe::{self, Served};
use crate::view::{json, labelled, Screen, Shown};
use anstyle::{AnsiColor, Style};
use serde_json::json;
use std::io::{self, Write};

/// Shows how things are.
pub(crate) fn run(cli: &Cli, machine: &Machine, makes_probe: bool) -> Result {
    if cli.from.is_some() {
        let sentence = "status is that of this machine: leave --from out";
        return Err(Failure::new(Status::Usage, sentence));
    }
    let mut overview = Overview::read(machine);
    if makes_probe && overview.situation.is_loaded {
        overview.probe = Some(probe::make(machine)?);
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    if cli.json {
        json::write(&mut out, &overview.to_json())?;
    } else {
        overview.write(&mut out, &Screen::get())?;
    }
    out.flush()?;
    Ok(overview.status())
}

/// How things are. What cannot be told, as it is for root only, is `None`.
struct Overview {
    situation: Situation,
    /// Whether it serves requests, and if not, why.
    serves: Finding,
    release: Text,
    /// The version that is loaded.
    version: Option<Text>,
    /// The version that is installed, and the release that it is for.
    installed: Option<(Text, Text)>,
    /// The program that requests run.
    program: Option<Text>,
    slots: Option<u64>,
    rules: Option<Rules>,
    counters: Option<Counters>,
    in_flight: Option<Vec<Record>>,
    has_debugfs: bool,
    in_the_way: Vec<Finding>,
    probe: Option<Served>,
}

/// The rules of the firewall.
#[derive(Debug, PartialEq, Eq)]
struct Rules {
    mode: u64,
    is_enforced: bool,
    is_locked: bool,
    /// The number of entries.
    allow: usize,
    deny: usize,
    system_uids: u64,
    counts_setuid: bool,
}

impl Rules {
    fn read(machine: &Machine) -> Option<Self> {
        let word = |name: &str| machine.word(&format!("/proc/sys/kernel/kmod_rs/autoload_{name}"));
        let number = |name| word(name)?.parse().ok();
        let entries = |name| Some(word(name)?.split_ascii_whitespace().count());
        Some(Self {
            mode: number("mode")?,
            is_enforced: number("enforce")? != 0,
            is_locked: number("lock")? != 0,
            allow: entries("allow")?,
            deny: entries("deny")?,
            system_uids: number("system_uids")?,
            counts_setuid: number("setuid")? != 0,
        })
    }

    /// Returns whether the rules can deny anything.
    fn can_deny(&self) -> bool {
        self.mode != 0 || self.deny != 0
    }

    fn show(&self) -> String {
        let entries = |n, what| match n {
            1 => format!("1 entry {what}"),
            _ => format!("{n} entries {what}"),
        };
        let mut parts = vec![
            match (self.can_deny(), self.mode) {
                (false, _) => "off".into(),
                (true, 0) => "everybody may have all that is not denied".into(),
                (true, 1) => "privileged requesters may have all that is not denied".into(),
                (true, _) => "nobody may have what is not allowed".to_owned(),
            },
            format!("mode {}", self.mode),
            entries(self.allow, "allow"),
            entries(self.deny, "deny"),
        ];
        if !self.is_enforced {
            parts.push("not enforced".into());
        }
        if self.is_locked {
            parts.push("locked until reboot".into());
        }
        parts.join(", ")
    }
}

impl Overview {
    fn read(machine: &Machine) -> Self {
        let text = |path| {
            machine
                .bytes(path)
                .map(|content| Text::from(content.trim_ascii()))
        };
        let records = |name: &str| machine.bytes(&format!("/sys/kernel/debug/kmod_rs/{name}"));
        let release = machine
            .word("/proc/sys/kernel/osrelease")
            .unwrap_or_default();
        let situation = Situation::read(machine);
        Self {
            situation,
            serves: check::serves(machine),
            installed: Installed::find(machine, &release).map(|it| (it.version, it.release)),
            release: release.as_str().into(),
            version: text("/sys/module/kmod_rs/version"),
            program: text("/proc/sys/kernel/modprobe"),
            slots: (machine.word("/proc/sys/kernel/kmod-limit")).and_then(|n| n.parse().ok()),
            rules: Rules::read(machine),
            counters: records("stats").map(|content| Counters::parse(&content)),
            in_flight: records("inflight")
                .map(|content| lines(&content).filter_map(Record::parse).collect()),
            has_debugfs: machine.has_debugfs(),
            in_the_way: in_the_way(machine, situation),
            probe: None,
        }
    }

    /// Returns whether Rust serves requests, as far as this is known.
    fn is_serving(&self) -> bool {
        self.situation.state == State::InForce
            && !self.serves.is_problem()
            && !matches!(self.probe, Some(Served::Another { .. }))
    }

    /// Returns the version that is installed for this kernel, if another one is loaded.
    ///
    /// An upgrade leaves the module that is loaded alone.
    fn other_version(&self) -> Option<&Text> {
        let (installed, release) = self.installed.as_ref()?;
        let loaded = self.version.as_ref()?;
        (installed != loaded && *release == self.release).then_some(installed)
    }

    fn status(&self) -> Status {
        match (self.situation.is_loaded, self.is_serving()) {
            (false, _) => Status::NotLoaded,
            (true, false) => Status::NotActive,
            (true, true) => Status::Success,
        }
    }

    fn write(&self, out: &mut impl Write, screen: &Screen) -> io::Result<()> {
        let style = |color: AnsiColor| match screen.has_colours {
            true => color.on_default().bold(),
            false => Style::new(),
        };
        let color = match self.status() {
            Status::Success => AnsiColor::Green,
            Status::NotLoaded => AnsiColor::Yellow,
            _ => AnsiColor::Red,
        };
        let what = match &self.probe {
            Some(Served::Another { .. }) => "kmod_rs is loaded, but something else serves requests",
            _ => &self.serves.what,
        };
        writeln!(out, "{0}{what}{0:#}", style(color))?;

        let shown = |text: &Option<Text>| text.as_ref().map_or("unknown".into(), Text::to_string);
        let installed = match &self.installed {
            Some((version, release)) if *release == self.release => format!("{version} installed"),
            Some((version, release)) => format!("{version} installed, but for Linux {release}"),
            None => "none installed for this kernel".into(),
        };
        labelled(out, "kernel", &self.release)?;
        if !self.situation.is_loaded {
            labelled(out, "version", &installed)?;
        } else {
            labelled(
                out,
                "version",
                format!("{} loaded, {installed}", shown(&self.version)),
            )?;
            if let Some(other) = self.other_version() {
                writeln!(
                    out,
                    "{:>12}  {other} is loaded at the next boot, or by \"kmod-rs off\" and then \
                     \"kmod-rs on\"",
                    "->"
                )?;
            }
            let slots = self
                .slots
                .map_or("unknown".into(), |slots| slots.to_string());
            let program = match &self.program {
                Some(program) if program.as_bytes().is_empty() => {
                    "none: automatic loading is off".into()
                }
                program => shown(program),
            };
            labelled(
                out,
                "helper",
                format!("{program}; at most {slots} at a time"),
            )?;
            let for_root = || "for root only".to_owned();
            let no_records = || match self.has_debugfs {
                true => for_root(),
                false => "debugfs is not mounted".into(),
            };
            let rules = self.rules.as_ref().map_or_else(for_root, Rules::show);
            labelled(out, "firewall", rules)?;
            labelled(
                out,
                "requests",
                self.counters.as_ref().map_or_else(no_records, requests),
            )?;
            if let Some(counters) = &self.counters {
                labelled(out, "records", records(counters))?;
            }
            labelled(
                out,
                "in flight",
                self.in_flight
                    .as_ref()
                    .map_or_else(no_records, |records| in_flight(records)),
            )?;
        }
        if let Some(probe) = &self.probe {
            labelled(out, "probe", probe)?;
        }
        for finding in self.serves.to_do.iter() {
            writeln!(out, "{:>12}  {}", "->", Shown(finding.as_bytes()))?;
        }
        for finding in &self.in_the_way {
            labelled(out, "in the way", &finding.what)?;
            for to_do in finding.to_do.iter() {
                writeln!(out, "{:>12}  {to_do}", "->")?;
            }
        }
        Ok(())
    }

    fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
        let text = |text: &Option<Text>| text.as_ref().map(json::text);
        let state = match self.situation.state {
            State::Absent => "absent",
            State::TakingOver => "taking-over",
            State::InForce => "in-force",
            State::GivingBack => "giving-back",
        };
        let mut object = serde_json::Map::new();
        let mut add = |key: &str, value| object.insert(key.to_owned(), value);
        add("loaded", self.situation.is_loaded.into());
        add("serving", self.is_serving().into());
        add("state", state.into());
        add("what", self.serves.what.as_str().into());
        add("release", json::text(&self.release));
        add("version", text(&self.version).into());
        add(
            "installed",
            self.installed
                .as_ref()
                .map(|(version, _)| json::text(version))
                .into(),
        );
        add(
            "installed_for",
            self.installed
                .as_ref()
                .map(|(_, release)| json::text(release))
                .into(),
        );
        add("modprobe", text(&self.program).into());
        add("kmod_limit", self.slots.into());
        add(
            "autoload",
            self.rules
                .as_ref()
                .map_or(serde_json::Value::Null, |rules| {
                    json!({
                        "mode": rules.mode,
                        "enforce": rules.is_enforced,
                        "lock": rules.is_locked,
                        "allow": rules.allow,
                        "deny": rules.deny,
                        "system_uids": rules.system_uids,
                        "setuid": rules.counts_setuid,
                    })
                }),
        );
        add("stats", self.counters.as_ref().map(json::counters).into());
        add("in_flight", self.in_flight.as_ref().map(Vec::len).into());
        add("probe", self.probe.as_ref().map(Served::to_json).into());
        let in_the_way: Vec<_> = self.in_the_way.iter().map(Finding::to_json).collect();
        add("in_the_way", in_the_way.into());
        object
    }
}

/// Returns what stands in the way of the next step: of taking over if kmod_rs is not loaded, else of
/// unloading it.
///
/// Who has a file open is looked for only if somebody uses the module: this takes long.
fn in_the_way(machine: &Machine, situation: Situation) -> Vec<Finding> {
    let mut findings = match (situation.is_loaded, situation.references) {
        (false, _) => check::before_on(machine),
        (true, ..=1) => vec![
            check::locked(machine),
            check::modules_disabled(machine),
            check::other_transition(machine),
        ],
        (true, _) => check::before_off(machine),
    };
    findings.retain(Finding::is_problem);
    findings
}

/// Returns the counters of requests, those that are not 0.
fn requests(counters: &Counters) -> String {
    let number = |key| counters.number(key).unwrap_or_default();
    let outcomes: Vec<_> = counters
        .outcomes()
        .filter(|(_, _, count)| *count > 0)
        .map(|(_, word, count)| format!("{count} {word}"))
        .collect();
    let mut shown = number("requests").to_string();
    if !outcomes.is_empty() {
        shown = format!("{shown}: {}", outcomes.join(", "));
    }
    for (key, what) in [
        ("denied_by_policy", "denied by the firewall"),
        ("would_be_denied", "would be denied"),
        ("modules_denied", "times a module was denied"),
        ("modules_would_be_denied", "times a module would be denied"),
    ] {
        if number(key) > 0 {
            shown = format!("{shown}; {} {what}", number(key));
        }
    }
    shown
}

/// Returns how many records there may be, and how many are gone.
fn records(counters: &Counters) -> String {
    let number = |key| counters.number(key).unwrap_or_default();
    let mut shown = match number("records") {
        0 => "none are kept".to_owned(),
        n => format!("the last {n}, and {n} denials"),
    };
    for (key, what) in [
        ("records_pushed_out", "pushed out"),
        ("denials_pushed_out", "denials pushed out"),
        ("records_lost", "lost, as there was no memory"),
    ] {
        if number(key) > 0 {
            shown = format!("{shown}; {} {what}", number(key));
        }
    }
    shown
}

/// Returns how many requests are in flight, and for how long the oldest has been.
fn in_flight(records: &[Record]) -> String {
    match records {
        [] => "none".into(),
        [oldest, ..] => format!(
            "{}, the oldest is {} by {}[{}]",
            records.len(),
            oldest.name,
            oldest.comm,
            oldest.pid
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::Fake;

    /// A machine on which kmod_rs serves requests, without what is for root only.
    fn serving() -> Fake {
        let fake = Fake::new();
        fake.write("/proc/sys/kernel/osrelease", "7.3.4+deb13-amd64\n");
        fake.write("/proc/sys/kernel/modules_disabled", "0\n");
        fake.write("/proc/sys/kernel/modprobe", "/sbin/modprobe\n");
        fake.write("/proc/sys/kernel/kmod-limit", "50\n");
        fake.write("/proc/sys/kernel/kmod_rs/active", "1\n");
        fake.write("/sys/module/kmod_rs/version", "0.1\n");
        fake.write("/sys/module/kmod_rs/refcnt", "1\n");
        fake.write("/sys/kernel/livepatch/kmod_rs/enabled", "1\n");
        fake.write("/sys/kernel/livepatch/kmod_rs/transition", "0\n");
        fake
    }

    fn rules(fake: &Fake, mode: &str, lock: &str) {
        for (name, value) in [
            ("mode", mode),
            ("enforce", "1"),
            ("lock", lock),
            ("allow", "a b@/x\n"),
            ("deny", "\n"),
            ("system_uids", "0"),
            ("setuid", "1"),
        ] {
            fake.write(&format!("/proc/sys/kernel/kmod_rs/autoload_{name}"), value);
        }
    }

    fn shown(overview: &Overview) -> String {
        let mut out = Vec::new();
        let screen = Screen {
            width: None,
            has_colours: false,
        };
        overview.write(&mut out, &screen).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_exit_status() {
        let fake = serving();
        assert_eq!(Overview::read(fake.machine()).status(), Status::Success);
        fake.write("/sys/kernel/livepatch/kmod_rs/transition", "1\n");
        assert_eq!(Overview::read(fake.machine()).status(), Status::NotActive);
        assert_eq!(
            Overview::read(Fake::new().machine()).status(),
            Status::NotLoaded
        );
    }

    #[test]
    fn a_probe_that_another_serves_counts() {
        let fake = serving();
        let mut overview = Overview::read(fake.machine());
        overview.probe = Some(Served::Another { name: "x".into() });
        assert_eq!(overview.status(), Status::NotActive);
        assert!(shown(&overview).starts_with("kmod_rs is loaded, but something else"));
    }

    #[test]
    fn another_version_is_installed() {
        let fake = serving();
        let mut overview = Overview::read(fake.machine());
        let mut says = |version: &str, release: &str| {
            overview.installed = Some((version.into(), release.into()));
            shown(&overview).contains("0.2 is loaded at the next boot")
        };
        assert!(says("0.2", "7.3.4+deb13-amd64"));
        assert!(!says("0.1", "7.3.4+deb13-amd64"));
        assert!(!says("0.2", "7.2.12+deb13-amd64"));
    }

    #[test]
    fn without_root() {
        let fake = serving();
        fake.write("/sys/kernel/debug/other", "");
        let overview = Overview::read(fake.machine());
        assert!(shown(&overview).contains("firewall    for root only"));
        assert!(shown(&overview).contains("requests    for root only"));
        assert_eq!(overview.to_json()["stats"], serde_json::Value::Null);
    }

    #[test]
    fn what_the_rules_are() {
        let fake = serving();
        rules(&fake, "0", "0");
        let off = Rules::read(fake.machine()).unwrap();
        assert_eq!(off.show(), "off, mode 0, 2 entries allow, 0 entries deny");
        rules(&fake, "1", "1");
        let on = Rules::read(fake.machine()).unwrap();
        assert!(on.show().starts_with("privileged requesters"));
        assert!(on.show().ends_with("locked until reboot"));
        assert_eq!(Overview::read(fake.machine()).in_the_way.len(), 1);
    }

    #[test]
    fn counters_that_are_not_0() {
        let counters = b"loaded 7\nexit 0\ndenied 2\nrequests 9\ndenied_by_policy 2\nrecords 256\nrecords_lost 1\n";
        let counters = Counters::parse(counters);
        assert_eq!(
            requests(&counters),
            "9: 7 loaded, 2 denied; 2 denied by the firewall"
        );
        assert_eq!(
            records(&counters),
            "the last 256, and 256 denials; 1 lost, as there was no memory"
        );
    }
}
