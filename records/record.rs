// SPDX-License-Identifier: GPL-2.0

//! The record of one request: who made it, for what, from where, and how it ended.
//!
//! Has no counterpart in the C code. A record is made when the request begins. What it says of the
//! requester does not change any more. What becomes of the request is filled in as it becomes
//! known, possibly after the request has returned: when its helper ends, or when a module appears.

use super::{
    chain_line::ChainLine,
    outcome::Outcome,
    progress::Progress, //
};
use crate::{
    firewall::policy::{
        Ruling,
        Verdict, //
    },
    usermode_helper::WaitStatus,
    wrappers::{
        call_site::CallSite,
        log::{
            Known,
            Quoted, //
        },
        modprobe_path::ModprobePath,
        name::Name,
        requester::{
            Account,
            ActsAs,
            Origin,
            Requester, //
        }, //
    }, //
};
use kernel::{
    ffi::c_int,
    fmt,
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Refcount,
        SetOnce,
        SpinLock, //
    },
    task::Pid,
    time::{
        ClockSource,
        Delta,
        Instant,
        Monotonic, //
    }, //
};

/// How many modules of a request are listed by name; the others are only counted.
const MAX_MODULES: usize = 16;

/// A counter of the bytes that records take.
pub(crate) struct Memory(Atomic<u64>);

impl Memory {
    /// Creates a counter that is 0.
    pub(crate) fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// Returns how many bytes records take now.
    pub(crate) fn bytes(&self) -> u64 {
        // ORDERING: The counter is only shown; it guards nothing, here and below.
        self.0.load(Relaxed)
    }

    fn take(&self, bytes: usize) {
        // CAST: A `usize` has at most 64 bits.
        self.0.add(bytes as u64, Relaxed);
    }

    fn give_back(&self, bytes: usize) {
        // CAST: A `usize` has at most 64 bits.
        self.0.fetch_sub(bytes as u64, Relaxed);
    }
}

/// What is known of a request when it begins, besides its chain.
pub(crate) struct Beginning<'a> {
    /// The name that it is for, or its beginning if it is too long.
    pub(crate) name: &'a Name,
    /// Whether it waits for its helper to exit.
    pub(crate) wait: bool,
    /// The address in the caller of `request_module()`.
    pub(crate) call_site: usize,
    /// The current task, which makes it.
    pub(crate) requester: &'a Requester,
    /// The account that it is on: that of the outermost request of its chain.
    pub(crate) account: Account,
}

/// The record of one request.
///
/// Shown as `key=value` pairs on one line, without a newline at the end.
///
/// What few records have is allocated apart, so that a record fits into 512 bytes.
///
/// Methods that read or change what is in `progress` take that spinlock, so they must not be called
/// in an interrupt.
#[pin_data(PinnedDrop)]
pub(crate) struct Record {
    seq: u64,
    /// When the request began, in nanoseconds of CLOCK_MONOTONIC.
    time: i64,
    name: Name,
    wait: bool,
    requester: Requester,
    account: Account,
    origin: Origin,
    call_site: Arc<CallSite>,
    /// The names of the chain, the outermost helper's first; `None` if there are none, which is the
    /// usual case.
    chain: Option<KBox<KVec<Name>>>,
    /// The verdict of the firewall, if it was asked.
    verdict: SetOnce<Verdict>,
    /// The first module that the firewall would not have its helper load, and its verdict on it.
    denied_module: SetOnce<KBox<(Name, Verdict)>>,
    /// The path of the program that a helper ran for the request, if one did. All records with this
    /// path share the copy, so no record counts it.
    path: SetOnce<ModprobePath>,
    /// [`MAX_MODULES`] places for the names of modules, allocated when the first one appears.
    modules: SetOnce<KBox<[SetOnce<Name>; MAX_MODULES]>>,
    memory: Arc<Memory>,
    /// How many say that the request is in flight, see `InFlight`.
    pub(super) flights: Refcount,
    #[pin]
    progress: SpinLock<Progress>,
}

