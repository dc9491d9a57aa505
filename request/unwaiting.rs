// SPDX-License-Identifier: GPL-2.0

//! Requests that do not wait: how many of their helpers run at the same time, and which of these
//! requests share one.
//!
//! Has no counterpart in the C code, where a request that does not wait gives its slot back as soon
//! as the program has been executed, so that nothing bounds how many such helpers run.
//!
//! A [`Permit`] is the right to run the helper of one request that does not wait. There are as many
//! permits as slots, but they are apart from the slots: these requests never take a slot from one
//! that waits. A permit is in use until the process of the helper has exited.
//!
//! A request that gets no permit is kept: it returns, and its helper is started later. Nobody
//! sleeps for that. When a permit is given back, accounts take turns as in the queue for slots.
//!
//! Equal requests share. What a request is told is 0, so what counts is that a helper is executed
//! for it, when the request was made or later. Each target has at most one helper, and at most one
//! request that is kept:
//!
//! - A request that comes while one is kept for its target is served by that one's helper.
//! - A request that comes while a helper runs for its target is kept until that helper has exited.
//!   If the helper has not been executed yet, it serves that request, too, which is then dropped.
//! - A request that comes while the helper of an equal request that waits runs, or is about to run,
//!   is attached to it: it is kept until that helper has ended, and dropped if that serves it.

use super::target::Target;
use crate::{
    concurrency::{
        Slots,
        Turns, //
    },
    wrappers::{
        exit::{
            Notice,
            OnExit, //
        },
        job::{
            Job,
            Progress,
            Steps, //
        },
        modprobe_path,
        module::Reference,
        pid::ThreadGroup,
        private_symbols::PrivateSymbols,
        requester::Account, //
    }, //
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
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Arc,
        SpinLock, //
    }, //
};

/// How many requests can be kept.
const MAX_KEPT: usize = 256;

/// How many requests on one account can be kept.
const MAX_KEPT_OF_ACCOUNT: usize = MAX_KEPT / 4;

/// A request that does not wait, as far as its helper has not been started.
pub(crate) trait Startable: Send + Sync + Sized + 'static {
    /// Returns its permit.
    fn permit(&self) -> Option<&Permit<Self>>;

    /// Starts its helper, and does not wait.
    ///
    /// Returns the request if helpers are disabled.
    ///
    /// Context: may sleep.
    fn start(this: KBox<Self>, reference: &Reference) -> Result<(), KBox<Self>>;

    /// Called for a request that is not kept any more, and whose helper is not started.
    ///
    /// Context: may sleep.
    fn dropped(this: KBox<Self>, why: Dropped);
}

/// Why the helper of a request that was kept is not started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dropped {
    /// The helper of an equal request serves it.
    Shared,
    /// `/proc/sys/kernel/modprobe` is empty.
    SwitchedOff,
}

/// Identifies a request that does not wait, and says when it is its turn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Turn {
    /// The number of the request's account.
    account: u64,
    /// A number that no other request has. Requests are numbered as they are made.
    ticket: u64,
}

impl Turn {
    /// Returns a turn of account 0.
    #[cfg_attr(not(CONFIG_KUNIT = "y"), expect(dead_code, reason = "for tests"))]
    pub(crate) const fn of_test(ticket: u64) -> Self {
        Self { account: 0, ticket }
    }

    /// Returns whether the request was made before the other one.
    pub(crate) fn is_before(self, other: Self) -> bool {
        self.ticket < other.ticket
    }
}

/// Whether a request can be attached to the leader of equal requests that wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attachable {
    /// There is no leader.
    No,
    /// There is a leader, to which none is attached.
    Yes,
    /// There is a leader, to which this one is attached.
    Taken(Turn),
}

/// Where a leader reports what has become of the request that is attached to it.
pub(crate) trait Attachments: Send + Sync {
    /// The leader's helper has served the request.
    ///
    /// Context: may sleep.
    fn answered(&self, attached: Turn);

    /// The leader's helper has not served the request.
    ///
    /// Context: may sleep.
    fn unanswered(&self, attached: Turn);
}

/// The right to run a helper, once it was given to the request that this value belongs to.
///
/// If it was not handed over to a process, dropping it gives it back.
pub(crate) struct Permit<K: Startable> {
    job: Arc<Job<GiveBack<K>>>,
    /// Whether the permit is in use, and this value has to give it back.
    is_own: Atomic<bool>,
}

