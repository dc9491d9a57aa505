// SPDX-License-Identifier: GPL-2.0

//! Equal requests share a helper.
//!
//! Serves the same purpose as `kernel/module/dups.c` (`CONFIG_MODULE_DEBUG_AUTOLOAD_DUPS`), but
//! keeps to one rule, which that file does not: what a request is told is what a helper of its own,
//! executed when the request was made or later, could have told it. So no answer is kept after the
//! helper has ended, and a request does not get the failure of a helper that was executed before
//! the request was made.
//!
//! Each of several equal requests waits for a slot at its own place in the queue, so none waits
//! longer because it shares. The first to get a slot is their leader, and runs a helper. The others
//! leave the queue, and are its followers: they get the leader's answer. A leader and its followers
//! are a run.
//!
//! - If the helper succeeds, all followers get its answer.
//! - If it fails, the early followers get its answer: those that came before it was executed. The
//!   others, the late ones, are without a leader.
//! - If the leader leaves before its helper is executed, for whatever reason, or if the end of the
//!   helper is no answer for others, all followers are without a leader.
//! - Followers without a leader wait for a slot again. The first to get one is the next leader.
//! - If a follower has waited too long for its leaders, the run is closed: its followers, and the
//!   requests that come, run a helper each. This ends when none of the run's helpers is left.
//!
//! A request that does not wait neither leads nor follows. If there is a leader, it is attached to
//! that leader: [`Unwaiting`](super::unwaiting::Unwaiting) keeps it, and is told by the leader
//! whether its helper has served it.