// With its reference count; the next larger piece of memory is 1024 bytes. On other kernels, a
// spinlock is larger.
#[cfg(not(any(CONFIG_PREEMPT_RT, CONFIG_DEBUG_SPINLOCK, CONFIG_DEBUG_LOCK_ALLOC)))]
const _: () = assert!(size_of::<Record>() + size_of::<u64>() <= 512);

impl Record {
    /// Creates the record of a request that the current task makes.
    ///
    /// `chain` yields the names of the chain, the closest helper's first. The record is counted in
    /// `memory` until it is freed.
    ///
    /// Returns [`ENOMEM`] if there is no memory for it.
    ///
    /// Context: may sleep; the caller may hold mutexes.
    pub(crate) fn new<'a>(
        seq: u64,
        beginning: &Beginning<'_>,
        call_site: Arc<CallSite>,
        chain: impl Iterator<Item = &'a Name> + Clone,
        memory: &Arc<Memory>,
    ) -> Result<Arc<Self>> {
        let time = Monotonic::ktime_get();
        let Beginning {
            name,
            wait,
            call_site: _,
            requester,
            account,
        } = *beginning;
        let chain = outermost_first(chain)?;
        let bytes = size_of::<Self>() + bytes_of_chain(chain.as_deref());

        let record = Arc::pin_init(
            pin_init!(Self {
                seq,
                time,
                name: *name,
                wait,
                requester: *requester,
                account,
                origin: Origin::current(),
                call_site,
                chain,
                verdict: SetOnce::new(),
                denied_module: SetOnce::new(),
                path: SetOnce::new(),
                modules: SetOnce::new(),
                memory: memory.clone(),
                flights: Refcount::new(1),
                progress <- new_spinlock!(Progress::NONE, "kmod_rs::Record::progress"),
            }),
            GFP_KERNEL,
        )?;
        memory.take(bytes);
        Ok(record)
    }

    /// Returns the number of the request.
    ///
    /// Requests are numbered as they begin. Those that are made while no record is wanted have no
    /// number.
    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    /// Returns when the request began, in nanoseconds of CLOCK_MONOTONIC.
    pub(crate) fn time(&self) -> i64 {
        self.time
    }

    /// Returns the account that the request is on.
    pub(crate) fn account(&self) -> Account {
        self.account
    }

    /// Returns whether the request was denied or would have been, by its name or by that of a module,
    /// is a part of a loop, or got no slot in time.
    pub(crate) fn is_denial(&self) -> bool {
        let is_ruled_out = self
            .verdict()
            .is_some_and(|verdict| verdict.ruling != Ruling::Allowed);

        is_ruled_out
            || self.denied_module().is_some()
            || matches!(
                self.progress().outcome(),
                Some(Outcome::Denied | Outcome::Loop | Outcome::Timeout)
            )
    }

    /// Returns the name that the request is for, or its beginning if it is too long.
    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    /// Returns whether the request waits for its helper to exit.
    pub(crate) fn waits(&self) -> bool {
        self.wait
    }

    /// Returns the requester.
    pub(crate) fn requester(&self) -> &Requester {
        &self.requester
    }

    /// Returns where the request comes from.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns the place that the request comes from: `symbol+offset/size`, with the name of its
    /// module if it has one.
    pub(crate) fn call_site(&self) -> &[u8] {
        self.call_site.text()
    }

    /// Returns the chain, ready to be shown as a value in a trace event: cut if it is long.
    pub(crate) fn short_chain(&self) -> impl fmt::Display + '_ {
        let name = |position| self.name_in_chain(position);
        QuotedChain(self.helpers(), ChainLine::cut(self.helpers().len(), name))
    }

    /// Returns the chain, ready to be shown as a value in a line.
    fn chain(&self) -> impl fmt::Display + '_ {
        let name = |position| self.name_in_chain(position);
        QuotedChain(self.helpers(), ChainLine::whole(self.helpers().len(), name))
    }

    /// Returns the names of the helpers in the chain, the outermost one's first.
    fn helpers(&self) -> &[Name] {
        self.chain.as_deref().map_or(&[], |names| names)
    }

    /// Returns the name at a position of the chain, at whose end is the request itself.
    fn name_in_chain(&self, position: usize) -> &Name {
        self.helpers().get(position).unwrap_or(&self.name)
    }

    /// Returns a copy of what is known of the request so far.
    pub(crate) fn progress(&self) -> Progress {
        *self.progress.lock()
    }

    /// Notes the verdict of the firewall.
    pub(crate) fn judged(&self, verdict: Verdict) {
        self.verdict.populate(verdict);
    }

    /// Returns the verdict of the firewall, if it was asked.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.verdict.copy()
    }

    /// Notes that the firewall denies, or would deny, a module that the helper of the request loads
    /// or would load.
    ///
    /// If there is no memory for it, the record does not have it.
    ///
    /// Context: may sleep.
    pub(crate) fn module_judged(&self, module: Name, verdict: Verdict) {
        if let Ok(denied) = KBox::new((module, verdict), GFP_KERNEL) {
            if self.denied_module.populate(denied) {
                self.memory.take(size_of::<(Name, Verdict)>());
            }
        }
    }

    /// Returns the first such module, and the verdict on it.
    pub(crate) fn denied_module(&self) -> Option<&(Name, Verdict)> {
        self.denied_module.as_ref().map(|denied| &**denied)
    }

    /// Returns the outcome, with what is known of modules that the firewall has refused.
    fn with_refusal(&self, outcome: Outcome) -> Outcome {
        match self.denied_module() {
            Some((_, verdict)) if verdict.ruling == Ruling::Denied => outcome.with_refusal(),
            _ => outcome,
        }
    }

    /// Notes the path of the program that a helper runs for the request: its own or its leader's.
    ///
    /// It is the same path if several helpers run, one after the other.
    pub(crate) fn ran(&self, path: &ModprobePath) {
        self.path.populate(path.clone());
    }

    /// Returns that path, ready to be shown as a value in a line.
    pub(crate) fn path(&self) -> impl fmt::Display + '_ {
        let path = self.path.as_ref();
        Known(path.map(|path| Quoted(path.as_cstr().to_bytes())))
    }

    /// Notes that the request begins to wait, for its leader's helper or for a slot.
    pub(crate) fn queued(&self) {
        let now = Instant::now();
        self.progress.lock().queued(now);
    }

    /// Notes that the request has stopped waiting.
    ///
    /// Returns how long it waited, or `None` if it was not waiting.
    pub(crate) fn dequeued(&self) -> Option<Delta> {
        self.progress.lock().dequeued()
    }

    /// Notes the process id of the helper, which is about to execute the program.
    pub(crate) fn helper_started(&self, helper: Pid) {
        let now = Instant::now();
        self.progress.lock().helper_started(helper, now);
    }

    /// Notes that the helper has ended, or could not be run.
    ///
    /// Returns how long the helper ran, if that is known. It is not known if the request does not
    /// wait and `result` is a success: this only says that the program was executed.
    pub(crate) fn helper_ended(&self, result: Result<WaitStatus>) -> Option<Delta> {
        if !self.wait && result == Ok(WaitStatus::SUCCESS) {
            return None;
        }
        let outcome = self.with_refusal(Outcome::of_helper(result));
        self.progress.lock().helper_ended(outcome)
    }

    /// Notes what has become of a request that was kept, if no helper is started for it.
    pub(crate) fn not_started(&self, outcome: Outcome) {
        self.progress.lock().not_started(outcome);
    }

    /// Notes the outcome and the result that the request returns with.
    ///
    /// Returns the outcome; a success is [`Outcome::Nothing`] if no module has appeared. Also returns
    /// how long the request waited, if it was waiting until now.
    pub(crate) fn answered(&self, outcome: Outcome, result: c_int) -> (Outcome, Option<Delta>) {
        let outcome = self.with_refusal(outcome);
        self.progress.lock().answered(outcome, result)
    }

    /// Notes that a module has appeared because of the request.
    ///
    /// If there is no memory for its name, it is only counted.
    ///
    /// Context: may sleep.
    pub(crate) fn add_module(&self, module: Name) {
        if self.modules.as_ref().is_none() {
            if let Ok(places) = module_places() {
                if self.modules.populate(places) {
                    self.memory.take(size_of::<[SetOnce<Name>; MAX_MODULES]>());
                }
            }
        }

        let mut progress = self.progress.lock();
        let number = progress.add_module();
        // With the lock held, so that a reader finds as many names as are counted.
        if let Some(place) = self.modules.as_ref().and_then(|places| places.get(number)) {
            place.populate(module);
        }
    }

    /// Returns how many bytes the record takes.
    fn bytes(&self) -> usize {
        let modules = self
            .modules
            .as_ref()
            .map_or(0, |places| size_of_val(&**places));
        let denied = self
            .denied_module
            .as_ref()
            .map_or(0, |it| size_of_val(&**it));

        size_of::<Self>() + bytes_of_chain(self.chain.as_deref()) + modules + denied
    }
}

