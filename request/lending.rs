// SPDX-License-Identifier: GPL-2.0

//! A helper lends its slot to a nested request.
//!
//! Has no counterpart in the C code, where a nested request takes a slot of its own. If the helpers
//! that wait for nested requests hold all slots there, none of them gets on.
//!
//! A [`Slot`] is one value, and is with the helper that runs on it. A helper that lends it parts
//! with it until it comes back. So a helper lends its slot to one nested request at a time, and no
//! two helpers lend the same slot: the helpers that share a slot are in one chain, each of them at
//! another place. Other nested requests of the same helper wait for its slot and for any other one,
//! whichever comes first.

use crate::{
    concurrency::{
        Claim,
        NoSlot,
        Slot,
        Slots,
        Waiting,
        MAX_KMOD_CONCURRENT, //
    },
    wrappers::{
        wait::Completion,
        workqueue, //
    }, //
};
use core::{
    cmp,
    mem, //
};
use kernel::{
    new_spinlock,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Arc,
        SpinLock, //
    }, //
};

/// Counts the helpers that may run: each has a slot of its own or a borrowed one.
///
/// # Invariants
///
/// The number is that of the [`Counted`] values.
pub(crate) struct HelperCount(Atomic<u32>);

/// One helper, which is counted until this value is dropped.
pub(crate) struct Counted(Arc<HelperCount>);

/// There are too many helpers for a nested request to have another one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany {
    /// How many there may be.
    pub(crate) most: u32,
}

/// Returns how many helpers there may be, a new one of a nested request included.
///
/// A worker of `system_dfl_wq` waits for each helper of a request that waits. If this workqueue is
/// full, no helper is started, and those that wait for another one wait for ever. So a nested
/// request gets no helper if half of the places of a node are taken. If there are so many nodes
/// that this is less than in C, it is what it is in C.
pub(crate) fn most_helpers() -> u32 {
    cmp::max(workqueue::places_per_node() / 2, MAX_KMOD_CONCURRENT)
}

impl HelperCount {
    /// Returns the count of no helpers.
    pub(crate) fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// Counts one more helper.
    pub(crate) fn count(self: &Arc<Self>) -> Counted {
        // INVARIANT: For the value that is returned.
        self.0.add(1, Relaxed);
        Counted(self.clone())
    }

    /// Counts one more helper, of a nested request, unless there would be more than `most`.
    pub(crate) fn count_nested(self: &Arc<Self>, most: u32) -> Result<Counted, TooMany> {
        loop {
            // ORDERING: The helper that waits for this request has been counted before it made the
            // request, and so have all that run before it. No more is needed.
            let number = self.0.load(Relaxed);
            if number >= most {
                return Err(TooMany { most });
            }
            // INVARIANT: For the value that is returned.
            if self.0.cmpxchg(number, number + 1, Full).is_ok() {
                return Ok(Counted(self.clone()));
            }
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // INVARIANT: This value is gone.
        self.0 .0.add(1u32.wrapping_neg(), Relaxed);
    }
}

/// The slot that a helper runs on.
///
/// # Invariants
///
/// - If the slot was lent, a helper that has borrowed it, from this one or through others, has a
///   reference on the helper that this belongs to, and gives the slot back.
/// - If `promised_to` is set, the helper lends, the slot is here, and the [`Asker`] with this ticket
///   exists. While the helper lends, and the slot is here and not promised, `askers` is empty.
struct Holding<H> {
    /// The slot; [`None`] while it is lent, and when the helper has ended or has not had it yet.
    slot: Option<Slot>,
    /// Who has lent it; [`None`] if it is the helper's own slot, and when it has been given back.
    from: Option<Arc<H>>,
    /// Whether the helper lends it: it has the right to run, and has not ended.
    lends: bool,
    /// The requests that wait for it, by ticket, so in the order of their arrival; and what wakes
    /// them.
    askers: RBTree<u64, Arc<Completion>>,
    /// The ticket of the next one.
    next_ticket: u64,
    /// Which of them is to have it.
    promised_to: Option<u64>,
}

impl<H> Holding<H> {
    /// Takes the slot for the request with this ticket, or for one that has just come, if it is
    /// there for that request.
    fn take_for(&mut self, ticket: Option<u64>) -> Option<Slot> {
        if !self.lends || self.promised_to != ticket {
            return None;
        }
        self.promised_to = None;
        self.slot.take()
    }

