// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs journal`: denials, loops, timeouts and failures, in the journal.

use crate::cli::Cli;
use crate::failure::{Failure, Result, Status};
use crate::interrupt::Interrupt;
use crate::machine::Machine;
use crate::model::entry;
use crate::trace::Live;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Where journald takes entries.
const SOCKET: &str = "/run/systemd/journal/socket";

/// Writes entries until a signal ends the process.
pub(crate) fn run(cli: &Cli, machine: &Machine) -> Result {
    if cli.json || cli.from.is_some() {
        let sentence = "journal has neither --json nor --from: see \"kmod-rs watch\" or \"recent\"";
        return Err(Failure::new(Status::Usage, sentence));
    }
    let interrupt = Interrupt::catch_first()?;
    let journal = Journal::open(machine)?;
    let mut live = Live::start(machine)?;
    if !live.has_events() {
        eprintln!("kmod-rs: kmod_rs is not loaded: waiting until it is");
    }
    let mut is_last = false;
    while !is_last {
        live.wait()?;
        // What came before the signal is written.
        is_last = interrupt.is_set();
        let news = live.news()?;
        for request in &news.requests {
            if let Some(entry) = entry::of(request) {
                journal.write(&entry)?;
            }
        }
        for notice in news.notices() {
            eprintln!("kmod-rs: {notice}");
        }
    }
    Ok(Status::Success)
}

/// The journal.
struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journal {
    fn open(machine: &Machine) -> Result<Self> {
        let path = machine.path(SOCKET);
        let socket = UnixDatagram::unbound()?;
        // Only to see whether it is there: journald can be started anew, with a new socket.
        let probe = UnixDatagram::unbound()?;
        probe.connect(&path).map_err(|e| explain(&path, &e))?;
        Ok(Self { socket, path })
    }

    /// Writes an entry.
    ///
    /// It waits while journald has more to do than it can, so that no entry is lost; then events may
    /// be, which is told. An entry is far smaller than the largest datagram: each of its texts has a
    /// greatest length in the kernel, and all are less than 8 KB.
    fn write(&self, entry: &[u8]) -> Result<()> {
        self.socket
            .send_to(entry, &self.path)
            .map_err(|e| explain(&self.path, &e))?;
        Ok(())
    }
}

fn explain(path: &Path, error: &io::Error) -> Failure {
    let shown = path.display();
    let sentence = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            format!("there is no journal at {shown}: start systemd-journald")
        }
        _ => format!("cannot write to the journal at {shown}: {error}"),
    };
    Failure::new(Status::Error, sentence)
}
