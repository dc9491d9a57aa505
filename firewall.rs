// SPDX-License-Identifier: GPL-2.0

//! The firewall: who may have which module loaded by a request, as the administrator has set it.
//!
//! Has no counterpart in the C code. firewall/policy.rs decides; this file has the rules that are in
//! force, what changes them, and the lock on them.
//!
//! The rules are one value, which is replaced as a whole. A request takes a reference on it. While
//! the rules cannot deny anything, a request reads one flag and nothing else.

pub(crate) mod parameters;
mod patterns;
pub(crate) mod policy;
mod workers;

use self::{
    patterns::Patterns,
    policy::{
        Decision,
        Mode,
        Rule,
        Rules,
        Ruling,
        Services,
        Subject,
        Verdict, //
    }, //
};
use crate::{
    log_limits::{
        Kind,
        LogLimits, //
    },
    wrappers::{
        crypto::{
            self,
            Making,
            Wanted, //
        },
        log::Quoted,
        modprobe_path::ModprobePath,
        module,
        name::Name,
        private_symbols::PrivateSymbols,
        requester::{
            self,
            Account,
            Credentials,
            LazyCgroup,
            Requester, //
        },
        security, //
    }, //
};
use core::mem;
use kernel::{
    fmt,
    new_mutex,
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc,
        Mutex,
        SetOnce,
        SpinLock, //
    }, //
};

/// What the rules need to know of the requester besides what the current task is.
#[derive(Clone, Copy)]
pub(crate) struct RequesterView<'a> {
    /// Whether the request is nested.
    pub(crate) is_nested: bool,
    /// The cgroup of the current task; of the requester of the outermost request, if the request is
    /// nested.
    pub(crate) cgroup: &'a LazyCgroup,
}

/// What the firewall says of a request.
pub(crate) struct Checked {
    /// What becomes of it, and why.
    pub(crate) verdict: Verdict,
    /// Which entries are for its requester: requests share a helper only if this is equal.
    pub(crate) services: Services,
}

/// The rules, and what is remembered for them.
///
/// # Invariants
///
/// `is_in_force` says whether `rules` can deny anything. Both change only with `is_locked` held.
#[pin_data]
pub(crate) struct Firewall {
    is_in_force: Atomic<bool>,
    /// How often the rules have been replaced.
    revision: Atomic<u64>,
    #[pin]
    rules: SpinLock<Arc<Rules>>,
    /// Whether the rules are locked until reboot.
    #[pin]
    is_locked: Mutex<bool>,
    /// The path of modprobe when the rules were locked.
    locked_path: SetOnce<ModprobePath>,
    /// Whether it was logged that there is another path now.
    is_other_path_logged: Atomic<bool>,
    log: Arc<LogLimits>,
    symbols: PrivateSymbols,
}

