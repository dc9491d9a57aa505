// SPDX-License-Identifier: GPL-2.0

//! The path of a request, from top to bottom.
//!
//! Mirrors `__request_module()` of `kernel/module/kmod.c`. The steps have the same numbers as in
//! Documentation/design.rst. Each step is a call into a file that can be understood on its own.

mod answer;
pub(crate) mod answers;
pub(crate) mod chain;
pub(crate) mod cipher_watcher;
mod deadline;
mod environment;
pub(crate) mod helpers;
pub(crate) mod judging;
mod lending;
mod looking;
mod messages;
mod modprobe;
pub(crate) mod module_watcher;
pub(crate) mod refusals;
mod serving;
pub(crate) mod settings;
pub(crate) mod sharing;
pub(crate) mod suspend_watcher;
mod target;
pub(crate) mod unloads;
mod unwaiting;

pub(crate) use self::{
    modprobe::Unwaiting,
    serving::Request, //
};

use self::{
    answer::{
        Answer,
        Refusal, //
    },
    answers::{
        Answers,
        Hearing,
        Recalled,
        Why, //
    },
    chain::Helper,
    deadline::Timeout,
    environment::Environment,
    helpers::Helpers,
    judging::{
        Judge,
        Judgement, //
    },
    lending::{
        Claimed,
        Counted,
        HelperCount, //
    },
    looking::Look,
    modprobe::{
        Common,
        Ending,
        Grant,
        Modprobe, //
    },
    refusals::Refusals,
    serving::{
        Serving,
        Source, //
    },
    settings::Settings,
    sharing::{
        Followed,
        Follower,
        Leader,
        Role,
        Sharing, //
    },
    target::Target,
    unloads::Unloads,
    unwaiting::{
        Attachable,
        Entered,
        NotEntered, //
    }, //
};
use crate::{
    concurrency::{
        self,
        Claim,
        NoSlot,
        Slot,
        Slots, //
    },
    firewall::{
        policy::{
            Ruling,
            Services, //
        },
        Firewall,
        RequesterView, //
    },
    log_limits::LogLimits,
    records::{
        record::Beginning,
        Records, //
    },
    usermode_helper::{
        self,
        Invocation,
        Wait,
        WaitStatus, //
    },
    wrappers::{
        modprobe_path::{
            ModprobePath,
            SharedPath, //
        },
        module::OnStack,
        private_symbols::PrivateSymbols,
        requester::{
            Account,
            Requester, //
        },
        security,
        trace,
        wait::WaitResult, //
    }, //
};
use core::cell::Cell;
use kernel::{
    ffi::c_int,
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    },
    time::Delta, //
};

const _: () = assert!(Account::ROOT.number() == concurrency::ROOT);

/// How many helpers a request may have: each but the last one may have missed a module that was
/// being unloaded.
const MAX_HELPERS: u32 = 6;

/// What all requests use.
pub(crate) struct Kmod {
    settings: Arc<Settings>,
    firewall: Arc<Firewall>,
    slots: Arc<Slots>,
    helpers: Arc<Helpers>,
    helper_count: Arc<HelperCount>,
    records: Records,
    sharing: Arc<Sharing>,
    unwaiting: Arc<Unwaiting>,
    common: Arc<Common>,
    answers: Arc<Answers>,
    log: Arc<LogLimits>,
    module_request: trace::ModuleRequest,
    path: Arc<SharedPath>,
    symbols: PrivateSymbols,
}