/// Gives a permit back.
struct GiveBack<K: Startable> {
    unwaiting: Arc<Unwaiting<K>>,
    turn: Turn,
    /// The target, if the request shares.
    target: Option<Target>,
    /// Whether the job has begun.
    is_begun: Atomic<bool>,
}

/// Gives a permit back when a process has exited.
struct Exit<K: Startable>(Arc<Job<GiveBack<K>>>);

/// A process that has a permit, and the notice of its end.
type Process<K> = Pin<KBox<Notice<Exit<K>>>>;

/// A request that is kept.
struct Kept<K> {
    /// The request; [`None`] while its helper is being started.
    what: Option<KBox<K>>,
    /// The target, if the request shares.
    target: Option<Target>,
    /// Whether it waits for a helper to end, and not for a permit.
    is_blocked: bool,
    /// What is kept pins the module. (A process that has a permit does not.)
    _reference: Reference,
}

/// The helper that runs for a target.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runner {
    /// That of a request that does not wait, which has not been executed.
    Starting,
    /// The same, from when it is about to be executed until it has exited.
    Started,
    /// That of a leader. The request that is kept is attached to it.
    Leader,
}

/// The equal requests for one target that share.
///
/// # Invariants
///
/// - There is a runner, or a request that is kept. If the runner is a leader, there are both.
/// - `kept` is in [`Inner::kept`], its helper is not being started, and it is blocked if and only
///   if there is a runner.
struct Run {
    runner: Option<Runner>,
    kept: Option<Turn>,
}

/// What changes.
struct Inner<K: Startable> {
    /// How many permits are in use.
    in_use: u32,
    /// The processes that have permits.
    processes: RBTree<u64, Process<K>>,
    kept: RBTree<Turn, Kept<K>>,
    /// How many there are in `kept`; changes only while this is locked.
    count: Arc<Atomic<u64>>,
    turns: Turns,
    runs: RBTree<Target, Run>,
    /// How often helpers have been allowed again after a suspend.
    resumed: u64,
}

/// The requests that do not wait.
#[pin_data]
pub(crate) struct Unwaiting<K: Startable> {
    /// They say how many permits there are.
    slots: Arc<Slots>,
    symbols: PrivateSymbols,
    /// The ticket of the next request.
    next_ticket: Atomic<u64>,
    #[pin]
    inner: SpinLock<Inner<K>>,
}

/// What becomes of a request.
pub(crate) enum Entered<K> {
    /// It has a permit, and its helper is to be run now.
    Now(KBox<K>),
    /// It is kept.
    Kept,
    /// It was dropped: another one that is kept serves it.
    Shared,
}

/// Why a request is refused.
pub(crate) enum NotEntered {
    /// Too many requests are kept.
    Full,
    /// There is no memory.
    NoMemory,
}

impl From<Error> for NotEntered {
    fn from(_: Error) -> Self {
        Self::NoMemory
    }
}

impl<K: Startable> Inner<K> {
    /// Returns whether another request on an account can be kept.
    fn has_room(&self, account: u64) -> bool {
        let of_account = || self.kept.keys().filter(|turn| turn.account == account);
        // CAST: Small numbers.
        (self.count.load(Relaxed) as usize) < MAX_KEPT && of_account().count() < MAX_KEPT_OF_ACCOUNT
    }

    /// Returns the request that gets the next permit. Accounts take turns.
    fn next(&self) -> Option<Turn> {
        self.turns.next(
            |account| {
                self.kept
                    .iter()
                    .skip_while(|(turn, _)| turn.account < account)
                    .find(|(_, kept)| !kept.is_blocked && kept.what.is_some())
                    .map(|(turn, _)| *turn)
            },
            |turn| turn.account,
        )
    }

    /// Keeps a request.
    fn keep(&mut self, node: RBTreeNode<Turn, Kept<K>>) {
        self.kept.insert(node);
        self.count.add(1, Relaxed);
    }

    /// Keeps a request no longer. What is returned must be dropped without the lock.
    fn remove(&mut self, turn: Turn) -> Option<Kept<K>> {
        let node = self.kept.remove_node(&turn)?;
        self.count.fetch_sub(1, Relaxed);
        Some(node.to_key_value().1)
    }

    /// Removes the run of a target if there is neither a runner nor a request that is kept.
    fn tidy(&mut self, target: &Target) {
        if let Some(Run {
            runner: None | Some(Runner::Leader),
            kept: None,
        }) = self.runs.get(target)
        {
            self.runs.remove(target);
        }
    }

