// SPDX-License-Identifier: GPL-2.0

//! Counters of remembered answers.
//!
//! Has no counterpart in the C code. The answers themselves are in request/answers.rs.

use kernel::{
    seq_file::SeqFile,
    seq_print,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// Why no answers are remembered although the administrator wants that.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Off {
    /// Answers are remembered, or nobody wants that, or it was not tried yet.
    No,
    /// Something that modprobe reads cannot be watched where it is.
    FileSystem,
    /// A symbolic link leads to where nothing is watched.
    Elsewhere,
    /// modprobe reads too many files.
    TooMany,
    /// There was no memory, or another error.
    Failed,
    /// No request has succeeded yet, so nobody knows a name that modprobe finds.
    NothingFound,
    /// This modprobe does not find what it has loaded, when it is only asked.
    NoLook,
}

impl Off {
    const ALL: [(Self, &'static str); 7] = [
        (Self::No, "-"),
        (Self::FileSystem, "filesystem"),
        (Self::Elsewhere, "elsewhere"),
        (Self::TooMany, "toomany"),
        (Self::Failed, "failed"),
        (Self::NothingFound, "nothingfound"),
        (Self::NoLook, "nolook"),
    ];
}

/// The counters.
///
/// The atomics guard nothing, so all accesses to them are relaxed.
pub(crate) struct Remembered {
    /// How many answers are remembered now.
    pub(crate) now: Atomic<u64>,
    /// How often modprobe was run only to look.
    pub(crate) looks: Atomic<u64>,
    /// Answers that were forgotten: because of files, of mounts, of modules, of time, and because
    /// there was no room.
    pub(crate) by_file: Atomic<u64>,
    pub(crate) by_mount: Atomic<u64>,
    pub(crate) by_module: Atomic<u64>,
    pub(crate) by_time: Atomic<u64>,
    pub(crate) by_room: Atomic<u64>,
    /// An [`Off`], as a number.
    off: Atomic<u32>,
}

impl Remembered {
    /// Returns counters that are 0.
    pub(crate) fn new() -> Self {
        Self {
            now: Atomic::new(0),
            looks: Atomic::new(0),
            by_file: Atomic::new(0),
            by_mount: Atomic::new(0),
            by_module: Atomic::new(0),
            by_time: Atomic::new(0),
            by_room: Atomic::new(0),
            off: Atomic::new(Off::No as u32),
        }
    }

    /// Notes why no answers are remembered.
    pub(crate) fn set_off(&self, off: Off) {
        self.off.store(off as u32, Relaxed);
    }

    /// Notes that nothing was found yet, unless there is another reason already.
    pub(crate) fn nothing_found(&self) {
        let (no, off) = (Off::No as u32, Off::NothingFound as u32);
        let _ = self.off.cmpxchg(no, off, Relaxed);
    }

    /// Shows the counters, one in a line.
    pub(super) fn show(&self, to: &SeqFile) {
        let off = self.off.load(Relaxed);
        let reason = Off::ALL.iter().find(|(it, _)| *it as u32 == off);

        for (key, counter) in [
            ("answers_now", &self.now),
            ("answers_looks", &self.looks),
            ("forgotten_file", &self.by_file),
            ("forgotten_mount", &self.by_mount),
            ("forgotten_module", &self.by_module),
            ("forgotten_time", &self.by_time),
            ("forgotten_room", &self.by_room),
        ] {
            seq_print!(to, "{key} {}\n", counter.load(Relaxed));
        }
        seq_print!(
            to,
            "answers_off {}\n",
            reason.map_or("-", |(_, word)| *word)
        );
    }
}
