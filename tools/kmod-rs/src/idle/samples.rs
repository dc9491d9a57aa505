// SPDX-License-Identifier: GPL-2.0

//! What the passes before have seen: since when each module is idle.
//!
//! This is of one boot, and of one load of kmod_rs.

use super::modules::Modules;
use crate::failure::{Failure, Result, Status};
use crate::file::write_whole;
use crate::machine::Machine;
use crate::model::autoloaded::Autoload;
use crate::model::fields::Fields;
use crate::model::history::Seconds;
use crate::model::lines;
use crate::model::record::parse_seconds;
use std::fmt::Write;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::time::Duration;

/// Where it is kept.
pub(crate) const DIRECTORY: &str = "/run/kmod-rs";
const FILE: &str = "/run/kmod-rs/autoclean";

/// A module that each pass has seen idle since a time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sample {
    module: String,
    /// Which request brought the module, and when it came: another one has the same name.
    seq: u64,
    time: Duration,
    /// These change when it is used or asked for.
    again: u64,
    uses: Option<u64>,
    /// Since boot, by CLOCK_MONOTONIC.
    since: Duration,
}

impl Sample {
    fn of(it: &Autoload, module: &str, since: Duration) -> Self {
        Self {
            module: module.to_owned(),
            seq: it.seq,
            time: it.time,
            again: it.again,
            uses: it.uses,
            since,
        }
    }

    /// Returns since when it was seen idle, if this is the same module, and nobody has used it or
    /// asked for it since.
    fn of_same(&self, it: &Autoload) -> Option<Duration> {
        let same = Self::of(it, &super::name_of(it), self.since);
        (same == *self).then_some(self.since)
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let fields = Fields::parse(line)?;
        Some(Self {
            module: fields.quoted("module")?.to_owned(),
            seq: fields.number("seq")?,
            time: parse_seconds(fields.word("t")?)?,
            again: fields.number("again")?,
            uses: fields.number("uses"),
            since: parse_seconds(fields.word("since")?)?,
        })
    }
}

/// What the passes have seen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Samples {
    /// The boot and the load that they are of.
    head: String,
    samples: Vec<Sample>,
}

impl Samples {
    /// Reads what the passes before have seen in this boot, since kmod_rs was loaded.
    pub(crate) fn read(machine: &Machine) -> Self {
        let head = head(machine);
        let content = machine.bytes(FILE).unwrap_or_default();
        let mut lines = lines(&content);
        let samples = match lines.next() {
            Some(line) if line == head.as_bytes() => lines.filter_map(Sample::parse).collect(),
            _ => Vec::new(),
        };
        Self { head, samples }
    }

    /// Adds what is seen now.
    pub(crate) fn see(&mut self, modules: &Modules, autoloaded: &[Autoload], now: Duration) {
        let before = std::mem::take(&mut self.samples);
        for it in autoloaded {
            let name = super::name_of(it);
            let is_idle = modules.get(&name).is_some_and(|module| {
                module.is_live && module.references == module.holders.len() as u64
            });
            if !is_idle {
                continue;
            }
            let since = before.iter().find_map(|old| old.of_same(it));
            let since = since.unwrap_or(now).min(now);
            self.samples.push(Sample::of(it, &name, since));
        }
    }

    /// Returns since when all passes have seen a module idle.
    pub(crate) fn since(&self, it: &Autoload) -> Option<Duration> {
        self.samples.iter().find_map(|sample| sample.of_same(it))
    }

    /// Returns what the file has.
    fn file(&self) -> String {
        let mut file = format!("{}\n", self.head);
        for it in &self.samples {
            let uses = it.uses.map_or("-".into(), |uses| uses.to_string());
            // Writing to a string does not fail.
            let _ = writeln!(
                file,
                "module=\"{}\" seq={} t={} again={} uses={uses} since={}",
                it.module,
                it.seq,
                Seconds(it.time),
                it.again,
                Seconds(it.since),
            );
        }
        file
    }

    /// Writes it for the next pass.
    pub(crate) fn write(&self, machine: &Machine) -> Result<()> {
        make_directory(machine)?;
        write_whole(&machine.path(FILE), self.file().as_bytes(), 0o600)
    }
}