use crate::{
    concurrency::{
        Claim,
        NoSlot,
        Slot,
        Slots,
        Waiting, //
    },
    request::{
        target::Target,
        unwaiting::{
            Attachable,
            Attachments,
            Turn, //
        }, //
    },
    usermode_helper::WaitStatus,
    wrappers::{
        spare_node::SpareNode,
        wait::{
            Completion,
            WaitResult, //
        }, //
    },
};
use core::mem;
use kernel::{
    new_spinlock,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode,
        RBTreeNodeReservation, //
    },
    sync::{
        lock::spinlock::SpinLockGuard,
        Arc,
        SetOnce,
        SpinLock, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

/// How many locks there are, so that requests for different names rarely wait for the same one.
const BUCKETS: usize = 64;

/// How many followers are woken between two looks at their run, so that its lock is held briefly.
const BATCH: usize = 8;

/// What a follower is told.
#[derive(Clone, Copy)]
enum Message {
    /// The leader's answer.
    Outcome(Result<WaitStatus>),
    /// The run is closed.
    Alone,
}

/// Where a follower gets its message.
#[pin_data]
struct Mailbox {
    message: SetOnce<Message>,
    woken: Arc<Completion>,
}

impl Mailbox {
    /// Leaves the message, and wakes the follower.
    ///
    /// Done once, by the task that has removed the follower from its [`Run`].
    fn tell(&self, message: Message) {
        self.message.populate(message);
        self.woken.complete();
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

/// Moves all followers to `to`.
fn move_all(from: &mut Followers, to: &mut Followers) {
    if to.is_empty() {
        mem::swap(from, to);
    }
    while let Some(first) = from.cursor_front_mut() {
        to.insert(first.remove_current().1);
    }
}

/// A request that does not wait and is attached to a leader.
struct Attached {
    turn: Turn,
    /// Whether it, or an equal one that it stands for, came when the helper was about to be
    /// executed or had been.
    is_late: bool,
}

/// Equal requests: those that have a slot, and the others.
///
/// # Invariants
///
/// - `leaders` is the number of [`Leader`]s of the run. It is at most 1 while the run is not
///   closed.
/// - A run in the table has a leader, or a follower that waits.
/// - A run that is closed, or has no leader, has no followers in `late`, and nothing is attached.
///   If it is closed, it has none in `early` either.
struct Run {
    leaders: u32,
    /// Whether the run is closed: its leaders have no followers.
    is_closed: bool,
    /// Whether the leader's helper is about to be executed, or has been.
    is_started: bool,
    /// Followers that came before the helper was about to be executed.
    early: Followers,
    /// Followers that came later.
    late: Followers,
    /// The request that is attached to the leader.
    attached: Option<Attached>,
}

impl Run {
    /// Creates a run with this many leaders.
    fn new(leaders: u32) -> Self {
        Self {
            leaders,
            is_closed: false,
            is_started: false,
            early: RBTree::new(),
            late: RBTree::new(),
            attached: None,
        }
    }

    /// Returns whether a leader of the run can have followers.
    fn has_leader(&self) -> bool {
        self.leaders > 0
    }

    /// Returns whether the run is one leader's, which nobody follows, and to which nothing is
    /// attached.
    fn is_only_leader(&self) -> bool {
        self.leaders == 1
            && self.early.is_empty()
            && self.late.is_empty()
            && self.attached.is_none()
    }

    /// Returns whether a request can be attached.
    fn can_attach(&self) -> bool {
        self.has_leader() && !self.is_closed
    }

    /// Returns the followers that `ticket` is one of.
    fn followers_with(&mut self, ticket: u64) -> Option<&mut Followers> {
        [&mut self.early, &mut self.late]
            .into_iter()
            .find(|followers| followers.get(&ticket).is_some())
    }
}

/// The runs of the targets that share a lock.
struct Bucket {
    runs: RBTree<Target, Run>,
    spare: SpareNode<Target, Run>,
}

impl Bucket {
    /// Removes a run. What is returned is to be dropped without the lock.
    #[must_use]
    fn remove(&mut self, target: &Target) -> Option<RBTreeNode<Target, Run>> {
        let node = self.runs.remove_node(target)?;
        self.spare.keep(node)
    }
}

/// The runs of all targets.
#[pin_data]
pub(crate) struct Sharing {
    slots: Arc<Slots>,
    attachments: Arc<dyn Attachments>,
    #[pin]
    buckets: [SpinLock<Bucket>; BUCKETS],
}

/// What a request is among those that are equal to it.
pub(crate) enum Role {
    /// It has a slot, runs a helper, and answers its followers.
    Leader(Leader, Slot),
    /// It waits, see [`Follower::wait`].
    Follower(Follower),
    /// It runs a helper without followers: the run is closed.
    Alone,
}

/// What a follower finds when it looks at its run.
enum View {
    /// It has this message.
    Told(Message),
    /// It has been removed from the run, and gets its message in a moment.
    Removed,
    /// There is a leader.
    Following,
    /// There is no leader.
    Leaderless,
}

impl Sharing {
    /// Creates an initialiser for a table without runs, whose leaders have these slots, and report
    /// to `attachments`.
    pub(crate) fn new(slots: Arc<Slots>, attachments: Arc<dyn Attachments>) -> impl PinInit<Self> {
        pin_init!(Self {
            slots,
            attachments,
            buckets <- pin_init::pin_init_array_from_fn(|_| {
                new_spinlock!(
                    Bucket {
                        runs: RBTree::new(),
                        spare: SpareNode::new(),
                    },
                    "kmod_rs::Sharing::buckets"
                )
            }),
        })
    }

    /// Returns the slots of the leaders.
    pub(crate) fn slots(&self) -> &Arc<Slots> {
        &self.slots
    }

    /// Wakes all followers, for them to look how long they may wait.
    ///
    /// Context: any but interrupts. Takes the locks of the buckets, one after the other.
    pub(crate) fn wake_all(&self) {
        for bucket in &self.buckets {
            for run in bucket.lock().runs.values() {
                for followers in [&run.early, &run.late] {
                    followers
                        .values()
                        .for_each(|mailbox| mailbox.woken.complete());
                }
            }
        }
    }

    /// Joins the run of a target, or begins one.
    ///
    /// The request is the leader if there is none and a slot is free. Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn join(self: &Arc<Self>, target: &Target, claim: Claim) -> Result<Role> {
        if let Some(role) = self.try_lead(target)? {
            return Ok(role);
        }
        self.follow(target, claim)
    }

    /// Returns whether a request that does not wait can be attached to a leader.
    ///
    /// If one is attached already, it stands for this request, too.
    ///
    /// Context: any but interrupts. Takes the lock of a bucket.
    pub(crate) fn attachable(&self, target: &Target) -> Attachable {
        let mut bucket = self.lock(target);
        let Some(run) = bucket.runs.get_mut(target).filter(|run| run.can_attach()) else {
            return Attachable::No;
        };
        match &mut run.attached {
            Some(attached) => {
                attached.is_late |= run.is_started;
                Attachable::Taken(attached.turn)
            }
            None => Attachable::Yes,
        }
    }

    /// Attaches a request that does not wait to a leader. If there is none, reports at once that
    /// the request has not been served.
    ///
    /// Context: may sleep. Takes the lock of a bucket.
    pub(crate) fn attach(&self, target: &Target, turn: Turn) {
        let mut bucket = self.lock(target);
        let Some(run) = bucket.runs.get_mut(target).filter(|run| run.can_attach()) else {
            drop(bucket);
            return self.attachments.unanswered(turn);
        };
        // At most one is attached. So if there are two, the first of them is not kept any more.
        if run
            .attached
            .as_ref()
            .is_none_or(|other| other.turn.is_before(turn))
        {
            run.attached = Some(Attached {
                turn,
                is_late: run.is_started,
            });
        }
    }

    /// Counts a request that runs a helper without followers, and has a slot for it.
    ///
    /// Returns [`None`] if the run is not closed any more: it need not be counted then.
    ///
    /// Context: any but interrupts. Takes the lock of a bucket.
    pub(crate) fn alone(self: &Arc<Self>, target: &Target) -> Option<Leader> {
        let mut bucket = self.lock(target);
        let run = bucket.runs.get_mut(target).filter(|run| run.is_closed)?;

        // INVARIANT: The leader that is counted here is the one that is returned.
        run.leaders += 1;
        Some(Leader::new(self, target))
    }

    /// Takes the lead, and a slot, if there is no leader and a slot is free.
    ///
    /// Returns [`None`] if the request has to follow or to wait for a slot.
    fn try_lead(self: &Arc<Self>, target: &Target) -> Result<Option<Role>> {
        let mut place = None;
        let mut bucket = self.lock(target);

        let is_new = loop {
            match bucket.runs.get(target) {
                Some(run) if run.is_closed => return Ok(Some(Role::Alone)),
                Some(run) if run.has_leader() => return Ok(None),
                Some(_) => break false,
                None => (),
            }
            if place.is_none() {
                place = bucket.spare.take();
            }
            if place.is_some() {
                break true;
            }
            drop(bucket);
            place = Some(RBTreeNodeReservation::new(GFP_KERNEL)?);
            bucket = self.lock(target);
        };
        let Some(slot) = self.slots.try_take() else {
            if let Some(place) = place {
                bucket.spare.put_back(place);
            }
            return Ok(None);
        };
        // INVARIANT: The leader that is counted here is the one that is returned.
        if let (true, Some(place)) = (is_new, place) {
            bucket
                .runs
                .insert(place.into_node(target.clone(), Run::new(1)));
        } else if let Some(run) = bucket.runs.get_mut(target) {
            run.leaders += 1;
        }
        drop(bucket);

        if !is_new {
            self.wake(target);
        }
        Ok(Some(Role::Leader(Leader::new(self, target), slot)))
    }

    /// Joins the run of a target as a follower, or begins a run that has no leader yet.
    ///
    /// Returns another role if there is nothing to wait for.
    fn follow(self: &Arc<Self>, target: &Target, claim: Claim) -> Result<Role> {
        let waiting = self.slots.waiting(claim)?;
        let woken = waiting.woken().clone();
        let mailbox = Arc::pin_init(
            pin_init!(Mailbox {
                message: SetOnce::new(),
                woken,
            }),
            GFP_KERNEL,
        )?;
        let run_place = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let place = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let place = place.into_node(waiting.ticket(), mailbox.clone());

        let mut bucket = self.lock(target);
        if bucket.runs.get(target).is_none() {
            // INVARIANT: The run gets its follower below.
            bucket
                .runs
                .insert(run_place.into_node(target.clone(), Run::new(0)));
        }
        let Some(run) = bucket.runs.get_mut(target).filter(|run| !run.is_closed) else {
            return Ok(Role::Alone);
        };
        let followers = match run.is_started {
            false => &mut run.early,
            true => &mut run.late,
        };
        followers.insert(place);

        Ok(Role::Follower(Follower {
            sharing: self.clone(),
            target: target.clone(),
            waiting,
            mailbox,
        }))
    }

    fn lock(&self, target: &Target) -> SpinLockGuard<'_, Bucket> {
        // CAST: Any bits of the hash will do.
        self.buckets[target.hash() as usize % BUCKETS].lock()
    }

    /// Wakes the early followers, which have got a leader or lost it.
    fn wake(&self, target: &Target) {
        let mut next = 0;
        loop {
            let mut batch = [const { None }; BATCH];
            {
                let bucket = self.lock(target);
                let Some(run) = bucket.runs.get(target) else {
                    return;
                };
                for woken in &mut batch {
                    let Some(cursor) = run.early.cursor_lower_bound(&next) else {
                        break;
                    };
                    let (ticket, mailbox) = cursor.current();
                    next = *ticket + 1;
                    *woken = Some(mailbox.woken.clone());
                }
            }
            for woken in &batch {
                match woken {
                    Some(woken) => woken.complete(),
                    None => return,
                }
            }
        }
    }

    /// Ends the lead of a leader: tells its followers the answer, or leaves them without a leader.
    ///
    /// `outcome` is what was given to [`Leader::tell`], if it was called.
    fn end(&self, target: &Target, outcome: Option<Result<WaitStatus>>) {
        let mut bucket = self.lock(target);
        let Some(run) = bucket.runs.get_mut(target) else {
            return;
        };
        // The usual case: nobody else has asked.
        if run.is_only_leader() {
            let run = bucket.remove(target);
            drop(bucket);
            drop(run);
            return;
        }
        // What became of a helper that was not going to be executed is no answer for others.
        let outcome = outcome.filter(|_| run.is_started);

        run.leaders -= 1;
        run.is_started = false;

        // The followers that are told the outcome. The others become, or are, early ones.
        let mut told = RBTree::new();
        if outcome.is_some() {
            mem::swap(&mut told, &mut run.early);
        }
        let is_for_all = outcome == Some(Ok(WaitStatus::SUCCESS));
        if is_for_all {
            move_all(&mut run.late, &mut told);
        }
        move_all(&mut run.late, &mut run.early);
        let attached = run.attached.take();

        let are_left = !run.early.is_empty();
        let run = if run.leaders == 0 && !are_left {
            bucket.remove(target)
        } else {
            None
        };
        drop(bucket);
        drop(run);

        if let Some(outcome) = outcome {
            tell_all(&told, Message::Outcome(outcome));
        }
        if are_left {
            self.wake(target);
        }
        match attached {
            Some(Attached { turn, is_late }) if is_for_all || outcome.is_some() && !is_late => {
                self.attachments.answered(turn);
            }
            Some(Attached { turn, .. }) => self.attachments.unanswered(turn),
            None => (),
        }
    }
}

/// The duty to answer the followers of a run.
///
/// If it is dropped without an answer, the followers are without a leader. It may sleep when it is
/// dropped.
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
    /// Requests that come from now on get the answer of this helper only if it succeeds.
    ///
    /// Context: any but interrupts. Takes the lock of a bucket.
    pub(crate) fn started(&self) {
        if let Some(run) = self.sharing.lock(&self.target).runs.get_mut(&self.target) {
            run.is_started = true;
        }
    }

    /// Reports how the helper ended, or why there was none.
    ///
    /// Context: may sleep. Takes the lock of a bucket.
    pub(crate) fn tell(mut self, outcome: Result<WaitStatus>) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.sharing.end(&self.target, self.outcome);
    }
}

