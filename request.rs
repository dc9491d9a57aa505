// SPDX-License-Identifier: GPL-2.0

//! The way of one request, from top to bottom.
//!
//! Mirrors `__request_module()` and `call_modprobe()` of `kernel/module/kmod.c`. Each step is a
//! call into a file that can be understood alone; Documentation/design.rst has the picture.

pub(crate) mod chain;
mod deadline;
mod environment;
pub(crate) mod helpers;
pub(crate) mod module_watcher;
mod sharing;
mod target;

use self::{
    chain::Chain,
    deadline::Timeout,
    environment::Environment,
    helpers::{
        Helpers, //
        Tracker,
    },
    sharing::{
        Followed,
        Leader,
        Role,
        Sharing, //
    }, //
    target::Target,
};
use crate::{
    concurrency::{
        Claim,
        NoSlot,
        Slot,
        Slots, //
    },
    firewall::{
        policy::Ruling,
        Firewall,
        Subject, //
    },
    records::{
        autoloaded::Autoloaded,
        events,
        record::Outcome,
        recorder::{
            InFlight,
            Recorder, //
        }, //
    },
    sysctl::ModprobePath,
    usermode_helper::{
        self,
        Wait,
        WaitStatus, //
    },
    wrappers::{
        log::{
            self,
            Known,
            Quoted, //
        },
        name::Name,
        requester::Requester,
        security,
        trace, //
    }, //
};
use kernel::{
    ffi::c_int,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    uapi, //
};

/// The environment of modprobe, exactly.
const MODPROBE_ENV: [&CStr; 3] = [
    c"HOME=/",
    c"TERM=linux",
    c"PATH=/sbin:/usr/sbin:/bin:/usr/bin",
];

/// What a caller of `request_module()` asks for.
pub(crate) struct Request<'a> {
    /// The name, already formatted.
    pub(crate) name: Name,
    /// Whether that is only the beginning, as it is too long.
    pub(crate) is_cut: bool,
    /// The name, or a longer part of it.
    pub(crate) whole_name: &'a CStr,
    /// Whether the caller waits for modprobe to exit, or only for it to be started.
    pub(crate) wait: bool,
    /// The address in the caller.
    pub(crate) call_site: usize,
}

/// What the administrator can set, besides what [`Slots`] has.
pub(crate) struct Settings {
    /// How long a helper may run before it is killed, in milliseconds; 0 is for ever.
    pub(crate) helper_timeout_ms: Atomic<u32>,
    /// Whether equal requests share one helper: 0 or 1.
    pub(crate) coalesce: Atomic<u32>,
    /// How long a follower waits for the leader's helper before it runs its own, in milliseconds.
    pub(crate) coalesce_timeout_ms: Atomic<u32>,
    /// Whether the helper is told of its request, in its environment: 0 or 1.
    pub(crate) helper_env: Atomic<u32>,
    /// What is written to the log: 0 nothing, 1 failures that cost a helper, 2 all requests.
    pub(crate) log_requests: Atomic<u32>,
    /// What counts as a loop.
    pub(crate) limits: chain::Limits,
}

impl Settings {
    /// What holds until the administrator says otherwise.
    pub(crate) fn new() -> Self {
        Self {
            helper_timeout_ms: Atomic::new(0),
            coalesce: Atomic::new(1),
            coalesce_timeout_ms: Atomic::new(5000),
            helper_env: Atomic::new(0),
            log_requests: Atomic::new(0),
            limits: chain::Limits::new(),
        }
    }
}

/// All that requests have in common.
pub(crate) struct Kmod {
    settings: Arc<Settings>,
    firewall: Arc<Firewall>,
    slots: Arc<Slots>,
    helpers: Arc<Helpers>,
    recorder: Arc<Recorder>,
    autoloaded: Arc<Autoloaded>,
    sharing: Arc<Sharing>,
    module_request: trace::ModuleRequest,
    module: &'static ThisModule,
}

/// Why a request was answered without a helper having run to the end it waits for.
#[derive(Clone, Copy)]
enum Refusal {
    /// `/proc/sys/kernel/modprobe` is empty: -ENOENT.
    SwitchedOff,
    /// -ENAMETOOLONG.
    NameTooLong,
    /// A security module said no, with its errno; or the firewall, with -EPERM.
    Denied(Error),
    /// It is part of a loop: -ELOOP.
    Loop,
    /// All slots are in use: -ETIME.
    Busy,
    /// The task was killed in the queue, or while it followed another: -ERESTARTSYS.
    Killed,
    /// The helper could not be run or waited for, or there was no memory.
    Failed(Error),
}

