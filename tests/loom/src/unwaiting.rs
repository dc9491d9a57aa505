// SPDX-License-Identifier: GPL-2.0

//! Requests that do not wait.
//!
//! At the end of each test nothing may be kept, and no permit may be in use: a request that nobody
//! starts, or a permit that nobody gives back, is found there.

use crate::{
    check,
    concurrency::{
        Claim,
        Slots, //
    },
    request::{
        sharing::{
            Role,
            Sharing, //
        },
        target::Target,
        unwaiting::{
            Attachable,
            Dropped,
            Entered,
            Permit,
            Startable,
            Unwaiting, //
        }, //
    },
    usermode_helper::WaitStatus,
    wrappers::{
        exit,
        module::Reference,
        private_symbols::PrivateSymbols,
        requester::Account, //
    }, //
};
use kernel::{
    prelude::*,
    sync::atomic::Atomic, //
};
use loom::{
    sync::atomic::{
        AtomicBool,
        AtomicU32,
        Ordering::SeqCst, //
    },
    thread, //
};
use std::sync::Arc;

/// The target of all requests that share.
const TARGET: Target = Target(1);

const CLAIM: Claim = Claim {
    is_nested: false,
    account: 0,
};

/// The helpers that run.
struct Helpers {
    limit: u32,
    running: AtomicU32,
    /// How many have been executed, also those of requests that wait.
    executed: AtomicU32,
    /// Whether the system is being suspended.
    are_disabled: AtomicBool,
}

impl Helpers {
    /// Executes the helper of a request, which then exits.
    fn run(&self, request: &Request) {
        assert!(self.running.fetch_add(1, SeqCst) < self.limit);
        request.permit.hand_over().unwrap();
        self.executed.fetch_add(1, SeqCst);
        self.running.fetch_sub(1, SeqCst);
        exit::exit();
    }
}

/// A request.
struct Request {
    helpers: Arc<Helpers>,
    permit: Permit<Request>,
}

impl Startable for Request {
    fn permit(&self) -> Option<&Permit<Self>> {
        Some(&self.permit)
    }

    fn start(this: KBox<Self>, _: &Reference) -> Result<(), KBox<Self>> {
        if this.helpers.are_disabled.load(SeqCst) {
            return Err(this);
        }
        let helpers = this.helpers.clone();
        helpers.run(&this);
        Ok(())
    }

    fn dropped(_: KBox<Self>, _: Dropped) {}
}

struct Tested {
    helpers: Arc<Helpers>,
    unwaiting: Arc<Unwaiting<Request>>,
    sharing: Arc<Sharing>,
}

impl Tested {
    fn new(limit: u32) -> Arc<Self> {
        let slots = Arc::pin_init(Slots::new(), GFP_KERNEL).unwrap();
        slots.set_limit(limit);
        let count = Arc::new(Atomic::new(0));
        let unwaiting = Unwaiting::new(slots.clone(), PrivateSymbols, count).unwrap();

        Arc::new(Self {
            helpers: Arc::new(Helpers {
                limit,
                running: AtomicU32::new(0),
                executed: AtomicU32::new(0),
                are_disabled: AtomicBool::new(false),
            }),
            unwaiting: unwaiting.clone(),
            sharing: Arc::pin_init(Sharing::new(slots, unwaiting), GFP_KERNEL).unwrap(),
        })
    }

    /// Makes a request that does not wait, as request.rs does.
    fn ask(&self, target: Option<&Target>) {
        let permit = self.unwaiting.permit(Account(0), target).unwrap();
        let turn = permit.turn();
        let request = KBox::new(Request {
            helpers: self.helpers.clone(),
            permit,
        });
        let attachable = target.map_or(Attachable::No, |it| self.sharing.attachable(it));
        let reference = Reference::try_get().unwrap();
        match self
            .unwaiting
            .enter(request, turn, target, attachable, reference)
        {
            Ok(Entered::Now(request)) => {
                if !self.helpers.are_disabled.load(SeqCst) {
                    self.helpers.run(&request);
                }
            }
            Ok(Entered::Kept) if attachable != Attachable::No => {
                self.sharing.attach(&TARGET, turn);
            }
            Ok(_) => (),
            Err(_) => panic!("it is refused"),
        }
    }