/// A request that follows a leader, or waits for a slot to become one.
///
/// If it is dropped, it leaves the run.
#[must_use]
pub(crate) struct Follower {
    sharing: Arc<Sharing>,
    target: Target,
    waiting: Waiting,
    mailbox: Arc<Mailbox>,
}

/// How the wait of a follower ended.
pub(crate) enum Followed {
    /// The leader's answer.
    Outcome(Result<WaitStatus>),
    /// It is the leader now.
    Leader(Leader, Slot),
    /// It runs a helper without followers, for which it has a slot.
    Alone(Slot),
}

impl Follower {
    /// Waits for an answer or for a slot, and for leaders for at most `timeout_ms` milliseconds.
    ///
    /// Calls `following` when there is a leader, possibly several times.
    ///
    /// When this time is over, the run is closed. So the wait for a leader ends even if the
    /// leader's helper waits for this request, through a lock, a module or another helper that this
    /// module does not know of. See "Sharing" in Documentation/design.rst.
    ///
    /// Returns the errors of [`Slots::wait`].
    ///
    /// Context: may sleep; the caller may hold mutexes.
    pub(crate) fn wait(self, timeout_ms: u32, following: impl Fn()) -> Result<Followed, NoSlot> {
        let slots = &self.sharing.slots;
        let mut patience = Delta::from_millis(timeout_ms.into());

        loop {
            match self.look() {
                View::Told(Message::Outcome(outcome)) => return Ok(Followed::Outcome(outcome)),
                View::Told(Message::Alone) => {
                    if let Some(slot) = slots.wait(&self.waiting, || true)? {
                        return Ok(Followed::Alone(slot));
                    }
                }
                View::Leaderless => {
                    let is_leaderless = || matches!(self.look(), View::Leaderless);
                    if let Some(slot) = slots.wait(&self.waiting, is_leaderless)? {
                        if let Some(leader) = self.lead() {
                            return Ok(Followed::Leader(leader, slot));
                        }
                    }
                }
                View::Following if patience <= Delta::ZERO => self.close(),
                View::Following => {
                    following();
                    self.sleep(&mut patience)?;
                }
                View::Removed => self.sleep(&mut patience)?,
            }
        }
    }

