// SPDX-License-Identifier: GPL-2.0

//! A ring of records: the last ones, of which each account can keep its share.
//!
//! Has no counterpart in the C code. When a ring is full, the account with the most records in it
//! loses its oldest one. So an account loses none to others as long as it has no more than the
//! number of places divided by the number of accounts.

use super::record::Record;
use crate::wrappers::{
    requester::Account,
    spare_node::SpareNode, //
};
use core::cmp::Reverse;
use kernel::{
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::Arc, //
};

/// A record in a ring.
struct Kept {
    record: Arc<Record>,
    /// The key of the record on the same account that came next, if there is one.
    next: Option<u64>,
}

/// The records on one account, of which there is at least one.
struct Share {
    records: usize,
    /// The key of the one that came first.
    oldest: u64,
    /// The key of the one that came last.
    newest: u64,
}

impl Share {
    fn rank(&self) -> Rank {
        Rank {
            records: self.records,
            oldest: Reverse(self.oldest),
        }
    }
}

/// The place of an account in the order in which accounts lose records; the greatest is the first.
///
/// The account with the most records is the first; of several, the one with the oldest record.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    records: usize,
    oldest: Reverse<u64>,
}

/// The memory for one more record in a ring.
pub(super) struct Place(RBTreeNodeReservation<u64, Kept>);

impl Place {
    /// Allocates it.
    ///
    /// Context: may sleep.
    pub(super) fn new() -> Result<Self> {
        Ok(Self(RBTreeNodeReservation::new(GFP_KERNEL)?))
    }
}

/// The memory for one more account in a ring.
pub(super) struct Opening {
    share: RBTreeNodeReservation<u64, Share>,
    rank: RBTreeNodeReservation<Rank, u64>,
}

impl Opening {
    /// Allocates it.
    ///
    /// Context: may sleep.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            share: RBTreeNodeReservation::new(GFP_KERNEL)?,
            rank: RBTreeNodeReservation::new(GFP_KERNEL)?,
        })
    }
}

/// The last records of some kind.
///
/// # Invariants
///
/// - The key in `records` is the [`Record::seq`] of the record.
/// - Those on one account are a list, from [`Share::oldest`] by [`Kept::next`] to
///   [`Share::newest`]. Its length is [`Share::records`].
/// - `shares` has an entry for each account with a record, and no other. The key is the number of
///   the account.
/// - `ranks` has the number of each such account, by the [`Share::rank`] of its share.
/// - There are `length` records, and no more than `size`.
pub(super) struct Ring {
    size: usize,
    length: usize,
    records: RBTree<u64, Kept>,
    spare: SpareNode<u64, Kept>,
    shares: RBTree<u64, Share>,
    ranks: RBTree<Rank, u64>,
    /// How many records have been pushed out.
    pushed_out: u64,
    /// When the newest request of these began, in nanoseconds of CLOCK_MONOTONIC.
    pushed_out_until: Option<i64>,
}

impl Ring {
    /// Returns an empty ring with that many places.
    pub(super) fn new(size: usize) -> Self {
        // INVARIANT: There are no records.
        Self {
            size,
            length: 0,
            records: RBTree::new(),
            spare: SpareNode::new(),
            shares: RBTree::new(),
            ranks: RBTree::new(),
            pushed_out: 0,
            pushed_out_until: None,
        }
    }

    /// Returns whether there is a record on this account.
    pub(super) fn has(&self, account: Account) -> bool {
        self.shares.get(&account.number()).is_some()
    }

    /// Returns whether there is the memory for one more record.
    pub(super) fn has_place(&self) -> bool {
        self.spare.is_there()
    }

