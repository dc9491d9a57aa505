// SPDX-License-Identifier: GPL-2.0

//! The slots: no more helpers than `kmod-limit` run at the same time.
//!
//! Takes the place of the semaphore `kmod_concurrent_max` of `kernel/module/kmod.c`, with these
//! differences:
//!
//! - the wait for a slot can be killed;
//! - nested requests go first, and accounts take turns;
//! - a request gives up only if no slot has been given back for `busy_timeout_ms`;
//! - this time and the limit can be changed.
//!
//! A [`Slot`] is the right to run one helper. [`Slots`] counts the slots in use in an atomic. While
//! the queue is empty, a slot is taken or given back with one compare-and-exchange. While it is not
//! empty, a slot that is given back goes to the next request in the queue, and the counter stays as
//! it is, so that a newcomer cannot overtake.

use crate::wrappers::wait::{
    Completion,
    WaitResult, //
};
use kernel::{
    alloc::AllocError,
    new_spinlock,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed, //
        },
        Arc,
        SpinLock, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

/// The default of [`Slots::limit`]: `MAX_KMOD_CONCURRENT` of the C code.
pub(crate) const MAX_KMOD_CONCURRENT: u32 = 50;

/// The default of [`Slots::busy_timeout_ms`]: `MAX_KMOD_ALL_BUSY_TIMEOUT` of the C code, which is
/// in seconds.
pub(crate) const BUSY_TIMEOUT_MS: u32 = 5000;

/// How long a request waits at most while the system is being suspended, in milliseconds: as long
/// as in the C code.
const SUSPEND_TIMEOUT_MS: i64 = 5000;

/// The number of slots in use and the number of requests in the queue.
///
/// Both are in one word, so that "take a slot if the queue is empty" and "give a slot back if the
/// queue is empty" are one atomic step each.
#[derive(Clone, Copy)]
struct Load(u64);

impl Load {
    const ONE_IN_USE: u64 = 1;
    const ONE_WAITING: u64 = 1 << 32;

    fn in_use(self) -> u32 {
        // CAST: Keeps the low half.
        self.0 as u32
    }

    fn waiting(self) -> u32 {
        // CAST: The high half fits.
        (self.0 >> 32) as u32
    }
}

/// What decides about the place of a request in the queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Whether the request is nested. It goes first then, because a helper that holds a slot may be
    /// waiting for it.
    pub(crate) is_nested: bool,
    /// The number of the account whose turn it takes.
    pub(crate) account: u64,
}

/// A place in the queue: nested requests first, then by account, then in the order of arrival.
///
/// This is the order of the fields.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    is_outermost: bool,
    account: u64,
    ticket: u64,
}

/// A request that waits: for a slot in [`Slots::wait`] or, meanwhile or instead, for something
/// else.
pub(crate) struct Waiting {
    /// Its place in the queue, also when it leaves the queue and comes back.
    place: Place,
    /// When it began to wait.
    since: Instant<Monotonic>,
    /// Completed for it to look again what it has to do.
    woken: Arc<Completion>,
}

impl Waiting {
    /// Returns what wakes the request.
    pub(crate) fn woken(&self) -> &Arc<Completion> {
        &self.woken
    }

    /// Returns a number that no other request has. Requests are numbered as they begin to wait.
    pub(crate) fn ticket(&self) -> u64 {
        self.place.ticket
    }

    /// Returns how long the request has waited.
    pub(crate) fn elapsed(&self) -> Delta {
        self.since.elapsed()
    }
}

/// The requests that wait for a slot.
struct Queue {
    /// What wakes each of them.
    waiters: RBTree<Place, Arc<Completion>>,
    turns: Turns,
    /// When a slot was last handed over, or was given back with the queue locked, or a helper ended
    /// that had borrowed one.
    last_given_back: Instant<Monotonic>,
}

impl Queue {
    /// Returns the place of the request that gets the next slot; [`None`] if the queue is empty.
    ///
    /// Nested requests go first. Among them, and among the others, accounts take turns.
    fn next(&self) -> Option<Place> {
        let is_outermost = self.waiters.cursor_front()?.current().0.is_outermost;

        self.turns.next(
            |account| {
                let first = Place {
                    is_outermost,
                    account,
                    ticket: 0,
                };
                self.waiters
                    .cursor_lower_bound(&first)
                    .map(|cursor| *cursor.current().0)
                    .filter(|place| place.is_outermost == is_outermost)
            },
            |place| place.account,
        )
    }
}

/// The number of root's account, which is the smallest.
pub(crate) const ROOT: u64 = 0;