impl Refusal {
    /// The negative errno that the caller gets.
    fn to_errno(self) -> c_int {
        match self {
            Self::SwitchedOff => ENOENT.to_errno(),
            // CAST: Small numbers.
            Self::NameTooLong => -(uapi::ENAMETOOLONG as c_int),
            Self::Loop => -(uapi::ELOOP as c_int),
            Self::Busy => -(uapi::ETIME as c_int),
            Self::Killed => ERESTARTSYS.to_errno(),
            Self::Denied(error) | Self::Failed(error) => error.to_errno(),
        }
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::SwitchedOff => Self::Off,
            Refusal::NameTooLong => Self::TooLong,
            Refusal::Denied(_) => Self::Denied,
            Refusal::Loop => Self::Loop,
            Refusal::Busy => Self::Timeout,
            Refusal::Killed | Refusal::Failed(ERESTARTSYS) => Self::Killed,
            Refusal::Failed(_) => Self::Errno,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<chain::Loop> for Refusal {
    fn from(_: chain::Loop) -> Self {
        Self::Loop
    }
}

impl From<NoSlot> for Refusal {
    fn from(reason: NoSlot) -> Self {
        match reason {
            NoSlot::Busy => Self::Busy,
            NoSlot::Killed => Self::Killed,
            NoSlot::NoMemory => Self::Failed(ENOMEM),
        }
    }
}

/// What a request that was not refused is answered with.
#[derive(Clone, Copy)]
enum Answer {
    /// How its helper ended.
    Helper(WaitStatus),
    /// Its helper was started, and it does not wait for more.
    Started,
    /// What another's helper found.
    Shared(Result<WaitStatus>),
}

impl Answer {
    /// What the caller gets.
    fn to_raw(self) -> c_int {
        match self {
            Self::Helper(status) | Self::Shared(Ok(status)) => status.into_raw(),
            Self::Started => 0,
            Self::Shared(Err(error)) => error.to_errno(),
        }
    }
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Helper(status) => Self::of_helper(Ok(status)),
            Answer::Started => Self::Started,
            Answer::Shared(_) => Self::Shared,
        }
    }
}

/// Who asks, and what is wanted of that, as found when the request began.
struct Asker {
    requester: Requester,
    /// Its record, if anybody wants it and there was memory.
    in_flight: Option<InFlight>,
    /// Whether the helper is to be told.
    helper_env: bool,
}

/// modprobe for one request, and what is to be given back when it has ended.
///
/// Lives until the helper has exited, also if the request has been killed before that: its slot
/// is not free while it runs.
struct Modprobe {
    target: Target,
    chain: Chain,
    timeout: Option<Timeout>,
    leader: Option<Leader>,
    tracker: Tracker,
    environment: Option<Environment>,
    in_flight: Option<InFlight>,
    _slot: Slot,
}

impl usermode_helper::Command for Modprobe {
    fn path(&self) -> &CStr {
        self.target.path()
    }

    fn args(&self) -> impl Iterator<Item = &CStr> {
        // Quiet, and no options from the name on.
        let name = self.target.name().as_cstr();
        [self.target.path(), c"-q", c"--", name].into_iter()
    }

    fn env(&self) -> impl Iterator<Item = &CStr> {
        let more = self.environment.iter().flat_map(Environment::strings);
        Iterator::chain(MODPROBE_ENV.into_iter(), more)
    }

    fn starting(&self) -> Result {
        let record = self.in_flight.as_ref().map(|it| it.record().clone());
        self.tracker
            .start(*self.target.name(), &self.chain, record)?;
        if let Some(in_flight) = &self.in_flight {
            in_flight.helper_started(Requester::current().tgid());
        }
        if let Some(timeout) = &self.timeout {
            timeout.start();
        }
        // The last thing: from here on nothing but the program can fail.
        if let Some(leader) = &self.leader {
            leader.started();
        }
        Ok(())
    }

    fn ended(self, result: Result<WaitStatus>) {
        if let Some(in_flight) = &self.in_flight {
            in_flight.helper_ended(result);
        }
        if let Some(leader) = self.leader {
            leader.tell(result);
        }
    }
}

impl Kmod {
    /// Puts together what requests need.
    ///
    /// Returns [`ENOENT`] if the kernel lacks the tracepoint.
    pub(crate) fn new(
        settings: Arc<Settings>,
        firewall: Arc<Firewall>,
        slots: Arc<Slots>,
        helpers: Arc<Helpers>,
        recorder: Arc<Recorder>,
        autoloaded: Arc<Autoloaded>,
        module: &'static ThisModule,
    ) -> Result<Self> {
        Ok(Self {
            settings,
            firewall,
            slots,
            helpers,
            recorder,
            autoloaded,
            sharing: Arc::pin_init(Sharing::new(), GFP_KERNEL)?,
            module_request: trace::ModuleRequest::find()?,
            module,
        })
    }