    /// Puts a record into the ring.
    ///
    /// `place` is used if there is no such memory, and must be there then. `opening` is used if there
    /// is no other record on the same account, and must be there then.
    ///
    /// Returns the record that is not in the ring any more, if there is one. Dropping it may free
    /// it.
    pub(super) fn keep(
        &mut self,
        record: Arc<Record>,
        place: Option<Place>,
        opening: Option<Opening>,
    ) -> Option<Arc<Record>> {
        let account = record.account().number();
        let seq = record.seq();
        let Some(place) = self.spare.take().or(place.map(|place| place.0)) else {
            return Some(record);
        };

        if let Some(share) = self.shares.get_mut(&account) {
            let rank = self.ranks.remove_node(&share.rank());
            set_next(&mut self.records, share.newest, seq);
            // INVARIANT: The record is at the end of the list, and is inserted below.
            share.newest = seq;
            share.records += 1;
            if let Some(rank) = rank {
                let rank = rank.into_reservation().into_node(share.rank(), account);
                self.ranks.insert(rank);
            }
        } else if let Some(Opening { share, rank }) = opening {
            // INVARIANT: The record is the only one in the list, and is inserted below.
            let new = Share {
                records: 1,
                oldest: seq,
                newest: seq,
            };
            self.ranks.insert(rank.into_node(new.rank(), account));
            self.shares.insert(share.into_node(account, new));
        } else {
            return Some(record);
        }
        self.records
            .insert(place.into_node(seq, Kept { record, next: None }));
        self.length += 1;

        if self.length > self.size {
            self.push_out()
        } else {
            None
        }
    }

    /// Takes a record out of the ring: the oldest one on the account with the most records.
    fn push_out(&mut self) -> Option<Arc<Record>> {
        let account = *self.ranks.cursor_back()?.current().1;
        let share = self.shares.get_mut(&account)?;
        let rank = self.ranks.remove_node(&share.rank())?;
        let oldest = self.records.cursor_lower_bound_mut(&share.oldest)?;
        let Kept { record, next } = oldest.current().1;
        let (record, next) = (record.clone(), *next);
        // The new record has taken the spare node, if there was one. So this one is kept.
        drop(self.spare.keep(oldest.remove_current().1));

        self.length -= 1;
        self.pushed_out += 1;
        self.pushed_out_until = self.pushed_out_until.max(Some(record.time()));

        // INVARIANT: The first one of the list is gone, and the account if there is no other.
        match next {
            Some(next) => {
                share.oldest = next;
                share.records -= 1;
                let rank = rank.into_reservation().into_node(share.rank(), account);
                self.ranks.insert(rank);
            }
            None => {
                self.shares.remove(&account);
            }
        }
        Some(record)
    }

    /// Returns the first record whose number is at least `seq`.
    pub(super) fn find(&self, seq: u64) -> Option<Arc<Record>> {
        let cursor = self.records.cursor_lower_bound(&seq)?;

        Some(cursor.current().1.record.clone())
    }

    /// Returns how many records have been pushed out.
    pub(super) fn pushed_out(&self) -> u64 {
        self.pushed_out
    }

    /// Returns when the newest request began whose record has been pushed out.
    ///
    /// In nanoseconds of CLOCK_MONOTONIC, as below.
    pub(super) fn pushed_out_until(&self) -> Option<i64> {
        self.pushed_out_until
    }

    /// Returns when the oldest request began whose record is in the ring.
    pub(super) fn oldest(&self) -> Option<i64> {
        Some(self.records.cursor_front()?.current().1.record.time())
    }
}

/// Notes the key of the record that came next after this one.
fn set_next(records: &mut RBTree<u64, Kept>, key: u64, next: u64) {
    // Usually it is the last one of all, and the way to the last one is long in this tree, which
    // grows at its end.
    if let Some(mut last) = records.cursor_back_mut() {
        let (last_key, kept) = last.current_mut();
        if *last_key == key {
            kept.next = Some(next);
            return;
        }
    }
    if let Some(kept) = records.get_mut(&key) {
        kept.next = Some(next);
    }
}

#[kunit_tests(kmod_rs_ring)]
mod tests {
    use super::*;
    use crate::{
        records::record::{
            Beginning,
            Memory, //
        },
        wrappers::{
            call_site::CallSite,
            name::Name,
            requester::Requester, //
        },
    };

    /// Puts records on these users' accounts into the ring, numbered from `seq` on.
    fn keep(ring: &mut Ring, seq: u64, users: impl IntoIterator<Item = u32>) -> Result {
        let memory = Arc::new(Memory::new(), GFP_KERNEL)?;
        for (seq, user) in (seq..).zip(users) {
            let beginning = Beginning {
                name: &Name::new(c"a"),
                wait: true,
                call_site: 0,
                requester: &Requester::current(),
                account: Account::of_user(user),
            };
            let call_site = Arc::new(CallSite::new(0), GFP_KERNEL)?;
            let record = Record::new(seq, &beginning, call_site, [].iter(), &memory)?;
            ring.keep(record, Some(Place::new()?), Some(Opening::new()?));
            check(ring);
        }
        Ok(())
    }

