// SPDX-License-Identifier: GPL-2.0

//! Equal requests share one helper.
//!
//! Stands where `CONFIG_MODULE_DEBUG_AUTOLOAD_DUPS` of `kernel/module/dups.c` does, and differs from
//! it: no result is kept after the helper has ended, and no failure is handed to a request that
//! is younger than the search which failed.
//!
//! The first of several equal requests is their leader: it takes a slot and runs a helper. The
//! others follow it and get its answer,
//!
//! - all of them, if the helper succeeds;
//! - those that came before the helper was executed, if it fails. The first of the others becomes
//!   their leader.
//!
//! If the leader leaves before its helper has been started, whatever the reason, the first
//! follower takes its place.
//!
//! A request that does not wait is never a leader. It follows until the helper has been started.

use crate::{
    request::target::Target,
    usermode_helper::WaitStatus,
    wrappers::wait::{
        Completion,
        WaitResult, //
    }, //
};
use core::mem;
use kernel::{
    new_spinlock,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        lock::spinlock::SpinLockGuard,
        Arc,
        SetOnce,
        SpinLock, //
    },
    time::msecs_to_jiffies, //
};

/// How many locks there are, so that requests for different names rarely meet.
const BUCKETS: usize = 64;

/// What a follower is told.
#[derive(Clone, Copy)]
enum Message {
    /// What became of the helper.
    Outcome(Result<WaitStatus>),
    /// There is no leader any more: be it.
    Lead,
    /// There is no leader any more, and you cannot be it.
    Alone,
}

/// Where a follower gets its message.
#[pin_data]
struct Mailbox {
    message: SetOnce<Message>,
    #[pin]
    arrived: Completion,
}

impl Mailbox {
    /// Leaves a message. Done once, by the task that has removed the follower from its [`Run`].
    fn tell(&self, message: Message) {
        self.message.populate(message);
        self.arrived.complete();
    }
}

/// Followers, by ticket, so in their order.
type Followers = RBTree<u64, Arc<Mailbox>>;

/// Tells each of them the same.
fn tell_all(followers: &Followers, message: Message) {
    for mailbox in followers.values() {
        mailbox.tell(message);
    }
}

/// A leader, and who follows it.
///
/// # Invariants
///
/// One that is in the table has one [`Leader`], or a mailbox that was told to become it.
struct Run {
    /// Whether the leader's helper is about to be executed, or has been.
    is_started: bool,
    /// Followers that have come before that.
    early: Followers,
    /// Followers that have come after that.
    late: Followers,
    /// Followers that only wait for that. None afterwards.
    unwaiting: Followers,
}

impl Run {
    fn new() -> Self {
        Self {
            is_started: false,
            early: RBTree::new(),
            late: RBTree::new(),
            unwaiting: RBTree::new(),
        }
    }

    /// Makes the first follower the leader. Returns false if there is none.
    fn elect(&mut self) -> bool {
        self.is_started = false;
        if self.early.is_empty() {
            mem::swap(&mut self.early, &mut self.late);
        }
        let Some(first) = self.early.cursor_front_mut() else {
            return false;
        };
        let (_, mailbox) = first.remove_current().1.to_key_value();

        mailbox.tell(Message::Lead);
        true
    }
}

/// The runs of some questions.
struct Bucket {
    runs: RBTree<Target, Run>,
    /// The ticket of the next follower. No two of a bucket have the same, ever.
    next_ticket: u64,
}

/// The questions that are being asked.
#[pin_data]
pub(crate) struct Sharing {
    #[pin]
    buckets: [SpinLock<Bucket>; BUCKETS],
}

/// The part that a request has among those that are equal to it.
pub(crate) enum Role {
    /// The first: it runs a helper.
    Leader(Leader),
    /// It waits for the leader.
    Follower(Follower),
    /// It does not wait, and the leader's helper has been started.
    Served,
    /// It shares with nobody, as it does not wait, and there is no leader.
    Alone,
}

