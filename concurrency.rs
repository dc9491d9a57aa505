// SPDX-License-Identifier: GPL-2.0

//! At most MAX_KMOD_CONCURRENT helpers at once.
//!
//! Stands for the semaphore `kmod_concurrent_max` of `kernel/module/kmod.c`, with four
//! differences: the wait can be killed, slots are given first come first served, users take turns,
//! and a request gives up only when the queue stands still.
//!
//! A [`Slot`] is a right to run one helper. [`Slots`] counts those in use in an atomic: as long as
//! nobody waits, taking one and giving it back is one compare-and-exchange each. As soon as there
//! is a queue, a slot given back is handed to who is next in it, without the counter changing, so
//! that a newcomer cannot overtake.

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
        msecs_to_jiffies,
        Delta,
        Instant,
        Jiffies,
        Monotonic, //
    }, //
};

/// How many helpers may run at once, unless the administrator says otherwise.
pub(crate) const MAX_KMOD_CONCURRENT: u32 = 50;

/// How long a request waits, in milliseconds, while no slot is given back.
///
/// `MAX_KMOD_ALL_BUSY_TIMEOUT` of the C code.
pub(crate) const BUSY_TIMEOUT_MS: u32 = 5000;

/// The number of slots in use and of requests in the queue, as one value.
///
/// Together in one word, so that "take one if nobody waits" and "give one back if nobody waits"
/// are each one atomic step.
#[derive(Clone, Copy)]
struct Load(u64);

impl Load {
    const ONE_IN_USE: u64 = 1;
    const ONE_WAITING: u64 = 1 << 32;

    fn in_use(self) -> u32 {
        // CAST: The low half.
        self.0 as u32
    }

    fn waiting(self) -> u32 {
        // CAST: The high half fits.
        (self.0 >> 32) as u32
    }
}

/// A request in the queue.
#[pin_data]
struct Waiter {
    /// Completed by who hands over a slot.
    #[pin]
    granted: Completion,
}

/// Who takes a slot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Whether a helper waits for this request: it goes ahead of all others, as that helper has a
    /// slot of its own.
    pub(crate) is_nested: bool,
    /// The user whose turn it is.
    pub(crate) uid: u32,
}

/// The place of a request in the queue. Nested ones come before all others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    is_outermost: bool,
    uid: u32,
    ticket: u64,
}

/// The queue: for each user, in the order of arrival.
struct Queue {
    waiters: RBTree<Place, Arc<Waiter>>,
    /// The ticket of the next to arrive.
    next_ticket: u64,
    /// The user who got the last slot that was handed over.
    last_uid: u32,
    /// When a slot was last given back while somebody waited.
    last_given_back: Instant<Monotonic>,
}

impl Queue {
    /// The place of who gets the next slot.
    ///
    /// Users take turns, in the order of their numbers.
    fn next(&self) -> Option<Place> {
        let first = *self.waiters.cursor_front()?.current().0;
        let after_last = Place {
            is_outermost: first.is_outermost,
            uid: self.last_uid.saturating_add(1),
            ticket: 0,
        };
        let next = self
            .waiters
            .cursor_lower_bound(&after_last)
            .map(|cursor| *cursor.current().0)
            .filter(|place| place.is_outermost == first.is_outermost);

        Some(next.unwrap_or(first))
    }
}

/// The slots for helpers, and the queue of requests that wait for one.
///
/// # Invariants
///
/// - `load.waiting()` is the number of entries in `queue.waiters`, and changes only with `queue`
///   locked.
/// - `load.in_use()` is the number of [`Slot`]s, plus those handed to a waiter that has not yet
///   noticed.
/// - While `load.waiting()` is not 0, slots are neither taken nor given back without `queue`
///   locked.
#[pin_data]
pub(crate) struct Slots {
    load: Atomic<u64>,
    limit: Atomic<u32>,
    busy_timeout_ms: Atomic<u32>,
    #[pin]
    queue: SpinLock<Queue>,
}

/// Why a request got no slot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoSlot {
    /// It has waited its time, and no slot was given back meanwhile.
    Busy,
    /// Its task was killed.
    Killed,
    /// There was no memory to queue up with.
    NoMemory,
}

impl From<AllocError> for NoSlot {
    fn from(_: AllocError) -> Self {
        Self::NoMemory
    }
}

/// The right to run one helper, given back when dropped.
pub(crate) struct Slot {
    slots: Arc<Slots>,
}