    /// Notes that the helper of a target is about to be executed.
    ///
    /// It serves the request that is returned, which must be dropped without the lock.
    fn execute(&mut self, target: &Target) -> Option<Kept<K>> {
        let run = self.runs.get_mut(target)?;
        run.runner = Some(Runner::Started);
        let served = run.kept.take()?;
        self.remove(served)
    }

    /// Notes that a target has no runner any more.
    fn release(&mut self, target: &Target) {
        let Some(run) = self.runs.get_mut(target) else {
            return;
        };
        run.runner = None;
        if let Some(kept) = run.kept.and_then(|turn| self.kept.get_mut(&turn)) {
            kept.is_blocked = false;
        }
        self.tidy(target);
    }

    /// Returns the target of a request that is attached to a leader.
    fn attached(&self, turn: Turn) -> Option<Target> {
        let target = self.kept.get(&turn)?.target.as_ref()?;
        let run = self.runs.get(target)?;
        let is_attached = run.runner == Some(Runner::Leader) && run.kept == Some(turn);
        is_attached.then(|| target.clone())
    }
}

impl<K: Startable> Unwaiting<K> {
    /// Creates a value without requests.
    ///
    /// There are as many permits as slots. `count` is kept up to date: how many requests are kept.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new(
        slots: Arc<Slots>,
        symbols: PrivateSymbols,
        count: Arc<Atomic<u64>>,
    ) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                slots,
                symbols,
                next_ticket: Atomic::new(0),
                inner <- new_spinlock!(
                    Inner {
                        in_use: 0,
                        processes: RBTree::new(),
                        kept: RBTree::new(),
                        count,
                        turns: Turns::new(),
                        runs: RBTree::new(),
                        resumed: 0,
                    },
                    "kmod_rs::Unwaiting::inner"
                ),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns a permit, which is not in use, for a request on `account`. If the request shares,
    /// `target` is what it is for.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn permit(
        self: &Arc<Self>,
        account: Account,
        target: Option<&Target>,
    ) -> Result<Permit<K>> {
        let steps = GiveBack {
            unwaiting: self.clone(),
            turn: Turn {
                account: account.number(),
                // ORDERING: Only the number matters.
                ticket: self.next_ticket.fetch_add(1, Relaxed),
            },
            target: target.cloned(),
            is_begun: Atomic::new(false),
        };
        Ok(Permit {
            job: Arc::pin_init(Job::new(steps), GFP_KERNEL)?,
            is_own: Atomic::new(false),
        })
    }

    /// Decides about a request, which has a permit with this turn.
    ///
    /// If it shares, `target` is what it is for, and `attachable` says which leader has been seen.
    /// If there is one, and the request is kept, the caller attaches it or, if that is not possible
    /// any more, calls [`Attachments::unanswered`].
    ///
    /// Context: may sleep. Takes `inner`.
    pub(crate) fn enter(
        &self,
        what: KBox<K>,
        turn: Turn,
        target: Option<&Target>,
        attachable: Attachable,
        reference: Reference,
    ) -> Result<Entered<K>, NotEntered> {
        let place = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let run_place = RBTreeNodeReservation::new(GFP_KERNEL)?;

        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        let is_free = inner.in_use < self.slots.limit() && inner.next().is_none();

        let runner = match target.and_then(|target| inner.runs.get(target).zip(Some(target))) {
            Some((
                Run {
                    kept: Some(kept),
                    runner,
                },
                target,
            )) => {
                // Another leader's helper has ended, and is about to report that. It was executed
                // before this request was made, so it does not serve it.
                let is_over =
                    *runner == Some(Runner::Leader) && attachable != Attachable::Taken(*kept);
                if is_over {
                    inner.release(target);
                }
                drop(guard);
                if is_over {
                    self.pump();
                }
                return Ok(Entered::Shared);
            }
            Some((run, _)) => run.runner,
            None if attachable != Attachable::No => Some(Runner::Leader),
            None if is_free => {
                if let Some(target) = target {
                    let run = Run {
                        runner: Some(Runner::Starting),
                        kept: None,
                    };
                    inner.runs.insert(run_place.into_node(target.clone(), run));
                }
                inner.in_use += 1;
                give(&*what);
                return Ok(Entered::Now(what));
            }
            None => None,
        };

        if !inner.has_room(turn.account) {
            return Err(NotEntered::Full);
        }
        if let Some(target) = target {
            match inner.runs.get_mut(target) {
                Some(run) => run.kept = Some(turn),
                None => {
                    let run = Run {
                        runner,
                        kept: Some(turn),
                    };
                    inner.runs.insert(run_place.into_node(target.clone(), run));
                }
            }
        }
        let kept = Kept {
            what: Some(what),
            target: target.cloned(),
            is_blocked: runner.is_some(),
            _reference: reference,
        };
        inner.keep(place.into_node(turn, kept));
        drop(guard);

        if runner.is_none() {
            // A permit may be free: if helpers were disabled when others were to be started.
            self.pump();
        }
        Ok(Entered::Kept)
    }

    /// Starts helpers of requests that are kept, as long as there are permits.
    ///
    /// If `/proc/sys/kernel/modprobe` is empty, all that are kept are dropped instead.
    ///
    /// Context: may sleep. Takes `inner`.
    pub(crate) fn pump(&self) {
        // If the module is being unloaded, nothing is kept.
        let Ok(reference) = Reference::try_get() else {
            return;
        };
        loop {
            if modprobe_path::is_empty(self.symbols) {
                return self.drop_all();
            }
            let Some((turn, what, resumed)) = self.take_next() else {
                return;
            };
            match K::start(what, &reference) {
                Ok(()) => {
                    let started = self.inner.lock().remove(turn);
                    // Only now, without the lock.
                    drop(started);
                }
                Err(what) => {
                    if !self.put_back(turn, what, resumed) {
                        return;
                    }
                }
            }
        }
    }

    /// Returns how many requests are kept.
    ///
    /// Context: any but interrupts. Takes `inner`.
    pub(crate) fn kept(&self) -> u64 {
        self.inner.lock().count.load(Relaxed)
    }

    /// Reports that helpers are allowed again after a suspend.
    ///
    /// Context: may sleep. Takes `inner`.
    pub(crate) fn resume(&self) {
        self.inner.lock().resumed += 1;
        self.pump();
    }

    /// Has nobody notified of the end of a process any more.
    ///
    /// For the exit of the module. Also needed because the processes refer to this value.
    ///
    /// Context: may sleep. Takes `inner`.
    pub(crate) fn close(&self) {
        let processes = mem::take(&mut self.inner.lock().processes);
        // Only now, without the lock: this takes the locks of wait queues.
        drop(processes);
    }

    /// Gives the next permit to the request whose turn it is. Its helper is to be started.
    ///
    /// Also returns [`Inner::resumed`].
    fn take_next(&self) -> Option<(Turn, KBox<K>, u64)> {
        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        if inner.in_use >= self.slots.limit() {
            return None;
        }
        let turn = inner.next()?;
        let kept = inner.kept.get_mut(&turn)?;
        let what = kept.what.take()?;
        if let Some(run) = kept
            .target
            .as_ref()
            .and_then(|target| inner.runs.get_mut(target))
        {
            run.runner = Some(Runner::Starting);
            run.kept = None;
        }
        inner.in_use += 1;
        inner.turns.take(turn.account);
        give(&*what);
        Some((turn, what, inner.resumed))
    }

    /// Keeps a request whose helper could not be started because helpers are disabled.
    ///
    /// Returns whether they have been allowed again meanwhile.
    fn put_back(&self, turn: Turn, what: KBox<K>, resumed: u64) -> bool {
        if let Some(permit) = what.permit() {
            // ORDERING: Nobody else has this request.
            permit.is_own.store(false, Relaxed);
        }
        let mut later = None;
        let mut guard = self.inner.lock();
        let inner = &mut *guard;

        inner.in_use -= 1;
        let Some(kept) = inner.kept.get_mut(&turn) else {
            return false;
        };
        kept.what = Some(what);
        if let Some(run) = kept
            .target
            .as_ref()
            .and_then(|target| inner.runs.get_mut(target))
        {
            run.runner = None;
            // This one will serve the one that came later.
            later = run.kept.replace(turn);
        }
        let later = later.and_then(|turn| inner.remove(turn));
        let is_resumed = inner.resumed != resumed;
        drop(guard);

        drop_kept(later, Dropped::Shared);
        is_resumed
    }

    /// Drops all requests that are kept.
    fn drop_all(&self) {
        loop {
            let mut guard = self.inner.lock();
            let inner = &mut *guard;
            let turn = inner
                .kept
                .iter()
                .find(|(_, kept)| kept.what.is_some())
                .map(|(turn, _)| *turn);
            let kept = turn.and_then(|turn| inner.remove(turn));
            let Some(kept) = kept else {
                return;
            };
            if let Some(target) = &kept.target {
                if let Some(run) = inner.runs.get_mut(target) {
                    run.kept = None;
                }
                inner.tidy(target);
            }
            drop(guard);
            drop_kept(Some(kept), Dropped::SwitchedOff);
        }
    }

    /// Notes that a process has a permit. A helper is about to be executed, which serves the equal
    /// request that is kept.
    fn hand_over(&self, process: RBTreeNode<u64, Process<K>>, target: Option<&Target>) {
        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        inner.processes.insert(process);
        let served = target.and_then(|target| inner.execute(target));
        drop(guard);

        drop_kept(served, Dropped::Shared);
    }

    /// Takes a permit back. The request that had it is this one.
    fn give_back(&self, turn: Turn, target: Option<&Target>) {
        let mut guard = self.inner.lock();
        let inner = &mut *guard;

        let process = inner.processes.remove_node(&turn.ticket);
        inner.in_use -= 1;
        if let Some(target) = target {
            inner.release(target);
        }
        drop(guard);
        // Only now, without the lock: this takes the lock of a wait queue.
        drop(process);

        self.pump();
    }
}

