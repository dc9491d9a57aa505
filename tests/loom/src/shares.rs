// SPDX-License-Identifier: GPL-2.0

//! Requests that share a helper.
//!
//! A follower that nobody tells anything waits for ever, which loom reports as a deadlock.

use crate::{
    check,
    request::{
        target::Target,
        sharing::{
            Followed,
            Leader,
            Role,
            Sharing, //
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

/// Time is what a test says, not what passes.
const FOLLOW_MS: u32 = 1;

/// What all tasks ask.
const TARGET: Target = Target(1);

/// The helpers that are run, and what they find.
struct Helpers {
    sharing: Arc<Sharing>,
    /// What all of them end with.
    outcome: Result<WaitStatus>,
    /// How many have been executed.
    executed: AtomicU32,
}

impl Helpers {
    fn new(outcome: Result<WaitStatus>) -> Arc<Self> {
        Arc::new(Self {
            sharing: Arc::pin_init(Sharing::new(), GFP_KERNEL).unwrap(),
            outcome,
            executed: AtomicU32::new(0),
        })
    }

    /// Runs one.
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

    /// Makes a request that waits, as request.rs does. `None` if it was killed.
    fn ask(&self) -> Option<Result<WaitStatus>> {
        match self.sharing.join(&TARGET, true).unwrap() {
            Role::Leader(leader) => Some(self.run(Some(leader))),
            Role::Follower(follower) => match follower.wait(FOLLOW_MS) {
                Followed::Outcome(outcome) => Some(outcome),
                Followed::Leader(leader) => Some(self.run(Some(leader))),
                Followed::Alone => Some(self.run(None)),
                Followed::Killed => None,
            },
            Role::Served | Role::Alone => panic!("it waits"),
        }
    }

    /// Nobody leads or follows any more.
    fn assert_idle(&self) {
        assert!(matches!(
            self.sharing.join(&TARGET, false).unwrap(),
            Role::Alone
        ));
    }
}

/// Tasks that ask the same: all get the outcome of a helper that was executed after they asked, or
/// that succeeded.
fn ask_at_once(tasks: u32, outcome: Result<WaitStatus>) {
    check(move || {
        let helpers = Helpers::new(outcome);
        let threads: Vec<_> = (0..tasks)
            .map(|_| {
                let helpers = helpers.clone();
                thread::spawn(move || {
                    let before = helpers.executed.load(Ordering::SeqCst);
                    assert!(helpers.ask() == Some(outcome));
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
    ask_at_once(2, Ok(WaitStatus::SUCCESS));
}

#[test]
fn two_tasks_share_failure() {
    ask_at_once(2, Ok(WaitStatus(256)));
}

#[test]
fn three_tasks_share_failure() {
    ask_at_once(3, Ok(WaitStatus(256)));
}

/// Something happens to a follower while its leader ends: the one behind it is served whatever
/// becomes of it.
fn leave(happens: fn()) {
    check(move || {
        let helpers = Helpers::new(Ok(WaitStatus(256)));
        let Role::Leader(leader) = helpers.sharing.join(&TARGET, true).unwrap() else {
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
            thread::spawn(move || assert!(helpers.ask().is_some()))
        };
        happens();
        drop(leader);
        victim.join().unwrap();
        next.join().unwrap();
        helpers.assert_idle();
    });
}

#[test]
fn a_follower_is_killed() {
    leave(wait::kill);
}

#[test]
fn a_follower_has_waited_long_enough() {
    leave(wait::time_out);
}

/// Who does not wait is told of the start of the helper, or that there is none.
#[test]
fn a_follower_does_not_wait() {
    check(|| {
        let helpers = Helpers::new(Ok(WaitStatus::SUCCESS));
        let leader = {
            let helpers = helpers.clone();
            thread::spawn(move || helpers.ask())
        };
        match helpers.sharing.join(&TARGET, false).unwrap() {
            Role::Follower(follower) => {
                assert!(matches!(
                    follower.wait(FOLLOW_MS),
                    Followed::Outcome(Ok(WaitStatus::SUCCESS))
                ));
            }
            Role::Served => (),
            Role::Alone => (),
            Role::Leader(_) => panic!("it does not wait"),
        }
        let _ = leader.join().unwrap();
        helpers.assert_idle();
    });
}