    /// Sleeps until the follower is woken or its patience, which becomes shorter, is at its end.
    ///
    /// Returns [`NoSlot::Busy`] if the system is to be suspended and waits for this request.
    fn sleep(&self, patience: &mut Delta) -> Result<(), NoSlot> {
        let start = Instant::<Monotonic>::now();
        let time = Delta::max(*patience, Delta::from_millis(1));
        let time = self.sharing.slots.patience(&self.waiting, time);

        match self.waiting.woken().wait_killable_timeout(time) {
            WaitResult::Killed => return Err(NoSlot::Killed),
            _ if self.sharing.slots.holds_suspend_up(&self.waiting) => return Err(NoSlot::Busy),
            _ => (),
        }
        *patience -= start.elapsed();
        Ok(())
    }

    /// Looks at the run.
    fn look(&self) -> View {
        if let Some(message) = self.mailbox.message.copy() {
            return View::Told(message);
        }
        let mut bucket = self.sharing.lock(&self.target);
        let Some(run) = bucket.runs.get_mut(&self.target) else {
            return View::Removed;
        };
        if run.followers_with(self.waiting.ticket()).is_none() {
            View::Removed
        } else if run.has_leader() {
            View::Following
        } else {
            View::Leaderless
        }
    }

    /// Takes the lead, if the follower is in the run and there is no leader.
    fn lead(&self) -> Option<Leader> {
        let mut bucket = self.sharing.lock(&self.target);
        let run = bucket.runs.get_mut(&self.target)?;
        if run.has_leader() {
            return None;
        }
        let node = run.early.remove_node(&self.waiting.ticket())?;

        // INVARIANT: The leader that is counted here is the one that is returned.
        run.leaders += 1;
        drop(bucket);
        drop(node);

        self.sharing.wake(&self.target);
        Some(Leader::new(&self.sharing, &self.target))
    }