/// Notes that a request has got its permit.
fn give<K: Startable>(what: &K) {
    if let Some(permit) = what.permit() {
        // ORDERING: The request is passed on by its owner, to which this store belongs.
        permit.is_own.store(true, Relaxed);
    }
}

/// Drops a request that is not kept any more, without a lock.
fn drop_kept<K: Startable>(kept: Option<Kept<K>>, why: Dropped) {
    let Some(mut kept) = kept else {
        return;
    };
    if let Some(what) = kept.what.take() {
        K::dropped(what, why);
    }
}

impl<K: Startable> Attachments for Unwaiting<K> {
    fn answered(&self, attached: Turn) {
        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        let Some(target) = inner.attached(attached) else {
            return;
        };
        let kept = inner.remove(attached);
        inner.runs.remove(&target);
        drop(guard);

        drop_kept(kept, Dropped::Shared);
    }

    fn unanswered(&self, attached: Turn) {
        let mut guard = self.inner.lock();
        let Some(target) = guard.attached(attached) else {
            return;
        };
        guard.release(&target);
        drop(guard);

        self.pump();
    }
}

impl<K: Startable> Permit<K> {
    /// Returns the turn of the request.
    pub(crate) fn turn(&self) -> Turn {
        self.job.steps().turn
    }

    /// Hands the permit over to the current process, which is about to execute the program: from
    /// now on the permit is in use until the process has exited.
    ///
    /// To be called once. Returns [`ENOMEM`], or [`ESRCH`] if the task has no thread group.
    ///
    /// Context: in the helper's own task; may sleep. Takes `inner`.
    pub(crate) fn hand_over(&self) -> Result {
        let steps = self.job.steps();
        let group = ThreadGroup::current().ok_or(ESRCH)?;
        let place = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let process = KBox::pin_init(Notice::new(group, Exit(self.job.clone())), GFP_KERNEL)?;

        steps.unwaiting.hand_over(
            place.into_node(steps.turn.ticket, process),
            steps.target.as_ref(),
        );
        // ORDERING: The kernel's usermode helper orders this before the drop of this value.
        self.is_own.store(false, Relaxed);
        Ok(())
    }
}