/// What a [`Kmod`] is made of.
pub(crate) struct Parts {
    /// The settings of requests.
    pub(crate) settings: Arc<Settings>,
    /// Who may have which module loaded.
    pub(crate) firewall: Arc<Firewall>,
    /// Equal requests, and the slots of their leaders.
    pub(crate) sharing: Arc<Sharing>,
    /// The requests that do not wait.
    pub(crate) unwaiting: Arc<Unwaiting>,
    /// The helpers that run.
    pub(crate) helpers: Arc<Helpers>,
    /// What is remembered of requests.
    pub(crate) records: Records,
    /// What is known of unloads.
    pub(crate) unloads: Arc<Unloads>,
    /// What is known of modules that were refused.
    pub(crate) refusals: Arc<Refusals>,
    /// The remembered answers.
    pub(crate) answers: Arc<Answers>,
    /// What may be logged.
    pub(crate) log: Arc<LogLimits>,
    /// The private symbols of the kernel.
    pub(crate) symbols: PrivateSymbols,
}

impl Kmod {
    /// Creates a value from its parts.
    ///
    /// Returns [`ENOENT`] if the kernel has no tracepoint `module:module_request`, or [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new(parts: Parts) -> Result<Self> {
        let Parts {
            settings,
            firewall,
            sharing,
            unwaiting,
            helpers,
            records,
            unloads,
            refusals,
            answers,
            log,
            symbols,
        } = parts;

