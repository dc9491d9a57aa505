// SPDX-License-Identifier: GPL-2.0

//! The trace events as they happen, through a trace instance of this process.
//!
//! An instance has buffers of its own. So nothing that others trace is disturbed, and when the
//! module is unloaded, only these buffers are cleared.

use crate::failure::{Failure, Result, Status};
use crate::machine::Machine;
use crate::model::event::{Item, Splitter};
use crate::model::lines;
use crate::model::live::{Joiner, Request};
use crate::model::record::Record;
use rustix::event::{poll, PollFd, PollFlags};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, Instant};

const INSTANCES: &str = "/sys/kernel/tracing/instances";

/// What the names of all instances of this program begin with; the process ID follows.
const PREFIX: &str = "kmod-rs-";

/// How often to look whether the module is there, and whether a signal has come. Nothing tells when
/// a directory of tracefs comes or goes.
const TICK: Duration = Duration::from_millis(250);

/// The options of an instance that decide what a line looks like. A new instance has those of the
/// global buffer, which others may have changed.
const OPTIONS: [(&str, &str); 14] = [
    ("context-info", "1"),
    ("overwrite", "1"),
    ("annotate", "0"),
    ("bin", "0"),
    ("block", "0"),
    ("fields", "0"),
    ("hex", "0"),
    ("irq-info", "0"),
    ("latency-format", "0"),
    ("raw", "0"),
    ("record-tgid", "0"),
    ("stacktrace", "0"),
    ("userstacktrace", "0"),
    ("verbose", "0"),
];

/// How often the pipe is read before what came is shown, even if there is more: requests may come
/// faster than they can be shown. Each time it gives some kilobytes.
const MOST_READS: usize = 64;

/// What a line of `set_event` ends with if the kernel enables the events when it loads the module.
const WHEN_LOADED: &str = ":mod:kmod_rs";

/// What happened to the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The module was unloaded: there are no events.
    Gone,
    /// It was loaded: there are events again.
    Back {
        /// Whether they were enabled only now, so that requests may have come before.
        is_late: bool,
    },
    /// The module has been there all the time, and somebody else had disabled its events.
    Enabled,
}

impl Change {
    /// Returns what to tell the user.
    pub(crate) fn notice(self) -> &'static str {
        match self {
            Self::Gone => "kmod_rs is unloaded: waiting until it is loaded again",
            Self::Back { .. } => "kmod_rs is loaded again",
            Self::Enabled => "the trace events were disabled by somebody: requests are missing",
        }
    }
}

/// A trace instance in which the events of kmod_rs are enabled.
///
/// It is removed when this value is dropped. If the process is killed, the next one that makes an
/// instance removes it.
#[derive(Debug)]
pub(crate) struct Trace {
    directory: PathBuf,
    pipe: Option<File>,
    splitter: Splitter,
    has_events: bool,
    /// The directory of the module in sysfs.
    module: PathBuf,
    /// The number of that directory, by which one that is loaded again is told from the one before.
    inode: Option<u64>,
    next_look: Instant,
}

