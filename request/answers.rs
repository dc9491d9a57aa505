// SPDX-License-Identifier: GPL-2.0

//! Remembered answers: a request that was answered before costs no helper.
//!
//! Has no counterpart in the C code. What modprobe answers depends on the name, on the files that it
//! reads, and on the modules that are there. While none of these has changed since the last helper
//! *began*, another one would answer the same. So an answer belongs to a [`Watched`], which was set
//! before that helper began, and holds as long as the watch has noticed no change. A watch that has
//! noticed one is never used again, and all answers that belong to it are forgotten.
//!
//! Two answers are remembered. A *miss* says that nothing was found, if a second look agrees, see
//! looking.rs. *There* says that what was found is there already: the helper succeeded, no module
//! was loaded, and no other program was run. A module that comes makes an end of misses only, as it
//! may be what was not found.

use super::target::Target;
use crate::{
    records::remembered::{
        Off,
        Remembered, //
    },
    usermode_helper::WaitStatus,
    wrappers::{
        debugfs::Items,
        log::{
            Known,
            Quoted, //
        },
        modprobe_path::ModprobePath,
        name::Name,
        pid::Parent,
        requester::Account,
        wait::Completion,
        watch::{
            Change,
            Unwatchable,
            Watch, //
        }, //
    }, //
};
use core::mem;
use kernel::{
    new_mutex,
    new_spinlock,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    seq_file::SeqFile,
    seq_print,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed, //
        },
        Arc,
        Mutex,
        SetOnce,
        SpinLock, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

/// The largest number of answers that the administrator can have remembered.
pub(crate) const MAX_ANSWERS: u32 = 4096;

/// How many second looks there are at the same time.
const MAX_LOOKS: usize = 8;

/// A watch, and the program that it was set for.
pub(crate) struct Watched {
    watch: Watch,
    path: ModprobePath,
}

impl Watched {
    /// Returns whether what the watch is over is as it was when it was set.
    fn holds(&self) -> bool {
        self.watch.is_intact() && self.watch.has_root()
    }

    /// Returns the program.
    pub(crate) fn path(&self) -> &ModprobePath {
        &self.path
    }
}

/// What a helper has to say where it began.
#[derive(Clone)]
pub(crate) struct Heard {
    /// The watch that was set before it began.
    pub(crate) watched: Arc<Watched>,
    /// When it began.
    pub(crate) since: Instant<Monotonic>,
    /// How many modules had come before.
    arrivals: u64,
}

/// Where a helper began, whose answer may be remembered.
pub(crate) struct Hearing {
    answers: Arc<Answers>,
    heard: SetOnce<Heard>,
    parent: SetOnce<Parent>,
}

impl Hearing {
    /// Notes that a helper for a target is about to execute its program.
    ///
    /// Context: in the helper's own task; may sleep.
    pub(crate) fn begin(&self, target: &Target) {
        if !self.answers.may_remember(target) {
            return;
        }
        if let Some(heard) = self.answers.watch(target.modprobe_path()) {
            self.heard.populate(heard);
            self.parent.populate(Parent::current());
        }
    }

    /// Returns whether the helper, which has ended, has run another program and waited for it.
    ///
    /// If that is not known, it may have.
    pub(crate) fn has_waited(&self) -> bool {
        self.parent.as_ref().is_none_or(Parent::has_waited)
    }

    /// Returns where the helper began, if its answer may be remembered.
    pub(crate) fn heard(&self) -> Option<&Heard> {
        self.heard.as_ref()
    }
}

/// What is known of a target.
pub(crate) enum Recalled {
    /// The answer that a helper would give now.
    Answer(WaitStatus),
    /// A second look is on its way; this is completed when it has ended.
    Looking(Arc<Completion>),
    /// Nothing.
    Nothing,
}

/// Why an entry is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Nothing is found, which is the answer.
    Miss,
    /// It is there already, which is the answer.
    There,
    /// Something is found. So the helper has failed for another reason, and each request has to have
    /// one. No more looks are needed.
    Found,
}

