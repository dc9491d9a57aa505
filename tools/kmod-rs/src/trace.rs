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
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
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

/// What happened to the module, as far as the events are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It was unloaded: there are no events.
    Gone,
    /// It was loaded: there are events again.
    Back,
}

impl Change {
    /// Returns what to tell the user.
    pub(crate) fn notice(self) -> &'static str {
        match self {
            Self::Gone => "kmod_rs is unloaded: waiting until it is loaded again",
            Self::Back => "kmod_rs is loaded again",
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
    fn enable_when_loaded(&self) -> io::Result<()> {
        match self.set("set_event", ":mod:kmod_rs") {
            // It has been loaded meanwhile, or the kernel cannot do this: the next look enables it.
            Err(e) if is_one_of(&e, &[Errno::NOENT, Errno::INVAL]) => Ok(()),
            result => result,
        }
    }

    /// Looks whether the module was unloaded or loaded, and enables the events if it was loaded.
    fn look(&mut self) -> io::Result<Option<Change>> {
        let enabled = fs::read(self.directory.join("events/kmod_rs/enable"));
        let is_enabled = enabled.is_ok_and(|content| content.trim_ascii() == b"1");
        if is_enabled && self.has_events {
            return Ok(None);
        }
        let had_events = self.has_events;
        self.has_events = self.enable()?;
        Ok(match (had_events, self.has_events) {
            (true, false) => {
                self.enable_when_loaded()?;
                Some(Change::Gone)
            }
            (false, true) => Some(Change::Back),
            // Unloaded and loaded between two looks.
            (true, true) => Some(Change::Back),
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
    trace: Trace,
    joiner: Joiner,
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
            trace: Trace::start(machine)?,
            joiner: Joiner::default(),
        };
        // Only now: what begins meanwhile is known twice rather than not at all. If it cannot be
        // read, the ends of these requests say enough.
        let in_flight = fs::read(machine.records("inflight")).unwrap_or_default();
        for record in lines(&in_flight).filter_map(Record::parse) {
            live.joiner.in_flight(&record);
        }
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
        let joiner = &mut self.joiner;
        news.change = self.trace.take(|item| match item {
            Item::Event(event) => news.requests.extend(joiner.event(&event)),
            Item::Lost(number) => news.lost += number.unwrap_or(1),
        })?;
        if news.change == Some(Change::Gone) {
            // The next module counts its requests from 1 again.
            self.joiner = Joiner::default();
        }
        Ok(news)
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
