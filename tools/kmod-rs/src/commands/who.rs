// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs who MODULE`: which request brought a module, and who made it.

use crate::cli::Cli;
use crate::failure::{Result, Status};
use crate::machine::Machine;
use crate::model::autoloaded::Autoload;
use crate::model::history::History;
use crate::model::lines;
use crate::model::pattern::folded;
use crate::model::record::Record;
use crate::model::text::Text;
use crate::model::users::Users;
use crate::view::clock::Clock;
use crate::view::{json, labelled, Took};
use serde_json::{Map, Value};
use std::io::{self, Write};

/// Shows which request brought a module.
pub(crate) fn run(cli: &Cli, machine: &Machine, module: &str) -> Result {
    let history = History::get(cli, machine)?;
    let module = Text::from(module.bytes().map(folded).collect::<Vec<_>>().as_slice());
    let (presence, users) = match cli.from {
        // What is loaded on this machine says nothing of another one.
        Some(_) => (Presence::of_file(&history, &module), Users::default()),
        None => (Presence::read(machine, &module), Users::read(machine)),
    };
    let answer = Answer {
        origin: Origin::find(&history, &module),
        module,
        presence,
    };

    let mut out = io::BufWriter::new(io::stdout().lock());
    if cli.json {
        json::write(&mut out, &answer.to_json())?;
    } else {
        answer.write(&mut out, &Clock::new(cli, &history.header), &users)?;
    }
    out.flush()?;
    Ok(answer.status())
}

/// Whether a module is there.
#[derive(Debug, PartialEq, Eq)]
enum Presence {
    Loaded {
        /// The modules that it needs.
        needs: Vec<Text>,
        /// The modules that need it.
        needed_by: Vec<Text>,
    },
    BuiltIn,
    Absent,
    /// Nothing tells: the records are those of a file.
    Unknown,
}

impl Presence {
    /// Returns whether a module is there on the machine.
    fn read(machine: &Machine, module: &Text) -> Self {
        let modules = machine.bytes("/proc/modules").unwrap_or_default();
        let release = machine
            .word("/proc/sys/kernel/osrelease")
            .unwrap_or_default();
        let built_in = machine.bytes(&format!("/lib/modules/{release}/modules.builtin"));
        Self::of(&modules, &built_in.unwrap_or_default(), module)
    }

    /// Reads `/proc/modules` and `modules.builtin`.
    fn of(modules: &[u8], built_in: &[u8], module: &Text) -> Self {
        let mut needs = Vec::new();
        let mut needed_by = None;
        for line in lines(modules) {
            let mut words = line.split(|&b| b == b' ');
            let name = Text::from(words.next().unwrap_or_default());
            let users = words.nth(2).unwrap_or_default();
            let users: Vec<_> = users
                .split(|&b| b == b',')
                .filter(|user| !matches!(*user, b"" | b"-"))
                .map(Text::from)
                .collect();
            if users.contains(module) {
                needs.push(name);
            } else if name == *module {
                needed_by = Some(users);
            }
        }
        if let Some(needed_by) = needed_by {
            return Self::Loaded { needs, needed_by };
        }
        let is_built_in = lines(built_in).any(|path| {
            let file = path.rsplit(|&b| b == b'/').next().unwrap_or_default();
            let name = file.strip_suffix(b".ko").unwrap_or(file);
            name.iter()
                .map(|&b| folded(b))
                .eq(module.as_bytes().iter().copied())
        });
        if is_built_in {
            Self::BuiltIn
        } else {
            Self::Absent
        }
    }

    /// Returns whether a module was there when the records were saved, as far as they say.
    fn of_file(history: &History, module: &Text) -> Self {
        match history.autoloaded.iter().any(|it| it.module == *module) {
            true => Self::Loaded {
                needs: Vec::new(),
                needed_by: Vec::new(),
            },
            false => Self::Unknown,
        }
    }
}

/// The request that brought a module.
#[derive(Debug)]
enum Origin<'a> {
    /// The module is still there. The record may be forgotten.
    Live(&'a Autoload, Option<&'a Record>),
    /// The module that the request brought has been unloaded.
    Past(&'a Record),
}

impl<'a> Origin<'a> {
    /// Returns the request that brought a module, or that brought it before it was unloaded.
    fn find(history: &'a History, module: &Text) -> Option<Self> {
        let mut requests = history.requests().into_iter();
        match history.autoloaded.iter().find(|it| it.module == *module) {
            Some(it) => Some(Self::Live(it, requests.find(|record| record.seq == it.seq))),
            None => requests
                .rfind(|record| record.modules.contains(module))
                .map(Self::Past),
        }
    }

    fn autoload(&self) -> Option<&'a Autoload> {
        match self {
            Self::Live(autoload, _) => Some(autoload),
            Self::Past(_) => None,
        }
    }

    fn record(&self) -> Option<&'a Record> {
        match self {
            Self::Live(_, record) => *record,
            Self::Past(record) => Some(record),
        }
    }
}