    /// Closes the run, if the follower is in it and there is a leader: all followers are told.
    fn close(&self) {
        let mut alone = RBTree::new();
        let mut attached = None;
        {
            let mut bucket = self.sharing.lock(&self.target);
            let Some(run) = bucket.runs.get_mut(&self.target) else {
                return;
            };
            if run.has_leader() && run.followers_with(self.waiting.ticket()).is_some() {
                run.is_closed = true;
                mem::swap(&mut alone, &mut run.early);
                move_all(&mut run.late, &mut alone);
                attached = run.attached.take();
            }
        }
        tell_all(&alone, Message::Alone);
        if let Some(Attached { turn, .. }) = attached {
            self.sharing.attachments.unanswered(turn);
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let ticket = self.waiting.ticket();
        let mut bucket = self.sharing.lock(&self.target);
        let Some(run) = bucket.runs.get_mut(&self.target) else {
            return;
        };
        let Some(followers) = run.followers_with(ticket) else {
            return;
        };
        let node = followers.remove_node(&ticket);
        // INVARIANT: A run without a leader has early followers only; the last one takes it along.
        let run = if run.leaders == 0 && run.early.is_empty() {
            bucket.remove(&self.target)
        } else {
            None
        };
        drop(bucket);
        drop((node, run));
    }
}

#[kunit_tests(kmod_rs_sharing)]
mod tests {
    use super::*;
    use crate::{
        firewall::policy::Services,
        wrappers::{
            modprobe_path::ModprobePath,
            name::Name,
            private_symbols::PrivateSymbols, //
        }, //
    };
    use core::ops::Deref;
    use kernel::sync::atomic::{
        Atomic,
        Relaxed, //
    };

