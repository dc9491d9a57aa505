// SPDX-License-Identifier: GPL-2.0

//! The list for `autoload_allow` that a run in which nothing is enforced would have needed.

use super::counters::Counters;
use super::history::Seconds;
use super::record::{Policy, Record, Verdict};
use super::text::Text;
use crate::view::Shown;
use std::collections::{BTreeMap, BTreeSet};

/// The number of bytes of a list that the kernel accepts, without the newline.
pub(crate) const LONGEST: usize = 4095;

/// How many bytes of an entry a rule shows.
const SHOWN: usize = 55;

/// Services that run programs of users: their cgroups say nothing of who asks.
const FOR_USERS: [&[u8]; 8] = [
    b"anacron",
    b"atd",
    b"containerd",
    b"cron",
    b"dbus",
    b"docker",
    b"podman",
    b"ssh",
];

/// What is learned from records.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Learned {
    /// The entries of the list.
    entries: BTreeSet<Vec<u8>>,
    /// What the list does not have, and why, each in a sentence.
    pub(crate) notes: BTreeSet<String>,
}

/// Who asked for a name.
#[derive(Default)]
struct Requesters {
    /// The cgroups of the services that did; `/` for threads of the kernel.
    services: BTreeSet<Vec<u8>>,
    /// Whether anybody else did.
    others: bool,
    /// Whether somebody did of whom it is not known who it is.
    unknown: bool,
}

/// Returns the entries of a list.
fn entries(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|b| b.is_ascii_whitespace())
        .filter(|entry| !entry.is_empty())
}

impl Learned {
    /// Learns from records. `present` is the list in force.
    pub(crate) fn from_records<'a>(
        records: impl IntoIterator<Item = &'a Record>,
        present: &[u8],
    ) -> Self {
        let mut learned = Self::default();
        let mut names: BTreeMap<&[u8], Requesters> = BTreeMap::new();
        for record in records {
            match &record.verdict {
                Some(Verdict {
                    policy: Policy::WouldBeDenied,
                    rule,
                }) => learned.needed(record, rule, &mut names),
                Some(Verdict {
                    policy: Policy::Allowed,
                    rule,
                }) => learned.used(rule, present),
                _ => (),
            }
        }
        for (name, requesters) in names {
            learned.allow(name, &requesters);
        }
        learned
    }

    /// Takes a request into account that would have been denied.
    fn needed<'a>(
        &mut self,
        record: &'a Record,
        rule: &Text,
        names: &mut BTreeMap<&'a [u8], Requesters>,
    ) {
        let name = &record.name;
        let rule = rule.as_bytes();
        if let Some(entry) = rule.strip_prefix(b"autoload_deny ") {
            self.notes.insert(format!(
                "{name} is in autoload_deny, by {}, which no other list overrides",
                Shown(entry)
            ));
        } else if rule == b"path" {
            self.notes.insert(format!(
                "{name} is a path to modprobe, which no list allows"
            ));
        } else if rule.starts_with(b"crypto") {
            // The cipher of which it is a part is in the list.
        } else if !is_listable(name) {
            self.notes.insert(format!(
                "no entry can match this name alone, and it is left out: {name}"
            ));
        } else {
            let requesters = names.entry(name.as_bytes()).or_default();
            let cgroup = record.cgroup.as_ref().filter(|path| is_listable(path));
            match cgroup.map(Text::as_bytes) {
                // Threads of the kernel are in the root; where systemd runs, no program is.
                _ if rule.starts_with(b"kernel thread") => {
                    requesters.services.insert(b"/".to_vec());
                }
                Some(path) if is_service(path) => {
                    requesters.services.insert(path.to_vec());
                }
                Some([b'/', ..]) => requesters.others = true,
                _ => requesters.unknown = true,
            }
        }
    }

    /// Takes the rule of a request into account that was allowed.
    fn used(&mut self, rule: &Text, present: &[u8]) {
        let Some(shown) = rule.as_bytes().strip_prefix(b"autoload_allow ") else {
            return;
        };
        if shown.len() < SHOWN && is_listable(&shown.into()) {
            self.entries.insert(shown.to_vec());
            return;
        }
        let mut known = entries(present).filter(|entry| entry.starts_with(shown));
        match known.next() {
            Some(entry) => {
                self.entries.insert(entry.to_vec());
                self.entries.extend(known.map(<[u8]>::to_vec));
            }
            None => {
                self.notes.insert(format!(
                    "an entry of autoload_allow was used that is not known as a whole, \
                     and is left out: {}",
                    Shown(shown)
                ));
            }
        }
    }

    /// Allows a name to those who asked for it.
    fn allow(&mut self, name: &[u8], requesters: &Requesters) {
        if requesters.unknown && !requesters.others {
            self.notes.insert(format!(
                "it is not known who asked for this name, as the path of a cgroup is not known as a \
                 whole; for this requester it is left out: {}",
                Shown(name)
            ));
        }
        if requesters.others {
            self.entries.insert(pattern(name));
        } else {
            for path in &requesters.services {
                self.entries
                    .insert([&pattern(name), &b"@"[..], &pattern(path)].concat());
            }
        }
    }

    /// Takes what was left out into account: lines that are no records.
    pub(crate) fn note_others(&mut self, lines: usize) {
        if lines > 0 {
            self.notes
                .insert(format!("lines that are no records were left out: {lines}"));
        }
    }

    /// Takes into account that there are requests of which there is no record any more.
    pub(crate) fn note_losses(&mut self, counters: &Counters, present: &[u8]) {
        let lost = |key| counters.number(key).filter(|&number| number > 0);
        let until = |key| match counters.time(key) {
            Some(time) => Seconds(time).to_string(),
            None => "-".into(),
        };
        if let Some(number) = lost("denials_pushed_out") {
            self.notes.insert(format!(
                "denials pushed out of the records: {number}, the newest from {} s after boot; \
                 the list may lack names, so learn again with a greater records=N",
                until("denials_pushed_out_until")
            ));
        }
        if let Some(number) = lost("records_lost") {
            self.notes.insert(format!(
                "requests without a record, as there was no memory: {number}; \
                 the list may lack names"
            ));
        }
        // Only these say which entries of the present list were used.
        if let Some(number) =
            lost("records_pushed_out").filter(|_| entries(present).next().is_some())
        {
            self.notes.insert(format!(
                "other requests pushed out of the records: {number}, the newest from {} s after \
                 boot; it is not known which entries of the present autoload_allow were used, \
                 so all are kept",
                until("records_pushed_out_until")
            ));
            self.entries.extend(entries(present).map(<[u8]>::to_vec));
        }
    }

    /// Returns the list, without a newline.
    pub(crate) fn list(&self) -> Vec<u8> {
        let entries: Vec<_> = self.entries.iter().map(Vec::as_slice).collect();
        entries.join(&b' ')
    }
}

