// SPDX-License-Identifier: GPL-2.0

//! Kills helpers that take longer than `helper_timeout_ms`, if the administrator has set it.
//!
//! Has no counterpart in the C code, where a helper that hangs keeps its slot until its requester
//! is killed.

use crate::{
    log_limits::{
        Kind,
        LogLimits, //
    },
    wrappers::{
        name::Name,
        pid::ThreadGroup,
        requester::Account, //
    }, //
};
use kernel::{
    impl_has_hr_timer,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        ArcBorrow,
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
        Monotonic, //
    },
};

/// How long a killed helper may take to exit before the log says that it has not, in milliseconds.
const EXIT_MS: u32 = 5000;

/// The deadline of one helper.
#[pin_data]
struct Deadline {
    #[pin]
    timer: HrTimer<Self>,
    /// The name that the helper runs for, for the log.
    name: Name,
    timeout_ms: u32,
    /// The helper's process, from [`Timeout::start`] on.
    helper: SetOnce<ThreadGroup>,
    /// Whether the helper was killed.
    killed: Atomic<bool>,
    log: Arc<LogLimits>,
    /// The account that the request is on, for the log.
    account: Account,
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Deadline {
        mode: RelativeMode<Monotonic>, field: self.timer
    }
}

impl HrTimerCallback for Deadline {
    type Pointer<'a> = Arc<Self>;

    /// Kills the helper when its time is over, and logs it if the helper still exists [`EXIT_MS`]
    /// later.
    ///
    /// Context: hard interrupt; with PREEMPT_RT, a thread that runs soft interrupts, because the
    /// mode of the timer is not a hard one. The mode has to stay as it is: [`ThreadGroup::kill`]
    /// takes a spinlock, which sleeps with PREEMPT_RT.
    fn run(
        this: ArcBorrow<'_, Self>,
        mut context: HrTimerCallbackContext<'_, Self>,
    ) -> HrTimerRestart {
        let Some(helper) = this.helper.as_ref() else {
            return HrTimerRestart::NoRestart;
        };

        // ORDERING: Only this function uses `killed`, and it does not run twice at the same time.
        if this.killed.load(Relaxed) {
            if let Some(again) = this
                .log
                .try_admit(Kind::HelperStuck, this.account, &this.name)
            {
                pr_warn!(
                    "modprobe for {} has not exited, its slot stays taken: pid={} killed_ms_ago={}{}\n",
                    this.name,
                    helper.number(),
                    EXIT_MS,
                    again,
                );
            }
            return HrTimerRestart::NoRestart;
        }

        helper.kill();
        this.killed.store(true, Relaxed);
        if let Some(again) = this
            .log
            .try_admit(Kind::HelperKilled, this.account, &this.name)
        {
            pr_warn!(
                "modprobe for {} took too long, killed: pid={} helper_timeout_ms={}{}\n",
                this.name,
                helper.number(),
                this.timeout_ms,
                again,
            );
        }
        context.forward_now(Delta::from_millis(EXIT_MS.into()));
        HrTimerRestart::Restart
    }
}

/// The deadline of a helper, until this value is dropped.
///
/// Dropping it cancels the timer, and waits for its function to return.
pub(crate) struct Timeout {
    deadline: Arc<Deadline>,
    armed: SetOnce<ArcHrTimerHandle<Deadline>>,
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
    ) -> Result<Self> {
        Ok(Self {
            deadline: Arc::pin_init(
                pin_init!(Deadline {
                    timer <- HrTimer::new(),
                    name,
                    timeout_ms,
                    helper: SetOnce::new(),
                    killed: Atomic::new(false),
                    log,
                    account,
                }),
                GFP_KERNEL,
            )?,
            armed: SetOnce::new(),
        })
    }

    /// Starts the timer, which will kill the thread group of the current task.
    ///
    /// To be called once, by the helper, before it executes the program.
    ///
    /// Context: in the helper's own task.
    pub(crate) fn start(&self) {
        let Some(helper) = ThreadGroup::current() else {
            return;
        };
        self.deadline.helper.populate(helper);

        let timeout = Delta::from_millis(self.deadline.timeout_ms.into());
        self.armed.populate(self.deadline.clone().start(timeout));
    }
}
