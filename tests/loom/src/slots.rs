// SPDX-License-Identifier: GPL-2.0

//! The slots and their queue.
//!
//! Each test ends by taking every slot. If a slot was lost, or a waiter was never woken, this is a
//! deadlock. loom reports it with the order of events that led to it.

use crate::{
    check,
    concurrency::{
        Claim,
        NoSlot,
        Slots, //
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

/// All tasks are of one user, so they are served in the order of their arrival.
const CLAIM: Claim = Claim {
    is_nested: false,
    account: 0,
};

fn slots(limit: u32) -> Arc<Slots> {
    let slots = Arc::pin_init(Slots::new(), GFP_KERNEL).unwrap();
    slots.set_limit(limit);
    slots
}

/// Checks that no slot is in use and that nobody waits.
fn assert_idle(slots: &Arc<Slots>, limit: u32) {
    let all: Vec<_> = (0..limit).map(|_| slots.take(CLAIM).ok().unwrap()).collect();
    drop(all);
}

/// At most `limit` tasks have a slot at once, and all of them get one.
fn share(limit: u32, tasks: u32) {
    check(move || {
        let slots = slots(limit);
        let running = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..tasks)
            .map(|_| {
                let slots = slots.clone();
                let running = running.clone();
                thread::spawn(move || {
                    let slot = slots.take(CLAIM).ok().unwrap();
                    assert!(running.fetch_add(1, Ordering::SeqCst) < limit);
                    running.fetch_sub(1, Ordering::SeqCst);
                    drop(slot);
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_idle(&slots, limit);
    });
}

#[test]
fn two_tasks_share_one_slot() {
    share(1, 2);
}

#[test]
fn three_tasks_share_one_slot() {
    share(1, 3);
}

#[test]
fn three_tasks_share_two_slots() {
    share(2, 3);
}

/// Something happens to a waiter while the slot that it waits for is given back. It gets the slot,
/// or it leaves and the slot is free for others.
fn leave(happens: fn(), reason: NoSlot) {
    check(move || {
        let slots = slots(1);
        let slot = slots.take(CLAIM).ok().unwrap();
        let victim = {
            let slots = slots.clone();
            thread::spawn(move || {
                wait::be_victim();
                match slots.take(CLAIM) {
                    Ok(slot) => drop(slot),
                    Err(why) => assert!(why == reason),
                }
            })
        };
        let other = thread::spawn(happens);
        drop(slot);
        other.join().unwrap();
        victim.join().unwrap();
        assert_idle(&slots, 1);
    });
}

#[test]
fn a_waiter_is_killed() {
    leave(wait::kill, NoSlot::Killed);
}

#[test]
fn a_waiter_gives_up() {
    leave(wait::time_out, NoSlot::Busy);
}

/// The same with another waiter behind the one that leaves. That waiter must get the slot.
#[test]
fn the_next_gets_the_slot_of_a_killed_waiter() {
    check(|| {
        let slots = slots(1);
        let slot = slots.take(CLAIM).ok().unwrap();
        let victim = {
            let slots = slots.clone();
            thread::spawn(move || {
                wait::be_victim();
                drop(slots.take(CLAIM));
            })
        };
        let next = {
            let slots = slots.clone();
            thread::spawn(move || drop(slots.take(CLAIM).ok().unwrap()))
        };
        wait::kill();
        drop(slot);
        victim.join().unwrap();
        next.join().unwrap();
        assert_idle(&slots, 1);
    });
}

/// A waiter that arrives while the limit is raised does not miss the change.
#[test]
fn the_limit_is_raised() {
    check(|| {
        let slots = slots(1);
        let slot = slots.take(CLAIM).ok().unwrap();
        let waiter = {
            let slots = slots.clone();
            thread::spawn(move || drop(slots.take(CLAIM).ok().unwrap()))
        };
        slots.set_limit(2);
        waiter.join().unwrap();
        drop(slot);
        assert_idle(&slots, 2);
    });
}

/// A slot above a lowered limit is not handed on, but the last one is.
#[test]
fn the_limit_is_lowered() {
    check(|| {
        let slots = slots(2);
        let first = slots.take(CLAIM).ok().unwrap();
        let second = slots.take(CLAIM).ok().unwrap();
        let is_last = Arc::new(AtomicU32::new(0));
        let waiter = {
            let slots = slots.clone();
            let is_last = is_last.clone();
            thread::spawn(move || {
                let slot = slots.take(CLAIM).ok().unwrap();
                assert!(is_last.load(Ordering::SeqCst) == 1);
                drop(slot);
            })
        };
        slots.set_limit(1);
        drop(first);
        is_last.store(1, Ordering::SeqCst);
        drop(second);
        waiter.join().unwrap();
        assert_idle(&slots, 1);
    });
}