    /// Makes a request that waits, and whose helper ends with this, if it can be the leader.
    fn lead(&self, outcome: Result<WaitStatus>) {
        if let Role::Leader(leader, _slot) = self.sharing.join(&TARGET, CLAIM).unwrap() {
            leader.started();
            self.helpers.executed.fetch_add(1, SeqCst);
            leader.tell(outcome);
        }
    }

    /// How many helpers have been executed.
    fn executed(&self) -> u32 {
        self.helpers.executed.load(SeqCst)
    }

    /// Checks that nothing is kept, and that the permits are there.
    fn assert_idle(&self) {
        assert!(self.unwaiting.kept() == 0);
        let executed = self.executed();
        for _ in 0..self.helpers.limit {
            self.ask(None);
        }
        assert!(self.executed() == executed + self.helpers.limit);
        assert!(self.unwaiting.kept() == 0);
        self.unwaiting.close();
    }
}

/// Tasks make a request each. No more of their helpers run than the limit, and a helper is executed
/// after each request was made.
fn ask_at_once(tasks: u32, limit: u32, target: Option<Target>) {
    check(move || {
        let tested = Tested::new(limit);
        let threads: Vec<_> = (0..tasks)
            .map(|_| {
                let (tested, target) = (tested.clone(), target.clone());
                thread::spawn(move || {
                    let before = tested.executed();
                    tested.ask(target.as_ref());
                    before
                })
            })
            .collect();
        let before: Vec<_> = threads.into_iter().map(|it| it.join().unwrap()).collect();
        assert!(before.into_iter().all(|before| tested.executed() > before));
        if target.is_none() {
            assert!(tested.executed() == tasks);
        }
        tested.assert_idle();
    });
}

#[test]
fn two_with_one_permit() {
    ask_at_once(2, 1, None);
}

#[test]
fn three_with_two_permits() {
    ask_at_once(3, 2, None);
}

#[test]
fn two_equal_ones() {
    ask_at_once(2, 2, Some(TARGET));
}

#[test]
fn three_equal_ones() {
    ask_at_once(3, 3, Some(TARGET));
}

/// An equal request that waits leads meanwhile, or has led.
fn ask_beside_a_leader(tasks: u32, outcome: Result<WaitStatus>) {
    check(move || {
        let tested = Tested::new(2);
        let leader = {
            let tested = tested.clone();
            thread::spawn(move || tested.lead(outcome))
        };
        let threads: Vec<_> = (0..tasks)
            .map(|_| {
                let tested = tested.clone();
                thread::spawn(move || {
                    let before = tested.executed();
                    tested.ask(Some(&TARGET));
                    before
                })
            })
            .collect();
        let before: Vec<_> = threads.into_iter().map(|it| it.join().unwrap()).collect();
        leader.join().unwrap();
        if outcome != Ok(WaitStatus::SUCCESS) {
            assert!(before.into_iter().all(|before| tested.executed() > before));
        }
        tested.assert_idle();
    });
}

#[test]
fn one_beside_a_leader_that_fails() {
    ask_beside_a_leader(1, Ok(WaitStatus(256)));
}

#[test]
fn one_beside_a_leader_that_succeeds() {
    ask_beside_a_leader(1, Ok(WaitStatus::SUCCESS));
}

#[test]
fn two_beside_a_leader_that_fails() {
    ask_beside_a_leader(2, Ok(WaitStatus(256)));
}

/// Helpers are disabled, and are allowed again while a request is made or is kept again.
#[test]
fn the_system_is_suspended() {
    check(|| {
        let tested = Tested::new(1);
        tested.helpers.are_disabled.store(true, SeqCst);
        let asking: Vec<_> = (0..2)
            .map(|_| {
                let tested = tested.clone();
                thread::spawn(move || tested.ask(None))
            })
            .collect();
        tested.helpers.are_disabled.store(false, SeqCst);
        tested.unwaiting.resume();
        for thread in asking {
            thread.join().unwrap();
        }
        tested.assert_idle();
    });
}