/// Returns how many bytes the names of a chain take.
fn bytes_of_chain(names: Option<&KVec<Name>>) -> usize {
    names.map_or(0, |names| {
        size_of_val(names) + names.capacity() * size_of::<Name>()
    })
}

/// Copies the names of a chain, which are given from the closest helper on, in reverse order.
fn outermost_first<'a>(
    names: impl Iterator<Item = &'a Name> + Clone,
) -> Result<Option<KBox<KVec<Name>>>> {
    let count = names.clone().count();
    if count == 0 {
        return Ok(None);
    }
    let mut chain = KVec::with_capacity(count, GFP_KERNEL)?;

    for name in names {
        chain.push(*name, GFP_KERNEL)?;
    }
    chain.reverse();
    Ok(Some(KBox::new(chain, GFP_KERNEL)?))
}

/// Allocates [`MAX_MODULES`] empty places for names.
#[inline(never)]
fn module_places() -> Result<KBox<[SetOnce<Name>; MAX_MODULES]>> {
    Ok(KBox::new(
        [const { SetOnce::new() }; MAX_MODULES],
        GFP_KERNEL,
    )?)
}

#[pinned_drop]
impl PinnedDrop for Record {
    fn drop(self: Pin<&mut Self>) {
        self.memory.give_back(self.bytes());
    }
}

