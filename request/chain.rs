// SPDX-License-Identifier: GPL-2.0

//! The chain of a request, and when the request is part of a loop.
//!
//! Has no counterpart in the C code, which lets a loop run until all slots are taken. A request
//! made by a helper, or by a descendant of one, is nested: it descends from this helper, and from
//! the helpers that the helper's own request descends from. These helpers are its chain.

use crate::{
    records::{
        chain_line::ChainLine,
        record::Record, //
    },
    request::{
        lending::{
            Lender,
            Lends, //
        },
        refusals::Refused,
        target::Target, //
    },
    wrappers::{
        name::Name,
        pid::{
            self,
            ThreadGroup, //
        },
        requester::{
            Account,
            CgroupPath,
            LazyCgroup,
            Requester, //
        }, //
    }, //
};
use core::iter;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        SetOnce, //
    }, //
};

/// The default of [`Limits::loop_repeats`].
const LOOP_REPEATS: u32 = 2;

/// The default of [`Limits::chain_limit`].
const CHAIN_LIMIT: u32 = 8;

/// The largest value of [`Limits::chain_limit`], so no chain has more helpers.
pub(crate) const MAX_CHAIN: u32 = 32;

/// What counts as a loop.
pub(crate) struct Limits {
    /// How many helpers for the same name may run in a chain; at least 1.
    pub(crate) loop_repeats: Atomic<u32>,
    /// How many helpers a chain may have; 1 to [`MAX_CHAIN`].
    pub(crate) chain_limit: Atomic<u32>,
}

impl Limits {
    /// Returns the defaults.
    pub(crate) fn new() -> Self {
        Self {
            loop_repeats: Atomic::new(LOOP_REPEATS),
            chain_limit: Atomic::new(CHAIN_LIMIT),
        }
    }
}

/// A helper.
///
/// It refers to the helper that its request descends from, which refers to the next one, and so on:
/// a chain. So it exists at least as long as anything that descends from it.
#[pin_data(PinnedDrop)]
pub(crate) struct Helper {
    /// What it runs for.
    target: Target,
    /// The thread group that it is, from [`Helper::starts`] on.
    group: SetOnce<ThreadGroup>,
    /// The task that made its request.
    requester: Requester,
    /// The account of the outermost request of the chain.
    account: Account,
    /// The cgroup of the requester of the outermost request, if it was looked up and is known.
    cgroup: Option<Arc<CgroupPath>>,
    /// How many helpers the chain has, including this one; at most [`MAX_CHAIN`].
    length: u32,
    /// The closest helper that its request descends from.
    parent: Option<Arc<Helper>>,
    /// The record of its request, if there is one.
    record: Option<Arc<Record>>,
    /// Whether a module has appeared that was loaded by it, or by a descendant of it.
    loaded: Atomic<bool>,
    /// Whether it, or a descendant of it, was about to load a module, while that was noted.
    has_tried: Atomic<bool>,
    /// The first module that it, or a descendant of it, was refused, if there was memory to note it.
    refused: SetOnce<KBox<Refused>>,
    /// Whether the last module that it, or a descendant of it, was about to load was refused.
    is_refused: Atomic<bool>,
    /// What it has to lend.
    #[pin]
    lender: Lender<Self>,
}

// With its reference count; the next larger piece of memory is 256 bytes. On other kernels, a
// spinlock is larger.
#[cfg(not(any(CONFIG_PREEMPT_RT, CONFIG_DEBUG_SPINLOCK, CONFIG_DEBUG_LOCK_ALLOC)))]
const _: () = assert!(size_of::<Helper>() + size_of::<u64>() <= 192);

