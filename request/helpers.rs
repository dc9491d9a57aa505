// SPDX-License-Identifier: GPL-2.0

//! The table of helpers, by their processes.
//!
//! Has no counterpart in the C code. The table tells which helper a request descends from, and
//! which names helpers run for when a request gets no slot.

use crate::{
    request::chain::{
        Chain,
        Helper, //
    },
    wrappers::{
        name::Name,
        pid,
        requester::Account,
        spare_node::SpareNode, //
    }, //
};
use kernel::{
    fmt,
    new_spinlock,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode,
        RBTreeNodeReservation, //
    },
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        SpinLock, //
    }, //
};

/// How many different names a [`Summary`] counts separately.
///
/// An escaped name can be four times as long as the name. printk cuts a line that is longer than
/// 1024 bytes, and its newline is lost.
const SUMMARY_NAMES: usize = 2;

/// How many unattended helpers the table can have. If there are more, the oldest one is forgotten.
///
/// More than there can be: each has a permit as long as its process runs, and there are at most
/// 1,000. Nobody may be able to have a helper forgotten, as the firewall refuses modules to helpers
/// only.
const MAX_UNATTENDED: usize = 1024;

/// An entry of the table.
struct Running {
    helper: Arc<Helper>,
    /// How many helpers were entered before.
    number: u64,
    /// Whether the helper still has its [`Tracker`]: it has a slot, or does not wait and has not
    /// been executed. Otherwise it is unattended.
    is_attended: bool,
}

/// The table and what goes with it.
struct Inner {
    running: RBTree<pid::Id, Running>,
    /// The unattended helpers in `running`, the oldest first. Has room for [`MAX_UNATTENDED`].
    unattended: KVec<Arc<Helper>>,
    /// The number of the next helper.
    next: u64,
    spare: SpareNode<pid::Id, Running>,
}

/// The table of helpers.
///
/// A helper is in the table from just before it executes the program. It leaves the table when its
/// [`Tracker`] is dropped or, if its process still runs then, when this process is gone.
///
/// # Invariants
///
/// - The key of an entry is the id of its helper's own thread group. The helper was started, and has
///   a reference on this group, so no other group has the same id.
/// - While `inner` is not locked, `is_empty` says whether `running` is empty. It changes only while
///   `inner` is locked.
#[pin_data]
pub(crate) struct Helpers {
    is_empty: Atomic<bool>,
    #[pin]
    inner: SpinLock<Inner>,
}

/// The place of one helper in the table, which [`Tracker::start`] takes.
///
/// Dropping it removes the helper from the table, or makes it unattended if its process still runs.
pub(crate) struct Tracker {
    helpers: Arc<Helpers>,
    helper: Arc<Helper>,
}

/// Which names the helpers with slots run for, and how many helpers there are for each name.
#[derive(Default)]
pub(crate) struct Summary {
    names: [Option<(Name, usize)>; SUMMARY_NAMES],
    others: usize,
}

impl Inner {
    /// Removes unattended helpers whose processes are gone.
    fn prune(&mut self) {
        let Self {
            running,
            unattended,
            ..
        } = self;

        unattended.retain(|helper| {
            let is_alive = helper.has_tasks();
            if !is_alive {
                remove(running, helper);
            }
            is_alive
        });
    }

    /// Enters a helper, which has its tracker and this id.
    fn enter(
        &mut self,
        helper: Arc<Helper>,
        id: pid::Id,
        place: RBTreeNodeReservation<pid::Id, Running>,
    ) {
        let running = Running {
            helper,
            number: self.next,
            is_attended: true,
        };
        self.next += 1;
        // INVARIANT: The key is the id of the helper's own thread group.
        self.running.insert(place.into_node(id, running));
    }

    /// Makes a helper unattended.
    fn leave(&mut self, helper: &Arc<Helper>) {
        if self.unattended.len() == MAX_UNATTENDED {
            self.prune();
        }
        if self.unattended.len() == MAX_UNATTENDED {
            if let Ok(oldest) = self.unattended.remove(0) {
                remove(&mut self.running, &oldest);
            }
        }
        if let Some(running) = id_of(helper).and_then(|id| self.running.get_mut(&id)) {
            running.is_attended = false;
        }
        // There is room: the vector was made for `MAX_UNATTENDED`.
        let _ = self.unattended.push_within_capacity(helper.clone());
    }
}

/// Returns the key of a helper, if it was started.
fn id_of(helper: &Helper) -> Option<pid::Id> {
    Some(helper.group()?.id())
}

/// Removes a helper.
fn remove(
    running: &mut RBTree<pid::Id, Running>,
    helper: &Helper,
) -> Option<RBTreeNode<pid::Id, Running>> {
    running.remove_node(&id_of(helper)?)
}

impl Helpers {
    /// Creates an empty table.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let unattended = KVec::with_capacity(MAX_UNATTENDED, GFP_KERNEL)?;