/// What is remembered of a target.
struct Entry {
    why: Why,
    account: Account,
    since: Instant<Monotonic>,
    /// How many modules had come before.
    arrivals: u64,
    hits: u64,
    /// How many were entered before.
    number: u64,
}

impl Entry {
    /// Returns whether it holds when so many modules have come.
    fn holds(&self, arrivals: u64) -> bool {
        self.why == Why::There || self.arrivals == arrivals
    }
}

/// The answers.
///
/// # Invariants
///
/// - `ages` has the target of each entry, by its number.
/// - `shares` has the account and the number of each entry.
/// - `accounts` has the number of entries on each account that has some.
struct Table {
    entries: RBTree<Target, Entry>,
    ages: RBTree<u64, Target>,
    shares: RBTree<(u64, u64), ()>,
    accounts: RBTree<u64, usize>,
    next: u64,
}

/// The memory for an entry.
struct Place {
    entry: RBTreeNodeReservation<Target, Entry>,
    age: RBTreeNodeReservation<u64, Target>,
    share: RBTreeNodeReservation<(u64, u64), ()>,
    account: RBTreeNodeReservation<u64, usize>,
}

impl Place {
    fn new() -> Result<Self> {
        Ok(Self {
            entry: RBTreeNodeReservation::new(GFP_KERNEL)?,
            age: RBTreeNodeReservation::new(GFP_KERNEL)?,
            share: RBTreeNodeReservation::new(GFP_KERNEL)?,
            account: RBTreeNodeReservation::new(GFP_KERNEL)?,
        })
    }
}

impl Table {
    fn new() -> Self {
        // INVARIANT: There are no entries.
        Self {
            entries: RBTree::new(),
            ages: RBTree::new(),
            shares: RBTree::new(),
            accounts: RBTree::new(),
            next: 0,
        }
    }

    fn len(&self) -> usize {
        self.accounts.values().sum()
    }

    /// Removes the entry for a target, if there is one.
    fn remove(&mut self, target: &Target) {
        let Some(entry) = self.entries.remove(target) else {
            return;
        };
        let account = entry.account.number();
        // INVARIANT: The entry is gone, and one less is on this account.
        self.ages.remove(&entry.number);
        self.shares.remove(&(account, entry.number));
        if let Some(count) = self.accounts.get_mut(&account) {
            *count -= 1;
            if *count == 0 {
                self.accounts.remove(&account);
            }
        }
    }

    /// Enters what is known of a target. Returns how many others were forgotten for want of room.
    ///
    /// There is room for `capacity` answers, and half of it for those on one user's account.
    fn enter(
        &mut self,
        target: &Target,
        (account, why): (Account, Why),
        (since, arrivals): (Instant<Monotonic>, u64),
        capacity: usize,
        place: Place,
    ) -> u64 {
        let share = match account {
            Account::ROOT | Account::KERNEL => capacity,
            _ => capacity / 2,
        };
        let mut forgotten = 0;

        self.remove(target);
        if share == 0 {
            return 0;
        }
        while self.entries_of(account) >= share && self.forget_oldest_of(account.number()) {
            forgotten += 1;
        }
        while self.len() >= capacity && self.forget_one(account) {
            forgotten += 1;
        }
        let entry = Entry {
            why,
            account,
            since,
            arrivals,
            hits: 0,
            number: self.next,
        };
        // INVARIANT: The entry is inserted below, and one more is on this account.
        self.ages
            .insert(place.age.into_node(self.next, target.clone()));
        self.shares
            .insert(place.share.into_node((account.number(), self.next), ()));
        self.next += 1;
        self.entries
            .insert(place.entry.into_node(target.clone(), entry));
        match self.accounts.get_mut(&account.number()) {
            Some(count) => *count += 1,
            None => {
                self.accounts
                    .insert(place.account.into_node(account.number(), 1));
            }
        }
        forgotten
    }

    fn entries_of(&self, account: Account) -> usize {
        self.accounts
            .get(&account.number())
            .copied()
            .unwrap_or_default()
    }

