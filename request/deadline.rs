// SPDX-License-Identifier: GPL-2.0

//! Helpers that take too long are killed, if the administrator wants it.
//!
//! Has no counterpart in the C code, where a modprobe that hangs keeps its slot for ever.

use crate::wrappers::{
    log,
    name::Name,
    pid::ThreadGroup, //
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

/// How long a helper that was killed may take to exit before the log says so, in milliseconds.
const EXIT_MS: u32 = 5000;

/// The time that one helper has.
#[pin_data]
struct Deadline {
    #[pin]
    timer: HrTimer<Self>,
    name: Name,
    timeout_ms: u32,
    helper: SetOnce<ThreadGroup>,
    killed: Atomic<bool>,
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Deadline {
        mode: RelativeMode<Monotonic>, field: self.timer
    }
}

impl HrTimerCallback for Deadline {
    type Pointer<'a> = Arc<Self>;

    /// The time is over.
    ///
    /// Context: hard interrupt; with PREEMPT_RT a thread that runs soft interrupts, as the mode of
    /// the timer is not a hard one. It must not become one: `kill()` takes a spinlock.
    fn run(
        this: ArcBorrow<'_, Self>,
        mut context: HrTimerCallbackContext<'_, Self>,
    ) -> HrTimerRestart {
        let Some(helper) = this.helper.as_ref() else {
            return HrTimerRestart::NoRestart;
        };

        // ORDERING: Only this function, which does not run twice at once, uses it.
        if this.killed.load(Relaxed) {
            if log::allowed() {
                pr_warn!(
                    "modprobe for {} has not exited, its slot stays taken: pid={} killed_ms_ago={}\n",
                    this.name,
                    helper.number(),
                    EXIT_MS,
                );
            }
            return HrTimerRestart::NoRestart;
        }

        helper.kill();
        this.killed.store(true, Relaxed);
        if log::allowed() {
            pr_warn!(
                "modprobe for {} took too long, killed: pid={} helper_timeout_ms={}\n",
                this.name,
                helper.number(),
                this.timeout_ms,
            );
        }
        context.forward_now(Delta::from_millis(EXIT_MS.into()));
        HrTimerRestart::Restart
    }
}

/// The deadline of a helper; it is off when this is dropped.
pub(crate) struct Timeout {
    deadline: Arc<Deadline>,
    armed: SetOnce<ArcHrTimerHandle<Deadline>>,
}

impl Timeout {
    /// Makes a deadline that is not running yet: `timeout_ms` milliseconds, at least one.
    ///
    /// Context: may sleep.
    pub(crate) fn new(name: Name, timeout_ms: u32) -> Result<Self> {
        Ok(Self {
            deadline: Arc::pin_init(
                pin_init!(Deadline {
                    timer <- HrTimer::new(),
                    name,
                    timeout_ms,
                    helper: SetOnce::new(),
                    killed: Atomic::new(false),
                }),
                GFP_KERNEL,
            )?,
            armed: SetOnce::new(),
        })
    }

    /// Has the current task, and its thread group with it, killed when the time is over.
    ///
    /// To be called once, by the helper.
    ///
    /// Context: may sleep.
    pub(crate) fn start(&self) {
        let Some(helper) = ThreadGroup::current() else {
            return;
        };
        self.deadline.helper.populate(helper);

        let timeout = Delta::from_millis(self.deadline.timeout_ms.into());
        self.armed.populate(self.deadline.clone().start(timeout));
    }
}
