// SPDX-License-Identifier: GPL-2.0

//! A request for a name of its own, which shows who serves requests.
//!
//! That kmod_rs is in force does not say that requests come to it: another livepatch may take them
//! before. One that it serves has a record.

use crate::failure::{Failure, Result, Status};
use crate::machine::Machine;
use crate::model::counters::Counters;
use crate::model::lines;
use crate::model::record::Record;
use crate::model::text::Text;
use crate::view::{ending, json, Took};
use rustix::io::Errno;
use rustix::mount::{mount, MountFlags};
use serde_json::json;
use std::fmt;
use std::process;

/// Who has served the request.
#[derive(Debug)]
pub(crate) enum Served {
    /// By kmod_rs; this is the record.
    Recorded(Box<Record>),
    /// By kmod_rs, as far as its counters say: no records are kept.
    Counted { name: Text },
    /// By the kernel's own code, or by another livepatch.
    Another { name: Text },
}

/// Makes a request, and finds out who has served it.
///
/// It asks for a file system that nobody has, as mount(2) does with one that is not loaded. So the
/// kernel runs modprobe, which finds nothing.
pub(crate) fn make(machine: &Machine) -> Result<Served> {
    let failure = |sentence: &str| Failure::new(Status::Error, sentence);
    if !machine.is_this() {
        return Err(failure(
            "a probe can be made on this machine only: leave --root out",
        ));
    }
    let read = |name| machine.read(&machine.records(name));
    let before = Counters::parse(&read("stats")?);
    let file_system = format!("kmod_rs-probe-{}", process::id());
    match mount("none", "/", &file_system, MountFlags::RDONLY, "") {
        Err(Errno::NODEV) => (),
        Err(Errno::PERM | Errno::ACCESS) => {
            return Err(failure(
                "a probe takes CAP_SYS_ADMIN, as mount(2): run this as root",
            ))
        }
        Err(e) => return Err(failure(&format!("the probe has failed: {e}"))),
        Ok(()) => return Err(failure(&format!("there is a file system {file_system}"))),
    }
    let after = Counters::parse(&read("stats")?);
    let name = Text::from(format!("fs-{file_system}").as_str());
    Ok(judge(name, &before, &after, &read("recent")?))
}

/// Returns who has served a request for `name`.
fn judge(name: Text, before: &Counters, after: &Counters, recent: &[u8]) -> Served {
    let record = lines(recent)
        .filter_map(Record::parse)
        .filter(|record| record.name == name)
        .last();
    let requests = |counters: &Counters| counters.number("requests");
    match record {
        Some(record) => Served::Recorded(Box::new(record)),
        None if after.number("records") == Some(0) && requests(after) > requests(before) => {
            Served::Counted { name }
        }
        None => Served::Another { name },
    }
}

impl Served {
    /// Returns the probe as an object of JSON.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Recorded(record) => json!({
                "name": json::text(&record.name),
                "served": true,
                "seq": record.seq,
                "outcome": ending(record),
                "result": record.result,
            }),
            Self::Counted { name } => json!({ "name": json::text(name), "served": true }),
            Self::Another { name } => json!({ "name": json::text(name), "served": false }),
        }
    }
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recorded(record) => {
                let (seq, name) = (record.seq, &record.name);
                write!(
                    f,
                    "served by Rust: request {seq}, {name}, {} in {}",
                    ending(record),
                    Took(record.took().unwrap_or_default())
                )
            }
            Self::Counted { name } => write!(
                f,
                "most likely served by Rust: {name}; a request was counted, and no records are kept"
            ),
            Self::Another { name } => write!(
                f,
                "not served by Rust: {name} has no record, so the kernel's own code or another \
                 livepatch has served it"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECENT: &[u8] = b"seq=7 t=1.000000 name=\"fs-kmod_rs-probe-1\" wait=1 pid=1 comm=\"kmod-rs\" uid=0 userns=initial queue_us=1 helper_us=2999 outcome=exit result=256\n";

    fn judge(recent: &[u8], before: &[u8], after: &[u8]) -> Served {
        super::judge(
            "fs-kmod_rs-probe-1".into(),
            &Counters::parse(before),
            &Counters::parse(after),
            recent,
        )
    }

    #[test]
    fn by_its_record() {
        let served = judge(RECENT, b"", b"");
        assert_eq!(
            served.to_string(),
            "served by Rust: request 7, fs-kmod_rs-probe-1, exit in 3.00ms"
        );
        assert_eq!(served.to_json()["served"], true);
    }

    #[test]
    fn by_the_counters_without_records() {
        let before = b"requests 1\nrecords 0\n";
        let after = b"requests 2\nrecords 0\n";
        assert!(matches!(judge(b"", before, after), Served::Counted { .. }));
        assert!(matches!(judge(b"", before, before), Served::Another { .. }));
    }

    #[test]
    fn by_another_if_there_is_no_record() {
        let after = b"requests 2\nrecords 256\n";
        let served = judge(b"", b"requests 1\nrecords 256\n", after);
        assert_eq!(served.to_json()["served"], false);
    }
}