impl<K: Startable> Drop for Permit<K> {
    fn drop(&mut self) {
        // ORDERING: The stores to it happened before this value was given to whoever drops it.
        if self.is_own.load(Relaxed) {
            give_back(&self.job);
        }
    }
}

/// Has a permit given back, by a worker: helpers may be started then.
///
/// Context: any.
fn give_back<K: Startable>(job: &Arc<Job<GiveBack<K>>>) {
    // If the module is being unloaded, nobody needs the permit any more.
    if !job.steps().is_begun.xchg(true, Full) && job.begin().is_ok() {
        job.queue();
    }
}

impl<K: Startable> OnExit for Exit<K> {
    fn exited(&self) {
        give_back(&self.0);
    }
}

impl<K: Startable> Steps for GiveBack<K> {
    fn step(&self, _job: &Arc<Job<Self>>) -> Progress {
        self.unwaiting.give_back(self.turn, self.target.as_ref());
        Progress::Done
    }
}

#[kunit_tests(kmod_rs_unwaiting)]
mod tests {
    use super::*;
    use crate::{
        firewall::policy::Services,
        wrappers::{
            modprobe_path::ModprobePath,
            name::Name, //
        }, //
    };

    /// What becomes of requests, in order.
    #[pin_data]
    struct Log {
        are_disabled: Atomic<bool>,
        #[pin]
        said: SpinLock<KVec<(&'static str, u64)>>,
    }