        Ok(Self {
            settings,
            firewall,
            helpers,
            helper_count: Arc::new(HelperCount::new(), GFP_KERNEL)?,
            records,
            slots: sharing.slots().clone(),
            sharing,
            unwaiting,
            common: Common::new(unloads, refusals)?,
            answers,
            log,
            module_request: trace::ModuleRequest::find()?,
            path: SharedPath::new(symbols)?,
            symbols,
        })
    }

    /// Serves a request, in the place of `__request_module()`.
    ///
    /// Returns 0 if the helper (of a follower: its leader's) succeeded or, if the request does not
    /// wait, was started or will be; the helper's wait status if it failed; otherwise a negative
    /// errno.
    ///
    /// Context: may sleep. The caller may hold mutexes, but none that the helper needs.
    pub(crate) fn request_module(&self, request: &Request, on_stack: &OnStack<'_>) -> c_int {
        // 1. The requester, and the chain of the request. The record begins here, so that a request
        // that is refused has one, too.
        let requester = Requester::current();
        let chain = self.helpers.chain_of_current(Account::current());
        let cgroup = chain.cgroup();
        let helper_env = self.settings.helper_env.load(Relaxed) != 0;
        let record = self.records.begin(
            &Beginning {
                name: &request.name,
                wait: request.wait,
                call_site: request.call_site,
                requester: &requester,
                account: chain.account(),
            },
            chain.names(),
            helper_env || self.settings.log_requests.load(Relaxed) != 0,
        );

        let answer = self.serve(&Serving {
            request,
            requester: &requester,
            chain: &chain,
            cgroup: &cgroup,
            record: record.as_ref(),
            helper_env,
            is_traced: Cell::new(false),
            on_stack,
        });

        // 10. The record: outcome and result.
        let (outcome, result) = match answer {
            Ok(answer) => (answer.into(), answer.to_raw()),
            Err(refusal) => (refusal.into(), refusal.to_raw()),
        };
        let outcome = self.records.end(record.as_ref(), outcome, result);
        if let Some(record) = &record {
            let log_requests = self.settings.log_requests.load(Relaxed);
            messages::returned(
                &self.log,
                chain.account(),
                record.record(),
                outcome,
                result,
                log_requests,
            );
        }
        result
    }

    /// Reports that `request_module()` is about to be given back to the kernel.
    ///
    /// Context: in the task that gives back; may sleep.
    pub(crate) fn given_back(&self) {
        self.firewall.given_back();
        // Its marks would keep the module loaded.
        self.answers.close();
        // If modprobe's path is empty, drops what is kept. That would keep the module loaded.
        self.unwaiting.pump();
    }

    /// Takes the steps between the beginning and the end of the record.
    fn serve(&self, serving: &Serving<'_>) -> Result<Answer, Refusal> {
        let target = self.permit(serving)?;
        let mut helpers_left = MAX_HELPERS;

        if !serving.request.wait {
            return self.enter(serving, target);
        }
        // 5a. Remembered answers.
        if let Some(status) = self.recall(serving, &target)? {
            return Ok(Answer::Remembered(status));
        }
        loop {
            let (leader, slot) = match self.share(serving, &target)? {
                Source::Shared(outcome) => {
                    if let (Some(record), Ok(_)) = (serving.record, outcome) {
                        // The leader's helper ran the same program.
                        record.ran(target.modprobe_path());
                    }
                    return Ok(Answer::Shared(outcome));
                }
                Source::Own(leader, slot) => (leader, slot),
            };
            let modprobe = self.modprobe(serving, target.clone(), leader, Grant::Slot(slot))?;
            let ending = self.run(serving, modprobe, Wait::Exit)?;
            let answer = Answer::Helper(ending.result?);
            if !ending.may_have_missed && ending.hearing.is_some() {
                self.remember(serving, &target, &ending);
            }
            // A module that was leaving can be loaded when it has left, and one that was refused to
            // another helper may not be refused to the next one.
            helpers_left -= 1;
            if !ending.may_have_missed || helpers_left == 0 || !self.common.unloads.wait() {
                return Ok(answer);
            }
        }
    }

    /// Takes steps 2 to 5: may the request be served? If so, returns its target.
    #[inline(never)]
    fn permit(&self, serving: &Serving<'_>) -> Result<Target, Refusal> {
        let Serving {
            request,
            requester,
            chain,
            cgroup,
            ..
        } = *serving;
        let name = &request.name;
        let view = RequesterView {
            is_nested: chain.is_nested(),
            cgroup,
        };

        // 2. Preconditions. The path is read once, so what is checked here is what is run. Rules
        // that are locked have it locked, too.
        let path = self.firewall.path_to_run(self.path.read()?);
        if path.as_cstr().is_empty() {
            return Err(Refusal::SwitchedOff);
        }
        if request.is_cut {
            return Err(Refusal::NameTooLong);
        }

        // 3. The security modules.
        security::kernel_module_request(self.symbols, name.as_cstr()).map_err(Refusal::Denied)?;

        // 4. The firewall.
        let services = match self.firewall.is_in_force() {
            true => self.check(serving, view, &path)?,
            false => Services::NONE,
        };

        // 5. Loops.
        chain
            .check(name, request.wait, &self.settings.limits)
            .inspect_err(|_| messages::loop_stopped(&self.log, chain, name, requester))?;

        Ok(Target::new(*name, path, services)?)
    }

    /// Takes step 4: has the name judged, and the module that it is known to bring. Returns which
    /// rules with a cgroup are for the requester.
    #[inline(never)]
    fn check(
        &self,
        serving: &Serving<'_>,
        view: RequesterView<'_>,
        path: &ModprobePath,
    ) -> Result<Services, Refusal> {
        let name = &serving.request.name;
        let judge = Judge {
            firewall: &self.firewall,
            refusals: &self.common.refusals,
        };

        let Some(judgement) = judge.judge(name, view, path, serving.helper_env) else {
            return Ok(Services::NONE);
        };
        let Judgement {
            verdict,
            module,
            services,
        } = judgement;
        self.firewall.report(
            verdict,
            name,
            serving.requester,
            serving.chain.account(),
            module.as_ref(),
        );
        if let (Some(module), Some(record)) = (module, serving.record) {
            record.record().module_judged(module, verdict);
        }
        self.records.judged(serving.record, verdict);
        match verdict.ruling {
            Ruling::Denied => {
                if module.is_none() {
                    self.firewall.disown();
                }
                Err(Refusal::NotAllowed)
            }
            _ => Ok(services),
        }
    }

    /// Returns whether a request shares.
    ///
    /// A nested request must not wait for the helper of another request, which may be waiting for
    /// it. A helper that is told of its request runs for this request only.
    fn shares(&self, serving: &Serving<'_>) -> bool {
        !serving.chain.is_nested()
            && !serving.helper_env
            && self.settings.coalesce.load(Relaxed) != 0
    }

    /// Returns whether the answer to a request may be remembered, or be a remembered one.
    ///
    /// Of a request that does not wait nobody knows how its helper ends, and a helper of a nested
    /// request may find something that is only being made.
    fn may_remember(&self, serving: &Serving<'_>) -> bool {
        self.answers.is_on() && serving.request.wait && self.shares(serving)
    }

    /// Returns where the helper of a request is to note that it begins.
    #[inline(never)]
    fn hearing(&self, serving: &Serving<'_>) -> Option<Arc<Hearing>> {
        match self.may_remember(serving) {
            true => self.answers.hearing(),
            false => None,
        }
    }

    /// Takes step 5a: has the request been answered before, and would it be answered the same now?
    fn recall(
        &self,
        serving: &Serving<'_>,
        target: &Target,
    ) -> Result<Option<WaitStatus>, Refusal> {
        match self.answers.is_on() {
            true => self.recall_or_wait(serving, target),
            false => Ok(None),
        }
    }

    /// Takes step 5a if answers are remembered. Waits for a second look, if there is one for this
    /// target.
    #[inline(never)]
    fn recall_or_wait(
        &self,
        serving: &Serving<'_>,
        target: &Target,
    ) -> Result<Option<WaitStatus>, Refusal> {
        if !self.may_remember(serving) || !self.answers.may_remember(target) {
            return Ok(None);
        }
        let recall = || {
            self.answers
                .recall(target, || self.common.unloads.is_any_leaving())
        };
        let mut recalled = recall();

        if let Recalled::Looking(done) = recalled {
            let timeout_ms = self.settings.coalesce_timeout_ms.load(Relaxed);
            if let Some(record) = serving.record {
                record.queued();
            }
            let waited = done.wait_killable_timeout(Delta::from_millis(timeout_ms.into()));
            if waited == WaitResult::Killed {
                return Err(Refusal::Killed);
            }
            recalled = recall();
        }
        match recalled {
            Recalled::Answer(status) => {
                self.trace(serving);
                Ok(Some(status))
            }
            _ => Ok(None),
        }
    }

    /// Remembers how the helper of a request has ended, or begins what has to come before that.
    #[inline(never)]
    fn remember(&self, serving: &Serving<'_>, target: &Target, ending: &Ending) {
        let Some(heard) = ending.hearing.as_ref().and_then(|it| it.heard()) else {
            return;
        };
        let why = match ending.result {
            Ok(WaitStatus::SUCCESS) => {
                self.answers.found(target);
                if !ending.was_idle {
                    return;
                }
                Why::There
            }
            Ok(WaitStatus::NOT_FOUND) => Why::Miss,
            _ => return,
        };
        let Some(looking) = self.answers.look(target) else {
            return;
        };
        // Without memory, it is not remembered.
        let _ = Look {
            looking,
            target: target.clone(),
            why,
            account: serving.chain.account(),
            heard: heard.clone(),
            slots: self.slots.clone(),
            helper_count: self.helper_count.clone(),
            helpers: self.helpers.clone(),
        }
        .remember_or_begin();
    }

    /// Takes steps 6 to 9 for a request that does not wait.
    #[inline(never)]
    fn enter(&self, serving: &Serving<'_>, target: Target) -> Result<Answer, Refusal> {
        // 6. Sharing. 7. A permit, or a place among those that are kept.
        match self.keep(serving, &target)? {
            Entered::Now(modprobe) => {
                let ending = self.run(serving, modprobe, Wait::Exec)?;
                Ok(ending.result.map(|_| Answer::Started)?)
            }
            Entered::Kept => {
                self.trace(serving);
                Ok(Answer::Kept)
            }
            Entered::Shared => {
                self.trace(serving);
                Ok(Answer::Shared(Ok(WaitStatus::SUCCESS)))
            }
        }
    }

    /// Takes steps 6 and 7 for a request that does not wait.
    #[inline(never)]
    fn keep(
        &self,
        serving: &Serving<'_>,
        target: &Target,
    ) -> Result<Entered<Invocation<Modprobe>>, Refusal> {
        let shared = self.shares(serving).then_some(target);
        let permit = self.unwaiting.permit(serving.chain.account(), shared)?;
        let turn = permit.turn();
        let modprobe = self.modprobe(serving, target.clone(), None, Grant::Permit(permit))?;
        let attachable = shared.map_or(Attachable::No, |target| self.sharing.attachable(target));

        if let Some(record) = serving.record {
            record.queued();
        }
        let reference = serving.on_stack.reference();
        match self
            .unwaiting
            .enter(modprobe, turn, shared, attachable, reference)
        {
            Ok(Entered::Now(modprobe)) => {
                if let Some(record) = serving.record {
                    record.dequeued();
                }
                Ok(Entered::Now(modprobe))
            }
            Ok(Entered::Kept) => {
                if attachable != Attachable::No {
                    self.sharing.attach(target, turn);
                }
                Ok(Entered::Kept)
            }
            Ok(entered) => Ok(entered),
            Err(reason) => {
                if matches!(reason, NotEntered::Full) {
                    let kept = self.unwaiting.kept();
                    messages::none_kept(
                        &self.log,
                        serving.chain.account(),
                        &self.slots,
                        kept,
                        target.name(),
                        serving.requester,
                    );
                }
                Err(reason.into())
            }
        }
    }

    /// Takes steps 6 and 7 for a request that waits: whose answer does it get? It waits here, for a
    /// slot or for its leader's helper.
    #[inline(never)]
    fn share(&self, serving: &Serving<'_>, target: &Target) -> Result<Source, Refusal> {
        if let Some(record) = serving.record {
            record.queued();
        }
        let claim = Claim {
            is_nested: serving.chain.is_nested(),
            account: serving.chain.account().number(),
        };
        let counted = match claim.is_nested {
            true => Some(self.count_nested(serving, target)?),
            false => None,
        };
        let shares = self.shares(serving);

        // 6. Sharing.
        let role = match shares {
            true => self.sharing.join(target, claim)?,
            false => Role::Alone,
        };

        // 7. A slot.
        let source = match role {
            Role::Leader(leader, slot) => Ok(self.own(Some(leader), slot)),
            Role::Follower(follower) => self.follow(serving, target, follower),
            Role::Alone => self.take_slot(serving, claim, counted).map(|slot| {
                let leader = shares.then(|| self.sharing.alone(target)).flatten();
                Source::Own(leader, slot)
            }),
        };
        match &source {
            Err(NoSlot::Busy) => {
                messages::no_slot(
                    &self.log,
                    serving.chain.account(),
                    &self.slots,
                    &self.helpers,
                    target.name(),
                    serving.requester,
                );
            }
            Ok(Source::Own(..)) => {
                if let Some(record) = serving.record {
                    record.dequeued();
                }
            }
            _ => (),
        }
        Ok(source?)
    }

    /// Waits as a follower.
    #[inline(never)]
    fn follow(
        &self,
        serving: &Serving<'_>,
        target: &Target,
        follower: Follower,
    ) -> Result<Source, NoSlot> {
        let timeout_ms = self.settings.coalesce_timeout_ms.load(Relaxed);

        match follower.wait(timeout_ms, || self.trace(serving))? {
            Followed::Outcome(outcome) => {
                self.trace(serving);
                Ok(Source::Shared(outcome))
            }
            Followed::Leader(leader, slot) => Ok(self.own(Some(leader), slot)),
            Followed::Alone(slot) => Ok(self.own(self.sharing.alone(target), slot)),
        }
    }

    /// Has a request that waits run a helper on a slot of its own.
    fn own(&self, leader: Option<Leader>, slot: Slot) -> Source {
        Source::Own(leader, Claimed::own(slot, self.helper_count.count()))
    }

    /// Counts the helper of a nested request, of which there may be too many.
    #[inline(never)]
    fn count_nested(&self, serving: &Serving<'_>, target: &Target) -> Result<Counted, Refusal> {
        self.helper_count
            .count_nested(lending::most_helpers())
            .map_err(|too_many| {
                messages::too_many_helpers(
                    &self.log,
                    serving.chain,
                    target.name(),
                    serving.requester,
                    too_many,
                );
                Refusal::Busy
            })
    }

    /// Borrows a slot or takes one, and waits for one if all are in use.
    #[inline(never)]
    fn take_slot(
        &self,
        serving: &Serving<'_>,
        claim: Claim,
        counted: Option<Counted>,
    ) -> Result<Claimed<Helper>, NoSlot> {
        match (serving.chain.helper(), counted) {
            // Its helper waits for it, as it waits itself.
            (Some(helper), Some(counted)) => {
                Claimed::take_nested(&self.slots, claim, helper, counted)
            }
            (_, counted) => {
                drop(counted);
                Claimed::take(&self.slots, claim, &self.helper_count)
            }
        }
    }

    /// Takes steps 8 and 9: runs a helper.
    fn run(
        &self,
        serving: &Serving<'_>,
        modprobe: KBox<Invocation<Modprobe>>,
        wait: Wait,
    ) -> Result<Ending> {
        // 8. The kernel's own trace event.
        self.trace(serving);

        // 9. The helper.
        usermode_helper::run(modprobe, wait, serving.on_stack)
    }

    /// Creates the helper; not inlined, so that its frame is gone while the helper runs.
    #[inline(never)]
    fn modprobe(
        &self,
        serving: &Serving<'_>,
        target: Target,
        leader: Option<Leader>,
        grant: Grant,
    ) -> Result<KBox<Invocation<Modprobe>>> {
        let helper = Helper::new(
            target,
            *serving.requester,
            serving.chain,
            serving.cgroup,
            serving.record.map(|it| it.record().clone()),
        )?;
        let timeout = match self.settings.helper_timeout_ms.load(Relaxed) {
            0 => None,
            timeout_ms => Some(Timeout::new(
                *helper.name(),
                timeout_ms,
                self.log.clone(),
                serving.chain.account(),
                self.symbols,
            )?),
        };
        let environment = match (serving.helper_env, serving.record) {
            (false, _) => None,
            (true, Some(record)) => Some(Environment::new(record.record(), self.symbols)?),
            (true, None) => return Err(ENOMEM),
        };
        let hearing = match self.answers.is_on() {
            true => self.hearing(serving),
            false => None,
        };
        let place = self.common.spare.take()?;
        let right = grant.into_right(&helper);
        let invocation = place.write_init(Invocation::new(init!(Modprobe {
            timeout,
            leader,
            tracker: self.helpers.track(helper),
            environment,
            record: serving.record.cloned(),
            mark: serving.request.wait.then(|| self.common.unloads.mark()),
            common: self.common.clone(),
            refused_before: self.common.refusals.count(),
            hearing,
            right: Some(right),
        })))?;
        Ok(invocation)
    }

    /// Fires the kernel's trace event, but only once for each request.
    fn trace(&self, serving: &Serving<'_>) {
        let Request {
            name,
            wait,
            call_site,
            ..
        } = serving.request;

        if !serving.is_traced.replace(true) {
            self.module_request.fire(name.as_cstr(), *wait, *call_site);
        }
    }
}

impl Drop for Kmod {
    /// Breaks the circle of references: helpers that run refer to what serves requests.
    fn drop(&mut self) {
        self.unwaiting.close();
    }
}
