// SPDX-License-Identifier: GPL-2.0

//! Where the files of this machine are.

use crate::failure::{Failure, Result, Status};
use crate::model::text::Text;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Returns the time since boot, by CLOCK_MONOTONIC.
pub(crate) fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    // CAST: This clock is never negative, and a second has fewer nanoseconds than 2^32.
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Returns the failure of a command that needs the module.
pub(crate) fn not_loaded() -> Failure {
    let sentence = "kmod_rs is not loaded: run \"kmod-rs on\"";
    Failure::new(Status::NotLoaded, sentence)
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

    /// Returns whether this is the machine that the program runs on, so that it may be changed.
    pub(crate) fn is_this(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Returns the content of a file, if it can be read.
    pub(crate) fn bytes(&self, absolute: &str) -> Option<Vec<u8>> {
        fs::read(self.path(absolute)).ok()
    }

    /// Returns the content of a file that has one word, if it can be read.
    pub(crate) fn word(&self, absolute: &str) -> Option<String> {
        let content = String::from_utf8(self.bytes(absolute)?).ok()?;
        Some(content.trim().to_owned())
    }

    /// Returns the names in a directory, if it can be read, in order.
    pub(crate) fn names(&self, absolute: &str) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.path(absolute))
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// Returns the names in a directory that are numbers, with their paths, in order.
    pub(crate) fn numbered(&self, absolute: &str) -> Vec<(u32, PathBuf)> {
        let directory = self.path(absolute);
        let mut numbers: Vec<u32> = self
            .names(absolute)
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect();
        numbers.sort_unstable();
        numbers
            .into_iter()
            .map(|number| (number, directory.join(number.to_string())))
            .collect()
    }

    /// Returns the IDs of all processes.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.numbered("/proc")
            .into_iter()
            .map(|(pid, _)| pid)
            .collect()
    }

    /// Returns the command of the process or task whose directory in `/proc` this is.
    pub(crate) fn comm(&self, directory: &Path) -> Text {
        let comm = fs::read(directory.join("comm")).unwrap_or_default();
        comm.strip_suffix(b"\n").unwrap_or(&comm).into()
    }

    /// Returns whether debugfs is mounted, where the records are.
    ///
    /// The directory that it is mounted on is empty, and everybody may read it.
    pub(crate) fn has_debugfs(&self) -> bool {
        match fs::read_dir(self.path("/sys/kernel/debug")) {
            Ok(mut files) => files.next().is_some(),
            Err(e) => e.kind() == io::ErrorKind::PermissionDenied,
        }
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

    /// Writes a value with its newline into a knob, in one piece, as the kernel takes no part of a
    /// list.
    pub(crate) fn set(&self, knob: &Path, value: &[u8]) -> io::Result<()> {
        let line = [value, b"\n"].concat();
        match OpenOptions::new().write(true).open(knob)?.write(&line)? {
            written if written == line.len() => Ok(()),
            _ => Err(io::Error::other("only a part was taken")),
        }
    }

    /// Returns why a file of kmod_rs cannot be opened or read.
    pub(crate) fn explain(&self, path: &Path, error: &io::Error) -> Failure {
        let shown = path.display();
        if !self.is_loaded() {
            return not_loaded();
        }
        let sentence = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                format!("{shown} is for root only: run this as root")
            }
            io::ErrorKind::NotFound if !self.has_debugfs() => {
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A machine of files that a test writes.
    pub(crate) struct Fake {
        machine: Machine,
        directory: tempfile::TempDir,
    }

    impl Fake {
        pub(crate) fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            Self {
                machine: Machine::at(directory.path()),
                directory,
            }
        }

        pub(crate) fn machine(&self) -> &Machine {
            assert!(self.directory.path().exists());
            &self.machine
        }

        /// Writes a file, and makes the directories above it.
        pub(crate) fn write(&self, absolute: &str, content: impl AsRef<[u8]>) {
            let path = self.machine.path(absolute);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }

        /// Makes a symbolic link, as in `/proc/PID/fd`.
        pub(crate) fn link(&self, absolute: &str, to: &str) {
            let path = self.machine.path(absolute);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(to, path).unwrap();
        }
    }
}