/// A time in nanoseconds, shown in seconds with six decimal places.
pub(crate) struct Seconds(pub(crate) i64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.0 / 1000;
        f.write_fmt(fmt!("{}.{:06}", us / 1_000_000, us % 1_000_000))
    }
}

/// The chain of a request in quotes, with the request's own name at the end; `-` if the request is
/// not nested.
///
/// The first field has the names of the helpers, the second one shows all names.
struct QuotedChain<'a, T>(&'a [Name], T);

impl<T: fmt::Display> fmt::Display for QuotedChain<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("-"),
            _ => f.write_fmt(fmt!("\"{}\"", self.1)),
        }
    }
}

/// The modules of a record in quotes: the names that are known, then the number of the others; `-`
/// if there are none.
///
/// The second field is how many modules have appeared.
struct Modules<'a>(&'a Record, usize);

impl fmt::Display for Modules<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(record, count) = *self;
        if count == 0 {
            return f.write_str("-");
        }

        let places = record
            .modules
            .as_ref()
            .map_or(&[][..], |places| &places[..]);
        let mut shown = 0;
        f.write_str("\"")?;
        for name in places.iter().take(count).filter_map(SetOnce::as_ref) {
            let separator = if shown == 0 { "" } else { " " };
            f.write_fmt(fmt!("{separator}{name}"))?;
            shown += 1;
        }
        if shown < count {
            f.write_fmt(fmt!(" +{}", count - shown))?;
        }
        f.write_str("\"")
    }
}

