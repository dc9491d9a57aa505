// SPDX-License-Identifier: GPL-2.0

//! All that is known of the past, from the machine or from a file.
//!
//! The file has the files of the records, as they are, in sections, so that people can read it and
//! `grep` works on it:
//!
//! ```text
//! kmod-rs history 1
//! [machine]
//! release="7.3.4+deb13-amd64" hostname="host" version="0.1" boot_id="..." monotonic=... realtime=...
//! [recent]
//! seq=1 t=6.095587 name="fs-xfs" ...
//! [inflight]
//! [autoloaded]
//! [stats]
//! [latency]
//! [end]
//! ```

use super::autoloaded::Autoload;
use super::counters::Counters;
use super::fields::Fields;
use super::latency::{self, Bucket};
use super::lines;
use super::record::{parse_seconds, Record};
use super::text::Text;
use crate::cli::Cli;
use crate::failure::{Failure, Result, Status};
use crate::machine::{since_boot, Machine};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const FIRST_LINE: &[u8] = b"kmod-rs history 1";
const MACHINE: &str = "machine";
const END: &str = "end";

/// The names of the files of the records, which are those of the sections as well.
const FILES: [&str; 5] = ["recent", "inflight", "autoloaded", "stats", "latency"];

/// All that is known of the past.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) header: Header,
    /// The requests that have returned, in the order in which they began.
    pub(crate) recent: Vec<Record>,
    /// The requests in flight, in the order in which they began.
    ///
    /// One whose requester was killed is in `recent` as well.
    pub(crate) in_flight: Vec<Record>,
    /// The modules that came from a request and are still there.
    pub(crate) autoloaded: Vec<Autoload>,
    pub(crate) counters: Counters,
    pub(crate) latency: Vec<Bucket>,
    /// How many lines were no records.
    pub(crate) unknown_lines: usize,
}

/// Where the records are from, and when they were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The release of the kernel.
    pub(crate) release: Text,
    pub(crate) hostname: Text,
    /// The version of the module.
    pub(crate) version: Text,
    pub(crate) boot_id: Text,
    /// When the records were read, since boot by CLOCK_MONOTONIC.
    pub(crate) monotonic: Duration,
    /// The same moment, since 1970.
    pub(crate) realtime: Duration,
}

/// The files of the records, as they were read, before anything is made of them.
pub(crate) struct Snapshot<'a> {
    header: Header,
    /// The contents, in the order of [`FILES`].
    contents: [Cow<'a, [u8]>; FILES.len()],
}