impl Slots {
    /// Creates an initialiser for slots of which none is in use.
    pub(crate) fn new() -> impl PinInit<Self> {
        // INVARIANT: No slots, no waiters.
        pin_init!(Self {
            load: Atomic::new(0),
            limit: Atomic::new(MAX_KMOD_CONCURRENT),
            busy_timeout_ms: Atomic::new(BUSY_TIMEOUT_MS),
            queue <- new_spinlock!(
                Queue {
                    waiters: RBTree::new(),
                    next_ticket: 0,
                    last_uid: 0,
                    last_given_back: Instant::now(),
                },
                "kmod_rs::Slots::queue"
            ),
        })
    }

    /// The most slots that may be in use.
    pub(crate) fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    /// Sets the most slots that may be in use, from now on.
    ///
    /// When there are more than before, they go to those that wait. When there are fewer, those
    /// in use stay so until they are given back.
    pub(crate) fn set_limit(&self, limit: u32) {
        // ORDERING: The lock below orders it: a request that has read the old limit is in the
        // queue by the time the lock is ours, or has the lock after us and reads the new one.
        self.limit.store(limit, Relaxed);

        let mut queue = self.queue.lock();
        while self.load().waiting() > 0 && self.load().in_use() < limit {
            // INVARIANT: The slot counted here is the one handed over.
            self.load.add(Load::ONE_IN_USE, Relaxed);
            self.hand_over(&mut queue);
        }
    }

    /// How long a request waits, in milliseconds, while no slot is given back.
    pub(crate) fn busy_timeout_ms(&self) -> u32 {
        self.busy_timeout_ms.load(Relaxed)
    }

    /// Sets how long a request waits, in milliseconds, for those that come from now on.
    pub(crate) fn set_busy_timeout_ms(&self, timeout: u32) {
        self.busy_timeout_ms.store(timeout, Relaxed);
    }

    /// Takes a slot, waiting for it if need be.
    ///
    /// Gives up when the request has waited [`Self::busy_timeout_ms`] and no slot was given back
    /// for as long, or when its task is killed.
    ///
    /// Context: may sleep; the caller may hold mutexes.
    pub(crate) fn take(self: &Arc<Self>, claim: Claim) -> Result<Slot, NoSlot> {
        match self.try_take() {
            Some(slot) => Ok(slot),
            None => self.queue_up(claim),
        }
    }

    fn load(&self) -> Load {
        // ORDERING: Whoever sees a slot given back sees the limit that was set before.
        Load(self.load.load(Acquire))
    }

    /// Replaces the load by `new` if it is still `old`.
    fn update(&self, old: Load, new: u64) -> bool {
        // ORDERING: What was done with a slot happens before it is given back, and that before it
        // is taken again.
        self.load.cmpxchg(old.0, new, Full).is_ok()
    }

    /// Takes a slot if there is one and nobody waits.
    fn try_take(self: &Arc<Self>) -> Option<Slot> {
        loop {
            let load = self.load();
            if load.waiting() > 0 || load.in_use() >= self.limit() {
                return None;
            }
            // INVARIANT: One more in use, which is the slot returned.
            if self.update(load, load.0 + Load::ONE_IN_USE) {
                return Some(Slot {
                    slots: self.clone(),
                });
            }
        }
    }

    /// Hands one slot, which is counted already, to who is the next.
    ///
    /// Does nothing when the queue is empty, which the callers have excluded.
    fn hand_over(&self, queue: &mut Queue) {
        let Some(place) = queue.next() else {
            return;
        };
        let Some(waiter) = queue.waiters.remove(&place) else {
            return;
        };
        queue.last_uid = place.uid;

        // INVARIANT: One entry less in the queue, which is locked.
        self.load.add(Load::ONE_WAITING.wrapping_neg(), Relaxed);
        queue.last_given_back = Instant::now();
        waiter.granted.complete();
    }

