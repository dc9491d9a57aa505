// SPDX-License-Identifier: GPL-2.0

//! Slots that helpers lend.
//!
//! Each test ends by taking the only slot. If it was lost, this is a deadlock, which loom reports.
//! If it was given back while a helper still runs on it, a test sees that.

use crate::{
    check,
    concurrency::{
        Claim,
        NoSlot,
        Slots, //
    },
    request::lending::{
        Claimed,
        HelperCount,
        Lender,
        Lends,
        SlotUse, //
    },
    wrappers::wait, //
};
use kernel::prelude::*;
use loom::{
    sync::atomic::{
        AtomicU32,
        Ordering, //
    },
    thread, //
};
use std::sync::Arc;

const CLAIM: Claim = Claim {
    is_nested: true,
    account: 0,
};

/// One slot, and the helpers that run on it.
struct Pool {
    slots: Arc<Slots>,
    count: Arc<HelperCount>,
    /// How many helpers run.
    running: AtomicU32,
}

/// What others borrow from.
#[pin_data]
struct Process {
    #[pin]
    lender: Lender<Self>,
}

impl Lends for Process {
    fn lender(&self) -> &Lender<Self> {
        &self.lender
    }
}

/// A helper that runs.
struct Helper {
    process: Arc<Process>,
    slot: Option<SlotUse<Process>>,
    pool: Arc<Pool>,
}

impl Pool {
    fn new() -> Arc<Self> {
        let slots = Arc::pin_init(Slots::new(), GFP_KERNEL).unwrap();
        slots.set_limit(1);
        Arc::new(Self {
            slots,
            count: Arc::new(HelperCount::new()),
            running: AtomicU32::new(0),
        })
    }

    fn run(self: &Arc<Self>, slot: Claimed<Process>) -> Helper {
        let process = Arc::pin_init(
            pin_init!(Process {
                lender <- Lender::new(),
            }),
            GFP_KERNEL,
        )
        .unwrap();
        self.running.fetch_add(1, Ordering::SeqCst);
        Helper {
            slot: Some(slot.run(process.clone())),
            process,
            pool: self.clone(),
        }
    }

    /// Runs a helper on a slot of its own.
    fn own(self: &Arc<Self>) -> Helper {
        let slot = Claimed::take(&self.slots, CLAIM, &self.count);
        // No other helper runs on it, of whatever request.
        assert!(self.running.load(Ordering::SeqCst) == 0);
        self.run(slot.ok().unwrap())
    }

    /// Runs a helper for a nested request of the helper that is this process.
    fn nested(self: &Arc<Self>, parent: &Arc<Process>) -> Result<Helper, NoSlot> {
        let counted = self.count.count();
        Claimed::take_nested(&self.slots, CLAIM, parent, counted).map(|slot| self.run(slot))
    }

    /// Checks that the slot comes back, and that no helper is counted then.
    fn assert_idle(self: &Arc<Self>) {
        drop(self.own());
        assert!(self.count.count_nested(1).is_ok());
    }
}

impl Drop for Helper {
    /// The helper ends before its slot is given back.
    fn drop(&mut self) {
        self.pool.running.fetch_sub(1, Ordering::SeqCst);
        drop(self.slot.take());
    }
}

/// A chain of helpers on one slot ends, in whatever order. The last one gives the slot back.
fn end_at_once(helpers: usize) {
    check(move || {
        let pool = Pool::new();
        let mut chain = vec![pool.own()];
        while chain.len() < helpers {
            let parent = &chain.last().unwrap().process;
            chain.push(pool.nested(parent).ok().unwrap());
        }
        let threads: Vec<_> = chain
            .into_iter()
            .map(|helper| thread::spawn(move || drop(helper)))
            .collect();
        drop(pool.own());
        for thread in threads {
            thread.join().unwrap();
        }
        pool.assert_idle();
    });
}

#[test]
fn two_helpers_end() {
    end_at_once(2);
}

#[test]
fn three_helpers_end() {
    end_at_once(3);
}

/// Nested requests of one helper: each gets its slot, but not two at the same time.
fn borrow_at_once(requests: u32) {
    check(move || {
        let pool = Pool::new();
        let helper = pool.own();
        let threads: Vec<_> = (0..requests)
            .map(|_| {
                let (pool, parent) = (pool.clone(), helper.process.clone());
                thread::spawn(move || {
                    let nested = pool.nested(&parent).ok().unwrap();
                    assert!(pool.running.load(Ordering::SeqCst) == 2);
                    drop(nested);
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        drop(helper);
        pool.assert_idle();
    });
}

#[test]
fn two_requests_borrow() {
    borrow_at_once(2);
}

/// A helper ends while nested requests of its descendants wait for its slot. They get the slot as
/// anybody does.
#[test]
fn a_helper_ends_while_it_is_asked() {
    check(|| {
        let pool = Pool::new();
        let helper = pool.own();
        let first = pool.nested(&helper.process).ok().unwrap();
        let second = {
            let (pool, parent) = (pool.clone(), helper.process.clone());
            thread::spawn(move || drop(pool.nested(&parent).ok().unwrap()))
        };
        let end = thread::spawn(move || drop(helper));
        drop(first);
        second.join().unwrap();
        end.join().unwrap();
        pool.assert_idle();
    });
}

/// Something happens to a nested request that waits for the slot of its helper while the slot comes
/// back. The request behind it gets the slot.
fn leave(happens: fn(), reason: NoSlot) {
    check(move || {
        let pool = Pool::new();
        let helper = pool.own();
        let first = pool.nested(&helper.process).ok().unwrap();
        let victim = {
            let (pool, parent) = (pool.clone(), helper.process.clone());
            thread::spawn(move || {
                wait::be_victim();
                match pool.nested(&parent) {
                    Ok(nested) => drop(nested),
                    Err(why) => assert!(why == reason),
                }
            })
        };
        let next = {
            let (pool, parent) = (pool.clone(), helper.process.clone());
            thread::spawn(move || drop(pool.nested(&parent).ok().unwrap()))
        };
        happens();
        drop(first);
        victim.join().unwrap();
        next.join().unwrap();
        drop(helper);
        pool.assert_idle();
    });
}

#[test]
fn a_request_that_waits_is_killed() {
    leave(wait::kill, NoSlot::Killed);
}

#[test]
fn a_request_that_waits_gives_up() {
    leave(wait::time_out, NoSlot::Busy);
}

/// Nested requests do not add more helpers than there may be.
#[test]
fn nested_requests_are_counted() {
    check(|| {
        let pool = Pool::new();
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let pool = pool.clone();
                thread::spawn(move || {
                    if let Ok(counted) = pool.count.count_nested(1) {
                        assert!(pool.running.fetch_add(1, Ordering::SeqCst) == 0);
                        pool.running.fetch_sub(1, Ordering::SeqCst);
                        drop(counted);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        pool.assert_idle();
    });
}