/// The keys for other credentials, which are left out if the requester acts with its own ones.
///
/// Shown with a blank before each key, here and below.
pub(crate) struct ActsAsKeys(pub(crate) Option<ActsAs>);

impl fmt::Display for ActsAsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(acts_as) = self.0 else {
            return Ok(());
        };
        f.write_fmt(fmt!(
            " as_uid={} as_userns={}",
            acts_as.uid,
            userns(acts_as.is_in_init_userns),
        ))
    }
}

/// The keys for a module that is denied by its own name, which are left out if there is none.
pub(crate) struct DeniedModuleKeys<'a>(pub(crate) Option<&'a (Name, Verdict)>);

impl fmt::Display for DeniedModuleKeys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((module, verdict)) = self.0 else {
            return Ok(());
        };
        f.write_fmt(fmt!(
            " denied_module={} module_policy={} module_rule=\"{}\"",
            Quoted(module.as_bytes()),
            verdict.ruling,
            verdict.rule,
        ))
    }
}

/// Returns the word for a user namespace.
pub(crate) fn userns(is_initial: bool) -> &'static str {
    if is_initial {
        "initial"
    } else {
        "other"
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let progress = self.progress();
        let Self {
            requester, origin, ..
        } = self;
        let cgroup = origin.cgroup();

        f.write_fmt(fmt!(
            "seq={} t={} name={} wait={} pid={} tgid={} comm={} uid={} loginuid={} ",
            self.seq,
            Seconds(self.time),
            Quoted(self.name.as_bytes()),
            u8::from(self.wait),
            requester.pid(),
            requester.tgid(),
            Quoted(requester.comm()),
            requester.uid(),
            Known(origin.loginuid),
        ))?;
        f.write_fmt(fmt!(
            "userns={} nspid={} cgroup={} call_site={} chain={} ",
            userns(origin.is_in_init_userns),
            origin.nspid,
            Known((!cgroup.is_empty()).then_some(Quoted(cgroup))),
            Quoted(self.call_site()),
            self.chain(),
        ))?;
        f.write_fmt(fmt!(
            "helper={} queue_us={} helper_us={} outcome={} result={} modules={}",
            Known(progress.helper),
            Known(progress.queue_time.map(|time| time.as_nanos() / 1000)),
            Known(progress.helper_time.map(|time| time.as_nanos() / 1000)),
            Known(progress.outcome()),
            Known(progress.result()),
            Modules(self, progress.modules()),
        ))?;
        // These keys are left out if the firewall was not asked.
        if let Some(verdict) = self.verdict() {
            f.write_fmt(fmt!(" {verdict}"))?;
        }
        f.write_fmt(fmt!(" path={}", self.path()))?;
        ActsAsKeys(origin.acts_as).fmt(f)?;
        DeniedModuleKeys(self.denied_module()).fmt(f)?;
        // New keys come here, at the end.
        Ok(())
    }
}

#[kunit_tests(kmod_rs_record)]
mod tests {
    use super::*;
    use crate::{
        firewall::policy::{
            Mode,
            Rule, //
        },
        wrappers::private_symbols::PrivateSymbols, //
    };
    use kernel::str::CString;

    fn record(name: &CStr, wait: bool) -> Result<Arc<Record>> {
        let memory = Arc::new(Memory::new(), GFP_KERNEL)?;
        let beginning = Beginning {
            name: &Name::new(name),
            wait,
            call_site: 0,
            requester: &Requester::current(),
            account: Account::of_user(0),
        };
        let call_site = Arc::new(CallSite::new(0), GFP_KERNEL)?;
        Record::new(7, &beginning, call_site, [].iter(), &memory)
    }

    fn shown(record: &Record) -> Result<CString> {
        CString::try_from_fmt(fmt!("{record}"))
    }

