// SPDX-License-Identifier: GPL-2.0

//! Which requests a request descends from, and when that is a loop.
//!
//! Has no counterpart in the C code, which lets a loop run until all slots are taken. A request
//! made by a helper, or by a descendant of one, is nested in the request that the helper runs for;
//! that one may be nested itself. The names from the outermost one down are its chain.

use crate::{
    records::record::Record,
    wrappers::{
        name::Name,
        pid::ThreadGroup, //
    }, //
};
use core::iter;
use kernel::{
    fmt,
    fmt::Write as _,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};

/// How many helpers for one name may run in a chain, unless the administrator says otherwise.
const LOOP_REPEATS: u32 = 2;

/// How many helpers a chain may have, unless the administrator says otherwise.
const CHAIN_LIMIT: u32 = 8;

/// How many helpers the administrator can allow a chain to have.
pub(crate) const MAX_CHAIN: u32 = 32;

/// How long a chain may be, in bytes, to be shown in full.
///
/// A log line that is longer than what printk takes (1024 bytes) loses its newline.
const MAX_SHOWN: usize = 700;

/// What counts as a loop.
pub(crate) struct Limits {
    /// How many helpers for one name may run in a chain; at least 1.
    pub(crate) loop_repeats: Atomic<u32>,
    /// How many helpers a chain may have; 1 to [`MAX_CHAIN`].
    pub(crate) chain_limit: Atomic<u32>,
}

impl Limits {
    /// What holds until the administrator says otherwise.
    pub(crate) fn new() -> Self {
        Self {
            loop_repeats: Atomic::new(LOOP_REPEATS),
            chain_limit: Atomic::new(CHAIN_LIMIT),
        }
    }
}

/// A helper that has been started, and the ones that it descends from.
///
/// Lives at least as long as something that descends from it.
pub(crate) struct Helper {
    name: Name,
    group: ThreadGroup,
    /// The user who made the outermost request of the chain.
    uid: u32,
    /// How many helpers the chain has, with this one.
    length: u32,
    parent: Option<Arc<Helper>>,
    /// That of its request, if there is one.
    record: Option<Arc<Record>>,
}

impl Helper {
    /// Describes the current task: a helper for `name`, whose request has this chain.
    ///
    /// Returns [`ENOMEM`], or [`ESRCH`] for a task that is no process.
    ///
    /// Context: in the helper's own task; may sleep.
    pub(crate) fn current(
        name: Name,
        chain: &Chain,
        record: Option<Arc<Record>>,
    ) -> Result<Arc<Self>> {
        let parent = chain.helper().cloned();

        Ok(Arc::new(
            Self {
                name,
                group: ThreadGroup::current().ok_or(ESRCH)?,
                uid: chain.uid,
                length: chain.length() + 1,
                parent,
                record,
            },
            GFP_KERNEL,
        )?)
    }

    /// The name that it was started for.
    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// Which process it is.
    pub(crate) fn group(&self) -> &ThreadGroup {
        &self.group
    }

    /// The record of its request, if there is one.
    pub(crate) fn record(&self) -> Option<&Arc<Record>> {
        self.record.as_ref()
    }
}

impl Drop for Helper {
    /// Drops the chain in a loop: it may be too long for the stack.
    fn drop(&mut self) {
        let mut parent = self.parent.take();

        while let Some(helper) = parent.and_then(Arc::into_unique_or_drop) {
            parent = Pin::into_inner(helper).parent.take();
        }
    }
}

/// What a request descends from.
#[derive(Clone)]
pub(crate) struct Chain {
    /// The user who made the outermost request of the chain, in the initial namespace.
    uid: u32,
    /// The closest helper, and whether the request was made by that itself.
    nested: Option<(Arc<Helper>, bool)>,
}

/// A request is part of a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loop;

impl Chain {
    /// That of a request by this user which no helper has to do with.
    pub(crate) fn outermost(uid: u32) -> Self {
        Self { uid, nested: None }
    }

    /// That of a request made by `helper`, or by a descendant of it.
    pub(crate) fn nested(helper: Arc<Helper>, by_itself: bool) -> Self {
        Self {
            uid: helper.uid,
            nested: Some((helper, by_itself)),
        }
    }

    /// Whether there is a helper that the request descends from.
    pub(crate) fn is_nested(&self) -> bool {
        self.nested.is_some()
    }

    /// The user who made the outermost request of the chain.
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// Whether a request for `name` may be served.
    ///
    /// It is a loop if there are as many helpers for that name in the chain already as may be, and
    /// the request waits; or if the helper itself would wait for another one for the same name,
    /// which then waits for the module that the first is loading; or if the chain is too long.
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