impl Header {
    /// Returns what is known of the machine now.
    pub(crate) fn read(machine: &Machine) -> Self {
        let word = |path| {
            let content = fs::read(machine.path(path)).unwrap_or_default();
            Text::from(content.trim_ascii())
        };
        Self {
            release: word("/proc/sys/kernel/osrelease"),
            hostname: word("/proc/sys/kernel/hostname"),
            version: word("/sys/module/kmod_rs/version"),
            boot_id: word("/proc/sys/kernel/random/boot_id"),
            monotonic: since_boot(),
            realtime: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let fields = Fields::parse(line)?;
        Some(Self {
            release: fields.text("release")?,
            hostname: fields.text("hostname")?,
            version: fields.text("version")?,
            boot_id: fields.text("boot_id")?,
            monotonic: parse_seconds(fields.word("monotonic")?)?,
            realtime: parse_seconds(fields.word("realtime")?)?,
        })
    }

    fn line(&self) -> String {
        format!(
            "release={} hostname={} version={} boot_id={} monotonic={} realtime={}",
            Quoted(&self.release),
            Quoted(&self.hostname),
            Quoted(&self.version),
            Quoted(&self.boot_id),
            Seconds(self.monotonic),
            Seconds(self.realtime),
        )
    }

    /// Returns when something was, since boot, that was then since 1970.
    pub(crate) fn since_boot(&self, realtime: Duration) -> Duration {
        (self.monotonic.saturating_add(realtime)).saturating_sub(self.realtime)
    }

    /// Returns when something was, since 1970, that was then since boot.
    ///
    /// The two clocks differ by the time that the machine was suspended. So what was before a
    /// suspend seems to be later than it was.
    pub(crate) fn realtime(&self, since_boot: Duration) -> Duration {
        (self.realtime.saturating_add(since_boot)).saturating_sub(self.monotonic)
    }
}

impl<'a> Snapshot<'a> {
    /// Reads the files of the machine.
    pub(crate) fn read(machine: &Machine) -> Result<Self> {
        let mut contents: [Cow<'_, [u8]>; FILES.len()] = Default::default();
        for (name, content) in FILES.iter().zip(&mut contents) {
            *content = machine.read(&machine.records(name))?.into();
        }
        Ok(Self {
            header: Header::read(machine),
            contents,
        })
    }

    /// Returns what [`Snapshot::file`] has written, or `None` if it is anything else or not whole.
    pub(crate) fn parse(file: &'a [u8]) -> Option<Self> {
        let mut rest = file.strip_prefix(FIRST_LINE)?.strip_prefix(b"\n")?;
        let mut section = |name: &str, next: &str| {
            let begin = format!("[{name}]\n");
            let end = format!("[{next}]\n");
            rest = rest.strip_prefix(begin.as_bytes())?;
            let mut length = 0;
            for line in rest.split_inclusive(|&b| b == b'\n') {
                if line == end.as_bytes() {
                    let (content, others) = rest.split_at(length);
                    rest = others;
                    return Some(content);
                }
                length += line.len();
            }
            None
        };
        let header = Header::parse(section(MACHINE, FILES[0])?.strip_suffix(b"\n")?)?;
        let mut contents: [Cow<'_, [u8]>; FILES.len()] = Default::default();
        let nexts = FILES[1..].iter().chain([&END]);
        for ((name, next), content) in FILES.iter().zip(nexts).zip(&mut contents) {
            *content = section(name, next)?.into();
        }
        (rest == format!("[{END}]\n").as_bytes()).then_some(Self { header, contents })
    }

    /// Returns the content of a file that [`Snapshot::parse`] reads.
    pub(crate) fn file(&self) -> Vec<u8> {
        let machine = self.header.line();
        let sections = FILES
            .iter()
            .zip(&self.contents)
            .map(|(name, c)| (*name, &**c));

        let mut file = FIRST_LINE.to_vec();
        file.push(b'\n');
        for (name, content) in [(MACHINE, machine.as_bytes())].into_iter().chain(sections) {
            file.extend_from_slice(format!("[{name}]\n").as_bytes());
            file.extend_from_slice(content);
            if !content.is_empty() && !content.ends_with(b"\n") {
                file.push(b'\n');
            }
        }
        file.extend_from_slice(format!("[{END}]\n").as_bytes());
        file
    }
}

impl History {
    /// Reads the past that the user asks for: that of a file with `--from`, else the machine's.
    pub(crate) fn get(cli: &Cli, machine: &Machine) -> Result<Self> {
        match &cli.from {
            Some(file) => Self::read_file(file),
            None => Self::read(machine),
        }
    }

    /// Reads the past of the machine.
    pub(crate) fn read(machine: &Machine) -> Result<Self> {
        Self::new(Snapshot::read(machine)?)
    }

    /// Reads the past from a file that `kmod-rs save` has written.
    pub(crate) fn read_file(path: &Path) -> Result<Self> {
        let shown = path.display();
        let content = fs::read(path)
            .map_err(|e| Failure::new(Status::Error, format!("cannot read {shown}: {e}")))?;
        let snapshot = Snapshot::parse(&content).ok_or_else(|| {
            let sentence =
                format!("{shown} is not a whole file of \"kmod-rs save\": save it again");
            Failure::new(Status::Error, sentence)
        })?;
        Self::new(snapshot)
    }

    /// Returns the past that `kmod-rs save` has written, or `None` if it is anything else.
    pub(crate) fn parse(file: &[u8]) -> Result<Option<Self>> {
        Snapshot::parse(file).map(Self::new).transpose()
    }

    /// Makes the past of what was read.
    ///
    /// Fails if there are lines where records should be, and none is a record.
    pub(crate) fn new(snapshot: Snapshot<'_>) -> Result<Self> {
        let [recent, in_flight, autoloaded, stats, latency] = &snapshot.contents;
        let mut unknown_lines = 0;
        let mut records = |content| {
            let mut records = Vec::new();
            for line in lines(content) {
                match Record::parse(line) {
                    Some(record) => records.push(record),
                    None => unknown_lines += 1,
                }
            }
            records
        };
        let (recent, in_flight) = (records(recent), records(in_flight));
        if unknown_lines > 0 && recent.is_empty() && in_flight.is_empty() {
            let sentence = format!(
                "the records of kmod_rs {} have another form: use the kmod-rs of that version",
                snapshot.header.version
            );
            return Err(Failure::new(Status::Error, sentence));
        }
        Ok(Self {
            recent,
            in_flight,
            autoloaded: lines(autoloaded).filter_map(Autoload::parse).collect(),
            counters: Counters::parse(stats),
            latency: latency::parse(latency),
            header: snapshot.header,
            unknown_lines,
        })
    }

    /// Returns the requests, those in flight included, in the order in which they began.
    pub(crate) fn requests(&self) -> Vec<&Record> {
        let mut requests: Vec<_> = self.recent.iter().chain(&self.in_flight).collect();
        // This keeps the order of equals, so what has returned comes first and stays.
        requests.sort_by_key(|record| record.seq);
        requests.dedup_by_key(|record| record.seq);
        requests
    }
}

/// Shows a text in double quotes, as the module does.
struct Quoted<'a>(&'a Text);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.0.to_string().replace('"', "\\x22"))
    }
}