    const FAILURE: Result<WaitStatus> = Err(EIO);
    /// Longer than any test takes.
    const FOLLOW_MS: u32 = 60_000;
    const CLAIM: Claim = Claim {
        is_nested: false,
        account: 0,
    };

    /// Counts what leaders report.
    struct Reports {
        answered: Atomic<u32>,
        unanswered: Atomic<u32>,
    }

    impl Attachments for Reports {
        fn answered(&self, _: Turn) {
            self.answered.add(1, Relaxed);
        }

        fn unanswered(&self, _: Turn) {
            self.unanswered.add(1, Relaxed);
        }
    }

    struct Tested {
        sharing: Arc<Sharing>,
        reports: Arc<Reports>,
    }

    impl Deref for Tested {
        type Target = Arc<Sharing>;

        fn deref(&self) -> &Arc<Sharing> {
            &self.sharing
        }
    }

    fn sharing() -> Result<Tested> {
        let slots = Arc::pin_init(Slots::new(), GFP_KERNEL)?;
        let reports = Reports {
            answered: Atomic::new(0),
            unanswered: Atomic::new(0),
        };
        let reports = Arc::new(reports, GFP_KERNEL)?;
        Ok(Tested {
            sharing: Arc::pin_init(Sharing::new(slots, reports.clone()), GFP_KERNEL)?,
            reports,
        })
    }

    fn target(name: &CStr) -> Result<Target> {
        Target::new(
            Name::new(name),
            ModprobePath::read(PrivateSymbols::find()?)?,
            Services::NONE,
        )
    }

    fn lead(sharing: &Arc<Sharing>, target: &Target) -> Result<Leader> {
        match sharing.join(target, CLAIM)? {
            Role::Leader(leader, _) => Ok(leader),
            _ => Err(EINVAL),
        }
    }

    fn follow(sharing: &Arc<Sharing>, target: &Target) -> Result<Follower> {
        match sharing.join(target, CLAIM)? {
            Role::Follower(follower) => Ok(follower),
            _ => Err(EINVAL),
        }
    }