    /// The names that the helpers of the chain were started for, the closest helper's first.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Name> + Clone {
        self.helpers().map(Helper::name)
    }

    /// The chain, ended by the request for `name`.
    pub(crate) fn line_to<'a>(&'a self, name: &'a Name) -> ChainLine<'a> {
        ChainLine {
            chain: self,
            last: name,
        }
    }

    fn helper(&self) -> Option<&Arc<Helper>> {
        self.nested.as_ref().map(|(helper, _)| helper)
    }

    /// The helpers of the chain, the closest one first.
    fn helpers(&self) -> impl Iterator<Item = &Helper> + Clone {
        iter::successors(self.helper(), |helper| helper.parent.as_ref()).map(|helper| &**helper)
    }

    /// How many helpers the chain has.
    fn length(&self) -> u32 {
        self.helper().map_or(0, |helper| helper.length)
    }

    /// How many of them run for `name`.
    fn running(&self, name: &Name) -> usize {
        self.helpers()
            .filter(|helper| helper.name == *name && helper.group.has_tasks())
            .count()
    }
}

/// The names of a chain from the outermost on, each escaped.
///
/// One that is too long for a log line is shown without its middle: its first name and its last
/// two.
pub(crate) struct ChainLine<'a> {
    chain: &'a Chain,
    last: &'a Name,
}

impl ChainLine<'_> {
    /// The name at a position, where 0 is the outermost.
    fn name(&self, position: u32) -> &Name {
        // The helpers come the other way round.
        // CAST: At most `MAX_CHAIN`.
        let from_the_end = (self.chain.length() - position) as usize;
        match from_the_end.checked_sub(1) {
            None => self.last,
            Some(n) => self.chain.helpers().nth(n).map_or(self.last, Helper::name),
        }
    }

    fn length_shown(&self) -> Result<usize, fmt::Error> {
        let mut length = Length(0);
        for position in 0..=self.chain.length() {
            length.write_fmt(fmt!("{} -> ", self.name(position)))?;
        }
        Ok(length.0)
    }
}

impl fmt::Display for ChainLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.chain.length();
        let cut = length > 2 && self.length_shown()? > MAX_SHOWN;

        for position in 0..=length {
            if cut && (1..length - 1).contains(&position) {
                if position == 1 {
                    f.write_str(" -> ...")?;
                }
                continue;
            }
            let separator = if position == 0 { "" } else { " -> " };
            f.write_fmt(fmt!("{separator}{}", self.name(position)))?;
        }
        Ok(())
    }
}

/// Counts what is written to it.
struct Length(usize);

impl fmt::Write for Length {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.0 += s.len();
        Ok(())
    }
}

#[kunit_tests(kmod_rs_chain)]
mod tests {
    use super::*;
    use kernel::str::CString;

    const UID: u32 = 1000;

    fn name(name: &CStr) -> Result<Name> {
        Ok(Name::new(name))
    }

    /// The chain of a request by a child of the last of these helpers, which all run.
    fn chain(names: &[&CStr]) -> Result<Chain> {
        let mut chain = Chain::outermost(UID);
        for helper in names {
            chain = Chain::nested(Helper::current(name(helper)?, &chain, None)?, false);
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
        let helper = Helper::current(a, &Chain::outermost(UID), None)?;
        let chain = Chain::nested(helper, true);
        assert_eq!(chain.check(&a, true, &limits), Err(Loop));
        assert_eq!(chain.check(&a, false, &limits), Ok(()));
        assert_eq!(chain.check(&b, true, &limits), Ok(()));
        Ok(())
    }

    #[test]
    fn the_outermost_user_counts() -> Result {
        assert_eq!(chain(&[c"a", c"b"])?.uid(), UID);
        assert!(!chain(&[])?.is_nested());
        assert!(chain(&[c"a"])?.is_nested());
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

    /// A line that is longer than what printk takes loses its newline.
    #[test]
    fn a_chain_is_short_whatever_the_names() -> Result {
        let long = CString::try_from_fmt(fmt!("{:\u{1}<55}", ""))?;
        let names = [&*long; MAX_CHAIN as usize];
        let chain = chain(&names)?;
        assert_eq!(chain.length(), MAX_CHAIN);
        let shown = shown(&chain, c"last")?;
        assert!(shown.to_bytes().len() < MAX_SHOWN);
        assert!(shown.to_bytes().ends_with(b" -> last"));
        Ok(())
    }
}