    /// Promises the slot to the first request that waits for it, if it is here and can be promised.
    fn promise(&mut self) {
        if !self.lends || self.slot.is_none() || self.promised_to.is_some() {
            return;
        }
        if let Some(first) = self.askers.cursor_front_mut() {
            let (ticket, woken) = first.remove_current().1.to_key_value();
            self.promised_to = Some(ticket);
            woken.complete();
        }
    }
}

/// What a helper has to lend, from [`Claimed::run`] on.
#[pin_data]
pub(crate) struct Lender<H> {
    #[pin]
    holding: SpinLock<Holding<H>>,
}

impl<H> Lender<H> {
    /// Creates an initialiser for a lender that has nothing yet.
    pub(crate) fn new() -> impl PinInit<Self> {
        // INVARIANT: There is no slot.
        let nothing = Holding {
            slot: None,
            from: None,
            lends: false,
            askers: RBTree::new(),
            next_ticket: 0,
            promised_to: None,
        };
        pin_init!(Self {
            holding <- new_spinlock!(nothing, "kmod_rs::Lender::holding"),
        })
    }
}

/// What has a [`Lender`]: a helper.
pub(crate) trait Lends: Sized {
    /// Returns what it has to lend.
    fn lender(&self) -> &Lender<Self>;
}

/// A nested request that waits for the slot of its helper, until this value is dropped.
struct Asker<'a, H> {
    lender: &'a Lender<H>,
    ticket: u64,
}

impl<'a, H> Asker<'a, H> {
    /// Has a request wait, and be woken when it may borrow the slot.
    ///
    /// Returns [`NoSlot::NoMemory`].
    fn new(lender: &'a Lender<H>, waiting: &Waiting) -> Result<Self, NoSlot> {
        let node = RBTreeNodeReservation::new(GFP_KERNEL).map_err(|_| NoSlot::NoMemory)?;
        let mut holding = lender.holding.lock();
        let ticket = holding.next_ticket;

        holding.next_ticket += 1;
        holding
            .askers
            .insert(node.into_node(ticket, waiting.woken().clone()));
        // It may have come back in the meantime.
        holding.promise();
        Ok(Self { lender, ticket })
    }

    /// Returns whether the slot was promised to this request.
    fn may_borrow(&self) -> bool {
        self.lender.holding.lock().promised_to == Some(self.ticket)
    }
}

impl<H> Drop for Asker<'_, H> {
    fn drop(&mut self) {
        let mut holding = self.lender.holding.lock();

        holding.askers.remove(&self.ticket);
        if holding.promised_to == Some(self.ticket) {
            holding.promised_to = None;
            holding.promise();
        }
    }
}

/// A slot for one helper, of its own or one that another helper lends to it.
///
/// When it is dropped, the slot goes back to the helper that has lent it. If that one has ended, it
/// goes to the helper that this one had borrowed it from, and so on. If there is none, it is given
/// back to all.
struct Loan<H: Lends> {
    /// [`None`] when it is given on.
    slot: Option<Slot>,
    from: Option<Arc<H>>,
}

impl<H: Lends> Drop for Loan<H> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            give_back(slot, self.from.take());
        }
    }
}

/// The right of one helper to run, before there is the helper.
pub(crate) struct Claimed<H: Lends> {
    loan: Loan<H>,
    counted: Counted,
}

impl<H: Lends> Claimed<H> {
    /// Takes a slot for a request that does not descend from a helper, or whose helper has no slot.
    ///
    /// Returns the errors of [`Slots::take`].
    ///
    /// Context: may sleep; the caller may hold mutexes.
    pub(crate) fn take(
        slots: &Arc<Slots>,
        claim: Claim,
        count: &Arc<HelperCount>,
    ) -> Result<Self, NoSlot> {
        Ok(Self::own(slots.take(claim)?, count.count()))
    }