/// What is known of a module.
struct Answer<'a> {
    module: Text,
    presence: Presence,
    origin: Option<Origin<'a>>,
}

impl Answer<'_> {
    /// Returns success if the module is there, or was.
    fn status(&self) -> Status {
        match (&self.origin, &self.presence) {
            (None, Presence::Absent | Presence::Unknown) => Status::Error,
            _ => Status::Success,
        }
    }

    fn write(&self, out: &mut impl Write, clock: &Clock<'_>, users: &Users) -> io::Result<()> {
        let module = &self.module;
        let Some(origin) = &self.origin else {
            match self.presence {
                Presence::Loaded { .. } => writeln!(
                    out,
                    "{module} is loaded, and no request is known that brought it: it was there \
                     before kmod_rs, or udev, an administrator or a daemon has loaded it"
                )?,
                Presence::BuiltIn => writeln!(out, "{module} is built into the kernel")?,
                Presence::Absent => writeln!(
                    out,
                    "{module} is not loaded, and no request is known that brought it"
                )?,
                Presence::Unknown => writeln!(out, "no request is known that brought {module}")?,
            }
            return self.write_needs(out);
        };
        match origin {
            Origin::Live(it, _) => {
                let (time, seq, name) = (clock.show(it.time), it.seq, &it.name);
                writeln!(out, "{module} came at {time} by request {seq}, for {name}")?;
                let requester = requester(&it.comm, it.pid, it.uid, users);
                labelled(out, "asked by", requester)?;
            }
            Origin::Past(it) => {
                let since = match self.presence {
                    Presence::Loaded { .. } => {
                        "; that was unloaded, and no request brought the one that is loaded now"
                    }
                    Presence::Absent => "; it is not loaded any more",
                    Presence::BuiltIn | Presence::Unknown => "",
                };
                writeln!(
                    out,
                    "{module} came by request {}, for {}{since}",
                    it.seq, it.name
                )?;
                labelled(out, "asked by", requester(&it.comm, it.pid, it.uid, users))?;
            }
        }
        match (origin, origin.record()) {
            (_, Some(record)) => self.write_record(out, record, clock, users)?,
            (Origin::Live(it, _), None) => {
                if let Some(call_site) = &it.call_site {
                    labelled(out, "call site", call_site)?;
                }
                labelled(
                    out,
                    "record",
                    "forgotten: load kmod_rs with more records to keep it",
                )?;
            }
            (Origin::Past(_), None) => (),
        }
        if let Some(it) = origin.autoload() {
            let times = if it.again == 1 { "time" } else { "times" };
            let again = format!("{} was requested {} {times} since", it.name, it.again);
            labelled(out, "again", again)?;
        }
        self.write_needs(out)
    }

    fn write_record(
        &self,
        out: &mut impl Write,
        it: &Record,
        clock: &Clock<'_>,
        users: &Users,
    ) -> io::Result<()> {
        let waits = if it.waits {
            ""
        } else {
            ", which did not wait for it"
        };
        labelled(out, "requested", format!("{}{waits}", clock.show(it.time)))?;
        if let Some(login) = it.loginuid.filter(|login| *login != it.uid) {
            labelled(out, "logged in", users.show(login))?;
        }
        if let Some(cgroup) = &it.cgroup {
            match unit(cgroup) {
                Some(unit) => labelled(out, "service", format!("{unit} ({cgroup})"))?,
                None => labelled(out, "cgroup", cgroup)?,
            }
        }
        if !it.is_in_initial_userns {
            labelled(
                out,
                "container",
                "the requester is in another user namespace",
            )?;
        }
        if !it.chain.is_empty() {
            labelled(out, "chain", join(&it.chain, " -> "))?;
        }
        if let Some(call_site) = &it.call_site {
            labelled(out, "call site", call_site)?;
        }
        if let Some(helper) = it.helper {
            let path = it
                .path
                .as_ref()
                .map(|path| format!("{path}, "))
                .unwrap_or_default();
            let took = it
                .helper_time
                .map(|time| format!(", ran for {}", Took(time)));
            labelled(
                out,
                "helper",
                format!("{path}process {helper}{}", took.unwrap_or_default()),
            )?;
        }
        if let Some(verdict) = &it.verdict {
            labelled(
                out,
                "firewall",
                format!("{} by {}", verdict.policy, verdict.rule),
            )?;
        }
        let others: Vec<_> = it
            .modules
            .iter()
            .filter(|other| **other != self.module)
            .cloned()
            .collect();
        if !others.is_empty() {
            labelled(out, "with it", join(&others, " "))?;
        }
        Ok(())
    }

    fn write_needs(&self, out: &mut impl Write) -> io::Result<()> {
        if let Presence::Loaded { needs, needed_by } = &self.presence {
            for (label, modules) in [("needs", needs), ("needed by", needed_by)] {
                if !modules.is_empty() {
                    labelled(out, label, join(modules, " "))?;
                }
            }
        }
        Ok(())
    }

    /// Returns the answer with the keys of `autoloaded`, and with the record as it is in `recent`.
    fn to_json(&self) -> Map<String, Value> {
        let texts = |texts: &[Text]| texts.iter().map(json::text).collect::<Vec<_>>();
        let (presence, needs, needed_by) = match &self.presence {
            Presence::Loaded { needs, needed_by } => ("loaded", texts(needs), texts(needed_by)),
            Presence::BuiltIn => ("built-in", Vec::new(), Vec::new()),
            Presence::Absent => ("absent", Vec::new(), Vec::new()),
            Presence::Unknown => ("unknown", Vec::new(), Vec::new()),
        };
        let origin = self.origin.as_ref();
        let autoload = origin.and_then(Origin::autoload);
        let record = origin.and_then(Origin::record);
        let mut object = Map::new();
        let mut add = |key: &str, value| object.insert(key.to_owned(), value);
        add("module", json::text(&self.module));
        add("presence", presence.into());
        add("needs", needs.into());
        add("needed_by", needed_by.into());
        add(
            "autoloaded",
            autoload.map(|it| json::object(&it.line)).into(),
        );
        add("record", record.map(|it| json::object(&it.line)).into());
        object
    }
}