    fn wait(follower: Follower, timeout_ms: u32) -> Result<Followed> {
        follower.wait(timeout_ms, || ()).map_err(|_| EINVAL)
    }

    fn has_outcome(follower: Follower, expected: Result<WaitStatus>) -> bool {
        matches!(wait(follower, FOLLOW_MS), Ok(Followed::Outcome(outcome)) if outcome == expected)
    }

    /// Awaits that the follower becomes the leader.
    fn leads(follower: Follower) -> Result<Leader> {
        match wait(follower, FOLLOW_MS)? {
            Followed::Leader(leader, _) => Ok(leader),
            _ => Err(EINVAL),
        }
    }

    fn is_alone(sharing: &Arc<Sharing>, target: &Target) -> bool {
        matches!(sharing.join(target, CLAIM), Ok(Role::Alone))
    }

    #[test]
    fn success_is_for_all() -> Result {
        let (sharing, a) = (sharing()?, target(c"a")?);
        let leader = lead(&sharing, &a)?;
        let early = follow(&sharing, &a)?;
        leader.started();
        let late = follow(&sharing, &a)?;
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
        let early = follow(&sharing, &a)?;
        leader.started();
        let late = [follow(&sharing, &a)?, follow(&sharing, &a)?];
        leader.tell(FAILURE);
        assert!(has_outcome(early, FAILURE));

        // The first late follower to get a slot runs a helper for all of them.
        let [first, second] = late;
        let leader = leads(first)?;
        let newcomer = follow(&sharing, &a)?;
        leader.started();
        leader.tell(FAILURE);
        assert!(has_outcome(second, FAILURE));
        assert!(has_outcome(newcomer, FAILURE));
        assert!(lead(&sharing, &a).is_ok());
        Ok(())
    }

    #[test]
    fn a_leader_that_leaves_is_replaced() -> Result {
        let (sharing, a) = (sharing()?, target(c"a")?);
        let leader = lead(&sharing, &a)?;
        let first = follow(&sharing, &a)?;
        let second = follow(&sharing, &a)?;
        drop(leader);
        let leader = leads(second)?;
        // The helper could not be started, so this is not the answer for others.
        leader.tell(FAILURE);
        assert!(leads(first).is_ok());
        assert!(lead(&sharing, &a).is_ok());
        Ok(())
    }

    #[test]
    fn an_end_that_is_no_answer_leaves_all_without_a_leader() -> Result {
        let (sharing, a) = (sharing()?, target(c"a")?);
        let leader = lead(&sharing, &a)?;
        let early = follow(&sharing, &a)?;
        leader.started();
        let late = follow(&sharing, &a)?;
        drop(leader);
        let leader = leads(late)?;
        leader.started();
        leader.tell(FAILURE);
        assert!(has_outcome(early, FAILURE));
        Ok(())
    }

    #[test]
    fn all_wait_for_a_slot_and_the_first_leads() -> Result {
        let (sharing, a) = (sharing()?, target(c"a")?);
        sharing.slots.set_limit(1);
        let busy = sharing.slots.try_take();
        let first = follow(&sharing, &a)?;
        let second = follow(&sharing, &a)?;
        assert!(matches!(first.look(), View::Leaderless));

        // A newcomer leads, if it gets the slot.
        drop(busy);
        let leader = lead(&sharing, &a)?;
        assert!(matches!(first.look(), View::Following));
        assert!(first.lead().is_none());
        drop(leader);
        let leader = leads(second)?;
        leader.started();
        leader.tell(Ok(WaitStatus::SUCCESS));
        assert!(has_outcome(first, Ok(WaitStatus::SUCCESS)));
        Ok(())
    }