    /// A request, known by its number.
    struct Fake {
        log: Arc<Log>,
        number: u64,
        permit: Permit<Fake>,
    }

    impl Log {
        fn say(&self, what: &'static str, number: u64) {
            // There is room.
            let _ = self.said.lock().push_within_capacity((what, number));
        }
    }

    impl Startable for Fake {
        fn permit(&self) -> Option<&Permit<Self>> {
            Some(&self.permit)
        }

        fn start(this: KBox<Self>, _: &Reference) -> Result<(), KBox<Self>> {
            if this.log.are_disabled.load(Relaxed) {
                return Err(this);
            }
            this.log.say("started", this.number);
            this.has_process();
            Ok(())
        }

        fn dropped(this: KBox<Self>, why: Dropped) {
            this.log.say(
                match why {
                    Dropped::Shared => "shared",
                    Dropped::SwitchedOff => "off",
                },
                this.number,
            );
        }
    }

    impl Fake {
        /// Instead of [`Permit::hand_over`], which takes the current process.
        fn has_process(&self) {
            self.permit.is_own.store(false, Relaxed);
        }
    }

    struct Tested {
        unwaiting: Arc<Unwaiting<Fake>>,
        log: Arc<Log>,
    }

    impl Tested {
        fn new(limit: u32) -> Result<Self> {
            let slots = Arc::pin_init(Slots::new(), GFP_KERNEL)?;
            slots.set_limit(limit);
            let count = Arc::new(Atomic::new(0), GFP_KERNEL)?;
            let said = KVec::with_capacity(2 * MAX_KEPT, GFP_KERNEL)?;

            Ok(Self {
                unwaiting: Unwaiting::new(slots, PrivateSymbols::find()?, count)?,
                log: Arc::pin_init(
                    pin_init!(Log {
                        are_disabled: Atomic::new(false),
                        said <- new_spinlock!(said),
                    }),
                    GFP_KERNEL,
                )?,
            })
        }

        /// Makes a request that has this number, on an account with this number.
        fn ask_as(
            &self,
            number: u64,
            account: u32,
            target: Option<&Target>,
            attachable: Attachable,
        ) -> Result<Turn> {
            let permit = self.unwaiting.permit(Account::of_user(account), target)?;
            let turn = permit.turn();
            let request = Fake {
                log: self.log.clone(),
                number,
                permit,
            };
            let request = KBox::new(request, GFP_KERNEL)?;
            let reference = Reference::try_get()?;
            let said = match self
                .unwaiting
                .enter(request, turn, target, attachable, reference)
            {
                Ok(Entered::Now(request)) => {
                    request.has_process();
                    "now"
                }
                Ok(Entered::Kept) => "kept",
                Ok(Entered::Shared) => "merged",
                Err(NotEntered::Full) => "full",
                Err(NotEntered::NoMemory) => return Err(ENOMEM),
            };
            self.log.say(said, number);
            Ok(turn)
        }

        /// Makes a request that does not share.
        fn ask(&self, number: u64) -> Result<Turn> {
            self.ask_as(number, 0, None, Attachable::No)
        }

        /// Makes a request that shares.
        fn ask_for(&self, number: u64, target: &Target) -> Result<Turn> {
            self.ask_as(number, 0, Some(target), Attachable::No)
        }

        /// The process of a request exits.
        fn exit(&self, turn: Turn, target: Option<&Target>) {
            self.unwaiting.give_back(turn, target);
        }

        /// The helper of a request is about to be executed.
        fn execute(&self, target: &Target) {
            let served = self.unwaiting.inner.lock().execute(target);
            drop_kept(served, Dropped::Shared);
        }