        // INVARIANT: `running` is empty, and `is_empty` says so.
        Arc::pin_init(
            pin_init!(Self {
                is_empty: Atomic::new(true),
                inner <- new_spinlock!(
                    Inner {
                        running: RBTree::new(),
                        unattended,
                        next: 0,
                        spare: SpareNode::new(),
                    },
                    "kmod_rs::Helpers::inner"
                ),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns a place for a helper that is about to be started.
    pub(crate) fn track(self: &Arc<Self>, helper: Arc<Helper>) -> Tracker {
        Tracker {
            helpers: self.clone(),
            helper,
        }
    }

    /// Returns the chain of a request that the current task makes. `account` is that of the task.
    ///
    /// Also removes unattended helpers whose processes are gone.
    ///
    /// Context: in a task, with interrupts enabled. Takes `inner`.
    pub(crate) fn chain_of_current(&self, account: Account) -> Chain {
        // ORDERING: A helper enters itself before it can make a request or have a child that does.
        // So a task that descends from a helper sees that the table is not empty.
        if self.is_empty.load(Relaxed) {
            return Chain::outermost(account);
        }
        self.change(|inner| {
            inner.prune();
            pid::find_ancestor(|group, generation| {
                let running = inner.running.get(&group)?;
                Some(Chain::nested(running.helper.clone(), generation == 0))
            })
            .unwrap_or_else(|| Chain::outermost(account))
        })
    }

    /// Returns the closest helper that the current task is or descends from.
    ///
    /// Context: in a task, with interrupts enabled. Takes `inner`.
    pub(crate) fn helper_of_current(&self) -> Option<Arc<Helper>> {
        // ORDERING: A helper enters itself before it can load a module or have a child that does.
        // So a task that descends from a helper sees that the table is not empty.
        if self.is_empty.load(Relaxed) {
            return None;
        }
        let inner = self.inner.lock();
        pid::find_ancestor(|group, _| Some(inner.running.get(&group)?.helper.clone()))
    }

    /// Counts the helpers with slots by the names that they run for.
    ///
    /// The names of the oldest helpers are counted separately, all others together. Takes time in
    /// proportion to the number of helpers.
    ///
    /// Context: any but interrupts. Takes `inner`.
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

    /// Changes the table, and keeps `is_empty` up to date.
    ///
    /// Context: any but interrupts. Takes `inner`.
    fn change<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.inner.lock();
        let result = f(&mut inner);

        // INVARIANT: `inner` is locked.
        self.is_empty.store(inner.running.is_empty(), Relaxed);
        result
    }
}

impl Tracker {
    /// Enters the helper into the table: it is the current task.
    ///
    /// To be called once. Returns [`ENOMEM`], or [`ESRCH`] if the task has no thread group.
    ///
    /// Context: in the helper's own task; may sleep.
    pub(crate) fn start(&self) -> Result {
        let Self { helpers, helper } = self;
        let id = helper.starts()?;

        let is_entered = helpers.change(|inner| match inner.spare.take() {
            Some(place) => {
                inner.enter(helper.clone(), id, place);
                true
            }
            None => false,
        });
        if !is_entered {
            let place = RBTreeNodeReservation::new(GFP_KERNEL)?;
            helpers.change(|inner| inner.enter(helper.clone(), id, place));
        }
        Ok(())
    }

    /// Returns the helper.
    pub(crate) fn helper(&self) -> &Arc<Helper> {
        &self.helper
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        let Self { helpers, helper } = self;
        if helper.group().is_none() {
            return;
        }
        let node = helpers.change(|inner| {
            if helper.has_tasks() {
                inner.leave(helper);
                return None;
            }
            let node = remove(&mut inner.running, helper)?;
            inner.spare.keep(node)
        });
        // Only now, without the lock.
        drop(node);
    }
}

impl Summary {
    /// Returns whether this is one of the names that are counted separately.
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
    use crate::{
        firewall::policy::Services,
        request::target::Target,
        wrappers::{
            modprobe_path::ModprobePath,
            private_symbols::PrivateSymbols,
            requester::{
                LazyCgroup,
                Requester, //
            }, //
        }, //
    };
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

    /// See [`SUMMARY_NAMES`].
    #[test]
    fn the_summary_is_short_whatever_the_names() -> Result {
        let long = CString::try_from_fmt(fmt!("{:\u{1}<55}", ""))?;
        let longer = CString::try_from_fmt(fmt!("{:\u{2}<55}", ""))?;
        let shown = summary_of([&long, &longer], &[&long, &longer, c"a"])?;
        assert!(shown.to_bytes().len() < 500);
        Ok(())
    }

    /// The current task stands in for a helper.
    #[test]
    fn who_descends_from_a_helper_is_nested() -> Result {
        let helpers = Helpers::new()?;
        let name = Name::new(c"a");
        assert!(!helpers.chain_of_current(Account::of_user(1)).is_nested());

        let path = ModprobePath::read(PrivateSymbols::find()?)?;
        let tracker = helpers.track(Helper::new(
            Target::new(name, path, Services::NONE)?,
            Requester::current(),
            &Chain::outermost(Account::of_user(7)),
            &LazyCgroup::known(None),
            None,
        )?);
        assert!(!helpers.chain_of_current(Account::of_user(1)).is_nested());
        tracker.start()?;
        let chain = helpers.chain_of_current(Account::of_user(1));
        assert!(chain.is_nested());
        assert_eq!(chain.account(), Account::of_user(7));
        assert!(helpers.summary().has(&name));
        assert!(helpers
            .helper_of_current()
            .is_some_and(|helper| *helper.name() == name));

        // Its process still runs, so the table keeps it.
        drop(tracker);
        assert!(helpers.chain_of_current(Account::of_user(1)).is_nested());
        assert!(helpers.summary().names[0].is_none());
        Ok(())
    }
}