impl Sharing {
    /// Creates an initialiser for a table with no target in it.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            buckets <- pin_init::pin_init_array_from_fn(|_| {
                new_spinlock!(
                    Bucket {
                        runs: RBTree::new(),
                        next_ticket: 0,
                    },
                    "kmod_rs::Sharing::buckets"
                )
            }),
        })
    }

    /// Joins those that ask the same.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn join(self: &Arc<Self>, target: &Target, wait: bool) -> Result<Role> {
        loop {
            if wait {
                if let Some(leader) = self.try_lead(target)? {
                    return Ok(Role::Leader(leader));
                }
            }
            match self.try_follow(target, wait)? {
                Some(role) => return Ok(role),
                None if !wait => return Ok(Role::Alone),
                // The leader has ended between the two.
                None => (),
            }
        }
    }

    /// Becomes the leader, if there is none.
    fn try_lead(self: &Arc<Self>, target: &Target) -> Result<Option<Leader>> {
        let place = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let mut bucket = self.lock(target);

        if bucket.runs.get(target).is_some() {
            return Ok(None);
        }
        // INVARIANT: It gets its leader below.
        bucket
            .runs
            .insert(place.into_node(target.clone(), Run::new()));
        Ok(Some(Leader::new(self, target)))
    }

    /// Becomes a follower, if there is a leader, and something to wait for.
    fn try_follow(self: &Arc<Self>, target: &Target, wait: bool) -> Result<Option<Role>> {
        let mailbox = Arc::pin_init(
            pin_init!(Mailbox {
                message: SetOnce::new(),
                arrived <- Completion::new(),
            }),
            GFP_KERNEL,
        )?;
        let place = RBTreeNodeReservation::new(GFP_KERNEL)?;

        let mut bucket = self.lock(target);
        let Bucket { runs, next_ticket } = &mut *bucket;
        let Some(run) = runs.get_mut(target) else {
            return Ok(None);
        };
        let followers = match (wait, run.is_started) {
            (true, false) => &mut run.early,
            (true, true) => &mut run.late,
            (false, false) => &mut run.unwaiting,
            (false, true) => return Ok(Some(Role::Served)),
        };
        let ticket = *next_ticket;

        *next_ticket += 1;
        followers.insert(place.into_node(ticket, mailbox.clone()));

        Ok(Some(Role::Follower(Follower {
            sharing: self.clone(),
            target: target.clone(),
            ticket,
            mailbox,
        })))
    }

    fn lock(&self, target: &Target) -> SpinLockGuard<'_, Bucket> {
        // CAST: Any of its bits will do.
        self.buckets[target.hash() as usize % BUCKETS].lock()
    }

    /// Ends the run of a leader: tells its followers, or elects the next leader.
    ///
    /// `outcome` is what became of its helper, if the leader has had one.
    fn end(&self, target: &Target, outcome: Option<Result<WaitStatus>>) {
        let mut bucket = self.lock(target);
        let Some(run) = bucket.runs.get_mut(target) else {
            return;
        };
        let outcome = outcome.filter(|_| run.is_started);

        // Who is told the outcome.
        let mut told = RBTree::new();
        if outcome.is_some() {
            mem::swap(&mut told, &mut run.early);
        }

        // INVARIANT: Either there is a new leader, or the run goes.
        if outcome == Some(Ok(WaitStatus::SUCCESS)) || !run.elect() {
            let run = bucket.runs.remove_node(target);
            drop(bucket);

            if let Some((_, run)) = run.map(|node| node.to_key_value()) {
                if let Some(outcome) = outcome {
                    tell_all(&run.late, Message::Outcome(outcome));
                }
                tell_all(&run.unwaiting, Message::Alone);
            }
        } else {
            drop(bucket);
        }
        if let Some(outcome) = outcome {
            tell_all(&told, Message::Outcome(outcome));
        }
    }
}

/// The duty to find an answer for all that follow.
///
/// When it is dropped without one, the first follower becomes the leader.
pub(crate) struct Leader {
    sharing: Arc<Sharing>,
    target: Target,
    outcome: Option<Result<WaitStatus>>,
}

impl Leader {
    fn new(sharing: &Arc<Sharing>, target: &Target) -> Self {
        Self {
            sharing: sharing.clone(),
            target: target.clone(),
            outcome: None,
        }
    }

    /// Says that the helper is about to be executed: what it finds is not the answer, unless it is
    /// success, to who comes from now on.
    ///
    /// Context: any but interrupts.
    pub(crate) fn started(&self) {
        let mut unwaiting = RBTree::new();

        if let Some(run) = self.sharing.lock(&self.target).runs.get_mut(&self.target) {
            run.is_started = true;
            mem::swap(&mut unwaiting, &mut run.unwaiting);
        }
        tell_all(&unwaiting, Message::Outcome(Ok(WaitStatus::SUCCESS)));
    }

