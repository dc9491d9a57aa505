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

#[kunit_tests(kmod_rs_in_flight)]
mod tests {
    use super::*;
    use kernel::str::CString;

    fn summary_of(in_flight: &InFlight) -> Result<CString> {
        CString::try_from_fmt(fmt!("{}", in_flight.summary()))
    }

    fn enter(in_flight: &Arc<InFlight>, name: &CStr) -> Result<Entry> {
        in_flight.enter(Name::new(name).ok_or(EINVAL)?)
    }

    #[test]
    fn helpers_are_counted_by_name() -> Result {
        let in_flight = Arc::pin_init(InFlight::new(), GFP_KERNEL)?;
        assert_eq!(summary_of(&in_flight)?.to_bytes(), b"");

        let a = enter(&in_flight, c"a")?;
        let _b = enter(&in_flight, c"b")?;
        let _a = enter(&in_flight, c"a")?;
        assert_eq!(summary_of(&in_flight)?.to_bytes(), b"2 x a, 1 x b");

        drop(a);
        assert_eq!(summary_of(&in_flight)?.to_bytes(), b"1 x b, 1 x a");
        Ok(())
    }

    #[test]
    fn there_are_more_names_than_are_shown() -> Result {
        let in_flight = Arc::pin_init(InFlight::new(), GFP_KERNEL)?;
        let _entries = [
            enter(&in_flight, c"a")?,
            enter(&in_flight, c"b")?,
            enter(&in_flight, c"c")?,
            enter(&in_flight, c"d")?,
            enter(&in_flight, c"b")?,
        ];
        assert_eq!(
            summary_of(&in_flight)?.to_bytes(),
            b"1 x a, 2 x b, 2 others"
        );
        Ok(())
    }

    /// A line that is longer than what printk takes loses its newline.
    #[test]
    fn the_summary_is_short_whatever_the_names() -> Result {
        let in_flight = Arc::pin_init(InFlight::new(), GFP_KERNEL)?;
        let mut entries = KVec::new();
        for first in 1..10 {
            let mut name = [0xff; crate::name::NAME_LEN];
            name[0] = first;
            name[crate::name::NAME_LEN - 1] = 0;
            let name = CStr::from_bytes_until_nul(&name).map_err(|_| EINVAL)?;
            entries.push(enter(&in_flight, name)?, GFP_KERNEL)?;
        }
        assert!(summary_of(&in_flight)?.to_bytes().len() < 500);
        Ok(())
    }
}