    /// Forgets the oldest answer on the account that has the most, with the new one of `newcomer`
    /// counted.
    fn forget_one(&mut self, newcomer: Account) -> bool {
        let newcomer = newcomer.number();
        let most = self
            .accounts
            .iter()
            .max_by_key(|(account, count)| **count + usize::from(**account == newcomer));
        match most.map(|(account, _)| *account) {
            Some(account) => self.forget_oldest_of(account),
            None => false,
        }
    }

    fn forget_oldest_of(&mut self, account: u64) -> bool {
        let oldest = self
            .shares
            .cursor_lower_bound(&(account, 0))
            .map(|cursor| *cursor.current().0)
            .filter(|(of, _)| *of == account)
            .and_then(|(_, number)| self.ages.get(&number).cloned());
        match oldest {
            Some(target) => {
                self.remove(&target);
                true
            }
            None => false,
        }
    }

    /// Returns the first entry with at least this number that holds when so many modules have come,
    /// and its target.
    fn find(&self, mut number: u64, arrivals: u64) -> Option<(Target, &Entry)> {
        loop {
            let target = {
                let cursor = self.ages.cursor_lower_bound(&number)?;
                cursor.current().1.clone()
            };
            let entry = self.entries.get(&target)?;
            if entry.holds(arrivals) {
                return Some((target, entry));
            }
            number = entry.number + 1;
        }
    }
}

/// What is remembered, and what goes with it.
struct Inner {
    /// Whether requests are given back to the kernel, so that no watch may be set any more.
    is_closed: bool,
    /// The watch that the answers belong to.
    watched: Option<Arc<Watched>>,
    /// Whether modprobe has been seen to find something by a second look, since the watch was set.
    finds: bool,
    table: Table,
    /// A target that modprobe has found by a second look.
    proven: Option<Target>,
    /// The last target that a helper has succeeded with.
    newest: Option<Target>,
    /// The targets of second looks. Has room for [`MAX_LOOKS`].
    looks: KVec<(Target, Arc<Completion>)>,
}

/// What was forgotten, to be dropped without a lock: removing marks sleeps.
struct Forgotten {
    _watched: Option<Arc<Watched>>,
    _entries: Table,
}

impl Inner {
    /// Forgets all answers, and the watch that they belong to. Returns how many there were.
    fn forget(&mut self) -> (Forgotten, u64) {
        let entries = mem::replace(&mut self.table, Table::new());
        // CAST: At most `MAX_ANSWERS`.
        let number = entries.len() as u64;

        self.finds = false;
        let forgotten = Forgotten {
            _watched: self.watched.take(),
            _entries: entries,
        };
        (forgotten, number)
    }

    /// Returns whether answers that belong to this watch may be entered.
    fn is_current(&self, watched: &Arc<Watched>) -> bool {
        self.watched
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, watched))
            && watched.watch.is_intact()
    }
}

/// The remembered answers.
#[pin_data]
pub(crate) struct Answers {
    /// How many are remembered at most; 0 is for none, and no watch.
    capacity: Atomic<u32>,
    /// How long an answer is remembered, in milliseconds.
    ttl_ms: Atomic<u32>,
    /// How many modules have come.
    arrivals: Atomic<u64>,
    counters: Arc<Remembered>,
    /// Held while a watch is set.
    #[pin]
    setting: Mutex<()>,
    #[pin]
    inner: SpinLock<Inner>,
}

impl Answers {
    /// Creates a value that remembers nothing, and is not to.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new(counters: Arc<Remembered>) -> Result<Arc<Self>> {
        let looks = KVec::with_capacity(MAX_LOOKS, GFP_KERNEL)?;