    /// Has the module asked for loaded; what `__request_module()` does.
    ///
    /// Returns 0 if modprobe succeeded, or was started if the request does not wait; its wait
    /// status if it failed; or a negative errno if it was not run to its end.
    ///
    /// Context: may sleep; the caller may hold mutexes, and must not hold any that modprobe needs.
    pub(crate) fn request_module(&self, request: &Request<'_>) -> c_int {
        // Who asks, also if the answer is no.
        let requester = Requester::current();
        let chain = self.helpers.chain_of_current(requester.uid());
        let helper_env = self.settings.helper_env.load(Relaxed) != 0;
        let asker = Asker {
            requester,
            in_flight: self.begin(request, &requester, &chain, helper_env),
            helper_env,
        };

        let (outcome, result) = match self.serve(request, &asker, chain) {
            Ok(answer) => (answer.into(), answer.to_raw()),
            Err(refusal) => (refusal.into(), refusal.to_errno()),
        };

        // 10. The record.
        self.recorder.count(outcome);
        if let Some(in_flight) = &asker.in_flight {
            self.finish(in_flight, outcome, result);
        }
        result
    }

    /// Requests are about to be given back to the kernel.
    ///
    /// Context: in the task that gives back; may sleep.
    pub(crate) fn given_back(&self) {
        self.firewall.given_back();
    }

    /// Begins the record of a request, if anybody wants it.
    fn begin(
        &self,
        request: &Request<'_>,
        requester: &Requester,
        chain: &Chain,
        helper_env: bool,
    ) -> Option<InFlight> {
        let is_traced = events::enabled();
        let is_logged = self.settings.log_requests.load(Relaxed) != 0;
        if !self.recorder.keeps_records() && !is_traced && !is_logged && !helper_env {
            return None;
        }
        let Request {
            name,
            wait,
            call_site,
            ..
        } = *request;
        let in_flight = self
            .recorder
            .begin(name, wait, call_site, requester, chain.names())?;

        if is_traced {
            // Without memory there is no event.
            let _ = events::begin(in_flight.record());
        }
        Some(in_flight)
    }

    /// Ends the record of a request.
    fn finish(&self, in_flight: &InFlight, outcome: Outcome, result: c_int) {
        in_flight.answered(outcome, result);
        self.autoloaded.asked(in_flight.record());
        if events::enabled() {
            // Without memory there is no event.
            let _ = events::end(in_flight.record(), outcome, result);
        }
        self.log_request(in_flight, outcome, result);
    }