/// Makes the directory, for root alone.
pub(crate) fn make_directory(machine: &Machine) -> Result<()> {
    let path = machine.path(DIRECTORY);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|e| Failure::new(Status::Error, format!("cannot make {DIRECTORY}: {e}")))
}

/// Returns the line that says which boot and which load of kmod_rs it is of.
///
/// The inode of a directory in sysfs has a number that no other one has in the same boot.
fn head(machine: &Machine) -> String {
    let boot = machine
        .word("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default();
    let load = fs::metadata(machine.path("/sys/module/kmod_rs")).map_or(0, |it| it.ino());
    format!("boot=\"{boot}\" load={load}")
}

#[cfg(test)]
mod tests {
    use super::super::modules::tests::fake;
    use super::*;

    fn autoload(line: &str) -> Autoload {
        Autoload::parse(line.as_bytes()).unwrap()
    }

    const XFS: &str = r#"module="xfs" t=8.360528 seq=1 name="fs-xfs" pid=1 comm="mount" uid=0 call_site=- again=4"#;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn idle_since_the_first_pass_that_saw_it_so() {
        let fake = fake("xfs 1 0 - Live 0x0\n", "", "", "");
        fake.write("/sys/module/kmod_rs/refcnt", "1\n");
        let modules = Modules::read(fake.machine()).unwrap();
        let pass = |now, line: &str| {
            let mut samples = Samples::read(fake.machine());
            samples.see(&modules, &[autoload(line)], now);
            samples.write(fake.machine()).unwrap();
            samples.since(&autoload(line))
        };
        assert_eq!(pass(at(100), XFS), Some(at(100)));
        assert_eq!(pass(at(160), XFS), Some(at(100)));
        // It was asked for.
        assert_eq!(
            pass(at(200), &XFS.replace("again=4", "again=5")),
            Some(at(200))
        );
        // What is read later is of the same module.
        let samples = Samples::read(fake.machine());
        assert_eq!(samples.since(&autoload(XFS)), None);
        // It is another one.
        assert_eq!(pass(at(300), &XFS.replace("t=8.3", "t=8.4")), Some(at(300)));
        assert_eq!(
            pass(at(400), &format!("{XFS} idle_ms=1 uses=7")),
            Some(at(400))
        );
        assert_eq!(
            pass(at(410), &format!("{XFS} idle_ms=9 uses=7")),
            Some(at(400))
        );
        // It was used.
        assert_eq!(
            pass(at(420), &format!("{XFS} idle_ms=1 uses=8")),
            Some(at(420))
        );
        // kmod_rs was loaded anew.
        fs::remove_dir_all(fake.machine().path("/sys/module/kmod_rs")).unwrap();
        fake.write("/sys/module/other/refcnt", "1\n");
        fake.write("/sys/module/kmod_rs/refcnt", "1\n");
        let line = format!("{XFS} idle_ms=9 uses=8");
        assert_eq!(pass(at(500), &line), Some(at(500)));
        // The machine was booted.
        fake.write("/proc/sys/kernel/random/boot_id", "other\n");
        assert_eq!(pass(at(600), &line), Some(at(600)));
    }

    #[test]
    fn not_if_something_uses_it() {
        for loaded in [
            "xfs 1 1 - Live 0x0\n",
            "xfs 1 0 - Unloading 0x0\n",
            "xfs 1 2 a, Live 0x0\n",
            "",
        ] {
            let fake = fake(loaded, "", "", "");
            let mut samples = Samples::default();
            let modules = Modules::read(fake.machine()).unwrap();
            samples.see(&modules, &[autoload(XFS)], at(1));
            assert_eq!(samples.since(&autoload(XFS)), None, "{loaded}");
        }
    }

    #[test]
    fn anything_in_the_file() {
        let fake = fake("", "", "", "");
        for content in ["", "boot", "\n\n", "boot=\"\" load=0\nmodule=\"xfs\"\n=\n"] {
            fake.write(FILE, content);
            assert_eq!(Samples::read(fake.machine()).samples, []);
        }
    }
}