    /// Says what became of the helper, or why there was none.
    ///
    /// Context: any but interrupts.
    pub(crate) fn tell(mut self, outcome: Result<WaitStatus>) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.sharing.end(&self.target, self.outcome);
    }
}

/// A request that waits for the leader; see [`Follower::wait`].
#[must_use]
pub(crate) struct Follower {
    sharing: Arc<Sharing>,
    target: Target,
    ticket: u64,
    mailbox: Arc<Mailbox>,
}

/// How the wait of a follower ended.
pub(crate) enum Followed {
    /// What became of the leader's helper.
    Outcome(Result<WaitStatus>),
    /// It is the leader now.
    Leader(Leader),
    /// It is to run a helper on its own.
    Alone,
    /// Its task was killed.
    Killed,
}

impl Follower {
    /// Waits for the leader, for at most so many milliseconds.
    ///
    /// Nothing can wait for itself for longer than that, whatever the modules, helpers and locks
    /// are that a request waits for without our knowing.
    ///
    /// Context: may sleep; the caller may hold mutexes.
    pub(crate) fn wait(self, timeout_ms: u32) -> Followed {
        loop {
            let mailbox = &self.mailbox;
            match mailbox
                .arrived
                .wait_killable_timeout(msecs_to_jiffies(timeout_ms))
            {
                WaitResult::Completed => (),
                WaitResult::TimedOut if self.leave() => return Followed::Alone,
                WaitResult::Killed if self.leave() => return Followed::Killed,
                // It is being told something, or was told just now.
                WaitResult::TimedOut => (),
                WaitResult::Killed => {
                    if let Some(Message::Lead) = mailbox.message.copy() {
                        // Passes the duty on.
                        drop(self.become_leader());
                    }
                    return Followed::Killed;
                }
            }
            match mailbox.message.copy() {
                Some(Message::Outcome(outcome)) => return Followed::Outcome(outcome),
                Some(Message::Lead) => return Followed::Leader(self.become_leader()),
                Some(Message::Alone) => return Followed::Alone,
                None => (),
            }
        }
    }

    /// Does as it was told. To be called once.
    fn become_leader(&self) -> Leader {
        Leader::new(&self.sharing, &self.target)
    }

    /// Leaves the run. Returns false if it is in none any more: then there is a message for it.
    fn leave(&self) -> bool {
        let mut bucket = self.sharing.lock(&self.target);
        let Some(run) = bucket.runs.get_mut(&self.target) else {
            return false;
        };
        let mailbox = run
            .early
            .remove(&self.ticket)
            .or_else(|| run.late.remove(&self.ticket))
            .or_else(|| run.unwaiting.remove(&self.ticket));

        mailbox.is_some()
    }
}

#[kunit_tests(kmod_rs_sharing)]
mod tests {
    use super::*;
    use crate::wrappers::{
        modprobe_path::ModprobePath,
        name::Name,
        private_symbols::PrivateSymbols, //
    };

    const FAILURE: Result<WaitStatus> = Err(EIO);
    /// Longer than any test takes.
    const FOLLOW_MS: u32 = 60_000;

    fn sharing() -> Result<Arc<Sharing>> {
        Arc::pin_init(Sharing::new(), GFP_KERNEL)
    }

    fn target(name: &CStr) -> Result<Target> {
        Target::new(
            Name::new(name),
            ModprobePath::read(PrivateSymbols::find()?)?,
        )
    }

    fn lead(sharing: &Arc<Sharing>, target: &Target) -> Result<Leader> {
        match sharing.join(target, true)? {
            Role::Leader(leader) => Ok(leader),
            _ => Err(EINVAL),
        }
    }

    fn follow(sharing: &Arc<Sharing>, target: &Target, wait: bool) -> Result<Follower> {
        match sharing.join(target, wait)? {
            Role::Follower(follower) => Ok(follower),
            _ => Err(EINVAL),
        }
    }

    fn has_outcome(follower: Follower, expected: Result<WaitStatus>) -> bool {
        matches!(follower.wait(FOLLOW_MS), Followed::Outcome(outcome) if outcome == expected)
    }