fn requester(comm: &Text, pid: u32, uid: u32, users: &Users) -> String {
    format!("{comm}[{pid}], user {}", users.show(uid))
}

fn join(texts: &[Text], separator: &str) -> String {
    let shown: Vec<_> = texts.iter().map(Text::to_string).collect();
    shown.join(separator)
}

/// Returns the service or scope of systemd that a cgroup belongs to.
fn unit(cgroup: &Text) -> Option<Text> {
    let is_unit = |part: &&[u8]| part.ends_with(b".service") || part.ends_with(b".scope");
    let mut parts = cgroup.as_bytes().rsplit(|&b| b == b'/');
    parts.find(is_unit).map(Text::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::history::tests::history;

    const MODULES: &[u8] = b"xfs 1 2 - Live 0x0\nlibcrc32c 1 2 xfs,btrfs, Live 0x0\n";
    const BUILT_IN: &[u8] = b"kernel/fs/ext4/ext4.ko\nkernel/crypto/crypto-null.ko\n";

    fn answer<'a>(history: &'a History, module: &str) -> Answer<'a> {
        let module = Text::from(module);
        Answer {
            presence: Presence::of(MODULES, BUILT_IN, &module),
            origin: Origin::find(history, &module),
            module,
        }
    }

    fn shown(module: &str) -> (Status, String) {
        let history = history();
        let answer = answer(&history, module);
        let cli = <Cli as clap::Parser>::parse_from(["kmod-rs", "--monotonic", "who", module]);
        let mut out = Vec::new();
        let users = Users::default();
        answer
            .write(&mut out, &Clock::new(&cli, &history.header), &users)
            .unwrap();
        (answer.status(), String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_module_that_a_request_brought() {
        let (status, shown) = shown("xfs");
        assert_eq!(status, Status::Success);
        assert!(
            shown.starts_with("xfs came at 8.360528 by request 1, for fs-xfs\n"),
            "{shown}"
        );
        for line in [
            "mount[128], user 0",
            "4 times since",
            "libcrc32c",
            "get_fs_type+0x8d/0x100",
        ] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
    }

    #[test]
    fn a_module_that_no_request_brought() {
        let none = |module| {
            let (status, shown) = shown(module);
            (status, shown.lines().next().unwrap().to_owned())
        };
        assert_eq!(
            none("ext4"),
            (Status::Success, "ext4 is built into the kernel".into())
        );
        assert_eq!(
            none("crypto_null").1,
            "crypto_null is built into the kernel"
        );
        let (status, shown) = none("zfs");
        assert_eq!(
            (status, shown.starts_with("zfs is not loaded")),
            (Status::Error, true)
        );
    }

    #[test]
    fn a_module_that_has_been_loaded_again() {
        let (status, shown) = shown("libcrc32c");
        assert_eq!(status, Status::Success);
        assert!(
            shown.contains("no request brought the one that is loaded now"),
            "{shown}"
        );
        assert!(shown.contains("needed by   xfs btrfs"), "{shown}");
    }

    #[test]
    fn the_unit_of_a_cgroup() {
        let unit = |cgroup: &str| super::unit(&cgroup.into());
        assert_eq!(
            unit("/system.slice/cron.service"),
            Some("cron.service".into())
        );
        assert_eq!(
            unit("/system.slice/udev.service/udev"),
            Some("udev.service".into())
        );
        assert_eq!(unit("/user.slice"), None);
    }

    #[test]
    fn the_answer_as_json() {
        let history = history();
        let object = answer(&history, "xfs").to_json();
        assert_eq!(object["autoloaded"]["again"], 4);
        assert_eq!(object["record"]["comm"], "mount");
        assert_eq!(object["needs"][0], "libcrc32c");
    }
}