impl Trace {
    /// Makes the instance, and enables the events now, or when the module is loaded.
    pub(crate) fn start(machine: &Machine) -> Result<Self> {
        let instances = machine.path(INSTANCES);
        remove_stale(machine, &instances);
        let directory = instances.join(format!("{PREFIX}{}", process::id()));
        match fs::create_dir(&directory) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                return Err(explain(machine, &directory, &e));
            }
            _ => (),
        }
        let mut trace = Self {
            directory,
            pipe: None,
            splitter: Splitter::default(),
            has_events: false,
            module: machine.path("/sys/module/kmod_rs"),
            inode: None,
            next_look: Instant::now() + TICK,
        };
        trace
            .set_up()
            .map_err(|e| explain(machine, &trace.directory, &e))?;
        Ok(trace)
    }

    fn set_up(&mut self) -> io::Result<()> {
        for (option, value) in OPTIONS {
            self.set_if_there(&format!("options/{option}"), value)?;
        }
        // The clock of the records.
        self.set_if_there("trace_clock", "mono")?;
        // Otherwise poll(2) waits until the buffer is half full.
        self.set_if_there("buffer_percent", "0")?;
        self.set_if_there("tracing_on", "1")?;
        self.inode = self.inode();
        self.has_events = self.enable()?;
        if !self.has_events {
            self.enable_when_loaded()?;
        }
        self.pipe = Some(
            OpenOptions::new()
                .read(true)
                // CAST: The flags are those of open(2), which takes an int.
                .custom_flags(OFlags::NONBLOCK.bits() as i32)
                .open(self.directory.join("trace_pipe"))?,
        );
        Ok(())
    }

    fn set(&self, file: &str, value: &str) -> io::Result<()> {
        // Without truncating: for set_event that means to disable all events.
        let mut file = OpenOptions::new()
            .write(true)
            .open(self.directory.join(file))?;
        file.write_all(value.as_bytes())
    }

    /// Like [`Self::set`]; not all kernels have all files.
    fn set_if_there(&self, file: &str, value: &str) -> io::Result<()> {
        match self.set(file, value) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Enables the events. Returns whether there are any.
    fn enable(&self) -> io::Result<bool> {
        match self.set("events/kmod_rs/enable", "1") {
            Ok(()) => Ok(true),
            Err(e) if is_one_of(&e, &[Errno::NOENT]) => Ok(false),
            // The module is on its way out, and its events go one by one.
            Err(e) if is_one_of(&e, &[Errno::NODEV, Errno::INVAL]) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Has the kernel enable the events when it loads the module, so that none is missed.
    ///
    /// The kernel does this once. It refuses while the module is there, and a module that is being
    /// unloaded is there for some time after its events have gone. So this is called again and again
    /// while there are no events.
    fn enable_when_loaded(&self) -> io::Result<()> {
        let set = fs::read(self.directory.join("set_event"))?;
        if lines(&set).any(|line| line.ends_with(WHEN_LOADED.as_bytes())) {
            return Ok(());
        }
        match self.set("set_event", &format!("{WHEN_LOADED}\n")) {
            Err(e) if is_one_of(&e, &[Errno::NOENT, Errno::INVAL]) => Ok(()),
            result => result,
        }
    }

    fn inode(&self) -> Option<u64> {
        Some(fs::metadata(&self.module).ok()?.ino())
    }

    /// Looks whether the module was unloaded or loaded, and enables the events if it was loaded.
    fn look(&mut self) -> io::Result<Option<Change>> {
        let enabled = fs::read(self.directory.join("events/kmod_rs/enable"));
        let is_enabled = enabled.is_ok_and(|content| content.trim_ascii() == b"1");
        if is_enabled && self.has_events {
            return Ok(None);
        }
        let had_events = self.has_events;
        let before = self.inode;
        // Before they are enabled: those that are enabled are of this module or of a later one.
        self.inode = self.inode();
        self.has_events = is_enabled || self.enable()?;
        if !self.has_events {
            self.enable_when_loaded()?;
        }
        Ok(match (had_events, self.has_events) {
            (true, false) => Some(Change::Gone),
            // The kernel has enabled them when it loaded the module, or this has.
            (false, true) => Some(Change::Back {
                is_late: !is_enabled,
            }),
            (true, true) if self.inode == before => Some(Change::Enabled),
            // Unloaded and loaded between two looks.
            (true, true) => Some(Change::Back { is_late: true }),
            (false, false) => None,
        })
    }

    /// Gives what has happened to `take`, without waiting.
    fn read(&mut self, mut take: impl FnMut(Item<'_>)) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        let mut buffer = [0; 8192];
        for _ in 0..MOST_READS {
            match pipe.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => self.splitter.feed(&buffer[..n], &mut take),
                Err(e) if is_one_of(&e, &[Errno::AGAIN, Errno::INTR]) => break,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Gives what has happened to `take`, without waiting; from time to time, looks whether the
    /// module was unloaded or loaded.
    pub(crate) fn take(&mut self, take: impl FnMut(Item<'_>)) -> Result<Option<Change>> {
        self.read(take)?;
        if Instant::now() < self.next_look {
            return Ok(None);
        }
        self.next_look = Instant::now() + TICK;
        Ok(self.look()?)
    }

    /// Waits until something has happened, at most [`TICK`].
    pub(crate) fn wait(&self) -> Result<()> {
        let Some(pipe) = &self.pipe else {
            return Ok(());
        };
        let mut fds = [PollFd::new(pipe, PollFlags::IN)];
        // CAST: TICK is far less than an int holds.
        match poll(&mut fds, TICK.as_millis() as i32) {
            Err(e) if e != Errno::INTR => return Err(io::Error::from(e).into()),
            _ => (),
        }
        // Nobody writes, which is said at once and again and again.
        if fds[0].revents() == PollFlags::HUP {
            std::thread::sleep(TICK);
        }
        Ok(())
    }
}

/// Returns whether the error is one of these.
fn is_one_of(error: &io::Error, errors: &[Errno]) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| errors.contains(&errno))
}

impl Drop for Trace {
    fn drop(&mut self) {
        // The kernel does not remove an instance that is in use.
        self.pipe = None;
        // If it fails, somebody else looks at it. The next process tries again.
        let _ = fs::remove_dir(&self.directory);
    }
}

/// Removes the instances of processes that are gone.
fn remove_stale(machine: &Machine, instances: &Path) {
    let Ok(entries) = fs::read_dir(instances) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
        if pid.is_some_and(|pid| pid == process::id() || !is_ours(machine, pid)) {
            // If it fails, somebody else looks at it.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// Returns whether the process is one of this program.
fn is_ours(machine: &Machine, pid: u32) -> bool {
    machine.word(&format!("/proc/{pid}/comm")).as_deref() == Some("kmod-rs")
}

fn explain(machine: &Machine, directory: &Path, error: &io::Error) -> Failure {
    let shown = directory.display();
    let sentence = match error.kind() {
        io::ErrorKind::PermissionDenied if rustix::process::geteuid().is_root() => {
            "the kernel is locked down and gives no trace events: see \"kmod-rs recent\"".into()
        }
        io::ErrorKind::PermissionDenied => {
            "trace events are for root only: run this as root".into()
        }
        io::ErrorKind::NotFound if !machine.path(INSTANCES).exists() => {
            "tracefs is not mounted: run \"mount -t tracefs none /sys/kernel/tracing\"".into()
        }
        _ => format!("cannot use the trace instance {shown}: {error}"),
    };
    Failure::new(Status::Error, sentence)
}

/// The requests as they return.
#[derive(Debug)]
pub(crate) struct Live {
    machine: Machine,
    trace: Trace,
    joiner: Joiner,
    /// The numbers of the requests that are known from their records, and whose ends may still come
    /// as events.
    known: HashSet<u64>,
}

/// What has happened since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub(crate) requests: Vec<Request>,
    /// How many events were lost, at least.
    pub(crate) lost: u64,
    pub(crate) change: Option<Change>,
}

impl Live {
    /// Begins to follow the requests. Those that are in flight are known.
    pub(crate) fn start(machine: &Machine) -> Result<Self> {
        let mut live = Self {
            machine: machine.clone(),
            trace: Trace::start(machine)?,
            joiner: Joiner::default(),
            known: HashSet::new(),
        };
        // Only now: what begins meanwhile is known twice rather than not at all.
        live.read_in_flight();
        Ok(live)
    }

    /// Returns whether the module is loaded.
    pub(crate) fn has_events(&self) -> bool {
        self.trace.has_events
    }

    /// Waits until something has happened, at most [`TICK`].
    pub(crate) fn wait(&self) -> Result<()> {
        self.trace.wait()
    }

    /// Returns what has happened, without waiting.
    pub(crate) fn news(&mut self) -> Result<News> {
        let mut news = News::default();
        let (joiner, known) = (&mut self.joiner, &mut self.known);
        news.change = self.trace.take(|item| match item {
            Item::Event(event) => {
                let request = joiner.event(&event);
                news.requests
                    .extend(request.filter(|request| !known.remove(&request.seq())));
            }
            Item::Lost(number) => news.lost += number.unwrap_or(1),
        })?;
        match news.change {
            Some(Change::Gone) => self.forget(),
            Some(Change::Back { is_late: true }) => {
                self.forget();
                self.catch_up(&mut news.requests);
            }
            Some(Change::Back { is_late: false } | Change::Enabled) | None => (),
        }
        Ok(news)
    }

    /// Forgets the requests of a module: the next one counts from 1 again.
    fn forget(&mut self) {
        self.joiner = Joiner::default();
        self.known.clear();
    }

    /// Adds the requests that returned before the events were enabled, by their records.
    fn catch_up(&mut self, requests: &mut Vec<Request>) {
        let recent = self.records("recent");
        for record in lines(&recent).filter_map(Record::parse) {
            self.known.insert(record.seq);
            requests.push(Request::Whole(Box::new(record)));
        }
        self.read_in_flight();
    }

    /// Reads what is known of the requests in flight.
    fn read_in_flight(&mut self) {
        for record in lines(&self.records("inflight")).filter_map(Record::parse) {
            self.joiner.in_flight(&record);
        }
    }

    /// Returns the content of a file of records, or nothing: the events that come say enough.
    fn records(&self, name: &str) -> Vec<u8> {
        fs::read(self.machine.records(name)).unwrap_or_default()
    }
}

impl News {
    /// Returns what to tell the user besides the requests.
    pub(crate) fn notices(&self) -> impl Iterator<Item = String> {
        let lost = (self.lost > 0).then(|| {
            format!(
                "{} events were lost, as they came too fast: requests are missing",
                self.lost
            )
        });
        let change = self.change.map(|change| change.notice().to_owned());
        lost.into_iter().chain(change)
    }
}
