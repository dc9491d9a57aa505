// SPDX-License-Identifier: GPL-2.0

//! Who asks for a module, as plain values.
//!
//! C header: [`include/linux/sched.h`](srctree/include/linux/sched.h)

use crate::log::Escaped;
use core::ptr;
use kernel::{
    bindings,
    fmt,
    prelude::*,
    task::Pid, //
};

/// The size of a task's name, `TASK_COMM_LEN`.
const COMM_LEN: usize = bindings::TASK_COMM_LEN as usize;

/// The task that made a request.
///
/// Shown as `comm[pid] uid n`; what is unusual in the name is escaped.
pub(crate) struct Requester {
    /// Its id, in the initial namespace.
    pid: Pid,
    /// Its real user id, in the initial namespace.
    uid: u32,
    /// Its name, up to the first NUL; the last byte is one.
    comm: [u8; COMM_LEN],
}

impl Requester {
    /// Describes the current task.
    ///
    /// Context: any with a task.
    pub(crate) fn current() -> Self {
        let task = current!();
        let mut comm = [0; COMM_LEN];

        for (i, byte) in comm[..COMM_LEN - 1].iter_mut().enumerate() {
            // SAFETY: The current task lives, and `i` is within its name. Another thread may write
            // to it at the same time, byte by byte; each is read once.
            *byte = unsafe { ptr::read_volatile(&raw const (*task.as_ptr()).comm[i]) };
        }

        Self {
            pid: task.pid(),
            uid: task.uid().into_raw().val,
            comm,
        }
    }

    /// Its real user id, in the initial namespace.
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }
}

impl fmt::Display for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let comm = self
            .comm
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default();

        f.write_fmt(fmt!("{}[{}] uid {}", Escaped(comm), self.pid, self.uid,))
    }
}
