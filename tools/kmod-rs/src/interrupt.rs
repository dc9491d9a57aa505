// SPDX-License-Identifier: GPL-2.0

//! Whether the user wants the command to end.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// Notes the signals that end a program, so that it can leave things in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Notes signals from now on. They do not end the program any more.
    pub(crate) fn catch() -> io::Result<Self> {
        let this = Self::default();
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&this.0))?;
        }
        Ok(this)
    }

    /// Notes the first signal from now on. The second ends the program at once: it may be stuck,
    /// as nobody reads what it writes.
    pub(crate) fn catch_first() -> io::Result<Self> {
        let this = Self::default();
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            let flag = Arc::clone(&this.0);
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, flag)?;
            signal_hook::flag::register(signal, Arc::clone(&this.0))?;
        }
        Ok(this)
    }

    /// Returns whether there was such a signal.
    pub(crate) fn is_set(&self) -> bool {
        // ORDERING: Nothing else is passed between the handler and the program.
        self.0.load(Ordering::Relaxed)
    }
}
