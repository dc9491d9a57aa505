// SPDX-License-Identifier: GPL-2.0

//! How the command ends: the exit status, and the one sentence that says why.

use crate::view::Shown;
use std::fmt;
use std::io;
use std::process::ExitCode;

/// The exit status, as that of systemctl(1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// All is well.
    Success = 0,
    /// What was asked for could not be done.
    Error = 1,
    /// The command line is wrong. clap reports this itself, with the same status.
    Usage = 2,
    /// kmod_rs is loaded, but does not serve requests.
    NotActive = 3,
    /// kmod_rs is not loaded.
    NotLoaded = 4,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        // CAST: The numbers of all statuses are below 256.
        ExitCode::from(status as u8)
    }
}

/// Why the command fails: a status, and a sentence that says what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    status: Status,
    error: anyhow::Error,
}

impl Failure {
    /// Creates a failure with this status and sentence.
    pub(crate) fn new(status: Status, sentence: impl fmt::Display) -> Self {
        Self {
            status,
            error: anyhow::anyhow!("{sentence}"),
        }
    }

    /// Returns the exit status.
    #[cfg(test)]
    pub(crate) fn status(&self) -> Status {
        self.status
    }

    /// Writes the sentence to standard error, and returns the exit status.
    ///
    /// A pipe that nobody reads any more is no failure: the reader has seen enough.
    pub(crate) fn report(&self) -> ExitCode {
        if self.is_broken_pipe() {
            return Status::Success.into();
        }
        eprintln!("kmod-rs: {self}");
        self.status.into()
    }

    fn is_broken_pipe(&self) -> bool {
        self.error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<io::Error>())
            .any(|e| e.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl fmt::Display for Failure {
    /// Shows the sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(format!("{:#}", self.error).as_bytes()).fmt(f)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self {
            status: Status::Error,
            error,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        anyhow::Error::from(error).into()
    }
}

/// What a subcommand returns.
pub(crate) type Result<T = Status> = std::result::Result<T, Failure>;