/// Whose turn it is, of accounts that want the same.
///
/// All accounts but root's take turns in the order of their numbers. Root's turn comes after each
/// turn of another account. So root waits for one turn, however many accounts there are, and root's
/// requests delay those of others by one turn for each of theirs.
pub(crate) struct Turns {
    /// The account that had the last turn, root's aside.
    last: u64,
    /// Whether root had a turn after that.
    was_root: bool,
}

impl Turns {
    /// Creates a value for which root had the last turn.
    pub(crate) fn new() -> Self {
        Self {
            last: ROOT,
            was_root: true,
        }
    }

    /// Returns the request whose turn is next.
    ///
    /// `first_from` returns the first request of the first account that has one and whose number is
    /// at least as great as its argument.
    pub(crate) fn next<T>(
        &self,
        first_from: impl Fn(u64) -> Option<T>,
        account: impl Fn(&T) -> u64,
    ) -> Option<T> {
        let root = || first_from(ROOT).filter(|request| account(request) == ROOT);
        let other = || {
            let after_last = self.last.checked_add(1).and_then(&first_from);
            after_last.or_else(|| first_from(ROOT + 1))
        };

        if self.was_root {
            other().or_else(root)
        } else {
            root().or_else(other)
        }
    }

    /// Notes that an account has its turn.
    pub(crate) fn take(&mut self, account: u64) {
        self.was_root = account == ROOT;
        if !self.was_root {
            self.last = account;
        }
    }
}

/// The slots, and the queue of requests that wait for one.
///
/// # Invariants
///
/// - `load.waiting()` is the number of entries in `queue.waiters` whenever `queue` is not locked,
///   and changes only while it is.
/// - `load.in_use()` is the number of [`Slot`]s, plus the slots that were handed over to requests
///   that have not noticed yet.
/// - While `load.waiting()` is not 0, `load.in_use()` changes only while `queue` is locked.
#[pin_data]
pub(crate) struct Slots {
    load: Atomic<u64>,
    limit: Atomic<u32>,
    busy_timeout_ms: Atomic<u32>,
    /// The ticket of the next request that begins to wait.
    next_ticket: Atomic<u64>,
    /// Whether the system is being suspended: 0 or 1.
    suspending: Atomic<u32>,
    #[pin]
    queue: SpinLock<Queue>,
}

/// Why a request got no slot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoSlot {
    /// The request has waited for `busy_timeout_ms`, and no slot was given back for as long.
    Busy,
    /// The requester was killed.
    Killed,
    /// There was no memory for a place in the queue.
    NoMemory,
}

impl From<AllocError> for NoSlot {
    fn from(_: AllocError) -> Self {
        Self::NoMemory
    }
}

/// The right to run one helper, which is given back when this value is dropped.
pub(crate) struct Slot {
    slots: Arc<Slots>,
}

impl Slots {
    /// Creates an initialiser for the default number of slots, none of which is in use.
    pub(crate) fn new() -> impl PinInit<Self> {
        // INVARIANT: No slot is in use, and the queue is empty.
        pin_init!(Self {
            load: Atomic::new(0),
            limit: Atomic::new(MAX_KMOD_CONCURRENT),
            busy_timeout_ms: Atomic::new(BUSY_TIMEOUT_MS),
            next_ticket: Atomic::new(0),
            suspending: Atomic::new(0),
            queue <- new_spinlock!(
                Queue {
                    waiters: RBTree::new(),
                    turns: Turns::new(),
                    last_given_back: Instant::now(),
                },
                "kmod_rs::Slots::queue"
            ),
        })
    }

    /// Returns how many slots may be in use.
    pub(crate) fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    /// Sets how many slots may be in use.
    ///
    /// If there are more than before, the new ones go to the queue. If there are fewer, those in
    /// use stay in use until they are given back.
    ///
    /// Context: any but interrupts. Takes `queue`.
    pub(crate) fn set_limit(&self, limit: u32) {
        // ORDERING: The lock below orders this store. A request that has read the old limit under
        // the lock, and got no slot, is in the queue when the lock is taken here. A request that
        // takes the lock later reads the new limit.
        self.limit.store(limit, Relaxed);

        let mut queue = self.queue.lock();
        while self.load().waiting() > 0 && self.load().in_use() < self.limit() {
            // INVARIANT: The slot that is counted here is the one that is handed over. `queue` is
            // locked.
            self.load.add(Load::ONE_IN_USE, Relaxed);
            self.hand_over(&mut queue);
        }
    }