    /// The steps. Their numbers are those of Documentation/design.rst.
    fn serve(&self, request: &Request<'_>, asker: &Asker, chain: Chain) -> Result<Answer, Refusal> {
        let Asker {
            requester,
            in_flight,
            helper_env,
        } = asker;

        // 1. Preconditions. The path is read once; what is run is what was checked here.
        let path = ModprobePath::read()?;
        if path.as_cstr().is_empty() {
            return Err(Refusal::SwitchedOff);
        }
        let subject = Subject {
            name: request.whole_name,
            requester,
            is_nested: chain.is_nested(),
        };
        if request.is_cut {
            // What comes of it may depend on what would have been decided.
            let _ = self.firewall.decide(&subject);
            return Err(Refusal::NameTooLong);
        }
        let name = request.name;

        // 2. The security modules.
        security::kernel_module_request(name.as_cstr()).map_err(Refusal::Denied)?;

        // 4. The firewall.
        if let Some(verdict) = self.firewall.check(&subject) {
            self.recorder.count_verdict(verdict);
            if let Some(in_flight) = in_flight {
                in_flight.record().judged(verdict);
            }
            if verdict.ruling == Ruling::Denied {
                return Err(Refusal::Denied(EPERM));
            }
        }

        // 5. Loops end here.
        chain
            .check(&name, request.wait, &self.settings.limits)
            .inspect_err(|_| log_loop(&chain, name, requester))?;

        // 6. Sharing. Who comes from a helper must not wait for another's: that may wait for it. A
        // helper that is told for whom it runs, runs for that one only.
        let target = Target::new(name, path)?;
        if let Some(in_flight) = in_flight {
            in_flight.queued();
        }
        let may_share =
            !chain.is_nested() && !helper_env && self.settings.coalesce.load(Relaxed) != 0;
        let role = if may_share {
            self.sharing.join(&target, request.wait)?
        } else {
            Role::Alone
        };
        let is_traced = matches!(role, Role::Served | Role::Follower(_));
        if is_traced {
            self.trace(&name, request);
        }
        let timeout_ms = self.settings.coalesce_timeout_ms.load(Relaxed);
        let leader = match role {
            Role::Leader(leader) => Some(leader),
            Role::Alone => None,
            Role::Served => return Ok(Answer::Shared(Ok(WaitStatus::SUCCESS))),
            Role::Follower(follower) => match follower.wait(timeout_ms) {
                Followed::Outcome(outcome) => return Ok(Answer::Shared(outcome)),
                Followed::Leader(leader) => Some(leader),
                Followed::Alone => None,
                Followed::Killed => return Err(Refusal::Killed),
            },
        };

        // 7. A slot, or nothing is run.
        let claim = Claim {
            is_nested: chain.is_nested(),
            uid: chain.uid(),
        };
        let slot = self
            .slots
            .take(claim)
            .inspect_err(|reason| self.log_no_slot(name, requester, *reason))?;
        if let Some(in_flight) = in_flight {
            in_flight.dequeued();
        }

        // 8. The kernel's own trace event.
        if !is_traced {
            self.trace(&name, request);
        }

        // 9. The helper.
        let timeout = match self.settings.helper_timeout_ms.load(Relaxed) {
            0 => None,
            timeout_ms => Some(Timeout::new(name, timeout_ms)?),
        };
        let environment = match (helper_env, in_flight) {
            (false, _) => None,
            (true, Some(in_flight)) => Some(Environment::new(in_flight.record())?),
            (true, None) => return Err(Refusal::Failed(ENOMEM)),
        };
        let modprobe = Modprobe {
            target,
            chain,
            timeout,
            leader,
            tracker: self.helpers.track(),
            environment,
            in_flight: in_flight.clone(),
            _slot: slot,
        };
        if request.wait {
            let status = usermode_helper::run(modprobe, Wait::Exit, self.module)?;
            Ok(Answer::Helper(status))
        } else {
            usermode_helper::run(modprobe, Wait::Exec, self.module)?;
            Ok(Answer::Started)
        }
    }

    /// Fires the kernel's trace event.
    fn trace(&self, name: &Name, request: &Request<'_>) {
        self.module_request
            .fire(name.as_cstr(), request.wait, request.call_site);
    }

    /// Says that a request has returned, if the administrator wants that.
    fn log_request(&self, in_flight: &InFlight, outcome: Outcome, result: c_int) {
        let record = in_flight.record();
        let helper = record.progress().helper;
        let is_logged = match self.settings.log_requests.load(Relaxed) {
            0 => false,
            1 => result != 0 && helper.is_some() && log::allowed(),
            _ => true,
        };

        if is_logged {
            pr_info!(
                "request {} ({}) {}: seq={} result={} helper={} call_site={}\n",
                record.name(),
                record.requester(),
                outcome,
                record.seq(),
                result,
                Known(helper),
                Quoted(record.origin().call_site()),
            );
        }
    }

    /// Says that a request has given up waiting for a slot.
    fn log_no_slot(&self, name: Name, requester: &Requester, reason: NoSlot) {
        if reason != NoSlot::Busy || !log::allowed() {
            return;
        }
        pr_warn!(
            "runaway modprobe loop assumed and stopped: {} ({}) limit={} busy_timeout_ms={} running=\"{}\"\n",
            name,
            requester,
            self.slots.limit(),
            self.slots.busy_timeout_ms(),
            self.helpers.summary(),
        );
    }
}

/// Says that a request is part of a loop.
fn log_loop(chain: &Chain, name: Name, requester: &Requester) {
    if log::allowed() {
        pr_warn!(
            "runaway modprobe loop assumed and stopped: {} ({})\n",
            chain.line_to(name),
            requester,
        );
    }
}

#[kunit_tests(kmod_rs_request)]
mod tests {
    use super::*;

    #[test]
    fn what_the_caller_gets() -> Result {
        assert_eq!(Refusal::SwitchedOff.to_errno(), -2);
        assert_eq!(Refusal::NameTooLong.to_errno(), -36);
        assert_eq!(Refusal::Denied(EPERM).to_errno(), -1);
        assert_eq!(Refusal::from(chain::Loop).to_errno(), -40);
        assert_eq!(Refusal::from(NoSlot::Busy).to_errno(), -62);
        assert_eq!(Refusal::from(NoSlot::Killed).to_errno(), -512);
        assert_eq!(Refusal::from(NoSlot::NoMemory).to_errno(), -12);
        assert_eq!(Refusal::from(EACCES).to_errno(), -13);
        Ok(())
    }
}