    /// Waits in the queue for a slot.
    fn queue_up(self: &Arc<Self>, claim: Claim) -> Result<Slot, NoSlot> {
        let waiter = Arc::pin_init(
            pin_init!(Waiter {
                granted <- Completion::new(),
            }),
            GFP_KERNEL,
        )
        .map_err(|_| NoSlot::NoMemory)?;
        let node = RBTreeNodeReservation::new(GFP_KERNEL).map_err(|_| NoSlot::NoMemory)?;
        let timeout = Delta::from_millis(self.busy_timeout_ms().into());

        let place = {
            let mut queue = self.queue.lock();

            loop {
                // A slot may have been given back on the way here.
                if let Some(slot) = self.try_take() {
                    return Ok(slot);
                }
                let load = self.load();
                if load.waiting() == 0 && load.in_use() < self.limit() {
                    continue;
                }
                // INVARIANT: The entry is made below, before the lock is let go. From here on
                // whoever gives a slot back finds that somebody waits.
                if self.update(load, load.0 + Load::ONE_WAITING) {
                    break;
                }
            }

            let place = Place {
                is_outermost: !claim.is_nested,
                uid: claim.uid,
                ticket: queue.next_ticket,
            };
            queue.next_ticket += 1;
            queue.waiters.insert(node.into_node(place, waiter.clone()));
            place
        };

        let mut patience = timeout;
        loop {
            let result = waiter.granted.wait_killable_timeout(jiffies_ceil(patience));
            if result == WaitResult::Completed {
                break;
            }

            let mut queue = self.queue.lock();
            if result == WaitResult::TimedOut {
                // The clock starts again whenever a slot is given back. That it has waited as
                // long itself is certain: the first wait was for the whole time.
                let idle = queue.last_given_back.elapsed();
                if idle < timeout {
                    patience = timeout - idle;
                    continue;
                }
            }

            // Leave the queue, unless a slot was handed over just now.
            if queue.waiters.remove(&place).is_some() {
                // INVARIANT: The entry is gone, and the queue is locked.
                self.load.add(Load::ONE_WAITING.wrapping_neg(), Relaxed);
                return Err(match result {
                    WaitResult::Killed => NoSlot::Killed,
                    _ => NoSlot::Busy,
                });
            }
            if result == WaitResult::Killed {
                drop(queue);
                // Passes the slot on.
                drop(Slot {
                    slots: self.clone(),
                });
                return Err(NoSlot::Killed);
            }
            break;
        }

        // INVARIANT: The slot was counted by who handed it over.
        Ok(Slot {
            slots: self.clone(),
        })
    }

    /// Gives a slot back: to who is the next in the queue, or to the pool.
    fn give_back(&self) {
        loop {
            let load = self.load();
            if load.waiting() > 0 {
                break;
            }
            // INVARIANT: One slot less, and nobody waits for it.
            if self.update(load, load.0 - Load::ONE_IN_USE) {
                return;
            }
        }

        let mut queue = self.queue.lock();
        loop {
            let load = self.load();
            // The limit may be lower than when this slot was taken.
            if load.waiting() > 0 && load.in_use() <= self.limit() {
                return self.hand_over(&mut queue);
            }
            // INVARIANT: One slot less; who waits, if anybody, waits for a later one.
            if self.update(load, load.0 - Load::ONE_IN_USE) {
                queue.last_given_back = Instant::now();
                return;
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.give_back();
    }
}

/// The time in jiffies, rounded up, and at least one.
fn jiffies_ceil(time: Delta) -> Jiffies {
    // CAST: Positive, and at most what `busy_timeout_ms` was.
    msecs_to_jiffies(time.as_millis() as u32) + 1
}

#[kunit_tests(kmod_rs_concurrency)]
mod tests {
    use super::*;

    const CLAIM: Claim = Claim {
        is_nested: false,
        uid: 0,
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

    /// In which order those with these places get slots, by their tickets.
    fn order(places: &[(bool, u32)]) -> Result<KVec<u64>> {
        let mut order = KVec::new();
        let mut queue = Queue {
            waiters: RBTree::new(),
            next_ticket: 0,
            last_uid: 0,
            last_given_back: Instant::now(),
        };
        for (ticket, (is_nested, uid)) in places.iter().enumerate() {
            let place = Place {
                is_outermost: !is_nested,
                uid: *uid,
                // CAST: Small.
                ticket: ticket as u64,
            };
            let waiter = Arc::pin_init(
                pin_init!(Waiter {
                    granted <- Completion::new(),
                }),
                GFP_KERNEL,
            )?;
            queue
                .waiters
                .try_create_and_insert(place, waiter, GFP_KERNEL)?;
        }
        while let Some(place) = queue.next() {
            queue.waiters.remove(&place);
            queue.last_uid = place.uid;
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
            (false, 0),
            (false, 0),
            (false, u32::MAX),
        ];
        assert_eq!(&*order(&many)?, [0, 5, 3, 1, 4, 2]);
        Ok(())
    }

    #[test]
    fn nested_requests_go_first_on_the_account_of_their_user() -> Result {
        let many = [(false, 5), (false, 7), (true, 5), (true, 5), (true, 6)];
        assert_eq!(&*order(&many)?, [2, 4, 3, 1, 0]);
        Ok(())
    }

    #[test]
    fn waits_are_rounded_up() -> Result {
        assert!(jiffies_ceil(Delta::from_nanos(1)) >= 1);
        assert!(jiffies_ceil(Delta::from_millis(20)) > msecs_to_jiffies(20));
        Ok(())
    }
}
