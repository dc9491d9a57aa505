// SPDX-License-Identifier: GPL-2.0

//! Ends helpers that take longer than `helper_timeout_ms`, if the administrator has set it.
//!
//! Has no counterpart in the C code, where a helper that hangs keeps its slot until its requester
//! is killed, and what hangs may not be the helper but a process that it has started.
//!
//! When the time is over, all that descends from the helper is killed, and what the helper runs on
//! (its slot) is kept until the last of these processes has ended. A helper that ends by itself
//! keeps nothing, whatever it has left running.

use crate::{
    log_limits::{
        Kind,
        LogLimits, //
    },
    request::{
        chain::Helper,
        lending::SlotUse, //
    },
    wrappers::{
        exit::Notice,
        job::{
            Job,
            Progress,
            Steps, //
        },
        name::Name,
        pid::ThreadGroup,
        private_symbols::PrivateSymbols,
        process_tree,
        requester::Account, //
    }, //
};
use core::{
    convert::Infallible,
    mem, //
};
use kernel::{
    impl_has_hr_timer, new_mutex,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow,
        Mutex,
        SetOnce, //
    },
    time::{
        hrtimer::{
            ArcHrTimerHandle,
            HrTimer,
            HrTimerCallback,
            HrTimerCallbackContext,
            HrTimerPointer,
            HrTimerRestart,
            RelativeMode, //
        },
        Delta,
        Instant,
        Monotonic, //
    },
};

/// How long what was killed may take to exit before the log says that it has not, in milliseconds.
const EXIT_MS: u32 = 5000;

/// How far a [`Deadline`] has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The helper runs.
    Running,
    /// The helper and all that descends from it were killed.
    Killed,
    /// The same, and the log says that one of them has not exited.
    Reported,
    /// The helper has ended by itself, or the last one that was killed has.
    Over,
}

/// What a helper runs on.
enum Kept {
    /// The helper's command has it.
    ByCommand,
    /// The command has ended, and the deadline has taken it over.
    ByDeadline(#[expect(dead_code, reason = "it is only held")] SlotUse<Helper>),
    /// It was given back.
    GivenBack,
}

/// The job of a deadline.
type DeadlineJob = Job<Deadline>;

/// Notice of the end of a process, which queues the job.
type ExitNotice = Notice<Arc<DeadlineJob>>;

/// The part of a [`Deadline`] that changes.
struct State {
    stage: Stage,
    /// When the next step is due, if no process ends before.
    due: Instant<Monotonic>,
    alarm: Option<Arc<Alarm>>,
    armed: Option<ArcHrTimerHandle<Alarm>>,
    /// Notice of the end of the helper; when that has ended, of one that was killed with it.
    notice: Option<Pin<KBox<ExitNotice>>>,
    /// The processes that were killed with the helper, and of which there is no notice yet.
    killed: KVVec<ThreadGroup>,
    kept: Kept,
}

/// The deadline of one helper.
///
/// It is a job that is begun when the helper starts, and done when the helper has ended by itself
/// or, if it was killed, when the last process that was killed has ended.
#[pin_data]
struct Deadline {
    /// The name that the helper runs for, for the log.
    name: Name,
    timeout_ms: u32,
    symbols: PrivateSymbols,
    /// The helper's process, from [`Timeout::start`] on.
    helper: SetOnce<ThreadGroup>,
    log: Arc<LogLimits>,
    /// The account that the request is on, for the log.
    account: Account,
    #[pin]
    state: Mutex<State>,
}

/// The timer, which queues the job.
#[pin_data]
struct Alarm {
    #[pin]
    timer: HrTimer<Self>,
    job: Arc<DeadlineJob>,
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Alarm {
        mode: RelativeMode<Monotonic>, field: self.timer
    }
}

impl HrTimerCallback for Alarm {
    type Pointer<'a> = Arc<Self>;

    /// Context: hard interrupt; with PREEMPT_RT, a thread that runs soft interrupts.
    fn run(
        this: ArcBorrow<'_, Self>,
        _context: HrTimerCallbackContext<'_, Self>,
    ) -> HrTimerRestart {
        this.job.queue();
        HrTimerRestart::NoRestart
    }
}

impl State {
    /// Has the job queued in `time_ms` milliseconds, and not at the time that was set before.
    fn set_alarm(&mut self, time_ms: u32) {
        let time = Delta::from_millis(time_ms.into());

        // Dropping the handle cancels the timer, so this comes first.
        self.armed = None;
        self.due = Instant::now() + time;
        self.armed = self.alarm.clone().map(|alarm| alarm.start(time));
    }

    /// Makes sure that there is notice of the end of the helper or, if that has ended, of a process
    /// that was killed with it. Returns that process, or `None` if all have ended.
    fn watch_next(&mut self, job: &Arc<DeadlineJob>) -> Option<&ThreadGroup> {
        loop {
            // This also finds one that ended before there was notice.
            if self
                .notice
                .as_ref()
                .is_some_and(|notice| !notice.group().has_ended())
            {
                break;
            }
            self.notice = None;

            let last = self.killed.last()?;
            if last.has_ended() {
                self.killed.pop();
                continue;
            }
            let Ok(place) = KBox::new_uninit(GFP_KERNEL) else {
                // Without notice, the job looks again later.
                self.set_alarm(EXIT_MS);
                return self.killed.last();
            };
            let group = self.killed.pop()?;
            self.notice = Some(put(place, Notice::new(group, job.clone())));
        }
        self.notice.as_ref().map(|notice| notice.group())
    }
}

/// Initialises the value in a box by what cannot fail.
fn put<V>(place: KBox<mem::MaybeUninit<V>>, value: impl PinInit<V>) -> Pin<KBox<V>> {
    let placed: Result<_, Infallible> = place.write_pin_init(value);
    match placed {
        Ok(placed) => placed,
        Err(never) => match never {},
    }
}

impl Deadline {
    /// Kills the helper and all that descends from it, unless it has ended.
    fn kill(&self, helper: &ThreadGroup, state: &mut State) {
        let Some(killed) = process_tree::kill(self.symbols, helper) else {
            return;
        };
        state.killed = killed;
        state.stage = Stage::Killed;
        state.set_alarm(EXIT_MS);

        if let Some(again) = self.log.admit(Kind::HelperKilled, self.account, &self.name) {
            pr_warn!(
                "modprobe for {} took too long, killed: pid={} helper_timeout_ms={}{}\n",
                self.name,
                helper.number(),
                self.timeout_ms,
                again,
            );
        }
    }