impl Helper {
    /// Creates a helper that is not started yet. Its request was made by `requester`, has this chain
    /// and this record; `cgroup` is that of the requester of the outermost request, and is known to
    /// the helper if it was looked up.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new(
        target: Target,
        requester: Requester,
        chain: &Chain,
        cgroup: &LazyCgroup,
        record: Option<Arc<Record>>,
    ) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                target,
                group: SetOnce::new(),
                requester,
                account: chain.account,
                cgroup: cgroup.looked_up().cloned(),
                length: chain.length() + 1,
                parent: chain.helper().cloned(),
                record,
                loaded: Atomic::new(false),
                has_tried: Atomic::new(false),
                refused: SetOnce::new(),
                is_refused: Atomic::new(false),
                lender <- Lender::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// Notes that the helper is started: it is the current task. To be called once.
    ///
    /// Returns the id of its thread group, or [`ESRCH`] if the task has no thread group.
    ///
    /// Context: in the helper's own task.
    pub(crate) fn starts(&self) -> Result<pid::Id> {
        let group = ThreadGroup::current().ok_or(ESRCH)?;
        let id = group.id();

        self.group.populate(group);
        Ok(id)
    }

    /// Returns what the helper runs for.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Returns the name that the helper runs for.
    pub(crate) fn name(&self) -> &Name {
        self.target.name()
    }

    /// Returns the thread group that the helper is, if it was started.
    pub(crate) fn group(&self) -> Option<&ThreadGroup> {
        self.group.as_ref()
    }

    /// Returns whether the helper was started and still exists as a process.
    pub(crate) fn has_tasks(&self) -> bool {
        self.group().is_some_and(ThreadGroup::has_tasks)
    }

    /// Returns the task that made the helper's request.
    pub(crate) fn requester(&self) -> &Requester {
        &self.requester
    }

    /// Returns the account that the helper's request is on.
    pub(crate) fn account(&self) -> Account {
        self.account
    }

    /// Returns the cgroup of the requester of the outermost request.
    pub(crate) fn cgroup(&self) -> LazyCgroup {
        LazyCgroup::known(self.cgroup.clone())
    }

    /// Notes that a module has appeared that was loaded by the helper, or by a descendant of it.
    pub(crate) fn note_loaded(&self) {
        // ORDERING: A program that waits for the load, and exits, has seen it.
        self.loaded.store(true, Relaxed);
    }

    /// Returns whether a module has appeared that was loaded by the helper, or by a descendant.
    pub(crate) fn has_loaded(&self) -> bool {
        self.loaded.load(Relaxed)
    }

    /// Notes that the helper, or a descendant of it, is about to load a module.
    pub(crate) fn note_tried(&self) {
        // ORDERING: As in `note_loaded()`.
        self.has_tried.store(true, Relaxed);
    }

    /// Returns whether the helper, or a descendant of it, was about to load a module.
    pub(crate) fn has_tried(&self) -> bool {
        self.has_tried.load(Relaxed)
    }

    /// Notes that the helper, or a descendant of it, is refused a module.
    ///
    /// Without memory, it is not known which one: the next helper for the name is refused it again.
    ///
    /// Context: may sleep.
    pub(crate) fn note_refused(&self, refused: Refused) {
        if self.refused.as_ref().is_none() {
            if let Ok(refused) = KBox::new(refused, GFP_KERNEL) {
                self.refused.populate(refused);
            }
        }
        // ORDERING: As in `note_loaded()`, here and below.
        self.is_refused.store(true, Relaxed);
    }

    /// Notes that the helper, or a descendant of it, is not refused a module.
    ///
    /// So it can do without what it was refused before: a soft dependency.
    pub(crate) fn note_not_refused(&self) {
        self.is_refused.store(false, Relaxed);
    }

    /// Returns the first module that the helper was refused, if the last one that it was about to
    /// load was refused.
    pub(crate) fn refused(&self) -> Option<Refused> {
        match self.is_refused.load(Relaxed) {
            true => self.refused.as_ref().map(|refused| **refused),
            false => None,
        }
    }

    /// Returns the record of the helper's request, if there is one.
    pub(crate) fn record(&self) -> Option<&Arc<Record>> {
        self.record.as_ref()
    }
}

impl Lends for Helper {
    fn lender(&self) -> &Lender<Self> {
        &self.lender
    }
}

#[pinned_drop]
impl PinnedDrop for Helper {
    /// Drops the chain in a loop, because a recursion could take too much of the stack. Nothing is
    /// borrowed any more, so `lender` refers to no helper.
    fn drop(self: Pin<&mut Self>) {
        let mut parent = self.project().parent.take();

        while let Some(mut helper) = parent.and_then(Arc::into_unique_or_drop) {
            parent = helper.as_mut().project().parent.take();
        }
    }
}

/// The chain of a request.
pub(crate) struct Chain {
    /// The account of the outermost request of the chain.
    account: Account,
    /// The cgroup of the requester of the outermost request, if it was looked up and is known.
    cgroup: Option<Arc<CgroupPath>>,
    /// The closest helper, and whether it makes the request itself (and not a descendant of it).
    /// [`None`] if the request is not nested.
    nested: Option<(Arc<Helper>, bool)>,
}

/// Why a request is refused: it is part of a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loop;

impl Chain {
    /// Returns the empty chain of a request that descends from no helper.
    pub(crate) fn outermost(account: Account) -> Self {
        Self {
            account,
            cgroup: None,
            nested: None,
        }
    }