/// Returns whether a list can have this text: it has no blank and only printable characters.
fn is_listable(text: &Text) -> bool {
    let bytes = text.as_bytes();
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic)
}

/// Returns the pattern that matches this text alone.
fn pattern(text: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(text.len());
    for &byte in text {
        if b"*?[\\@".contains(&byte) {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern
}

/// Returns whether this is the path of the cgroup of a service, or of one below it, and not of a
/// service that runs programs of users.
fn is_service(path: &[u8]) -> bool {
    let is_unit =
        |part: &[u8], kind: &[u8]| part.strip_suffix(kind).is_some_and(|name| !name.is_empty());
    let Some(rest) = path.strip_prefix(b"/system.slice/") else {
        return false;
    };
    let mut parts = rest.split(|&b| b == b'/');
    let runs_programs_of_users = parts
        .clone()
        .filter_map(|part| part.strip_suffix(b".service"))
        .filter_map(|name| name.split(|&b| b == b'@').next())
        .any(|name| FOR_USERS.contains(&name));
    !runs_programs_of_users
        && parts
            .find(|part| !is_unit(part, b".slice"))
            .is_some_and(|part| is_unit(part, b".service"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the record of a request that has this name, cgroup and rule, as `recent` shows them.
    fn record(policy: &str, rule: &str, name: &str, cgroup: &str) -> Record {
        let line = format!(
            "seq=1 t=1.000000 name=\"{name}\" wait=1 pid=1 comm=\"c\" uid=1 userns=initial \
             cgroup={cgroup} policy={policy} rule=\"{rule}\""
        );
        Record::parse(line.as_bytes()).unwrap()
    }

    fn denied(name: &str, cgroup: &str) -> Record {
        record("would-be-denied", "autoload_mode 1", name, cgroup)
    }

    /// Returns the list and the notes.
    fn learn(records: &[Record], present: &str) -> (String, Vec<String>) {
        let learned = Learned::from_records(records, present.as_bytes());
        let list = String::from_utf8(learned.list()).unwrap();
        (list, learned.notes.into_iter().collect())
    }

    #[test]
    fn services_have_entries_of_their_own() {
        let a = "\"/system.slice/a.service\"";
        let b = r#""/system.slice/system-b\x5cx2db.slice/b-b@1.service/x""#;
        let (list, notes) = learn(
            &[
                denied("one", a),
                denied("two", a),
                denied("two", b),
                denied("both", a),
                denied("both", "\"/user.slice\""),
                denied("cron", "\"/system.slice/cron.service\""),
                denied("ssh", "\"/system.slice/ssh@1-2.service/x\""),
                denied("slice", "\"/system.slice/.service\""),
                denied("long", "\"...lll.service\""),
                denied("none", "-"),
            ],
            "",
        );
        assert_eq!(
            list,
            "both cron one@/system.slice/a.service slice ssh two@/system.slice/a.service \
             two@/system.slice/system-b\\\\x2db.slice/b-b\\@1.service/x"
        );
        assert_eq!(notes.len(), 2);
        assert!(notes[0].starts_with("it is not known who") && notes[0].ends_with(": long"));
    }

    #[test]
    fn threads_of_the_kernel_are_in_the_root() {
        let kernel = record(
            "would-be-denied",
            "kernel thread, as anybody",
            "w1",
            "\"/\"",
        );
        assert_eq!(learn(&[kernel], "").0, "w1@/");
    }

    #[test]
    fn what_no_list_allows_is_noted() {
        let (list, notes) = learn(
            &[
                record(
                    "would-be-denied",
                    "autoload_deny net-*",
                    "net-pf-9",
                    "\"/\"",
                ),
                record("would-be-denied", "path", "./a", "\"/\""),
                record("would-be-denied", "crypto-x", "crypto-part", "\"/\""),
                denied("x y", "\"/\""),
                denied("\\x1b[m", "\"/\""),
                record("denied", "autoload_mode 1", "not-learned", "\"/\""),
            ],
            "",
        );
        assert_eq!(list, "");
        assert_eq!(
            notes,
            [
                "./a is a path to modprobe, which no list allows",
                "net-pf-9 is in autoload_deny, by net-*, which no other list overrides",
                "no entry can match this name alone, and it is left out: \\x1b[m",
                "no entry can match this name alone, and it is left out: x y",
            ]
        );
    }

    #[test]
    fn entries_that_were_used_stay() {
        let long = "n".repeat(SHOWN);
        let present = format!("unused {long}-1 {long}-2 a*");
        let used = |entry: &str| record("allowed", &format!("autoload_allow {entry}"), "x", "-");
        let (list, notes) = learn(&[used("a*"), used(&long)], &present);
        assert_eq!((list, notes.len()), (format!("a* {long}-1 {long}-2"), 0));
        let (list, notes) = learn(&[used(&long)], "unused");
        assert_eq!((list.as_str(), notes.len()), ("", 1));
    }

    #[test]
    fn all_entries_stay_if_it_is_not_known_which_were_used() {
        let counters = Counters::parse(
            b"records_pushed_out 3\nrecords_pushed_out_until 7.000001\ndenials_pushed_out 0\n",
        );
        let mut learned = Learned::default();
        learned.note_losses(&counters, b"b a\n");
        assert_eq!(learned.list(), b"a b");
        assert!(learned
            .notes
            .pop_first()
            .is_some_and(|note| note.starts_with(
                "other requests pushed out of the records: 3, the newest from 7.000001 s"
            )));
        learned = Learned::default();
        learned.note_losses(&counters, b"\n");
        assert_eq!(learned, Learned::default());
    }

    proptest::proptest! {
        /// A list is one line that the kernel splits into the entries that are meant, and each
        /// entry matches the name that was asked for.
        #[test]
        fn a_list_has_what_was_asked_for(names in proptest::collection::vec("[ -~]{1,8}|\\PC*", 1..8)) {
            let records: Vec<_> = names
                .iter()
                .map(|name| {
                    let shown = Shown(name.as_bytes()).to_string().replace('"', "\\x22");
                    denied(&shown, "\"/user.slice\"")
                })
                .collect();
            let learned = Learned::from_records(&records, b"");
            let list = learned.list();
            proptest::prop_assert!(list.iter().all(|b| matches!(b, b' '..=b'~')));
            let mut literal: Vec<_> = entries(&list)
                .map(|entry| {
                    let mut bytes = entry.iter();
                    std::iter::from_fn(|| match bytes.next()? {
                        b'\\' => bytes.next().copied(),
                        // These are not literal.
                        b'*' | b'?' | b'[' | b'@' => None,
                        b => Some(*b),
                    })
                    .collect::<Vec<_>>()
                })
                .collect();
            literal.sort();
            let mut meant: Vec<_> = names
                .iter()
                .filter(|name| is_listable(&name.as_str().into()))
                .map(|name| name.as_bytes().to_vec())
                .collect();
            meant.sort();
            meant.dedup();
            proptest::prop_assert_eq!(literal, meant);
        }
    }
}
