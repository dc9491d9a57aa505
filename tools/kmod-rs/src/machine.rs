// SPDX-License-Identifier: GPL-2.0

//! Where the files of this machine are.

use crate::failure::{Failure, Result, Status};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Returns the time since boot, by CLOCK_MONOTONIC.
pub(crate) fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    // CAST: This clock is never negative, and a second has fewer nanoseconds than 2^32.
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// The root below which `/proc`, `/sys` and `/etc` are: `/`, or a directory of a test.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    root: PathBuf,
}

impl Machine {
    /// Returns a machine whose files are below `root`.
    pub(crate) fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Returns the path of a file, given as on the machine: `/proc/version`.
    pub(crate) fn path(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    /// Returns the file NAME of the records, in debugfs.
    pub(crate) fn records(&self, name: &str) -> PathBuf {
        self.path("/sys/kernel/debug/kmod_rs").join(name)
    }

    /// Returns the file of a knob of kmod_rs.
    pub(crate) fn knob(&self, name: &str) -> PathBuf {
        self.path("/proc/sys/kernel/kmod_rs").join(name)
    }

    /// Returns whether kmod_rs is loaded.
    pub(crate) fn is_loaded(&self) -> bool {
        self.path("/sys/module/kmod_rs").exists()
    }

    /// Returns whether kmod_rs serves requests.
    pub(crate) fn is_active(&self) -> bool {
        fs::read(self.knob("active")).is_ok_and(|content| content.trim_ascii() == b"1")
    }

    /// Reads a file of kmod_rs.
    ///
    /// If it cannot be read, the failure says what stands in the way: kmod_rs is not loaded, the
    /// file system is not mounted, or the user may not read it.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>> {
        fs::read(path).map_err(|e| self.explain(path, &e))
    }

    fn explain(&self, path: &Path, error: &io::Error) -> Failure {
        let shown = path.display();
        if !self.is_loaded() {
            return Failure::new(
                Status::NotLoaded,
                "kmod_rs is not loaded: run \"kmod-rs on\"",
            );
        }
        let sentence = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                format!("{shown} is for root only: run this as root")
            }
            io::ErrorKind::NotFound if !self.path("/sys/kernel/debug").join("tracing").exists() => {
                "debugfs is not mounted: run \"mount -t debugfs none /sys/kernel/debug\"".into()
            }
            io::ErrorKind::NotFound => {
                format!("there is no {shown}: another version of kmod_rs is loaded")
            }
            _ => format!("cannot read {shown}: {error}"),
        };
        Failure::new(Status::Error, sentence)
    }
}