    /// Writes to the log that `process` was killed and has not exited.
    fn report(&self, process: &ThreadGroup, is_slot_taken: bool) {
        if let Some(again) = self.log.admit(Kind::HelperStuck, self.account, &self.name) {
            pr_warn!(
                "modprobe for {} has not exited{}: pid={} killed_ms_ago={}{}\n",
                self.name,
                if is_slot_taken {
                    ", its slot stays taken"
                } else {
                    ""
                },
                process.number(),
                EXIT_MS,
                again,
            );
        }
    }
}

impl Steps for Deadline {
    fn step(&self, job: &Arc<Job<Self>>) -> Progress {
        let Some(helper) = self.helper.as_ref() else {
            return Progress::Done;
        };
        let mut state = self.state.lock();
        let is_due = Instant::now() - state.due >= Delta::ZERO;

        if state.stage == Stage::Running && is_due {
            self.kill(helper, &mut state);
        } else if state.stage == Stage::Killed && is_due {
            let is_slot_taken = !matches!(state.kept, Kept::GivenBack);
            if let Some(process) = state.watch_next(job) {
                self.report(process, is_slot_taken);
                state.stage = Stage::Reported;
            }
        }
        if state.watch_next(job).is_some() {
            return Progress::Waiting;
        }

        state.stage = Stage::Over;
        // They queue the job. When they are gone, nobody does, and the job has no reference on
        // itself.
        state.armed = None;
        state.alarm = None;
        state.notice = None;
        let kept = mem::replace(&mut state.kept, Kept::GivenBack);
        drop(state);
        drop(kept);
        Progress::Done
    }
}

/// The deadline of a helper.
pub(crate) struct Timeout {
    job: Arc<DeadlineJob>,
    alarm: Arc<Alarm>,
}

impl Timeout {
    /// Creates a deadline of `timeout_ms` milliseconds, at least 1. The timer does not run yet.
    ///
    /// `account` is that of the request.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new(
        name: Name,
        timeout_ms: u32,
        log: Arc<LogLimits>,
        account: Account,
        symbols: PrivateSymbols,
    ) -> Result<Self> {
        let job: Arc<Job<_>> = Arc::pin_init(
            Job::new(pin_init!(Deadline {
                name,
                timeout_ms,
                log,
                account,
                symbols,
                helper: SetOnce::new(),
                state <- new_mutex!(
                    State {
                        stage: Stage::Running,
                        due: Instant::now(),
                        alarm: None,
                        armed: None,
                        notice: None,
                        killed: KVVec::new(),
                        kept: Kept::ByCommand,
                    },
                    "kmod_rs::Deadline::state"
                ),
            })),
            GFP_KERNEL,
        )?;
        let for_alarm = job.clone();
        let alarm = Arc::pin_init(
            pin_init!(Alarm {
                timer <- HrTimer::new(),
                job: for_alarm,
            }),
            GFP_KERNEL,
        )?;
        Ok(Self { job, alarm })
    }

    /// Starts the timer for the thread group of the current task.
    ///
    /// To be called once, by the helper, before it executes the program. Returns [`ENOMEM`].
    ///
    /// Context: in the helper's own task; may sleep.
    pub(crate) fn start(&self) -> Result {
        let deadline = self.job.steps();
        let helper = ThreadGroup::current().ok_or(ESRCH)?;
        let to_watch = ThreadGroup::current().ok_or(ESRCH)?;
        let place = KBox::new_uninit(GFP_KERNEL)?;
        self.job.begin()?;

        // Nothing fails from here on, and the helper does not end before this returns: so the job
        // is queued, and is done in the end.
        deadline.helper.populate(helper);
        let mut state = deadline.state.lock();
        state.notice = Some(put(place, Notice::new(to_watch, self.job.clone())));
        state.alarm = Some(self.alarm.clone());
        state.set_alarm(deadline.timeout_ms);
        Ok(())
    }

    /// Takes over what the helper runs on, when its command has ended. [`None`] if it needs nothing
    /// to be kept.
    ///
    /// If the helper was killed because its time was over, this is kept until the last process that
    /// was killed with it has ended. Otherwise it is given back at once. A helper that still runs,
    /// because nobody waits for it, keeps its deadline.
    ///
    /// Context: may sleep.
    pub(crate) fn command_ended(self, runs_on: Option<SlotUse<Helper>>) {
        let mut state = self.job.steps().state.lock();

        match (state.stage, runs_on) {
            (Stage::Killed | Stage::Reported, Some(runs_on)) => {
                state.kept = Kept::ByDeadline(runs_on);
            }
            (_, runs_on) => {
                state.kept = Kept::GivenBack;
                drop(state);
                drop(runs_on);
            }
        }
    }
}