        /// Checks what has become of requests since this was called last.
        fn check(&self, expected: &[(&'static str, u64)]) {
            let mut said = self.log.said.lock();
            assert!(**said == *expected);
            said.clear();
        }

        /// Checks that nothing is left.
        fn is_idle(&self) -> bool {
            let inner = self.unwaiting.inner.lock();
            inner.in_use == 0 && inner.runs.is_empty() && inner.kept.is_empty()
        }
    }

    fn target(name: &CStr) -> Result<Target> {
        Target::new(
            Name::new(name),
            ModprobePath::read(PrivateSymbols::find()?)?,
            Services::NONE,
        )
    }

    #[test]
    fn no_more_run_than_the_limit() -> Result {
        let tested = Tested::new(2)?;
        let turns = [
            tested.ask(1)?,
            tested.ask(2)?,
            tested.ask(3)?,
            tested.ask(4)?,
        ];
        tested.check(&[("now", 1), ("now", 2), ("kept", 3), ("kept", 4)]);
        assert_eq!(tested.unwaiting.kept(), 2);
        tested.exit(turns[1], None);
        tested.check(&[("started", 3)]);

        // The limit is raised.
        tested.unwaiting.slots.set_limit(3);
        tested.unwaiting.pump();
        tested.check(&[("started", 4)]);
        assert_eq!(tested.unwaiting.kept(), 0);

        // Or lowered.
        tested.unwaiting.slots.set_limit(1);
        tested.exit(turns[0], None);
        let last = tested.ask(5)?;
        tested.exit(turns[2], None);
        tested.check(&[("kept", 5)]);
        tested.exit(turns[3], None);
        tested.check(&[("started", 5)]);
        tested.exit(last, None);
        assert!(tested.is_idle());
        Ok(())
    }

    #[test]
    fn accounts_take_turns() -> Result {
        let tested = Tested::new(1)?;
        let mut turns = KVec::new();
        for (number, account) in [(0, 5), (1, 5), (2, 5), (3, 5), (4, 0), (5, 0), (6, 9)] {
            turns.push(
                tested.ask_as(number, account, None, Attachable::No)?,
                GFP_KERNEL,
            )?;
        }
        tested.log.said.lock().clear();
        for (number, next) in [(0, 1), (1, 4), (4, 6), (6, 5), (5, 2), (2, 3)] {
            tested.exit(turns[number], None);
            tested.check(&[("started", next)]);
        }
        tested.exit(turns[3], None);
        assert!(tested.is_idle());
        Ok(())
    }

    #[test]
    fn so_many_are_kept_and_so_many_of_one_account() -> Result {
        let tested = Tested::new(1)?;
        let first = tested.ask(0)?;
        tested.check(&[("now", 0)]);
        for account in 0..4 {
            for _ in 0..MAX_KEPT_OF_ACCOUNT {
                tested.ask_as(1, account, None, Attachable::No)?;
            }
            tested.check(&[("kept", 1); MAX_KEPT_OF_ACCOUNT]);
            if account == 0 {
                tested.ask(2)?;
                tested.check(&[("full", 2)]);
            }
        }
        tested.ask_as(3, 4, None, Attachable::No)?;
        tested.check(&[("full", 3)]);
        assert_eq!(tested.unwaiting.kept(), MAX_KEPT as u64);

        tested.unwaiting.drop_all();
        assert_eq!(tested.log.said.lock().len(), MAX_KEPT);
        assert!(tested
            .log
            .said
            .lock()
            .iter()
            .all(|said| *said == ("off", 1)));
        tested.exit(first, None);
        assert!(tested.is_idle());
        Ok(())
    }

    #[test]
    fn equal_ones_share_a_helper() -> Result {
        let (tested, a) = (Tested::new(1)?, target(c"a")?);
        let first = tested.ask_for(1, &a)?;
        tested.check(&[("now", 1)]);

        // Before the helper is executed.
        tested.ask_for(2, &a)?;
        tested.ask_for(3, &a)?;
        tested.check(&[("kept", 2), ("merged", 3)]);
        tested.execute(&a);
        tested.check(&[("shared", 2)]);

        // Later: another helper, for all of them.
        let second = tested.ask_for(4, &a)?;
        tested.ask_for(5, &a)?;
        tested.check(&[("kept", 4), ("merged", 5)]);
        tested.exit(first, Some(&a));
        tested.check(&[("started", 4)]);
        tested.ask_for(6, &a)?;
        tested.execute(&a);
        tested.check(&[("kept", 6), ("shared", 6)]);
        tested.exit(second, Some(&a));
        assert!(tested.is_idle());
        Ok(())
    }

    #[test]
    fn a_helper_that_was_not_executed_serves_nobody() -> Result {
        let (tested, a) = (Tested::new(1)?, target(c"a")?);
        let first = tested.ask_for(1, &a)?;
        let second = tested.ask_for(2, &a)?;
        tested.exit(first, Some(&a));
        tested.check(&[("now", 1), ("kept", 2), ("started", 2)]);
        tested.exit(second, Some(&a));
        assert!(tested.is_idle());
        Ok(())
    }

    #[test]
    fn one_that_waits_for_a_helper_delays_nobody() -> Result {
        let (tested, a) = (Tested::new(2)?, target(c"a")?);
        let first = tested.ask_for(1, &a)?;
        let second = tested.ask_for(2, &a)?;
        let other = tested.ask(3)?;
        let last = tested.ask(4)?;
        tested.check(&[("now", 1), ("kept", 2), ("now", 3), ("kept", 4)]);
        tested.exit(other, None);
        tested.check(&[("started", 4)]);
        tested.exit(first, Some(&a));
        tested.check(&[("started", 2)]);
        tested.exit(second, Some(&a));
        tested.exit(last, None);
        assert!(tested.is_idle());
        Ok(())
    }

    #[test]
    fn disabled_helpers_are_started_later() -> Result {
        let (tested, a) = (Tested::new(1)?, target(c"a")?);
        let first = tested.ask(1)?;
        let second = tested.ask_for(2, &a)?;
        tested.log.are_disabled.store(true, Relaxed);
        tested.exit(first, None);
        tested.check(&[("now", 1), ("kept", 2)]);
        assert_eq!(tested.unwaiting.inner.lock().in_use, 0);

        // A permit is free, but another one is first.
        let third = tested.ask(3)?;
        tested.check(&[("kept", 3)]);
        tested.log.are_disabled.store(false, Relaxed);
        tested.unwaiting.resume();
        tested.check(&[("started", 2)]);
        tested.exit(second, Some(&a));
        tested.check(&[("started", 3)]);
        tested.exit(third, None);
        assert!(tested.is_idle());
        Ok(())
    }

    #[test]
    fn one_that_came_while_helpers_are_disabled_shares() -> Result {
        let (tested, a) = (Tested::new(1)?, target(c"a")?);
        let first = tested.ask(1)?;
        let second = tested.ask_for(2, &a)?;
        {
            let mut guard = tested.unwaiting.inner.lock();
            guard.in_use -= 1;
        }
        let Some((turn, request, resumed)) = tested.unwaiting.take_next() else {
            return Err(EINVAL);
        };
        assert!(turn == second);
        tested.ask_for(3, &a)?;
        tested.unwaiting.inner.lock().resumed += 1;
        assert!(tested.unwaiting.put_back(turn, request, resumed));
        tested.check(&[("now", 1), ("kept", 2), ("kept", 3), ("shared", 3)]);
        tested.unwaiting.pump();
        tested.check(&[("started", 2)]);
        tested.unwaiting.inner.lock().in_use += 1;
        tested.exit(first, None);
        tested.exit(second, Some(&a));
        assert!(tested.is_idle());
        Ok(())
    }

    #[test]
    fn one_that_is_attached_is_started_if_it_is_not_served() -> Result {
        let (tested, a) = (Tested::new(1)?, target(c"a")?);
        let attach = |number| tested.ask_as(number, 0, Some(&a), Attachable::Yes);
        let turn = attach(1)?;
        tested.ask_as(2, 0, Some(&a), Attachable::Taken(turn))?;
        tested.check(&[("kept", 1), ("merged", 2)]);
        tested.unwaiting.answered(turn);
        tested.check(&[("shared", 1)]);
        assert!(tested.is_idle());

        let turn = attach(3)?;
        tested.unwaiting.unanswered(turn);
        tested.check(&[("kept", 3), ("started", 3)]);
        // It has become another's business.
        tested.unwaiting.answered(turn);
        tested.exit(turn, Some(&a));
        assert!(tested.is_idle());

        // The leader has ended, and has not reported that yet.
        let turn = attach(4)?;
        tested.ask_for(5, &a)?;
        tested.check(&[("kept", 4), ("started", 4), ("merged", 5)]);
        tested.unwaiting.answered(turn);
        tested.exit(turn, Some(&a));
        assert!(tested.is_idle());

        // What is kept is dropped.
        let turn = attach(6)?;
        tested.unwaiting.drop_all();
        tested.unwaiting.unanswered(turn);
        tested.check(&[("kept", 6), ("off", 6)]);
        assert!(tested.is_idle());
        Ok(())
    }
}