    /// Checks the invariants.
    fn check(ring: &Ring) {
        assert_eq!(ring.records.iter().count(), ring.length);
        assert!(ring.length <= ring.size);
        assert_eq!(ring.ranks.iter().count(), ring.shares.iter().count());
        let mut listed = 0;
        for (account, share) in ring.shares.iter() {
            assert_eq!(ring.ranks.get(&share.rank()), Some(account));
            let mut seq = Some(share.oldest);
            let mut records = 0;
            while let Some(kept) = seq.and_then(|seq| ring.records.get(&seq)) {
                assert_eq!(kept.record.account().number(), *account);
                records += 1;
                if kept.next.is_none() {
                    assert_eq!(seq, Some(share.newest));
                }
                seq = kept.next;
            }
            assert_eq!(records, share.records);
            listed += records;
        }
        assert_eq!(listed, ring.length);
    }

    /// Returns the numbers of the records in the ring, in the order of `find()`.
    fn seqs(ring: &Ring) -> Result<KVec<u64>> {
        let mut seqs = KVec::new();
        let mut from = 0;
        while let Some(record) = ring.find(from) {
            seqs.push(record.seq(), GFP_KERNEL)?;
            from = record.seq() + 1;
        }
        Ok(seqs)
    }

    #[test]
    fn one_account_has_all_places() -> Result {
        let mut ring = Ring::new(3);
        assert_eq!(ring.oldest(), None);
        keep(&mut ring, 1, [7, 7, 7])?;
        assert_eq!((ring.pushed_out(), ring.pushed_out_until()), (0, None));
        keep(&mut ring, 4, [7, 7])?;
        assert_eq!(&*seqs(&ring)?, [3, 4, 5]);
        assert_eq!(ring.pushed_out(), 2);
        assert!(ring.pushed_out_until() <= ring.oldest());
        Ok(())
    }

    #[test]
    fn records_are_found_by_number_and_leave_by_age() -> Result {
        let mut ring = Ring::new(3);
        // The third one began last, and returned first.
        keep(&mut ring, 9, [7])?;
        keep(&mut ring, 2, [7, 7])?;
        assert_eq!(&*seqs(&ring)?, [2, 3, 9]);
        keep(&mut ring, 10, [7])?;
        assert_eq!(&*seqs(&ring)?, [2, 3, 10]);
        Ok(())
    }

    #[test]
    fn a_flood_pushes_out_its_own() -> Result {
        let mut ring = Ring::new(4);
        keep(&mut ring, 1, [0, 0])?;
        keep(&mut ring, 3, [7; 100])?;
        assert_eq!(&*seqs(&ring)?, [1, 2, 101, 102]);
        // And the other way round: whoever comes later gets the same share.
        keep(&mut ring, 103, [0; 100])?;
        assert_eq!(&*seqs(&ring)?, [101, 102, 201, 202]);
        Ok(())
    }

    #[test]
    fn a_newcomer_takes_from_the_greatest_share() -> Result {
        let mut ring = Ring::new(6);
        keep(&mut ring, 1, [1, 2, 2, 2, 3, 3])?;
        keep(&mut ring, 7, [4])?;
        assert_eq!(&*seqs(&ring)?, [1, 3, 4, 5, 6, 7]);
        // Now 2 and 3 have two each, and 2 has the older one.
        keep(&mut ring, 8, [5])?;
        assert_eq!(&*seqs(&ring)?, [1, 4, 5, 6, 7, 8]);
        Ok(())
    }

    #[test]
    fn with_more_accounts_than_places_the_oldest_goes() -> Result {
        let mut ring = Ring::new(3);
        keep(&mut ring, 1, 100..200)?;
        assert_eq!(&*seqs(&ring)?, [98, 99, 100]);
        Ok(())
    }

    #[test]
    fn a_single_place() -> Result {
        let mut ring = Ring::new(1);
        keep(&mut ring, 1, [1, 1, 2, 1])?;
        assert_eq!(&*seqs(&ring)?, [4]);
        Ok(())
    }
}