    /// Returns how long a request waits at most while no slot is given back, in milliseconds.
    pub(crate) fn busy_timeout_ms(&self) -> u32 {
        self.busy_timeout_ms.load(Relaxed)
    }

    /// Sets how long a request waits at most while no slot is given back, in milliseconds.
    ///
    /// Requests that are in the queue already keep the old time.
    pub(crate) fn set_busy_timeout_ms(&self, timeout: u32) {
        self.busy_timeout_ms.store(timeout, Relaxed);
    }

    /// Sets whether the system is being suspended. Then a request waits for at most
    /// [`SUSPEND_TIMEOUT_MS`].
    ///
    /// Context: any but interrupts. Takes `queue`.
    pub(crate) fn set_suspending(&self, suspending: bool) {
        // ORDERING: The lock below orders this store. A request in the queue is woken, and looks
        // again. One that joins the queue later sees what is stored here.
        self.suspending.store(suspending.into(), Relaxed);

        for woken in self.queue.lock().waiters.values() {
            woken.complete();
        }
    }

    /// Returns whether the system is being suspended, and a request has waited too long for that.
    ///
    /// Context: any.
    pub(crate) fn holds_suspend_up(&self, waiting: &Waiting) -> bool {
        self.suspending.load(Relaxed) != 0
            && waiting.elapsed() >= Delta::from_millis(SUSPEND_TIMEOUT_MS)
    }

    /// Returns how long a request may sleep that would otherwise sleep for `patience`.
    ///
    /// Context: any.
    pub(crate) fn patience(&self, waiting: &Waiting, patience: Delta) -> Delta {
        if self.suspending.load(Relaxed) == 0 {
            return patience;
        }
        let left = Delta::from_millis(SUSPEND_TIMEOUT_MS) - waiting.elapsed();
        patience.min(left).max(Delta::ZERO)
    }

    /// Takes a slot, and waits for one if all are in use.
    ///
    /// Returns the errors of [`Self::wait`].
    ///
    /// Context: may sleep; the caller may hold mutexes. Takes `queue`.
    pub(crate) fn take(self: &Arc<Self>, claim: Claim) -> Result<Slot, NoSlot> {
        if let Some(slot) = self.try_take() {
            return Ok(slot);
        }
        let waiting = self.waiting(claim)?;
        loop {
            if let Some(slot) = self.wait(&waiting, || true)? {
                return Ok(slot);
            }
        }
    }

    /// Describes a request that begins to wait now.
    ///
    /// Returns [`AllocError`] if there is no memory.
    ///
    /// Context: may sleep.
    pub(crate) fn waiting(&self, claim: Claim) -> Result<Waiting, AllocError> {
        Ok(Waiting {
            place: Place {
                is_outermost: !claim.is_nested,
                account: claim.account,
                // ORDERING: Only the number matters.
                ticket: self.next_ticket.fetch_add(1, Relaxed),
            },
            since: Instant::now(),
            woken: Arc::pin_init(Completion::new(), GFP_KERNEL).map_err(|_| AllocError)?,
        })
    }

    fn load(&self) -> Load {
        // ORDERING: Pairs with `update()`: a task that sees that a slot was given back also sees
        // the limit that was set before.
        Load(self.load.load(Acquire))
    }

    /// Replaces the load by `new`; returns false if it is not `old` any more.
    fn update(&self, old: Load, new: u64) -> bool {
        // ORDERING: What was done with a slot happens before it is given back, and this happens
        // before it is taken again.
        self.load.cmpxchg(old.0, new, Full).is_ok()
    }

    /// Takes a slot if one is free and the queue is empty.
    ///
    /// Context: any. Takes no lock.
    pub(crate) fn try_take(self: &Arc<Self>) -> Option<Slot> {
        loop {
            let load = self.load();
            if load.waiting() > 0 || load.in_use() >= self.limit() {
                return None;
            }
            // INVARIANT: The slot that is counted here is the one that is returned. The queue was
            // empty.
            if self.update(load, load.0 + Load::ONE_IN_USE) {
                return Some(Slot {
                    slots: self.clone(),
                });
            }
        }
    }

    /// Hands over a slot, which is counted as in use already, to the next request in the queue.
    ///
    /// Does nothing if the queue is empty; the callers have made sure that it is not.
    fn hand_over(&self, queue: &mut Queue) {
        let Some(place) = queue.next() else {
            return;
        };
        let Some(woken) = queue.waiters.remove(&place) else {
            return;
        };
        queue.turns.take(place.account);

        // INVARIANT: One entry was removed, and `queue` is locked.
        self.load.add(Load::ONE_WAITING.wrapping_neg(), Relaxed);
        queue.last_given_back = Instant::now();
        woken.complete();
    }