impl Firewall {
    /// Creates a firewall with these rules.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new(
        rules: Rules,
        log: Arc<LogLimits>,
        symbols: PrivateSymbols,
    ) -> Result<Arc<Self>> {
        let is_in_force = rules.are_in_force();
        let rules = Arc::new(rules, GFP_KERNEL)?;

        // INVARIANT: The flag is that of the rules.
        Arc::pin_init(
            pin_init!(Self {
                is_in_force: Atomic::new(is_in_force),
                revision: Atomic::new(0),
                rules <- new_spinlock!(rules, "kmod_rs::Firewall::rules"),
                is_locked <- new_mutex!(false, "kmod_rs::Firewall::is_locked"),
                locked_path: SetOnce::new(),
                is_other_path_logged: Atomic::new(false),
                log,
                symbols,
            }),
            GFP_KERNEL,
        )
    }

    /// Decides on a request that the current task makes, or could make.
    ///
    /// This changes nothing, and nobody learns of it: see [`report`](Self::report). Returns `None`
    /// if the rules cannot deny anything.
    ///
    /// Context: with a task; may sleep. The caller may hold mutexes.
    #[inline(never)]
    pub(crate) fn check(&self, name: &Name, view: RequesterView<'_>) -> Option<Checked> {
        let rules = self.rules_in_force()?;
        let making = Making::current(self.symbols);
        let verdict = rules.judge(self.decide(&rules, name.as_cstr(), view, making));

        Some(Checked {
            verdict,
            services: match verdict.ruling {
                Ruling::Denied => Services::NONE,
                _ => rules.services(view.cgroup),
            },
        })
    }

    /// Decides on a module by its own name: a helper is about to load it, or would be.
    ///
    /// `cgroup` is that of the requester of the outermost request. This changes nothing, and nobody
    /// learns of it. Returns `None` if no rule denies the module.
    ///
    /// Context: may sleep. The caller may hold mutexes.
    #[inline(never)]
    pub(crate) fn check_module(&self, module: &Name, cgroup: &LazyCgroup) -> Option<Verdict> {
        let rules = self.rules_in_force()?;
        Some(rules.judge(rules.decide_on_module(module.as_cstr(), cgroup)?))
    }

    /// Logs a verdict if it denies a request, or would: by its name or, if there is a `module`, by
    /// that of the module.
    ///
    /// `requester` has made the request for `name`, and `account` is that of the request.
    ///
    /// Context: may sleep. The caller may hold mutexes.
    #[inline(never)]
    pub(crate) fn report(
        &self,
        verdict: Verdict,
        name: &Name,
        requester: &Requester,
        account: Account,
        module: Option<&Name>,
    ) {
        let (kind, how) = match verdict.ruling {
            Ruling::Allowed => return,
            Ruling::Denied => (Kind::Denied, "denied"),
            Ruling::WouldBeDenied => (Kind::WouldBeDenied, "would be denied"),
        };
        if let Some(again) = self.log.admit(kind, account, name) {
            pr_warn!(
                "autoload {}: {} ({}) rule=\"{}\"{}{}\n",
                how,
                name,
                requester,
                verdict.rule,
                OfModule(module),
                again,
            );
        }
    }

    /// Tells others not to wait for the current task, which has been denied a request, if it makes
    /// an algorithm that they may be allowed.
    ///
    /// Context: in a request; may sleep. Takes `crypto_alg_sem`.
    pub(crate) fn disown(&self) {
        if let Some(making) = Making::current(self.symbols) {
            if making.verdict != crypto::Verdict::Allowed {
                making.disown();
            }
        }
    }

    /// Returns how often the rules have been replaced.
    ///
    /// Rules that are read after this are not older than that.
    ///
    /// Context: any.
    pub(crate) fn revision(&self) -> u64 {
        // ORDERING: The number is raised after the rules are replaced.
        self.revision.load(Acquire)
    }

    /// Decides about an algorithm that the current task wants, and that is to be made of parts. The
    /// thread that makes it gets what the task gets.
    ///
    /// The security modules are asked as well: the thread may have everything loaded, as far as
    /// they know.
    ///
    /// Context: in a notifier of the crypto API; may sleep.
    pub(crate) fn judge(&self, algorithm: &Wanted<'_>, view: RequesterView<'_>) {
        let Some(rules) = self.rules_in_force() else {
            return;
        };
        let name = algorithm.module_name();
        let name = name.as_cstr();
        let decision = self.decide(&rules, name, view, Making::current(self.symbols));
        let is_allowed =
            decision.is_allowed && security::kernel_module_request(self.symbols, name).is_ok();

        if is_allowed {
            algorithm.judge(crypto::Verdict::Allowed, false);
        } else {
            algorithm.judge(crypto::Verdict::Denied, rules.enforce);
        }
    }

    /// Decides about the current task, which makes this algorithm, if it makes one.
    ///
    /// Context: with a task; may sleep. The caller may hold mutexes.
    #[inline(never)]
    fn decide(
        &self,
        rules: &Rules,
        name: &CStr,
        view: RequesterView<'_>,
        making: Option<Making>,
    ) -> Decision {
        let cipher = making.and_then(|making| {
            let rule = Rule::Crypto(making.algorithm);
            match making.verdict {
                crypto::Verdict::Unknown => None,
                crypto::Verdict::Allowed => Some(Decision::allowed(rule)),
                crypto::Verdict::Denied => Some(Decision::denied(rule)),
            }
        });
        rules.decide(
            name,
            Subject {
                is_nested: view.is_nested,
                is_anybody: match making {
                    // If nothing is known of the task that it works for, it may have what anybody
                    // may.
                    Some(_) => cipher.is_none(),
                    None => requester::is_kernel_thread() && workers::is_judged_as_anybody(name),
                },
                credentials: || Credentials::current(self.symbols),
                cgroup: view.cgroup,
                cipher,
            },
        )
    }

    /// Returns whether the rules can deny anything.
    ///
    /// Context: any.
    pub(crate) fn is_in_force(&self) -> bool {
        // ORDERING: The flag stands alone: the rules are read under their lock.
        self.is_in_force.load(Relaxed)
    }

    /// Returns the rules as they are now, if they can deny anything.
    fn rules_in_force(&self) -> Option<Arc<Rules>> {
        self.is_in_force().then(|| self.rules())
    }

    /// Returns the rules as they are now.
    ///
    /// Context: any but interrupts.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules.lock().clone()
    }

    /// Sets the mode, by its number.
    ///
    /// Returns [`EINVAL`] if there is no such mode, [`EPERM`] if the rules are locked, or
    /// [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn set_mode(&self, number: u32) -> Result {
        let mode = Mode::from_number(number).ok_or(EINVAL)?;
        self.change(|rules| rules.mode = mode)
    }

    /// Sets the names that anybody may have loaded.
    ///
    /// Returns [`EINVAL`] if that is no list, [`EPERM`] if the rules are locked, or [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn set_allow(&self, written: &[u8]) -> Result {
        let list = Arc::new(Patterns::parse(written)?, GFP_KERNEL)?;
        self.change(|rules| rules.allow = list)
    }

    /// Sets the names that nobody may have loaded.
    ///
    /// Returns [`EINVAL`] if that is no list, [`EPERM`] if the rules are locked, or [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn set_deny(&self, written: &[u8]) -> Result {
        let list = Arc::new(Patterns::parse(written)?, GFP_KERNEL)?;
        self.change(|rules| rules.deny = list)
    }

    /// Sets the last user id that counts as privileged.
    ///
    /// Returns [`EPERM`] if the rules are locked, or [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn set_system_uids(&self, last: u32) -> Result {
        self.change(|rules| rules.system_uids = last)
    }

    /// Sets whether tasks count as privileged that have their rights by the execution of their
    /// program.
    ///
    /// Returns [`EPERM`] if the rules are locked, or [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn set_setuid(&self, setuid: bool) -> Result {
        self.change(|rules| rules.setuid = setuid)
    }

    /// Sets whether requests are denied, or only logged and recorded as such.
    ///
    /// Returns [`EPERM`] if the rules are locked, or [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn set_enforce(&self, enforce: bool) -> Result {
        self.change(|rules| rules.enforce = enforce)
    }

    /// Replaces the rules by a copy that `change` has changed.
    ///
    /// Returns [`EPERM`] if the rules are locked, or [`ENOMEM`].
    ///
    /// Context: may sleep.
    fn change(&self, change: impl FnOnce(&mut Rules)) -> Result {
        let is_locked = self.is_locked.lock();
        if *is_locked {
            return Err(EPERM);
        }
        let mut rules = Rules::clone(&self.rules());
        change(&mut rules);
        let is_in_force = rules.are_in_force();
        let rules = Arc::new(rules, GFP_KERNEL)?;

        // INVARIANT: `is_locked` is held.
        let before = mem::replace(&mut *self.rules.lock(), rules);
        self.is_in_force.store(is_in_force, Relaxed);
        self.revision.fetch_add(1, Release);
        drop(is_locked);
        drop(before);
        Ok(())
    }

    /// Checks whether the current task may change the rules.
    ///
    /// Returns [`EPERM`] if it may not, or if the rules are locked.
    ///
    /// Context: may sleep.
    pub(crate) fn may_change(&self) -> Result {
        requester::may_configure()?;
        if self.is_locked() {
            return Err(EPERM);
        }
        Ok(())
    }

    /// Returns whether the rules are locked.
    ///
    /// Context: may sleep.
    pub(crate) fn is_locked(&self) -> bool {
        *self.is_locked.lock()
    }

    /// Locks the rules and the path of modprobe, and keeps the module loaded, until reboot.
    ///
    /// Returns [`EPERM`] if they are locked, [`ENOMEM`], or [`EBUSY`] as [`module::keep`] does.
    ///
    /// Context: may sleep.
    pub(crate) fn lock(&self) -> Result {
        let mut is_locked = self.is_locked.lock();
        if *is_locked {
            return Err(EPERM);
        }
        let path = ModprobePath::read(self.symbols)?;
        module::keep()?;
        self.locked_path.populate(path);
        *is_locked = true;
        pr_info!(
            "autoload rules are locked until reboot ({})\n",
            Requester::current(),
        );
        Ok(())
    }

    /// Returns the path of the program that a request runs, if `/proc/sys/kernel/modprobe` has
    /// `path`.
    ///
    /// Once the rules are locked, this is what the file had then. An empty path still switches
    /// automatic loading off.
    ///
    /// Context: may sleep.
    pub(crate) fn path_to_run(&self, path: ModprobePath) -> ModprobePath {
        let Some(locked) = self.locked_instead_of(&path) else {
            return path;
        };
        if !self.is_other_path_logged.xchg(true, Relaxed) {
            pr_warn!(
                "autoload rules are locked with the program {}: {} in /proc/sys/kernel/modprobe does not count\n",
                Quoted(locked.as_cstr().to_bytes()),
                Quoted(path.as_cstr().to_bytes()),
            );
        }
        locked.clone()
    }

    /// Returns the path that counts in the place of this one, because the rules are locked.
    ///
    /// Context: any.
    pub(crate) fn locked_instead_of(&self, path: &ModprobePath) -> Option<&ModprobePath> {
        let locked = self.locked_path.as_ref()?;
        let path = path.as_cstr();

        (!path.is_empty() && path != locked.as_cstr()).then_some(locked)
    }

    /// Logs that locked rules are given up, if they are locked.
    ///
    /// To be called before `request_module()` is given back to the kernel.
    ///
    /// Context: in the task that gives back; may sleep.
    pub(crate) fn given_back(&self) {
        if self.is_locked() {
            pr_warn!(
                "autoload rules were locked, and are given up with the livepatch ({})\n",
                Requester::current(),
            );
        }
    }
}

/// The module that a log line is about, if it is about one.
struct OfModule<'a>(Option<&'a Name>);

impl fmt::Display for OfModule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(module) => f.write_fmt(fmt!(" module={module}")),
            None => Ok(()),
        }
    }
}