    /// Returns the chain of a request that `helper` makes `by_itself`, or a descendant of it makes.
    pub(crate) fn nested(helper: Arc<Helper>, by_itself: bool) -> Self {
        Self {
            account: helper.account,
            cgroup: helper.cgroup.clone(),
            nested: Some((helper, by_itself)),
        }
    }

    /// Returns whether the request descends from a helper.
    pub(crate) fn is_nested(&self) -> bool {
        self.nested.is_some()
    }

    /// Returns the account that the request is on: that of the outermost request of the chain.
    pub(crate) fn account(&self) -> Account {
        self.account
    }

    /// Returns the cgroup of the requester of the outermost request. The current task makes the
    /// request.
    pub(crate) fn cgroup(&self) -> LazyCgroup {
        match self.is_nested() {
            true => LazyCgroup::known(self.cgroup.clone()),
            false => LazyCgroup::of_current(),
        }
    }

    /// Returns [`Loop`] if a request for `name` is part of a loop.
    ///
    /// It is part of a loop if it is nested and
    ///
    /// - the chain has `chain_limit` helpers, or
    /// - the request waits, and `loop_repeats` helpers for the same name run in the chain, or
    /// - the request waits, the closest helper makes it itself, and a helper for the same name runs
    ///   in the chain: the new helper would wait for the module that this one is loading.
    ///
    /// Context: any.
    pub(crate) fn check(&self, name: &Name, wait: bool, limits: &Limits) -> Result<(), Loop> {
        let Some((_, by_itself)) = self.nested else {
            return Ok(());
        };
        if self.length() >= limits.chain_limit.load(Relaxed) {
            return Err(Loop);
        }
        let allowed = match by_itself {
            true => 1,
            false => limits.loop_repeats.load(Relaxed),
        };
        // CAST: At most `MAX_CHAIN`.
        if wait && self.running(name) as u32 >= allowed {
            return Err(Loop);
        }
        Ok(())
    }

    /// Returns the names that the helpers of the chain run for, the closest helper's first.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Name> + Clone {
        self.helpers().map(Helper::name)
    }

    /// Returns what shows the chain in a log line, with the request for `name` at its end.
    pub(crate) fn line_to<'a>(&'a self, name: &'a Name) -> ChainLine<impl Fn(usize) -> &'a Name> {
        // CAST: At most `MAX_CHAIN`.
        let length = self.length() as usize;

        ChainLine::cut(length, move |position| {
            // `names()` has the closest helper's first.
            let from_the_end = (length - position).checked_sub(1);
            from_the_end
                .and_then(|n| self.names().nth(n))
                .unwrap_or(name)
        })
    }

    /// Returns the closest helper.
    pub(crate) fn helper(&self) -> Option<&Arc<Helper>> {
        self.nested.as_ref().map(|(helper, _)| helper)
    }

    /// Returns the helpers of the chain, the closest one first.
    fn helpers(&self) -> impl Iterator<Item = &Helper> + Clone {
        iter::successors(self.helper(), |helper| helper.parent.as_ref()).map(|helper| &**helper)
    }

    /// Returns how many helpers the chain has.
    fn length(&self) -> u32 {
        self.helper().map_or(0, |helper| helper.length)
    }

    /// Returns how many helpers of the chain run for `name` and still exist as processes.
    fn running(&self, name: &Name) -> usize {
        self.helpers()
            .filter(|helper| helper.name() == name && helper.has_tasks())
            .count()
    }
}

#[kunit_tests(kmod_rs_chain)]
mod tests {
    use super::*;
    use crate::{
        firewall::policy::Services,
        request::refusals::Refusals,
        wrappers::{
            modprobe_path::ModprobePath,
            private_symbols::PrivateSymbols, //
        }, //
    };
    use kernel::str::CString;

    const ACCOUNT: Account = Account::of_user(1000);

    fn name(name: &CStr) -> Result<Name> {
        Ok(Name::new(name))
    }

    /// Creates a helper that is the current task, and has made its own request.
    fn helper(of: &CStr, chain: &Chain, cgroup: &LazyCgroup) -> Result<Arc<Helper>> {
        let path = ModprobePath::read(PrivateSymbols::find()?)?;
        let target = Target::new(Name::new(of), path, Services::NONE)?;
        let helper = Helper::new(target, Requester::current(), chain, cgroup, None)?;

        helper.starts()?;
        Ok(helper)
    }

    fn helper_for(of: &CStr, chain: &Chain) -> Result<Arc<Helper>> {
        helper(of, chain, &LazyCgroup::known(None))
    }

    /// Returns the chain of a request by a child of the last of these helpers, which all run.
    fn chain(names: &[&CStr]) -> Result<Chain> {
        let mut chain = Chain::outermost(ACCOUNT);
        for helper in names {
            chain = Chain::nested(helper_for(helper, &chain)?, false);
        }
        Ok(chain)
    }