    fn is_told(follower: &Follower) -> bool {
        follower.mailbox.message.copy().is_some()
    }

    #[test]
    fn success_is_for_all() -> Result {
        let (sharing, a) = (sharing()?, target(c"a")?);
        let leader = lead(&sharing, &a)?;
        let early = follow(&sharing, &a, true)?;
        leader.started();
        let late = follow(&sharing, &a, true)?;
        leader.tell(Ok(WaitStatus::SUCCESS));
        assert!(has_outcome(early, Ok(WaitStatus::SUCCESS)));
        assert!(has_outcome(late, Ok(WaitStatus::SUCCESS)));

        // Nothing is kept.
        assert!(lead(&sharing, &a).is_ok());
        Ok(())
    }

    #[test]
    fn failure_is_for_those_who_came_before_the_search() -> Result {
        let (sharing, a) = (sharing()?, target(c"a")?);
        let leader = lead(&sharing, &a)?;
        let early = follow(&sharing, &a, true)?;
        leader.started();
        let late = [
            follow(&sharing, &a, true)?,
            follow(&sharing, &a, true)?,
            follow(&sharing, &a, true)?,
        ];
        leader.tell(FAILURE);
        assert!(has_outcome(early, FAILURE));

        // One of the others searches for all of them.
        let [first, second, third] = late;
        assert!(!is_told(&second) && !is_told(&third));
        let Followed::Leader(leader) = first.wait(FOLLOW_MS) else {
            return Err(EINVAL);
        };
        let newcomer = follow(&sharing, &a, true)?;
        leader.started();
        leader.tell(FAILURE);
        assert!(has_outcome(second, FAILURE));
        assert!(has_outcome(third, FAILURE));
        assert!(has_outcome(newcomer, FAILURE));
        assert!(lead(&sharing, &a).is_ok());
        Ok(())
    }

    #[test]
    fn a_leader_that_leaves_is_replaced() -> Result {
        let (sharing, a) = (sharing()?, target(c"a")?);
        let leader = lead(&sharing, &a)?;
        let first = follow(&sharing, &a, true)?;
        let second = follow(&sharing, &a, true)?;
        drop(leader);
        let Followed::Leader(leader) = first.wait(FOLLOW_MS) else {
            return Err(EINVAL);
        };
        // That it could not be started is nobody else's answer.
        leader.tell(FAILURE);
        assert!(matches!(second.wait(FOLLOW_MS), Followed::Leader(_)));
        Ok(())
    }

    #[test]
    fn who_does_not_wait_waits_for_the_start() -> Result {
        let (sharing, a) = (sharing()?, target(c"a")?);
        assert!(matches!(sharing.join(&a, false)?, Role::Alone));

        let leader = lead(&sharing, &a)?;
        let follower = follow(&sharing, &a, false)?;
        assert!(!is_told(&follower));
        leader.started();
        assert!(has_outcome(follower, Ok(WaitStatus::SUCCESS)));
        assert!(matches!(sharing.join(&a, false)?, Role::Served));
        drop(leader);

        let leader = lead(&sharing, &a)?;
        let follower = follow(&sharing, &a, false)?;
        drop(leader);
        assert!(matches!(follower.wait(FOLLOW_MS), Followed::Alone));
        assert!(matches!(sharing.join(&a, false)?, Role::Alone));
        Ok(())
    }

    #[test]
    fn a_follower_that_leaves_is_not_elected() -> Result {
        let (sharing, a) = (sharing()?, target(c"a")?);
        let leader = lead(&sharing, &a)?;
        let first = follow(&sharing, &a, true)?;
        let second = follow(&sharing, &a, true)?;
        assert!(first.leave());
        assert!(!first.leave());
        drop(leader);
        assert!(matches!(second.wait(FOLLOW_MS), Followed::Leader(_)));
        Ok(())
    }

    #[test]
    fn others_do_not_meet() -> Result {
        let sharing = sharing()?;
        let leaders = [
            lead(&sharing, &target(c"a")?)?,
            lead(&sharing, &target(c"b")?)?,
        ];
        assert!(matches!(sharing.join(&target(c"c")?, false)?, Role::Alone));
        drop(leaders);
        Ok(())
    }
}
