// SPDX-License-Identifier: GPL-2.0

//! The helpers that run now, by the process that each of them is.
//!
//! Has no counterpart in the C code. It tells which helper a request descends from, and lets the
//! log say which names a runaway loop consists of.

use crate::{
    records::record::Record,
    request::chain::{
        Chain,
        Helper, //
    },
    wrappers::{
        name::Name,
        pid, //
    }, //
};
use kernel::{
    fmt,
    new_spinlock,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        SetOnce,
        SpinLock, //
    }, //
};

/// How many different names a [`Summary`] tells apart.
///
/// Escaped, a name can be four times as long, and a log line that is longer than what printk takes
/// (1024 bytes) loses its newline.
const SUMMARY_NAMES: usize = 2;

/// How many helpers that nobody waits for any more are remembered; then the oldest is forgotten.
const MAX_UNATTENDED: usize = 256;

/// A helper in the table.
struct Running {
    helper: Arc<Helper>,
    /// How many had been started before.
    number: u64,
    /// Whether it still has its [`Tracker`].
    is_attended: bool,
}

/// The helpers.
struct Inner {
    running: RBTree<pid::Id, Running>,
    /// Those that are not attended, the oldest first. Has room for [`MAX_UNATTENDED`].
    unattended: KVec<Arc<Helper>>,
    /// The number of the next.
    next: u64,
}

/// The helpers that run now.
///
/// One that was only to be started, or whose requester was killed, stays until its process is gone.
///
/// # Invariants
///
/// - The key of a helper is its own thread group, which it has a reference on. So no other group
///   has that key.
/// - `is_empty` says whether `running` is, and changes only with `inner` locked.
#[pin_data]
pub(crate) struct Helpers {
    is_empty: Atomic<bool>,
    #[pin]
    inner: SpinLock<Inner>,
}

/// The right to one place among the helpers in flight; taken by [`Tracker::start`].
pub(crate) struct Tracker {
    helpers: Arc<Helpers>,
    helper: SetOnce<Arc<Helper>>,
}

/// Which names run, and how many helpers each has.
#[derive(Default)]
pub(crate) struct Summary {
    names: [Option<(Name, usize)>; SUMMARY_NAMES],
    others: usize,
}

impl Inner {
    /// Forgets helpers that nobody waits for and that have ended.
    fn prune(&mut self) {
        let Self {
            running,
            unattended,
            ..
        } = self;

        unattended.retain(|helper| {
            let is_alive = helper.group().has_tasks();
            if !is_alive {
                running.remove(&helper.group().id());
            }
            is_alive
        });
    }

    /// Leaves a helper that runs on to itself.
    fn leave(&mut self, helper: &Arc<Helper>) {
        if self.unattended.len() == MAX_UNATTENDED {
            if let Ok(oldest) = self.unattended.remove(0) {
                self.running.remove(&oldest.group().id());
            }
        }
        if let Some(running) = self.running.get_mut(&helper.group().id()) {
            running.is_attended = false;
        }
        // There is room: the vector was made for so many.
        let _ = self.unattended.push_within_capacity(helper.clone());
    }
}

impl Helpers {
    /// Makes a table with no helper in it.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let unattended = KVec::with_capacity(MAX_UNATTENDED, GFP_KERNEL)?;

        // INVARIANT: There are no helpers.
        Arc::pin_init(
            pin_init!(Self {
                is_empty: Atomic::new(true),
                inner <- new_spinlock!(
                    Inner {
                        running: RBTree::new(),
                        unattended,
                        next: 0,
                    },
                    "kmod_rs::Helpers::inner"
                ),
            }),
            GFP_KERNEL,
        )
    }

    /// Keeps a place for a helper that is about to be started.
    pub(crate) fn track(self: &Arc<Self>) -> Tracker {
        Tracker {
            helpers: self.clone(),
            helper: SetOnce::new(),
        }
    }

    /// Finds out what a request of the current task, which is of this user, descends from.
    ///
    /// Context: any with a task, interrupts enabled.
    pub(crate) fn chain_of_current(&self, uid: u32) -> Chain {
        // ORDERING: A helper enters itself, before it can ask or have a child that does.
        if self.is_empty.load(Relaxed) {
            return Chain::outermost(uid);
        }
        self.change(|inner| {
            inner.prune();
            pid::find_ancestor(|group, generation| {
                let running = inner.running.get(&group)?;
                Some(Chain::nested(running.helper.clone(), generation == 0))
            })
            .unwrap_or_else(|| Chain::outermost(uid))
        })
    }

    /// The helper that the current task is, or descends from.
    ///
    /// Context: any with a task, interrupts enabled.
    pub(crate) fn helper_of_current(&self) -> Option<Arc<Helper>> {
        // ORDERING: A helper enters itself, before it can load a module or have a child that does.
        if self.is_empty.load(Relaxed) {
            return None;
        }
        let inner = self.inner.lock();
        pid::find_ancestor(|group, _| Some(inner.running.get(&group)?.helper.clone()))
    }

    /// Counts the helpers that hold slots, by name: those of the oldest ones.
    ///
    /// Context: any but interrupts. Takes time in proportion to the number of helpers.
    pub(crate) fn summary(&self) -> Summary {
        let inner = self.inner.lock();
        let attended = || inner.running.values().filter(|running| running.is_attended);
        let mut summary = Summary::default();

        for i in 0..SUMMARY_NAMES {
            summary.names[i] = attended()
                .filter(|running| !summary.has(running.helper.name()))
                .min_by_key(|running| running.number)
                .map(|running| (*running.helper.name(), 0));
        }
        for running in attended() {
            summary.count(running.helper.name());
        }
        summary
    }

    /// Does something to the table.
    fn change<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.inner.lock();
        let result = f(&mut inner);

        // INVARIANT: Locked.
        self.is_empty.store(inner.running.is_empty(), Relaxed);
        result
    }
}