    /// Joins the queue, and waits for a slot as long as `is_wanted` returns true.
    ///
    /// `is_wanted` is called before each sleep, and after the last one, without a lock. Returns
    /// [`None`] if it returned false. A slot may be returned in spite of that, because one was
    /// handed over just then.
    ///
    /// Returns [`NoSlot::Busy`] if the request has waited for [`Self::busy_timeout_ms`] and no slot
    /// was given back for as long, or if it holds the system's suspend up; [`NoSlot::Killed`] if
    /// the requester was killed while it waited, or [`NoSlot::NoMemory`].
    ///
    /// Context: may sleep; the caller may hold mutexes. Takes `queue`.
    pub(crate) fn wait(
        self: &Arc<Self>,
        waiting: &Waiting,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Option<Slot>, NoSlot> {
        let timeout = Delta::from_millis(self.busy_timeout_ms().into());
        if let slot @ Some(_) = self.enter(waiting)? {
            return Ok(slot);
        }

        let mut woken_by = WaitResult::Completed;
        loop {
            let is_wanted = is_wanted();

            let mut queue = self.queue.lock();
            if queue.waiters.get(&waiting.place).is_none() {
                drop(queue);
                // INVARIANT: The task that handed the slot over left it counted.
                let slot = Slot {
                    slots: self.clone(),
                };
                return match woken_by {
                    // Dropping the slot passes it on.
                    WaitResult::Killed => Err(NoSlot::Killed),
                    _ => Ok(Some(slot)),
                };
            }
            // The time starts again whenever a slot is given back.
            let idle = waiting.elapsed().min(queue.last_given_back.elapsed());
            let answer = match woken_by {
                WaitResult::Killed => Err(NoSlot::Killed),
                _ if !is_wanted => Ok(None),
                WaitResult::TimedOut if idle >= timeout => Err(NoSlot::Busy),
                _ if self.holds_suspend_up(waiting) => Err(NoSlot::Busy),
                _ => {
                    drop(queue);
                    let patience = self.patience(waiting, Delta::max(timeout - idle, Delta::ZERO));
                    woken_by = waiting.woken.wait_killable_timeout(patience);
                    continue;
                }
            };

            queue.waiters.remove(&waiting.place);
            // INVARIANT: One entry was removed, and `queue` is locked.
            self.load.add(Load::ONE_WAITING.wrapping_neg(), Relaxed);
            return answer;
        }
    }

    /// Takes a slot if one is free and the queue is empty; otherwise joins the queue.
    fn enter(self: &Arc<Self>, waiting: &Waiting) -> Result<Option<Slot>, AllocError> {
        let node = RBTreeNodeReservation::new(GFP_KERNEL).map_err(|_| AllocError)?;
        let mut queue = self.queue.lock();

        loop {
            // A slot may have been given back in the meantime.
            if let slot @ Some(_) = self.try_take() {
                return Ok(slot);
            }
            let load = self.load();
            // Or after `try_take()` has looked. Then look again.
            if load.waiting() == 0 && load.in_use() < self.limit() {
                continue;
            }
            // INVARIANT: The entry is made below, before `queue` is unlocked. From here on, a task
            // that gives a slot back sees that the queue is not empty.
            if self.update(load, load.0 + Load::ONE_WAITING) {
                break;
            }
        }
        queue
            .waiters
            .insert(node.into_node(waiting.place, waiting.woken.clone()));
        Ok(None)
    }

    /// Gives a slot back: hands it over to the next request in the queue, or makes it free.
    fn give_back(&self) {
        loop {
            let load = self.load();
            if load.waiting() > 0 {
                break;
            }
            // INVARIANT: One slot less is in use, and the queue was empty.
            if self.update(load, load.0 - Load::ONE_IN_USE) {
                return;
            }
        }

        let mut queue = self.queue.lock();
        loop {
            let load = self.load();
            // The limit may have been lowered since this slot was taken.
            if load.waiting() > 0 && load.in_use() <= self.limit() {
                return self.hand_over(&mut queue);
            }
            // INVARIANT: One slot less is in use, and `queue` is locked. If it is not empty, its
            // requests wait until fewer slots are in use than the limit.
            if self.update(load, load.0 - Load::ONE_IN_USE) {
                queue.last_given_back = Instant::now();
                return;
            }
        }
    }
}

impl Slot {
    /// Reports that a helper has ended that ran on the slot, and that another one keeps the slot.
    ///
    /// For requests that wait, this is as if the slot had been given back: their time starts again.
    ///
    /// Context: any but interrupts. Takes `queue`.
    pub(crate) fn kept(&self) {
        if self.slots.load().waiting() > 0 {
            self.slots.queue.lock().last_given_back = Instant::now();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.give_back();
    }
}

#[kunit_tests(kmod_rs_concurrency)]
mod tests {
    use super::*;