/// Shows a time like `t` in a record.
pub(crate) struct Seconds(pub(crate) Duration);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = String::new();
        write!(shown, "{}.{:06}", self.0.as_secs(), self.0.subsec_micros())?;
        f.pad(&shown)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A file with some records, as tests of views need it.
    pub(crate) const FILE: &[u8] = br#"kmod-rs history 1
[machine]
release="7.3.4+deb13-amd64" hostname="host" version="0.1" boot_id="1-2" monotonic=100.000000 realtime=1700000100.000000
[recent]
seq=1 t=6.095587 name="fs-xfs" wait=1 pid=128 tgid=128 comm="mount" uid=0 loginuid=- userns=initial nspid=128 cgroup="/" call_site="get_fs_type+0x8d/0x100" chain=- helper=129 queue_us=334 helper_us=2266372 outcome=loaded result=0 modules="xfs libcrc32c" path="/sbin/modprobe"
seq=3 t=7.000000 name="net-pf-9" wait=1 pid=130 tgid=130 comm="cu\x1brl" uid=1000 loginuid=- userns=other nspid=2 cgroup="/user.slice" call_site=- chain=- helper=- queue_us=- helper_us=- outcome=denied result=256 modules=- policy=denied rule="autoload_mode 1" path=-
seq=4 t=8.000000 name="fs-a" wait=1 pid=131 tgid=131 comm="mount" uid=0 loginuid=0 userns=initial nspid=131 cgroup="/" call_site=- chain="fs-xfs -> fs-a" helper=132 queue_us=1 helper_us=- outcome=killed result=-512 modules=- path="/sbin/modprobe"
[inflight]
seq=2 t=6.500000 name="fs-b" wait=1 pid=129 tgid=129 comm="mount" uid=0 loginuid=- userns=initial nspid=129 cgroup="/" call_site=- chain=- helper=133 queue_us=- helper_us=- outcome=- result=- modules=- path="/sbin/modprobe"
seq=4 t=8.000000 name="fs-a" wait=1 pid=131 tgid=131 comm="mount" uid=0 loginuid=0 userns=initial nspid=131 cgroup="/" call_site=- chain="fs-xfs -> fs-a" helper=132 queue_us=1 helper_us=- outcome=killed result=-512 modules=- path="/sbin/modprobe"
[autoloaded]
module="xfs" t=8.360528 seq=1 name="fs-xfs" pid=128 comm="mount" uid=0 call_site="get_fs_type+0x8d/0x100" again=4
[stats]
loaded 1
requests 3
[latency]
us_below=1 queue=0 helper=0
us_below=- queue=2 helper=1
[end]
"#;

    /// The past that [`FILE`] has.
    pub(crate) fn history() -> History {
        History::new(Snapshot::parse(FILE).unwrap()).unwrap()
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let snapshot = Snapshot::parse(FILE).unwrap();
        assert_eq!(snapshot.file(), FILE);
        let history = History::new(snapshot).unwrap();
        assert_eq!(history.header.hostname, "host".into());
        assert_eq!(history.autoloaded.len(), 1);
        assert_eq!(history.counters.number("requests"), Some(3));
        assert_eq!(history.latency.len(), 2);
    }

    #[test]
    fn a_file_that_is_not_whole_is_refused() {
        for length in 0..FILE.len() {
            assert!(Snapshot::parse(&FILE[..length]).is_none(), "{length}");
        }
        assert!(Snapshot::parse(&[FILE, b"x"].concat()).is_none());
    }

    #[test]
    fn each_request_is_there_once() {
        let history = history();
        let requests = history.requests();
        assert!(requests.iter().map(|r| r.seq).eq([1, 2, 3, 4]));
        assert!(requests[1].outcome.is_none());
    }

    #[test]
    fn only_records_of_another_form_are_a_failure() {
        let mut snapshot = Snapshot::parse(FILE).unwrap();
        snapshot.contents[0] = b"number=1\n".into();
        assert_eq!(History::new(snapshot).unwrap().unknown_lines, 1);
        let mut snapshot = Snapshot::parse(FILE).unwrap();
        snapshot.contents[0] = b"number=1\n".into();
        snapshot.contents[1] = b"".into();
        assert!(History::new(snapshot).is_err());
    }

    #[test]
    fn the_time_of_day_goes_by_when_it_was_saved() {
        let realtime = history().header.realtime(Duration::from_secs(6));
        assert_eq!(realtime, Duration::from_secs(1_700_000_006));
    }
}