    fn shown(chain: &Chain, last: &CStr) -> Result<CString> {
        CString::try_from_fmt(fmt!("{}", chain.line_to(&name(last)?)))
    }

    #[test]
    fn the_third_of_a_name_is_a_loop() -> Result {
        let limits = Limits::new();
        let a = name(c"a")?;
        assert_eq!(chain(&[])?.check(&a, true, &limits), Ok(()));
        assert_eq!(chain(&[c"a"])?.check(&a, true, &limits), Ok(()));
        assert_eq!(chain(&[c"a", c"a"])?.check(&a, true, &limits), Err(Loop));
        assert_eq!(
            chain(&[c"a", c"b", c"a", c"b"])?.check(&a, true, &limits),
            Err(Loop)
        );
        assert_eq!(chain(&[c"a", c"b", c"c"])?.check(&a, true, &limits), Ok(()));

        limits.loop_repeats.store(1, Relaxed);
        assert_eq!(chain(&[c"a"])?.check(&a, true, &limits), Err(Loop));
        Ok(())
    }

    #[test]
    fn who_does_not_wait_is_stopped_by_the_length_alone() -> Result {
        let limits = Limits::new();
        let a = name(c"a")?;
        limits.chain_limit.store(3, Relaxed);
        assert_eq!(chain(&[c"a", c"a"])?.check(&a, false, &limits), Ok(()));
        assert_eq!(
            chain(&[c"a", c"a", c"a"])?.check(&a, false, &limits),
            Err(Loop)
        );
        assert_eq!(
            chain(&[c"b", c"c", c"d"])?.check(&a, true, &limits),
            Err(Loop)
        );
        Ok(())
    }

    #[test]
    fn a_helper_does_not_wait_for_its_own_name() -> Result {
        let limits = Limits::new();
        let (a, b) = (name(c"a")?, name(c"b")?);
        let helper = helper_for(c"a", &Chain::outermost(ACCOUNT))?;
        let chain = Chain::nested(helper, true);
        assert_eq!(chain.check(&a, true, &limits), Err(Loop));
        assert_eq!(chain.check(&a, false, &limits), Ok(()));
        assert_eq!(chain.check(&b, true, &limits), Ok(()));
        Ok(())
    }

    #[test]
    fn who_goes_on_after_a_refusal_can_do_without() -> Result {
        let helper = helper_for(c"a", &Chain::outermost(ACCOUNT))?;
        assert!(helper.refused().is_none());
        let refusals = Refusals::new()?;
        let refused = Refused {
            module: name(c"m")?,
            stamp: refusals.stamp(0),
        };
        helper.note_refused(refused);
        assert!(helper
            .refused()
            .is_some_and(|it| it.module == refused.module));
        helper.note_not_refused();
        assert!(helper.refused().is_none());
        Ok(())
    }

    #[test]
    fn the_outermost_user_counts() -> Result {
        assert_eq!(chain(&[c"a", c"b"])?.account(), ACCOUNT);
        assert!(!chain(&[])?.is_nested());
        assert!(chain(&[c"a"])?.is_nested());
        Ok(())
    }

    #[test]
    fn the_outermost_cgroup_counts() -> Result {
        let cgroup = LazyCgroup::known(CgroupPath::new(c"/x"));
        let nested = |chain: &Chain| -> Result<Chain> {
            Ok(Chain::nested(helper(c"a", chain, &chain.cgroup())?, false))
        };
        let first = helper(c"a", &Chain::outermost(ACCOUNT), &cgroup)?;
        let second = nested(&Chain::nested(first, false))?;
        assert!(second.cgroup().path() == Some(c"/x"));

        // It was not looked up for the outermost request, and is not later.
        assert!(chain(&[c"a"])?.cgroup().path().is_none());
        assert!(chain(&[])?.cgroup().looked_up().is_none());
        Ok(())
    }

    #[test]
    fn the_closest_helper_comes_first() -> Result {
        let (a, b) = (name(c"a")?, name(c"b")?);
        assert!(chain(&[c"a", c"b"])?.names().eq([&b, &a]));
        assert!(chain(&[])?.names().next().is_none());
        Ok(())
    }

    #[test]
    fn a_chain_is_shown_from_the_outermost_on() -> Result {
        assert_eq!(shown(&chain(&[])?, c"a")?.to_bytes(), b"a");
        assert_eq!(
            shown(&chain(&[c"a", c"b"])?, c"c d")?.to_bytes(),
            b"a -> b -> c\\x20d"
        );
        Ok(())
    }
}