    const CLAIM: Claim = Claim {
        is_nested: false,
        account: 0,
    };

    fn load(slots: &Slots) -> (u32, u32) {
        (slots.load().in_use(), slots.load().waiting())
    }

    #[test]
    fn slots_come_back() -> Result {
        let slots = Arc::pin_init(Slots::new(), GFP_KERNEL)?;
        let first = slots.try_take();
        let second = slots.try_take();
        assert!(first.is_some());
        assert_eq!(load(&slots), (2, 0));
        drop(first);
        assert_eq!(load(&slots), (1, 0));
        drop(second);
        assert_eq!(load(&slots), (0, 0));
        Ok(())
    }

    #[test]
    fn no_more_than_the_limit() -> Result {
        let slots = Arc::pin_init(Slots::new(), GFP_KERNEL)?;
        assert_eq!(slots.limit(), 50);
        slots.set_limit(2);
        let mut taken = KVec::new();
        while let Some(slot) = slots.try_take() {
            taken.push(slot, GFP_KERNEL)?;
        }
        assert_eq!(taken.len(), 2);

        slots.set_limit(3);
        assert!(slots.try_take().is_some());

        slots.set_limit(1);
        drop(taken.pop());
        assert_eq!(load(&slots), (1, 0));
        assert!(slots.try_take().is_none());
        Ok(())
    }

    #[test]
    fn a_queue_that_stands_still() -> Result {
        let slots = Arc::pin_init(Slots::new(), GFP_KERNEL)?;
        slots.set_limit(1);
        slots.set_busy_timeout_ms(20);
        let slot = slots.try_take();
        let arrived = Instant::<Monotonic>::now();
        assert!(matches!(slots.take(CLAIM), Err(NoSlot::Busy)));
        assert!(arrived.elapsed() >= Delta::from_millis(20));
        assert_eq!(load(&slots), (1, 0));
        drop(slot);
        assert!(slots.take(CLAIM).is_ok());
        Ok(())
    }

    /// Returns the tickets of requests with these places in the order in which they get slots.
    fn order(places: &[(bool, u64)]) -> Result<KVec<u64>> {
        let mut order = KVec::new();
        let mut queue = Queue {
            waiters: RBTree::new(),
            turns: Turns::new(),
            last_given_back: Instant::now(),
        };
        for (ticket, (is_nested, account)) in places.iter().enumerate() {
            let place = Place {
                is_outermost: !is_nested,
                account: *account,
                // CAST: Small.
                ticket: ticket as u64,
            };
            let woken = Arc::pin_init(Completion::new(), GFP_KERNEL)?;
            queue
                .waiters
                .try_create_and_insert(place, woken, GFP_KERNEL)?;
        }
        while let Some(place) = queue.next() {
            queue.waiters.remove(&place);
            queue.turns.take(place.account);
            order.push(place.ticket, GFP_KERNEL)?;
        }
        Ok(order)
    }

    #[test]
    fn first_come_first_served() -> Result {
        assert_eq!(&*order(&[(false, 5), (false, 5), (false, 5)])?, [0, 1, 2]);
        Ok(())
    }

    #[test]
    fn users_take_turns() -> Result {
        let many = [
            (false, 5),
            (false, 5),
            (false, 5),
            (false, 1),
            (false, 1),
            (false, u64::MAX),
        ];
        assert_eq!(&*order(&many)?, [3, 0, 5, 4, 1, 2]);
        Ok(())
    }

    #[test]
    fn roots_turn_comes_after_each_other() -> Result {
        let many = [
            (false, 5),
            (false, 6),
            (false, 5),
            (false, 7),
            (false, 0),
            (false, 0),
            (false, 0),
            (false, 0),
            (false, 0),
        ];
        assert_eq!(&*order(&many)?, [0, 4, 1, 5, 3, 6, 2, 7, 8]);
        Ok(())
    }

    #[test]
    fn nested_requests_go_first_on_the_account_of_their_user() -> Result {
        let many = [(false, 5), (false, 7), (true, 5), (true, 5), (true, 6)];
        assert_eq!(&*order(&many)?, [2, 4, 3, 1, 0]);
        Ok(())
    }
}
