// SPDX-License-Identifier: GPL-2.0

//! Equal requests share a helper.
//!
//! Serves the same purpose as `kernel/module/dups.c` (`CONFIG_MODULE_DEBUG_AUTOLOAD_DUPS`), but
//! differs from it in two ways: no result is kept after the helper has ended, and a request does
//! not get the failure of a helper that was executed before the request was made.
//!
//! The first of several equal requests is their leader: it takes a slot and runs a helper. The
//! others are its followers: they wait, and get the leader's answer. A leader and its followers are
//! a run.
//!
//! - If the helper succeeds, all followers get its answer.
//! - If it fails, the early followers get its answer: those that came before it was executed. The
//!   first of the others, the late ones, becomes the leader.
//! - If the leader leaves before its helper is executed, for whatever reason, the first follower
//!   becomes the leader.
//!
//! A request that does not wait is never a leader. It follows a leader until the helper is about to
//! be executed.

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

/// How many locks there are, so that requests for different names rarely wait for the same one.
const BUCKETS: usize = 64;

/// What a follower is told.
#[derive(Clone, Copy)]
enum Message {
    /// The leader's answer. For a follower that does not wait: the helper was started.
    Outcome(Result<WaitStatus>),
    /// There is no leader any more, and this follower is to become it.
    Lead,
    /// There is no leader any more, and this follower does not wait, so it cannot become it.
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
    /// Leaves the message, and wakes the follower.
    ///
    /// Done once, by the task that has removed the follower from its [`Run`].
    fn tell(&self, message: Message) {
        self.message.populate(message);
        self.arrived.complete();
    }
}

/// Followers by ticket, so in the order of their arrival.
type Followers = RBTree<u64, Arc<Mailbox>>;

/// Tells all followers the same.
fn tell_all(followers: &Followers, message: Message) {
    for mailbox in followers.values() {
        mailbox.tell(message);
    }
}

/// The followers of a leader.
///
/// # Invariants
///
/// A run in the table has one [`Leader`], or one follower that was told to become it.
struct Run {
    /// Whether the helper is about to be executed, or has been.
    is_started: bool,
    /// Followers that wait for the helper to exit, and came before it was about to be executed.
    early: Followers,
    /// Followers that wait for the helper to exit, and came later.
    late: Followers,
    /// Followers that wait only until the helper is about to be executed. None are left then.
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

    /// Tells the first follower that waits to become the leader.
    ///
    /// If there are only late followers, they become early ones. Returns false if there are none.
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

/// The runs of the targets that share a lock.
struct Bucket {
    runs: RBTree<Target, Run>,
    /// The ticket of the next follower. A bucket never uses a ticket twice.
    next_ticket: u64,
}

/// The runs of all targets.
#[pin_data]
pub(crate) struct Sharing {
    #[pin]
    buckets: [SpinLock<Bucket>; BUCKETS],
}

/// What a request is among those that are equal to it.
pub(crate) enum Role {
    /// It runs a helper, and answers its followers.
    Leader(Leader),
    /// It waits for the leader.
    Follower(Follower),
    /// It does not wait, and the leader's helper has been started: it succeeds.
    Served,
    /// It does not wait, and there is no leader: it runs a helper without followers.
    Alone,
}

impl Sharing {
    /// Creates an initialiser for a table without runs.
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

    /// Joins the run of a target, or begins one.
    ///
    /// `wait` says whether the request waits for its helper to exit. Returns [`ENOMEM`].
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
                // The run ended between the two calls, so try again.
                None => (),
            }
        }
    }

    /// Begins a run as its leader; returns [`None`] if there is a run already.
    fn try_lead(self: &Arc<Self>, target: &Target) -> Result<Option<Leader>> {
        let place = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let mut bucket = self.lock(target);

        if bucket.runs.get(target).is_some() {
            return Ok(None);
        }
        // INVARIANT: The run gets its leader below, before the bucket is unlocked.
        bucket
            .runs
            .insert(place.into_node(target.clone(), Run::new()));
        Ok(Some(Leader::new(self, target)))
    }

    /// Joins a run as a follower, if there is something to wait for; returns [`None`] if there is
    /// no run.
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
        // CAST: Any bits of the hash will do.
        self.buckets[target.hash() as usize % BUCKETS].lock()
    }

    /// Ends the lead of a leader: tells its followers the answer, or makes one of them the leader.
    ///
    /// `outcome` is what was given to [`Leader::tell`], if it was called.
    fn end(&self, target: &Target, outcome: Option<Result<WaitStatus>>) {
        let mut bucket = self.lock(target);
        let Some(run) = bucket.runs.get_mut(target) else {
            return;
        };
        // What became of a helper that was not going to be executed is no answer for others.
        let outcome = outcome.filter(|_| run.is_started);

        // The followers that are told the outcome even if it is a failure.
        let mut told = RBTree::new();
        if outcome.is_some() {
            mem::swap(&mut told, &mut run.early);
        }

        // INVARIANT: Either a follower is told to become the leader, or the run is removed.
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

/// The duty to answer the followers of a run.
///
/// If it is dropped without an answer, the first follower becomes the leader.
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

    /// Reports that the helper is about to be executed.
    ///
    /// Followers that do not wait are told. Requests that come from now on get the answer of this
    /// helper only if it succeeds.
    ///
    /// Context: any but interrupts. Takes the lock of a bucket.
    pub(crate) fn started(&self) {
        let mut unwaiting = RBTree::new();

        if let Some(run) = self.sharing.lock(&self.target).runs.get_mut(&self.target) {
            run.is_started = true;
            mem::swap(&mut unwaiting, &mut run.unwaiting);
        }
        tell_all(&unwaiting, Message::Outcome(Ok(WaitStatus::SUCCESS)));
    }

    /// Reports how the helper ended, or why there was none.
    ///
    /// Context: any but interrupts. Takes the lock of a bucket.
    pub(crate) fn tell(mut self, outcome: Result<WaitStatus>) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.sharing.end(&self.target, self.outcome);
    }
}

/// A request that follows a leader; see [`Follower::wait`].
#[must_use]
pub(crate) struct Follower {
    sharing: Arc<Sharing>,
    target: Target,
    ticket: u64,
    mailbox: Arc<Mailbox>,
}

/// How the wait of a follower ended.
pub(crate) enum Followed {
    /// The leader's answer.
    Outcome(Result<WaitStatus>),
    /// It is the leader now.
    Leader(Leader),
    /// It runs a helper of its own, without followers.
    Alone,
    /// The requester was killed.
    Killed,
}

impl Follower {
    /// Waits for the leader, for at most `timeout_ms` milliseconds.
    ///
    /// The limit ends the wait even if the leader's helper waits for this request, through a lock,
    /// a module or another helper that this module does not know of. See "Sharing" in
    /// Documentation/design.rst.
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
                // The follower is not in the run any more: it has a message, or gets one in a
                // moment.
                WaitResult::TimedOut => (),
                WaitResult::Killed => {
                    // If it was told to lead, the message is there: it was left while the bucket
                    // was locked, which `leave()` has locked since. No other message asks for
                    // anything.
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

    /// Becomes the leader, as it was told to. To be called once.
    fn become_leader(&self) -> Leader {
        Leader::new(&self.sharing, &self.target)
    }

    /// Leaves the run.
    ///
    /// Returns false if the follower is not in the run any more: it has a message, or gets one in a
    /// moment.
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

        // No result is kept: the next request is a leader.
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

        // The first late follower runs a helper for all of them.
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
        // The helper could not be started, so this is not the answer for others.
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