    fn ends_with(record: &Record, end: &[u8]) -> Result<bool> {
        Ok(shown(record)?.to_bytes().ends_with(end))
    }

    /// Returns a path that is not empty, unless automatic loading is off.
    fn path() -> Result<ModprobePath> {
        ModprobePath::read(PrivateSymbols::find()?)
    }

    #[test]
    fn a_killed_request_gets_the_outcome_of_its_helper() -> Result {
        let record = record(c"a", true)?;
        record.helper_started(3);
        record.answered(Outcome::Killed, -512);
        assert_eq!(record.progress().outcome(), Some(Outcome::Killed));
        assert!(record.helper_ended(Err(EIO)).is_some());
        assert_eq!(record.progress().outcome(), Some(Outcome::Errno));
        assert_eq!(record.progress().result(), Some(-512));
        Ok(())
    }

    #[test]
    fn who_does_not_wait_learns_of_modules_only() -> Result {
        let record = record(c"a", false)?;
        record.helper_started(3);
        assert!(record.helper_ended(Ok(WaitStatus::SUCCESS)).is_none());
        record.answered(Outcome::Started, 0);
        assert!(ends_with(
            &record,
            b"helper_us=- outcome=started result=0 modules=- path=-"
        )?);
        record.add_module(Name::new(c"b"));
        assert!(ends_with(
            &record,
            b"helper_us=- outcome=loaded result=0 modules=\"b\" path=-"
        )?);
        Ok(())
    }

    #[test]
    fn a_kept_request_gets_the_outcome_of_what_comes_of_it() -> Result {
        let kept = || {
            let record = record(c"a", false)?;
            record.answered(Outcome::Kept, 0);
            assert_eq!(record.progress().outcome(), Some(Outcome::Kept));
            Ok::<_, Error>(record)
        };
        let record = kept()?;
        record.helper_started(3);
        assert_eq!(record.progress().outcome(), Some(Outcome::Started));
        record.add_module(Name::new(c"b"));
        assert_eq!(record.progress().outcome(), Some(Outcome::Loaded));

        let record = kept()?;
        record.helper_started(3);
        assert!(record.helper_ended(Err(ENOENT)).is_some());
        assert_eq!(record.progress().outcome(), Some(Outcome::Errno));

        let record = kept()?;
        record.not_started(Outcome::Shared);
        assert_eq!(record.progress().outcome(), Some(Outcome::Shared));
        assert_eq!(record.progress().result(), Some(0));
        Ok(())
    }

    #[test]
    fn what_is_a_denial() -> Result {
        for outcome in Outcome::ALL {
            let record = record(c"a", true)?;
            record.answered(outcome, 0);
            let expected = matches!(outcome, Outcome::Denied | Outcome::Loop | Outcome::Timeout);
            assert_eq!(record.is_denial(), expected);
        }
        for (ruling, expected) in [(Ruling::Allowed, false), (Ruling::WouldBeDenied, true)] {
            let record = record(c"a", true)?;
            record.judged(Verdict {
                ruling,
                rule: Rule::Mode(Mode::Nobody),
            });
            record.answered(Outcome::Loaded, 0);
            assert_eq!(record.is_denial(), expected);
        }
        Ok(())
    }

    #[test]
    fn a_success_without_a_module_is_told_apart() -> Result {
        let nothing = record(c"a", true)?;
        assert_eq!(nothing.answered(Outcome::Loaded, 0).0, Outcome::Nothing);
        assert_eq!(nothing.progress().outcome(), Some(Outcome::Nothing));
        // A descendant of the helper was in the middle of it.
        nothing.add_module(Name::new(c"b"));
        assert_eq!(nothing.progress().outcome(), Some(Outcome::Loaded));

        let loaded = record(c"a", true)?;
        loaded.add_module(Name::new(c"b"));
        assert_eq!(loaded.answered(Outcome::Loaded, 0).0, Outcome::Loaded);

        let killed = record(c"a", true)?;
        killed.helper_started(3);
        assert_eq!(killed.answered(Outcome::Killed, -512).0, Outcome::Killed);
        killed.helper_ended(Ok(WaitStatus::SUCCESS));
        assert_eq!(killed.progress().outcome(), Some(Outcome::Nothing));
        Ok(())
    }