    #[test]
    fn a_run_that_takes_too_long_is_closed() -> Result {
        let (sharing, a) = (sharing()?, target(c"a")?);
        let leader = lead(&sharing, &a)?;
        let early = follow(&sharing, &a)?;
        leader.started();
        let late = follow(&sharing, &a)?;
        assert!(matches!(wait(late, 1)?, Followed::Alone(_)));
        let alone = sharing.alone(&a);
        assert!(alone.is_some());
        assert!(matches!(wait(early, FOLLOW_MS)?, Followed::Alone(_)));
        assert!(is_alone(&sharing, &a));
        assert!(sharing.attachable(&a) == Attachable::No);

        // It is open again when none of its helpers is left.
        leader.tell(FAILURE);
        assert!(is_alone(&sharing, &a));
        drop(alone);
        assert!(sharing.alone(&a).is_none());
        assert!(lead(&sharing, &a).is_ok());
        Ok(())
    }

    #[test]
    fn who_does_not_wait_is_attached_to_a_leader() -> Result {
        let (sharing, a) = (sharing()?, target(c"a")?);
        let reports = |answered, unanswered| {
            let reports = &sharing.reports;
            assert_eq!(reports.answered.load(Relaxed), answered);
            assert_eq!(reports.unanswered.load(Relaxed), unanswered);
        };
        let turn = Turn::of_test(1);
        let attach = || {
            assert!(sharing.attachable(&a) == Attachable::Yes);
            sharing.attach(&a, turn);
            assert!(sharing.attachable(&a) == Attachable::Taken(turn));
        };
        assert!(sharing.attachable(&a) == Attachable::No);
        sharing.attach(&a, turn);
        reports(0, 1);

        // Attached before the helper is executed: each answer is one for it.
        for outcome in [FAILURE, Ok(WaitStatus::SUCCESS)] {
            let leader = lead(&sharing, &a)?;
            attach();
            leader.started();
            leader.tell(outcome);
        }
        reports(2, 1);

        // Later: a success only. Also if only an equal one came later.
        for late in [true, false] {
            for outcome in [FAILURE, Ok(WaitStatus::SUCCESS)] {
                let leader = lead(&sharing, &a)?;
                if late {
                    leader.started();
                    attach();
                } else {
                    attach();
                    leader.started();
                    assert!(sharing.attachable(&a) == Attachable::Taken(turn));
                }
                leader.tell(outcome);
            }
        }
        reports(4, 3);

        // Without an answer, or without a helper, it is not served.
        let leader = lead(&sharing, &a)?;
        attach();
        leader.started();
        drop(leader);
        let leader = lead(&sharing, &a)?;
        attach();
        leader.tell(FAILURE);
        reports(4, 5);

        // Nor if the run is closed.
        let leader = lead(&sharing, &a)?;
        leader.started();
        attach();
        assert!(matches!(
            wait(follow(&sharing, &a)?, 1)?,
            Followed::Alone(_)
        ));
        reports(4, 6);
        assert!(sharing.attachable(&a) == Attachable::No);
        drop(leader);
        reports(4, 6);
        Ok(())
    }

    #[test]
    fn of_two_that_are_attached_the_last_one_counts() -> Result {
        let (sharing, a) = (sharing()?, target(c"a")?);
        let leader = lead(&sharing, &a)?;
        for ticket in [1, 3, 2] {
            sharing.attach(&a, Turn::of_test(ticket));
        }
        assert!(sharing.attachable(&a) == Attachable::Taken(Turn::of_test(3)));
        drop(leader);
        Ok(())
    }

    #[test]
    fn the_last_who_leaves_takes_the_run_along() -> Result {
        let (sharing, a) = (sharing()?, target(c"a")?);
        let leader = lead(&sharing, &a)?;
        let first = follow(&sharing, &a)?;
        let second = follow(&sharing, &a)?;
        drop(leader);
        drop(first);
        assert!(sharing.lock(&a).runs.get(&a).is_some());
        drop(second);
        assert!(sharing.lock(&a).runs.get(&a).is_none());
        Ok(())
    }

    #[test]
    fn others_do_not_meet() -> Result {
        let sharing = sharing()?;
        let leaders = [
            lead(&sharing, &target(c"a")?)?,
            lead(&sharing, &target(c"b")?)?,
        ];
        assert!(sharing.attachable(&target(c"c")?) == Attachable::No);
        drop(leaders);
        Ok(())
    }
}
