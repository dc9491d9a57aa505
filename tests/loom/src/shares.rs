// SPDX-License-Identifier: GPL-2.0

//! Requests that share a helper.
//!
//! A follower that is never told anything waits for ever, which loom reports as a deadlock.

use crate::{
    check,
    concurrency::{
        Claim,
        NoSlot,
        Slots, //
    },
    request::{
        sharing::{
            Followed,
            Leader,
            Role,
            Sharing, //
        },
        target::Target,
        unwaiting::{
            Attachments,
            Turn, //
        }, //
    },
    usermode_helper::WaitStatus,
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

/// Any time will do: a wait ends when the test says so.
const FOLLOW_MS: u32 = 1;

/// The target of all requests.
const TARGET: Target = Target(1);

/// All requests are of one user.
const CLAIM: Claim = Claim {
    is_nested: false,
    account: 0,
};

/// Nothing is attached here; see unwaiting.rs.
struct Nothing;

impl Attachments for Nothing {
    fn answered(&self, _: Turn) {}

    fn unanswered(&self, _: Turn) {}
}

/// The helpers that are run, and their outcome.
struct Helpers {
    slots: Arc<Slots>,
    sharing: Arc<Sharing>,
    /// What all of them end with.
    outcome: Result<WaitStatus>,
    /// How many of them have been executed.
    executed: AtomicU32,
}

impl Helpers {
    fn new(outcome: Result<WaitStatus>) -> Arc<Self> {
        let slots = Arc::pin_init(Slots::new(), GFP_KERNEL).unwrap();

        Arc::new(Self {
            slots: slots.clone(),
            sharing: Arc::pin_init(Sharing::new(slots, Arc::new(Nothing)), GFP_KERNEL).unwrap(),
            outcome,
            executed: AtomicU32::new(0),
        })
    }

    /// Runs a helper.
    fn run(&self, leader: Option<Leader>) -> Result<WaitStatus> {
        if let Some(leader) = &leader {
            leader.started();
        }
        self.executed.fetch_add(1, Ordering::SeqCst);
        if let Some(leader) = leader {
            leader.tell(self.outcome);
        }
        self.outcome
    }

    /// Makes a request that waits, as request.rs does.
    fn ask(&self) -> Result<Result<WaitStatus>, NoSlot> {
        let (leader, _slot) = match self.sharing.join(&TARGET, CLAIM).unwrap() {
            Role::Leader(leader, slot) => (Some(leader), slot),
            Role::Follower(follower) => match follower.wait(FOLLOW_MS, || ())? {
                Followed::Outcome(outcome) => return Ok(outcome),
                Followed::Leader(leader, slot) => (Some(leader), slot),
                Followed::Alone(slot) => (self.sharing.alone(&TARGET), slot),
            },
            Role::Alone => {
                let slot = self.slots.take(CLAIM)?;
                (self.sharing.alone(&TARGET), slot)
            }
        };
        Ok(self.run(leader))
    }

    /// Checks that nobody leads or follows any more, and that no slot is in use.
    fn assert_idle(&self) {
        let Role::Leader(leader, slot) = self.sharing.join(&TARGET, CLAIM).unwrap() else {
            panic!("there is a run");
        };
        drop((leader, slot));
        let all: Vec<_> = (0..self.slots.limit())
            .map(|_| self.slots.try_take().unwrap())
            .collect();
        drop(all);
    }
}

/// Tasks make equal requests: each gets the outcome of a helper that was executed after the request
/// was made, or that succeeded.
fn ask_at_once(tasks: u32, limit: u32, outcome: Result<WaitStatus>) {
    check(move || {
        let helpers = Helpers::new(outcome);
        helpers.slots.set_limit(limit);
        let threads: Vec<_> = (0..tasks)
            .map(|_| {
                let helpers = helpers.clone();
                thread::spawn(move || {
                    let before = helpers.executed.load(Ordering::SeqCst);
                    assert!(helpers.ask() == Ok(outcome));
                    let after = helpers.executed.load(Ordering::SeqCst);
                    assert!(outcome == Ok(WaitStatus::SUCCESS) || after > before);
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        helpers.assert_idle();
    });
}

#[test]
fn two_tasks_share_success() {
    ask_at_once(2, 2, Ok(WaitStatus::SUCCESS));
}

#[test]
fn two_tasks_share_failure() {
    ask_at_once(2, 2, Ok(WaitStatus(256)));
}

#[test]
fn two_tasks_share_failure_and_a_slot() {
    ask_at_once(2, 1, Ok(WaitStatus(256)));
}

#[test]
fn three_tasks_share_failure() {
    ask_at_once(3, 3, Ok(WaitStatus(256)));
}

/// Something happens to a follower while its leader ends. The follower behind it is served,
/// whatever becomes of the first.
fn leave(happens: fn()) {
    check(move || {
        let helpers = Helpers::new(Ok(WaitStatus(256)));
        helpers.slots.set_limit(1);
        let Role::Leader(leader, slot) = helpers.sharing.join(&TARGET, CLAIM).unwrap() else {
            panic!("there is no other");
        };
        let victim = {
            let helpers = helpers.clone();
            thread::spawn(move || {
                wait::be_victim();
                let _ = helpers.ask();
            })
        };
        let next = {
            let helpers = helpers.clone();
            thread::spawn(move || assert!(helpers.ask().is_ok()))
        };
        happens();
        drop(leader);
        drop(slot);
        victim.join().unwrap();
        next.join().unwrap();
        helpers.assert_idle();
    });
}

#[test]
fn a_follower_is_killed() {
    leave(wait::kill);
}

/// Its leader takes too long, so it closes the run; or it gets no slot.
#[test]
fn a_follower_has_waited_long_enough() {
    leave(wait::time_out);
}