impl Tracker {
    /// Enters the current task: a helper for `name`, whose request has this chain and record.
    ///
    /// To be called once. Returns [`ENOMEM`], or [`ESRCH`] for a task that is no process.
    ///
    /// Context: in the helper's own task; may sleep.
    pub(crate) fn start(&self, name: Name, chain: &Chain, record: Option<Arc<Record>>) -> Result {
        let helper = Helper::current(name, chain, record)?;
        let place = RBTreeNodeReservation::new(GFP_KERNEL)?;

        self.helpers.change(|inner| {
            let running = Running {
                helper: helper.clone(),
                number: inner.next,
                is_attended: true,
            };
            inner.next += 1;
            // INVARIANT: The key is that of its own group.
            inner
                .running
                .insert(place.into_node(helper.group().id(), running));
        });
        self.helper.populate(helper);
        Ok(())
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        let Some(helper) = self.helper.as_ref() else {
            return;
        };
        self.helpers.change(|inner| {
            if helper.group().has_tasks() {
                inner.leave(helper);
            } else {
                inner.running.remove(&helper.group().id());
            }
        });
    }
}

impl Summary {
    /// Whether this is one of the names that are counted.
    fn has(&self, name: &Name) -> bool {
        self.names.iter().flatten().any(|(seen, _)| seen == name)
    }

    /// Counts one more helper.
    fn count(&mut self, name: &Name) {
        let seen = self
            .names
            .iter_mut()
            .flatten()
            .find(|(seen, _)| seen == name);
        match seen {
            Some((_, count)) => *count += 1,
            None => self.others += 1,
        }
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

#[kunit_tests(kmod_rs_helpers)]
mod tests {
    use super::*;
    use kernel::str::CString;

    fn summary_of(names: [&CStr; SUMMARY_NAMES], helpers: &[&CStr]) -> Result<CString> {
        let mut summary = Summary::default();
        for (place, name) in summary.names.iter_mut().zip(names) {
            *place = Some((Name::new(name), 0));
        }
        for name in helpers {
            summary.count(&Name::new(name));
        }
        CString::try_from_fmt(fmt!("{summary}"))
    }

    #[test]
    fn helpers_are_counted_by_name() -> Result {
        let shown = summary_of([c"a", c"b"], &[c"a", c"b", c"c", c"d", c"b"])?;
        assert_eq!(shown.to_bytes(), b"1 x a, 2 x b, 2 others");
        let shown = CString::try_from_fmt(fmt!("{}", Summary::default()))?;
        assert_eq!(shown.to_bytes(), b"");
        Ok(())
    }

    /// A line that is longer than what printk takes loses its newline.
    #[test]
    fn the_summary_is_short_whatever_the_names() -> Result {
        let long = CString::try_from_fmt(fmt!("{:\u{1}<55}", ""))?;
        let longer = CString::try_from_fmt(fmt!("{:\u{2}<55}", ""))?;
        let shown = summary_of([&long, &longer], &[&long, &longer, c"a"])?;
        assert!(shown.to_bytes().len() < 500);
        Ok(())
    }

    /// This task stands in for a helper.
    #[test]
    fn who_descends_from_a_helper_is_nested() -> Result {
        let helpers = Helpers::new()?;
        let name = Name::new(c"a");
        assert!(!helpers.chain_of_current(1).is_nested());

        let tracker = helpers.track();
        assert!(!helpers.chain_of_current(1).is_nested());
        tracker.start(name, &Chain::outermost(7), None)?;
        let chain = helpers.chain_of_current(1);
        assert!(chain.is_nested());
        assert_eq!(chain.uid(), 7);
        assert!(helpers.summary().has(&name));
        assert!(helpers
            .helper_of_current()
            .is_some_and(|helper| *helper.name() == name));

        // It runs on, so it is remembered.
        drop(tracker);
        assert!(helpers.chain_of_current(1).is_nested());
        assert!(helpers.summary().names[0].is_none());
        Ok(())
    }
}