    /// Takes a slot for a nested request that waits: that of the helper that waits for it or, if
    /// this one is lent already, whichever comes first, that or another one.
    ///
    /// Returns the errors of [`Slots::wait`].
    ///
    /// Context: may sleep; the caller may hold mutexes. Takes `holding`.
    pub(crate) fn take_nested(
        slots: &Arc<Slots>,
        claim: Claim,
        helper: &Arc<H>,
        counted: Counted,
    ) -> Result<Self, NoSlot> {
        if let Some(loan) = borrow(helper, None) {
            return Ok(Self { loan, counted });
        }
        if let Some(slot) = slots.try_take() {
            return Ok(Self::own(slot, counted));
        }
        // It does not run yet.
        let count = counted.0.clone();
        drop(counted);

        let waiting = slots.waiting(claim)?;
        let asker = Asker::new(helper.lender(), &waiting)?;
        loop {
            let result = slots.wait(&waiting, || !asker.may_borrow());
            match result {
                Ok(Some(slot)) => return Ok(Self::own(slot, count.count())),
                // Its time was over just when it could borrow the slot.
                Ok(None) | Err(NoSlot::Busy) => (),
                Err(reason) => return Err(reason),
            }
            if let Some(loan) = borrow(helper, Some(asker.ticket)) {
                return Ok(Self {
                    loan,
                    counted: count.count(),
                });
            }
            // If it was promised the slot, the helper has ended. So only others are left.
            result?;
        }
    }

    /// Returns the right to run on this slot.
    pub(crate) fn own(slot: Slot, counted: Counted) -> Self {
        let loan = Loan {
            slot: Some(slot),
            from: None,
        };
        Self { loan, counted }
    }

    /// Has a helper that is about to be started run on the slot, and lend it.
    ///
    /// To be called once for each helper.
    ///
    /// Context: any but interrupts. Takes `holding`.
    pub(crate) fn run(mut self, helper: Arc<H>) -> SlotUse<H> {
        {
            // INVARIANT: The slot is here, and nobody is promised it. If it was lent, the helper
            // has a reference on the one that has lent it, and gives the slot back when it has
            // ended.
            let mut holding = helper.lender().holding.lock();
            holding.slot = self.loan.slot.take();
            holding.from = self.loan.from.take();
            holding.lends = true;
        }
        SlotUse {
            helper,
            _counted: self.counted,
        }
    }
}

/// Borrows the slot of a helper, if it is there for a request with this ticket.
fn borrow<H: Lends>(from: &Arc<H>, ticket: Option<u64>) -> Option<Loan<H>> {
    let slot = from.lender().holding.lock().take_for(ticket)?;

    // INVARIANT: Of `Holding`: who has the loan has a reference, and gives the slot back.
    Some(Loan {
        slot: Some(slot),
        from: Some(from.clone()),
    })
}

/// The right of one helper to run.
///
/// When it is dropped, the slot goes where that of a [`Loan`] goes.
pub(crate) struct SlotUse<H: Lends> {
    helper: Arc<H>,
    _counted: Counted,
}

impl<H: Lends> Drop for SlotUse<H> {
    fn drop(&mut self) {
        let (slot, from, askers) = {
            let mut holding = self.helper.lender().holding.lock();

            // INVARIANT: Nobody is promised the slot any more. Requests that wait for it wait only
            // for other slots from here on.
            holding.lends = false;
            holding.promised_to = None;
            let askers = mem::replace(&mut holding.askers, RBTree::new());
            match holding.slot.take() {
                Some(slot) => (slot, holding.from.take(), askers),
                // It is lent. The helper that has borrowed it gives it back, to `from`.
                None => return,
            }
        };
        drop(askers);
        give_back(slot, from);
    }
}

