// SPDX-License-Identifier: GPL-2.0

//! The helpers that run now, by the name they were started for.
//!
//! Has no counterpart in the C code. It is what lets the log say which names a runaway loop
//! consists of.

use crate::name::Name;
use kernel::{
    fmt,
    new_spinlock,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        Arc,
        SpinLock, //
    }, //
};

/// How many different names a [`Summary`] tells apart.
///
/// Escaped, a name can be four times as long, and a log line that is longer than what printk takes
/// (1024 bytes) loses its newline.
const SUMMARY_NAMES: usize = 2;

/// The helpers and the number for the next.
struct Inner {
    helpers: RBTree<u64, Name>,
    next: u64,
}

/// The helpers that run now.
#[pin_data]
pub(crate) struct InFlight {
    #[pin]
    inner: SpinLock<Inner>,
}

/// A helper in flight, until dropped.
pub(crate) struct Entry {
    in_flight: Arc<InFlight>,
    number: u64,
}

/// Which names run, and how many helpers each has.
pub(crate) struct Summary {
    names: [Option<(Name, usize)>; SUMMARY_NAMES],
    others: usize,
}

impl InFlight {
    /// Creates an initialiser for a table with no helper in it.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            inner <- new_spinlock!(
                Inner {
                    helpers: RBTree::new(),
                    next: 0,
                },
                "kmod_rs::InFlight::inner"
            ),
        })
    }

    /// Enters a helper that is about to be started for `name`.
    ///
    /// Returns [`ENOMEM`] if there is no memory for the entry.
    ///
    /// Context: may sleep.
    pub(crate) fn enter(self: &Arc<Self>, name: Name) -> Result<Entry> {
        let place = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let mut inner = self.inner.lock();
        let number = inner.next;

        inner.next += 1;
        inner.helpers.insert(place.into_node(number, name));

        Ok(Entry {
            in_flight: self.clone(),
            number,
        })
    }

    /// Counts the helpers by name.
    ///
    /// Context: any but interrupts. Takes time in proportion to the number of helpers.
    pub(crate) fn summary(&self) -> Summary {
        let inner = self.inner.lock();
        let mut summary = Summary {
            names: [None; SUMMARY_NAMES],
            others: 0,
        };

        for name in inner.helpers.values() {
            summary.count(name);
        }
        summary
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let node = self
            .in_flight
            .inner
            .lock()
            .helpers
            .remove_node(&self.number);

        // Freed here, with the lock given up.
        drop(node);
    }
}

impl Summary {
    /// Counts one more helper.
    fn count(&mut self, name: &Name) {
        for seen in &mut self.names {
            match seen {
                Some((other, count)) if other == name => {
                    *count += 1;
                    return;
                }
                Some(_) => (),
                None => {
                    *seen = Some((*name, 1));
                    return;
                }
            }
        }
        self.others += 1;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, count)) in self.names.iter().flatten().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            f.write_fmt(fmt!("{separator}{count} x {name}"))?;
        }
        if self.others > 0 {
            f.write_fmt(fmt!(", {} others", self.others))?;
        }
        Ok(())
    }
}