        Arc::pin_init(
            pin_init!(Self {
                capacity: Atomic::new(0),
                ttl_ms: Atomic::new(60_000),
                arrivals: Atomic::new(0),
                counters,
                setting <- new_mutex!((), "kmod_rs::Answers::setting"),
                inner <- new_spinlock!(
                    Inner {
                        is_closed: false,
                        watched: None,
                        finds: false,
                        table: Table::new(),
                        proven: None,
                        newest: None,
                        looks,
                    },
                    "kmod_rs::Answers::inner"
                ),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns whether answers are to be remembered.
    pub(crate) fn is_on(&self) -> bool {
        self.capacity.load(Relaxed) != 0
    }

    /// Returns where a helper is to note that it begins; `None` if there is no memory.
    ///
    /// Context: may sleep.
    pub(crate) fn hearing(self: &Arc<Self>) -> Option<Arc<Hearing>> {
        let hearing = Hearing {
            answers: self.clone(),
            heard: SetOnce::new(),
            parent: SetOnce::new(),
        };
        Arc::new(hearing, GFP_KERNEL).ok()
    }

    /// Returns how many answers are remembered at most.
    pub(crate) fn capacity(&self) -> u32 {
        self.capacity.load(Relaxed)
    }

    /// Sets how many answers are remembered at most, and forgets all that are.
    ///
    /// Context: may sleep. Takes `inner`.
    pub(crate) fn set_capacity(&self, capacity: u32) {
        let mut inner = self.inner.lock();
        // With the lock held, so that no watch is set afterwards if it is 0.
        self.capacity.store(capacity, Relaxed);
        let (forgotten, _) = inner.forget();
        self.counters.now.store(0, Relaxed);
        self.counters.set_off(Off::No);
        drop(inner);
        drop(forgotten);
    }

    /// Returns how long an answer is remembered, in milliseconds.
    pub(crate) fn ttl_ms(&self) -> &Atomic<u32> {
        &self.ttl_ms
    }

    /// Returns whether the answer to requests for a target may be remembered.
    ///
    /// modprobe takes some names for paths. Aliases with a colon are those of hardware, of which
    /// there are any number.
    pub(crate) fn may_remember(&self, target: &Target) -> bool {
        let name = target.name().as_bytes();

        self.is_on()
            && target.modprobe_path().is_usual()
            && !name.is_empty()
            && !name.iter().any(|byte| b":/.".contains(byte))
    }

    /// Returns what is known of a target.
    ///
    /// `is_any_leaving` says whether a module is being unloaded. Then what was there may not be.
    ///
    /// Context: may sleep. Takes `inner`.
    pub(crate) fn recall(
        &self,
        target: &Target,
        is_any_leaving: impl FnOnce() -> bool,
    ) -> Recalled {
        let ttl = Delta::from_millis(self.ttl_ms.load(Relaxed).into());
        let mut inner = self.inner.lock();

        let Some(watched) = inner.watched.clone() else {
            return inner.looking(target);
        };
        if let Some(change) = watched.watch.change() {
            let forgotten = self.forget(&mut inner, change);
            let recalled = inner.looking(target);
            drop(inner);
            drop((forgotten, watched));
            return recalled;
        }
        let arrivals = self.arrivals();
        let mut why_not = None;
        let recalled = match inner.table.entries.get_mut(target) {
            None => inner.looking(target),
            Some(entry) if !entry.holds(arrivals) => {
                why_not = Some(&self.counters.by_module);
                Recalled::Nothing
            }
            Some(entry) if entry.since.elapsed() >= ttl => {
                why_not = Some(&self.counters.by_time);
                Recalled::Nothing
            }
            Some(entry) => match entry.why {
                Why::Miss => {
                    entry.hits += 1;
                    Recalled::Answer(WaitStatus::NOT_FOUND)
                }
                Why::There => {
                    entry.hits += 1;
                    Recalled::Answer(WaitStatus::SUCCESS)
                }
                Why::Found => Recalled::Nothing,
            },
        };
        if let Some(counter) = why_not {
            inner.table.remove(target);
            counter.add(1, Relaxed);
            self.count(&inner);
        }
        drop(inner);

        // The last things that are looked at: the answer holds now, after the request was made. The
        // list of modules comes first: one that leaves it in between has been noted then.
        match recalled {
            Recalled::Answer(WaitStatus::SUCCESS) if is_any_leaving() => Recalled::Nothing,
            Recalled::Answer(_) if !watched.watch.has_root() => {
                watched.watch.note(Change::Mount);
                Recalled::Nothing
            }
            Recalled::Answer(_) if !watched.watch.is_intact() => Recalled::Nothing,
            recalled => recalled,
        }
    }

    /// Returns a watch over what the current task's program, which is at `path`, reads.
    ///
    /// Returns `None` if somebody sets one just now, or if none can be set.
    ///
    /// Context: in a helper that is about to execute its program; may sleep. Takes `inner`.
    fn watch(&self, path: &ModprobePath) -> Option<Heard> {
        let current = self.inner.lock().watched.clone();
        let watched = match current {
            Some(watched) if watched.path.as_cstr() == path.as_cstr() && watched.holds() => watched,
            _ => self.set_watch(path)?,
        };
        Some(Heard {
            watched,
            since: Instant::now(),
            arrivals: self.arrivals(),
        })
    }

    fn set_watch(&self, path: &ModprobePath) -> Option<Arc<Watched>> {
        // Nobody waits for files that another task looks for.
        let _setting = self.setting.try_lock()?;

        let watched = Watch::set(path.as_cstr()).and_then(|watch| {
            let path = path.clone();
            Ok(Arc::new(Watched { watch, path }, GFP_KERNEL).map_err(Error::from)?)
        });
        let mut inner = self.inner.lock();
        let change = inner.watched.as_ref().and_then(|it| it.watch.change());
        // If nothing has changed, it is the program, or the root.
        let forgotten = self.forget(&mut inner, change.unwrap_or(Change::Mount));
        let found = match watched {
            Ok(watched) if !inner.is_closed && self.is_on() => {
                inner.watched = Some(watched.clone());
                self.counters.set_off(Off::No);
                Ok(watched)
            }
            other => {
                let off = match &other {
                    Ok(_) => Off::No,
                    Err(Unwatchable::FileSystem) => Off::FileSystem,
                    Err(Unwatchable::Elsewhere) => Off::Elsewhere,
                    Err(Unwatchable::TooMany) => Off::TooMany,
                    Err(Unwatchable::Failed) => Off::Failed,
                };
                self.counters.set_off(off);
                Err(other)
            }
        };
        drop(inner);
        drop(forgotten);
        found.ok()
    }

    /// Notes that a helper has succeeded: modprobe can find this target.
    ///
    /// Context: any but interrupts. Takes `inner`.
    pub(crate) fn found(&self, target: &Target) {
        let newest = self.inner.lock().newest.replace(target.clone());
        drop(newest);
    }

    /// Returns a target that the program at `path` can probably find.
    ///
    /// Context: any but interrupts. Takes `inner`.
    pub(super) fn known(&self, path: &ModprobePath) -> Option<Target> {
        let inner = self.inner.lock();
        let is_for = |target: &&Target| target.path() == path.as_cstr();
        let mut known = [&inner.proven, &inner.newest].into_iter().flatten();

        known.find(is_for).cloned()
    }

    /// Returns whether modprobe has been seen to find something since the watch was set.
    ///
    /// Context: any but interrupts. Takes `inner`.
    pub(super) fn finds(&self, watched: &Arc<Watched>) -> bool {
        let inner = self.inner.lock();
        inner.finds && inner.is_current(watched)
    }

    /// Notes that modprobe has found `known` by a second look.
    ///
    /// Context: any but interrupts. Takes `inner`.
    pub(super) fn note_found(&self, watched: &Arc<Watched>, known: Target) {
        let mut inner = self.inner.lock();
        let before = inner.proven.replace(known);

        if inner.is_current(watched) {
            inner.finds = true;
            self.counters.set_off(Off::No);
        }
        drop(inner);
        drop(before);
    }

    /// Notes that modprobe has not found `known` by a second look: not any more, or it cannot.
    ///
    /// Context: any but interrupts. Takes `inner`.
    pub(super) fn note_not_found(&self, known: &Target) {
        let mut inner = self.inner.lock();
        let is_it = |it: &mut Target| it == known;
        let unknown = (inner.proven.take_if(is_it), inner.newest.take_if(is_it));

        drop(inner);
        drop(unknown);
    }

    /// Notes that nothing is known that modprobe could find. `was_known` says whether something was,
    /// and modprobe has not found it.
    ///
    /// Context: any.
    pub(super) fn nothing_known(&self, was_known: bool) {
        match was_known {
            true => self.counters.set_off(Off::NoLook),
            false => self.counters.nothing_found(),
        }
    }

    /// Remembers what is known of a target, after what a helper has said that began as `heard`.
    ///
    /// Does nothing if something has changed since it began. `account` is that of the request.
    ///
    /// Context: may sleep. Takes `inner`.
    pub(super) fn remember(
        &self,
        target: &Target,
        account: Account,
        heard: &Heard,
        why: Why,
    ) -> Result {
        let place = Place::new()?;
        // CAST: At most `MAX_ANSWERS`.
        let capacity = self.capacity() as usize;
        let mut inner = self.inner.lock();

        if inner.is_current(&heard.watched) {
            let since = (heard.since, heard.arrivals);
            let forgotten = inner
                .table
                .enter(target, (account, why), since, capacity, place);
            self.counters.by_room.add(forgotten, Relaxed);
            self.count(&inner);
        }
        Ok(())
    }

    /// Begins a second look for a target; it ends when what is returned is dropped.
    ///
    /// Returns `None` if there is one already, if there are too many, or if there was one.
    ///
    /// Context: may sleep. Takes `inner`.
    pub(super) fn look(self: &Arc<Self>, target: &Target) -> Option<Looking> {
        let done = Arc::pin_init(Completion::new(), GFP_KERNEL).ok()?;
        let mut inner = self.inner.lock();

        // What is there has been looked at by `recall()`.
        let is_known = inner.table.entries.get(target).is_some();
        if inner.is_closed || is_known || inner.looks.iter().any(|(other, _)| other == target) {
            return None;
        }
        inner
            .looks
            .push_within_capacity((target.clone(), done.clone()))
            .ok()?;
        Some(Looking {
            answers: self.clone(),
            done,
        })
    }

    /// Counts that modprobe is run only to look.
    pub(super) fn count_look(&self) {
        self.counters.looks.add(1, Relaxed);
    }

    /// Has no request wait for a second look any more.
    ///
    /// Context: any but interrupts. Takes `inner`.
    pub(crate) fn stop_following(&self) {
        let mut inner = self.inner.lock();
        for (_, done) in inner.looks.iter() {
            done.complete_all();
        }
        // This frees at most memory.
        inner.looks.clear();
    }

    /// Notes that a module has come.
    ///
    /// Context: any.
    pub(crate) fn module_came(&self) {
        // ORDERING: What asks after this module has come sees the number.
        self.arrivals.fetch_add(1, Full);
    }

    fn arrivals(&self) -> u64 {
        // ORDERING: As in `module_came()`.
        self.arrivals.load(Acquire)
    }

    /// Notes that a module was unloaded.
    ///
    /// Context: any but interrupts. Takes `inner`.
    pub(crate) fn module_left(&self) {
        if let Some(watched) = &self.inner.lock().watched {
            watched.watch.note(Change::Module);
        }
    }

    /// Forgets all answers, and remembers none from now on: requests are given back to the kernel.
    ///
    /// Context: may sleep. Takes `inner`.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.is_closed = true;
        let (forgotten, _) = inner.forget();
        self.counters.now.store(0, Relaxed);
        drop(inner);
        drop(forgotten);
        self.stop_following();
    }

    /// Forgets all answers, and counts them.
    fn forget(&self, inner: &mut Inner, change: Change) -> Forgotten {
        let (forgotten, number) = inner.forget();
        let counter = match change {
            Change::File => &self.counters.by_file,
            Change::Mount => &self.counters.by_mount,
            Change::Module => &self.counters.by_module,
        };
        counter.add(number, Relaxed);
        self.count(inner);
        forgotten
    }

    /// Keeps the number of answers up to date.
    fn count(&self, inner: &Inner) {
        // CAST: At most `MAX_ANSWERS`.
        self.counters.now.store(inner.table.len() as u64, Relaxed);
    }
}

impl Inner {
    fn looking(&self, target: &Target) -> Recalled {
        self.looks
            .iter()
            .find(|(other, _)| other == target)
            .map_or(Recalled::Nothing, |(_, done)| {
                Recalled::Looking(done.clone())
            })
    }
}

/// A second look, as long as this value lives.
pub(super) struct Looking {
    answers: Arc<Answers>,
    done: Arc<Completion>,
}

impl Looking {
    /// Returns the answers that are looked for.
    pub(super) fn answers(&self) -> &Arc<Answers> {
        &self.answers
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        let mut inner = self.answers.inner.lock();
        let mut gone = None;

        // It is not there if nobody may follow any more.
        let place = inner
            .looks
            .iter()
            .position(|(_, done)| Arc::ptr_eq(done, &self.done));
        if let Some(place) = place {
            gone = inner.looks.remove(place).ok();
        }
        drop(inner);
        drop(gone);
        self.done.complete_all();
    }
}

/// A line of the file `answers`.
pub(crate) struct Line {
    name: Name,
    why: Why,
    age: Delta,
    hits: u64,
}

/// The file `answers`: one line for each answer that is remembered, the oldest first.
pub(crate) struct List(pub(crate) Arc<Answers>);

impl Items for List {
    type Item = KBox<Line>;

    const NAME: &'static CStr = c"answers";

    fn find(&self, position: u64) -> Result<Option<(u64, KBox<Line>)>> {
        let inner = self.0.inner.lock();
        let is_intact = |it: &Arc<Watched>| it.watch.is_intact();
        let arrivals = self.0.arrivals();
        // What is to be forgotten at the next request is not shown.
        let found = inner
            .table
            .find(position, arrivals)
            .filter(|_| inner.watched.as_ref().is_some_and(is_intact))
            .map(|(target, entry)| {
                let line = Line {
                    name: *target.name(),
                    why: entry.why,
                    age: entry.since.elapsed(),
                    hits: entry.hits,
                };
                (entry.number, line)
            });
        drop(inner);

        match found {
            Some((number, line)) => Ok(Some((number, KBox::new(line, GFP_KERNEL)?))),
            None => Ok(None),
        }
    }

    fn show(&self, line: &Line, to: &SeqFile) {
        let (result, why) = match line.why {
            Why::Miss => (Some(WaitStatus::NOT_FOUND.into_raw()), "miss"),
            Why::There => (Some(WaitStatus::SUCCESS.into_raw()), "there"),
            Why::Found => (None, "found"),
        };
        seq_print!(
            to,
            "name={} result={} why={} age_ms={} hits={}\n",
            Quoted(line.name.as_bytes()),
            Known(result),
            why,
            line.age.as_millis(),
            line.hits,
        );
    }
}

#[kunit_tests(kmod_rs_answers)]
mod tests {
    use super::*;
    use crate::{
        firewall::policy::Services,
        wrappers::private_symbols::PrivateSymbols, //
    };
    use kernel::str::CString;

    const USER: Account = Account::of_user(1000);
    const OTHER: Account = Account::of_user(1001);

    fn target(name: &CStr) -> Result<Target> {
        let path = ModprobePath::read(PrivateSymbols::find()?)?;
        Target::new(Name::new(name), path, Services::NONE)
    }

    fn enter(table: &mut Table, name: &CStr, account: Account, capacity: usize) -> Result<u64> {
        let place = Place::new()?;
        Ok(table.enter(
            &target(name)?,
            (account, Why::Miss),
            (Instant::now(), 0),
            capacity,
            place,
        ))
    }

    fn fill(table: &mut Table, prefix: &str, account: Account, capacity: usize) -> Result {
        for i in 0..2 * capacity {
            let name = CString::try_from_fmt(fmt!("{prefix}{i}"))?;
            enter(table, &name, account, capacity)?;
        }
        Ok(())
    }

    fn has(table: &Table, name: &CStr) -> Result<bool> {
        Ok(table.entries.get(&target(name)?).is_some())
    }

    #[test]
    fn a_user_has_half_of_the_room() -> Result {
        let mut table = Table::new();
        fill(&mut table, "a", USER, 8)?;
        assert_eq!(table.len(), 4);
        assert!(has(&table, c"a15")? && has(&table, c"a12")? && !has(&table, c"a11")?);

        fill(&mut table, "r", Account::ROOT, 8)?;
        assert_eq!(table.len(), 8);
        assert_eq!(table.entries_of(USER), 4);
        assert!(has(&table, c"r15")? && has(&table, c"r12")?);
        Ok(())
    }

    #[test]
    fn the_account_that_has_the_most_makes_room() -> Result {
        let mut table = Table::new();
        fill(&mut table, "r", Account::ROOT, 8)?;
        assert_eq!(table.entries_of(Account::ROOT), 8);
        assert_eq!(enter(&mut table, c"a", USER, 8)?, 1);
        assert_eq!(enter(&mut table, c"b", OTHER, 8)?, 1);
        assert_eq!(table.entries_of(Account::ROOT), 6);
        assert!(has(&table, c"r15")? && !has(&table, c"r9")? && has(&table, c"a")?);
        Ok(())
    }

    #[test]
    fn they_are_found_in_the_order_of_their_age() -> Result {
        let mut table = Table::new();
        for (name, account) in [(c"b", USER), (c"a", OTHER), (c"c", USER)] {
            enter(&mut table, name, account, 8)?;
        }
        let mut number = 0;
        for name in [c"b", c"a", c"c"] {
            let (target, entry) = table.find(number, 0).ok_or(EINVAL)?;
            assert!(target.name().as_cstr() == name);
            number = entry.number + 1;
        }
        assert!(table.find(number, 0).is_none());
        // A module has come.
        assert!(table.find(0, 1).is_none());
        Ok(())
    }

    #[test]
    fn a_target_is_entered_once() -> Result {
        let mut table = Table::new();
        assert_eq!(enter(&mut table, c"a", USER, 8)?, 0);
        assert_eq!(enter(&mut table, c"a", OTHER, 8)?, 0);
        assert_eq!(table.len(), 1);
        assert_eq!(table.entries_of(OTHER), 1);
        table.remove(&target(c"a")?);
        assert_eq!(table.len(), 0);
        assert!(table.accounts.is_empty());
        assert!(table.ages.is_empty() && table.shares.is_empty());
        Ok(())
    }

    #[test]
    fn a_module_that_comes_is_the_end_of_misses() -> Result {
        let entry = |why| Entry {
            why,
            account: USER,
            since: Instant::now(),
            arrivals: 3,
            hits: 0,
            number: 0,
        };
        for (why, after_it) in [(Why::Miss, false), (Why::Found, false), (Why::There, true)] {
            assert!(entry(why).holds(3));
            assert_eq!(entry(why).holds(4), after_it);
        }
        Ok(())
    }

    #[test]
    fn no_room_is_no_room() -> Result {
        let mut table = Table::new();
        assert_eq!(enter(&mut table, c"a", USER, 1)?, 0);
        assert_eq!(enter(&mut table, c"a", Account::ROOT, 0)?, 0);
        assert_eq!(table.len(), 0);
        Ok(())
    }

    #[test]
    fn names_that_may_be_paths_are_not_remembered() -> Result {
        let answers = Answers::new(Arc::new(Remembered::new(), GFP_KERNEL)?)?;
        let is_usual = target(c"a")?.modprobe_path().is_usual();

        assert!(!answers.may_remember(&target(c"a")?));
        answers.set_capacity(8);
        assert_eq!(answers.may_remember(&target(c"net-pf-10")?), is_usual);
        for name in [c"", c"/a", c"./a", c"pci:v00008086", c"a.b"] {
            assert!(!answers.may_remember(&target(name)?));
        }
        Ok(())
    }
}