/// Gives a slot back to `to`; if this helper has ended, to whom it had borrowed it from, and so on;
/// and if none is left, to all.
fn give_back<H: Lends>(slot: Slot, to: Option<Arc<H>>) {
    let mut next = to;

    if next.is_some() {
        slot.kept();
    }
    while let Some(helper) = next {
        let mut holding = helper.lender().holding.lock();
        if holding.lends {
            holding.slot = Some(slot);
            holding.promise();
            return;
        }
        next = holding.from.take();
    }
    // No lock is held here.
    drop(slot);
}

#[kunit_tests(kmod_rs_lending)]
mod tests {
    use super::*;

    const CLAIM: Claim = Claim {
        is_nested: true,
        account: 0,
    };

    /// A helper that runs.
    #[pin_data]
    struct Helper {
        #[pin]
        lender: Lender<Self>,
    }

    impl Lends for Helper {
        fn lender(&self) -> &Lender<Self> {
            &self.lender
        }
    }

    /// Has a helper run.
    fn run(claimed: Result<Claimed<Helper>, NoSlot>) -> Result<SlotUse<Helper>> {
        let helper = Arc::pin_init(
            pin_init!(Helper {
                lender <- Lender::new(),
            }),
            GFP_KERNEL,
        )?;
        Ok(claimed.map_err(|_| EBUSY)?.run(helper))
    }

    /// One slot and the helpers that run on it.
    struct Pool {
        slots: Arc<Slots>,
        count: Arc<HelperCount>,
    }

    impl Pool {
        /// Returns a pool of one slot. Nobody waits for it longer than a moment.
        fn new() -> Result<Self> {
            let slots = Arc::pin_init(Slots::new(), GFP_KERNEL)?;
            slots.set_limit(1);
            slots.set_busy_timeout_ms(1);
            Ok(Self {
                slots,
                count: Arc::new(HelperCount::new(), GFP_KERNEL)?,
            })
        }

        fn own(&self) -> Result<SlotUse<Helper>> {
            run(Claimed::take(&self.slots, CLAIM, &self.count))
        }

        fn borrow(&self, from: &SlotUse<Helper>) -> Result<SlotUse<Helper>> {
            let counted = self.count.count();
            run(Claimed::take_nested(
                &self.slots,
                CLAIM,
                &from.helper,
                counted,
            ))
        }

        /// Returns whether nothing can be borrowed from this helper.
        fn is_lent(&self, helper: &SlotUse<Helper>) -> bool {
            matches!(self.borrow(helper), Err(EBUSY))
        }

        /// Returns whether the slot is in use.
        fn is_taken(&self) -> bool {
            self.slots.take(CLAIM).is_err()
        }

        /// Returns whether the slot is there and no helper is counted.
        fn is_idle(&self) -> bool {
            !self.is_taken() && self.count.0.load(Relaxed) == 0
        }
    }

    #[test]
    fn a_helper_lends_to_one_request_at_a_time() -> Result {
        let pool = Pool::new()?;
        let helper = pool.own()?;
        let nested = pool.borrow(&helper)?;
        assert!(pool.is_lent(&helper));
        drop(nested);
        drop(pool.borrow(&helper)?);
        assert!(pool.is_taken());

        // Another slot serves the second one.
        pool.slots.set_limit(2);
        let nested = [pool.borrow(&helper)?, pool.borrow(&helper)?];
        assert!(pool.is_taken());
        drop(nested);
        pool.slots.set_limit(1);
        assert!(pool.is_taken());
        drop(helper);
        assert!(pool.is_idle());
        Ok(())
    }

    #[test]
    fn a_borrowed_slot_is_lent_in_turn() -> Result {
        let pool = Pool::new()?;
        let first = pool.own()?;
        let second = pool.borrow(&first)?;
        let third = pool.borrow(&second)?;
        assert_eq!(pool.count.0.load(Relaxed), 3);
        assert!(pool.is_lent(&first));
        assert!(pool.is_lent(&second));
        drop(third);
        assert!(pool.is_lent(&first));
        drop(pool.borrow(&second)?);
        drop(second);
        drop(pool.borrow(&first)?);
        assert!(pool.is_taken());
        drop(first);
        assert!(pool.is_idle());
        Ok(())
    }