    #[test]
    fn what_the_firewall_said_comes_after_the_modules() -> Result {
        let record = record(c"a", true)?;
        assert!(record.verdict().is_none());
        record.judged(Verdict {
            ruling: Ruling::Denied,
            rule: Rule::Deny(Name::new(c"a*")),
        });
        record.answered(Outcome::Denied, 256);
        assert!(ends_with(
            &record,
            b"outcome=denied result=256 modules=- policy=denied rule=\"autoload_deny a*\" path=-"
        )?);
        Ok(())
    }

    #[test]
    fn a_module_that_was_refused_comes_last() -> Result {
        let denied = |ruling| Verdict {
            ruling,
            rule: Rule::Deny(Name::new(c"m*")),
        };
        let refused = record(c"a", true)?;
        refused.module_judged(Name::new(c"m"), denied(Ruling::Denied));
        refused.module_judged(Name::new(c"m2"), denied(Ruling::Denied));
        assert_eq!(refused.answered(Outcome::Exit, 256).0, Outcome::Refused);
        assert!(refused.is_denial());
        assert!(ends_with(
            &refused,
            b" path=- denied_module=\"m\" module_policy=denied module_rule=\"autoload_deny m*\""
        )?);

        let killed = record(c"a", true)?;
        killed.module_judged(Name::new(c"m"), denied(Ruling::Denied));
        killed.helper_started(3);
        killed.answered(Outcome::Killed, -512);
        killed.helper_ended(WaitStatus::from_raw(256));
        assert_eq!(killed.progress().outcome(), Some(Outcome::Refused));

        let would_be = record(c"a", true)?;
        would_be.module_judged(Name::new(c"m"), denied(Ruling::WouldBeDenied));
        assert_eq!(would_be.answered(Outcome::Exit, 256).0, Outcome::Exit);
        assert!(would_be.is_denial());
        Ok(())
    }

    #[test]
    fn more_modules_than_there_is_room_for() -> Result {
        let record = record(c"a", true)?;
        for _ in 0..MAX_MODULES + 2 {
            record.add_module(Name::new(c"m"));
        }
        assert!(ends_with(&record, b" m m +2\" path=-")?);
        Ok(())
    }

    #[test]
    fn a_name_stays_in_its_field() -> Result {
        let record = record(c"a\" wait=9\n", true)?;
        let shown = shown(&record)?;
        assert!(shown.to_bytes().starts_with(b"seq=7 t="));
        assert!(!shown.to_bytes().contains(&b'\n'));
        assert_eq!(
            shown.to_bytes().split(|byte| *byte == b'"').nth(1),
            Some(&b"a\\x22 wait=9\\x0a"[..])
        );
        Ok(())
    }

    #[test]
    fn the_program_is_shown_when_it_was_run() -> Result {
        let record = record(c"a", true)?;
        assert!(ends_with(&record, b" modules=- path=-")?);
        let path = path()?;
        record.ran(&path);
        let expected = CString::try_from_fmt(fmt!(" path={}", Quoted(path.as_cstr().to_bytes())))?;
        assert!(ends_with(&record, expected.to_bytes())?);
        Ok(())
    }

    #[test]
    fn memory_is_given_back() -> Result {
        let record = record(c"a", true)?;
        let memory = record.memory.clone();
        let without_modules = memory.bytes();
        record.add_module(Name::new(c"m"));
        let with_modules = memory.bytes();
        assert!(with_modules > without_modules);
        record.add_module(Name::new(c"n"));
        assert_eq!(memory.bytes(), with_modules);
        drop(record);
        assert_eq!(memory.bytes(), 0);
        Ok(())
    }
}