    #[test]
    fn the_last_helper_gives_a_slot_back() -> Result {
        let pool = Pool::new()?;
        let first = pool.own()?;
        let second = pool.borrow(&first)?;
        let third = pool.borrow(&second)?;
        let helper = first.helper.clone();
        drop(first);
        drop(second);
        assert!(pool.is_taken());
        drop(third);
        assert!(pool.is_idle());

        // One that has ended lends no more.
        assert!(borrow(&helper, None).is_none());
        Ok(())
    }

    /// The slot is with the third one, so the first one has none to lend when the second one ends.
    #[test]
    fn a_slot_comes_back_past_a_helper_that_has_ended() -> Result {
        let pool = Pool::new()?;
        let first = pool.own()?;
        let second = pool.borrow(&first)?;
        let third = pool.borrow(&second)?;
        drop(second);
        assert!(pool.is_lent(&first));
        drop(third);
        drop(pool.borrow(&first)?);
        assert!(pool.is_taken());
        drop(first);
        assert!(pool.is_idle());
        Ok(())
    }

    #[test]
    fn a_slot_comes_back_if_there_is_no_helper_for_it() -> Result {
        let pool = Pool::new()?;
        drop(Claimed::<Helper>::take(&pool.slots, CLAIM, &pool.count));
        assert!(pool.is_idle());

        let helper = pool.own()?;
        let counted = pool.count.count();
        drop(Claimed::take_nested(
            &pool.slots,
            CLAIM,
            &helper.helper,
            counted,
        ));
        assert!(pool.is_taken());
        drop(pool.borrow(&helper)?);
        drop(helper);
        assert!(pool.is_idle());
        Ok(())
    }

    #[test]
    fn requests_of_one_helper_are_served_in_order() -> Result {
        let pool = Pool::new()?;
        let helper = pool.own()?;
        let nested = pool.borrow(&helper)?;
        let who = helper.helper.clone();
        let waiting = pool.slots.waiting(CLAIM).map_err(|_| ENOMEM)?;
        let ask = || Asker::new(who.lender(), &waiting).map_err(|_| ENOMEM);
        let (first, second, third) = (ask()?, ask()?, ask()?);
        assert!(!first.may_borrow());
        drop(nested);
        assert!(first.may_borrow() && !second.may_borrow());
        // Nobody overtakes.
        assert!(pool.is_lent(&helper));

        // Those that leave pass it on.
        drop(second);
        drop(first);
        assert!(third.may_borrow());
        let fourth = ask()?;
        assert!(!fourth.may_borrow());
        drop(third);
        assert!(fourth.may_borrow());
        drop(fourth);
        drop(pool.borrow(&helper)?);

        // When the helper ends, there is nothing to wait for any more.
        let last = ask()?;
        assert!(last.may_borrow());
        drop(helper);
        assert!(!last.may_borrow());
        drop(last);
        assert!(pool.is_idle());
        Ok(())
    }

    #[test]
    fn nested_requests_add_no_more_helpers_than_there_may_be() -> Result {
        let count = Arc::new(HelperCount::new(), GFP_KERNEL)?;
        let outermost = count.count();
        let nested = count.count_nested(2);
        assert!(nested.is_ok());
        assert!(count.count_nested(2).err() == Some(TooMany { most: 2 }));
        // Others are bounded by the slots.
        let another = count.count();
        drop(nested);
        assert!(count.count_nested(2).is_err());
        drop(another);
        assert!(count.count_nested(2).is_ok());
        drop(outermost);
        assert_eq!(count.0.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn there_may_be_as_many_as_in_c() -> Result {
        assert!(most_helpers() >= MAX_KMOD_CONCURRENT);
        assert!(most_helpers() <= 1024);
        Ok(())
    }
}
