// SPDX-License-Identifier: GPL-2.0

//! The policy: who may have which module loaded by a request.
//!
//! Has no counterpart in the C code, where everybody may have every module loaded. The first of
//! these that applies decides:
//!
//! 1. the name, if modprobe would take it for the path of a file;
//! 2. the list of names that may not be loaded;
//! 3. the list of names that may be loaded;
//! 4. the decision on a cipher, for the kernel thread that puts the cipher together;
//! 5. the mode: everybody, only privileged requesters, or nobody.
//!
//! An entry of a list is for anybody, or for the requesters in a cgroup.

use crate::{
    firewall::patterns::{
        Folded,
        Patterns,
        Unknown, //
    },
    wrappers::{
        name::Name,
        requester::{
            Credentials,
            LazyCgroup, //
        }, //
    }, //
};
use kernel::{
    fmt,
    prelude::*,
    sync::Arc, //
};

/// The prefix of the names that requests for the modules of network devices have.
const NETWORK_DEVICE: &[u8] = b"netdev-";

/// Who may have modules loaded whose names are in neither list; the value of `autoload_mode`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// 0: everybody.
    Everybody,
    /// 1: only privileged requesters.
    Privileged,
    /// 2: nobody.
    Nobody,
}

impl Mode {
    /// All modes; the index of each is its number.
    const ALL: [Self; 3] = [Self::Everybody, Self::Privileged, Self::Nobody];

    /// The greatest number of a mode.
    pub(crate) const MAX: u32 = 2;

    /// Returns the mode with this number; `None` if there is no such mode.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        // CAST: A `usize` is at least as wide as a `u32`.
        Self::ALL.get(number as usize).copied()
    }

    /// Returns the number of the mode.
    pub(crate) fn number(self) -> u32 {
        // CAST: At most `Self::MAX`.
        self as u32
    }
}

/// What decided on a request; shown as the value of `rule`.
///
/// An entry or an algorithm that is longer than a [`Name`] is cut.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The name is the path of a file to modprobe.
    Path,
    /// This entry in the list of names that may not be loaded.
    Deny(Name),
    /// This entry in the list of names that may be loaded.
    Allow(Name),
    /// The mode: it denies or allows everybody, or it denies a requester that is not privileged.
    Mode(Mode),
    /// The requester would be privileged, but has its rights by the execution of its program, and
    /// `autoload_setuid` is 0.
    Setuid,
    /// The request is nested, so the requester is privileged.
    Nested,
    /// The requester is a thread or a worker of the kernel, and so privileged.
    KernelThread,
    /// The requester is a thread or a worker of the kernel, but somebody else has chosen the name.
    AsAnybody,
    /// The requester has the capability that makes it privileged.
    Capability,
    /// The effective user id of the requester is up to `autoload_system_uids`, so it is privileged.
    SystemUid,
    /// What was decided about the task that wants this algorithm, which the requester makes.
    Crypto(Name),
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path => f.write_str("path"),
            Self::Deny(pattern) => f.write_fmt(fmt!("autoload_deny {pattern}")),
            Self::Allow(pattern) => f.write_fmt(fmt!("autoload_allow {pattern}")),
            Self::Mode(mode) => f.write_fmt(fmt!("autoload_mode {}", mode.number())),
            Self::Setuid => f.write_str("autoload_setuid 0"),
            Self::Nested => f.write_str("nested"),
            Self::KernelThread => f.write_str("kernel thread"),
            Self::AsAnybody => f.write_str("kernel thread, as anybody"),
            Self::Capability => f.write_str("capability"),
            Self::SystemUid => f.write_str("autoload_system_uids"),
            Self::Crypto(algorithm) => f.write_fmt(fmt!("crypto {algorithm}")),
        }
    }
}

/// Whether a request is allowed, and why.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Whether the request is allowed.
    pub(crate) is_allowed: bool,
    /// What decided.
    pub(crate) rule: Rule,
}

impl Decision {
    pub(crate) fn allowed(rule: Rule) -> Self {
        Self {
            is_allowed: true,
            rule,
        }
    }

    pub(crate) fn denied(rule: Rule) -> Self {
        Self {
            is_allowed: false,
            rule,
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ruling {
    /// The request goes on.
    Allowed,
    /// The request is refused.
    Denied,
    /// The request goes on, because `autoload_enforce` is 0.
    WouldBeDenied,
}

impl fmt::Display for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::WouldBeDenied => "would-be-denied",
        })
    }
}

/// What becomes of a request, and why.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// What becomes of the request.
    pub(crate) ruling: Ruling,
    /// What decided.
    pub(crate) rule: Rule,
}

impl fmt::Display for Verdict {
    /// Shows the verdict as `key=value` pairs of a record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(fmt!("policy={} rule=\"{}\"", self.ruling, self.rule))
    }
}

/// The requester, as the rules see it. What takes time to find out is found out only if it matters.
pub(crate) struct Subject<'a, C> {
    /// Whether the request is nested.
    pub(crate) is_nested: bool,
    /// Whether the requester is judged as anybody, although it is a thread or a worker of the
    /// kernel: somebody else has chosen the name, or may have.
    pub(crate) is_anybody: bool,
    /// Returns the credentials of the requester.
    pub(crate) credentials: C,
    /// The cgroup of the requester; of that of the outermost request, if the request is nested.
    pub(crate) cgroup: &'a LazyCgroup,
    /// The decision on the cipher that the requester puts together, if it is a thread that does.
    pub(crate) cipher: Option<Decision>,
}

/// Which entries with a cgroup are for a requester, whatever name it asks for.
///
/// Requests share a helper only if this is equal: whether a helper succeeds depends on what it is
/// allowed to ask for, and so may depend on these entries.
///
/// It is a hash of their texts, so it does not depend on when the list was written. Only the
/// administrator chooses them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Services(u64);

impl Services {
    /// No entry; the basis of FNV-1a.
    pub(crate) const NONE: Self = Self(0xcbf2_9ce4_8422_2325);

    /// Adds an entry of a list, which `list` stands for.
    pub(crate) fn add(self, list: u8, entry: &CStr) -> Self {
        let list = [list];
        let bytes = Iterator::chain(list.iter(), entry.to_bytes_with_nul());

        Self(bytes.fold(self.0, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }
}

/// The rules that the administrator has set.
///
/// They do not change while they are in force: firewall.rs replaces them as a whole.
#[derive(Clone)]
pub(crate) struct Rules {
    /// Who may have modules loaded whose names are in neither list.
    pub(crate) mode: Mode,
    /// Names that anybody, or who is in a cgroup, may have loaded.
    pub(crate) allow: Arc<Patterns>,
    /// Names that nobody, or nobody in a cgroup, may have loaded.
    pub(crate) deny: Arc<Patterns>,
    /// Users with the ids 1 to this one are privileged; 0 if none is.
    pub(crate) system_uids: u32,
    /// Whether tasks count as privileged that have their rights by the execution of their program.
    pub(crate) setuid: bool,
    /// Whether requests are denied; if not, it is only noted which ones would be.
    pub(crate) enforce: bool,
}

impl Rules {
    /// Creates the default rules: everybody may have every module loaded.
    ///
    /// Returns [`ENOMEM`] if there is no memory for them.
    ///
    /// Context: may sleep.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            mode: Mode::Everybody,
            allow: Arc::new(Patterns::EMPTY, GFP_KERNEL)?,
            deny: Arc::new(Patterns::EMPTY, GFP_KERNEL)?,
            system_uids: 0,
            setuid: true,
            enforce: true,
        })
    }

    /// Returns whether the rules can deny anything.
    pub(crate) fn are_in_force(&self) -> bool {
        self.mode != Mode::Everybody || !self.deny.is_empty()
    }

    /// Decides on a request for `name`.
    ///
    /// Context: any that the credentials and the path of the cgroup may be asked for in.
    #[inline(never)]
    pub(crate) fn decide(
        &self,
        name: &CStr,
        subject: Subject<'_, impl FnOnce() -> Credentials>,
    ) -> Decision {
        if is_path(name) {
            return Decision::denied(Rule::Path);
        }
        if let Some(decision) = self.listed(name, subject.cgroup) {
            return decision;
        }
        if let Some(decision) = subject.cipher {
            return decision;
        }
        let by_mode = Rule::Mode(self.mode);
        match self.mode {
            Mode::Everybody => Decision::allowed(by_mode),
            Mode::Privileged => match self.privilege(name, subject) {
                Ok(privilege) => Decision::allowed(privilege),
                Err(reason) => Decision::denied(reason),
            },
            Mode::Nobody => Decision::denied(by_mode),
        }
    }

    /// Returns the decision of the two lists, if there is one.
    #[inline(never)]
    fn listed(&self, name: &CStr, cgroup: &LazyCgroup) -> Option<Decision> {
        let name = Folded::new(name);

        if let Some(entry) = self.deny.find(&name, cgroup, Unknown::Matches) {
            return Some(Decision::denied(Rule::Deny(Name::new(entry))));
        }
        let entry = self.allow.find(&name, cgroup, Unknown::MatchesNone)?;
        Some(Decision::allowed(Rule::Allow(Name::new(entry))))
    }

    /// Decides on a module by its own name, whatever the request was for.
    ///
    /// Returns `None` if the module is not denied.
    ///
    /// Context: any that the path of the cgroup may be asked for in.
    #[inline(never)]
    pub(crate) fn decide_on_module(&self, module: &CStr, cgroup: &LazyCgroup) -> Option<Decision> {
        let module = Folded::new(module);
        let entry = self.deny.find(&module, cgroup, Unknown::Matches)?;

        Some(Decision::denied(Rule::Deny(Name::new(entry))))
    }

    /// Returns why the requester is privileged; or, as an error, why it is not.
    fn privilege(
        &self,
        name: &CStr,
        subject: Subject<'_, impl FnOnce() -> Credentials>,
    ) -> Result<Rule, Rule> {
        let by_mode = Rule::Mode(self.mode);

        if subject.is_anybody {
            return Err(Rule::AsAnybody);
        }
        if subject.is_nested {
            return Ok(Rule::Nested);
        }
        let credentials = (subject.credentials)();
        let is_network_device = name.to_bytes().starts_with(NETWORK_DEVICE);
        let is_of_system = |euid| (1..=self.system_uids).contains(&euid);

        let privilege = if credentials.is_kernel_thread {
            return Ok(Rule::KernelThread);
        } else if credentials.may_load_modules
            || is_network_device && credentials.may_configure_network
        {
            Rule::Capability
        } else if credentials
            .euids
            .is_some_and(|euids| euids.into_iter().all(is_of_system))
        {
            Rule::SystemUid
        } else {
            return Err(by_mode);
        };
        if credentials.is_elevated && !self.setuid {
            return Err(Rule::Setuid);
        }
        Ok(privilege)
    }

    /// Returns which entries with a cgroup are for a requester in this one.
    ///
    /// The path of the cgroup is asked for only if there are such entries.
    ///
    /// Context: any that the path may be asked for in.
    #[inline(never)]
    pub(crate) fn services(&self, cgroup: &LazyCgroup) -> Services {
        let denied = self.deny.for_cgroup(cgroup, Unknown::Matches);
        let allowed = self.allow.for_cgroup(cgroup, Unknown::MatchesNone);

        let services = denied.fold(Services::NONE, |services, entry| services.add(b'-', entry));
        allowed.fold(services, |services, entry| services.add(b'+', entry))
    }

    /// Returns what becomes of a request on which this decision was made.
    pub(crate) fn judge(&self, decision: Decision) -> Verdict {
        let ruling = match (decision.is_allowed, self.enforce) {
            (true, _) => Ruling::Allowed,
            (false, true) => Ruling::Denied,
            (false, false) => Ruling::WouldBeDenied,
        };
        Verdict {
            ruling,
            rule: decision.rule,
        }
    }
}

/// Returns whether modprobe takes this name for the path of a file, which it then loads.
fn is_path(name: &CStr) -> bool {
    let name = name.to_bytes();

    name.starts_with(b"/") || name.starts_with(b"./")
}

#[kunit_tests(kmod_rs_policy)]
mod tests {
    use super::*;
    use crate::wrappers::requester::CgroupPath;
    use kernel::str::CString;

    /// The credentials of a user without any privilege.
    const USER: Credentials = Credentials {
        is_kernel_thread: false,
        may_load_modules: false,
        may_configure_network: false,
        euids: Some([1000; 2]),
        is_elevated: false,
    };

    const ROOT: Credentials = Credentials {
        may_load_modules: true,
        may_configure_network: true,
        euids: Some([0; 2]),
        ..USER
    };

    const NETWORK: Credentials = Credentials {
        may_configure_network: true,
        ..USER
    };

    fn rules(mode: Mode) -> Result<Rules> {
        Ok(Rules {
            mode,
            ..Rules::new()?
        })
    }

    fn list(written: &[u8]) -> Result<Arc<Patterns>> {
        Ok(Arc::new(Patterns::parse(written)?, GFP_KERNEL)?)
    }

    /// Decides on a request of who is in a cgroup that is not known.
    fn decide_as(rules: &Rules, name: &CStr, is_nested: bool, who: Credentials) -> Decision {
        rules.decide(
            name,
            Subject {
                is_nested,
                is_anybody: false,
                credentials: || who,
                cgroup: &LazyCgroup::known(None),
                cipher: None,
            },
        )
    }

    fn decide(rules: &Rules, name: &CStr, who: Credentials) -> Decision {
        decide_as(rules, name, false, who)
    }

    fn is_allowed(rules: &Rules, name: &CStr, who: Credentials) -> bool {
        decide(rules, name, who).is_allowed
    }

    #[test]
    fn modes_stand_at_their_numbers() -> Result {
        for number in 0..=Mode::MAX {
            assert_eq!(Mode::from_number(number).map(Mode::number), Some(number));
        }
        assert_eq!(Mode::from_number(Mode::MAX + 1), None);
        Ok(())
    }

    #[test]
    fn each_mode_lets_in_whom_it_should() -> Result {
        for (mode, user, root) in [
            (Mode::Everybody, true, true),
            (Mode::Privileged, false, true),
            (Mode::Nobody, false, false),
        ] {
            let rules = rules(mode)?;
            assert_eq!(is_allowed(&rules, c"net-pf-9", USER), user);
            assert_eq!(is_allowed(&rules, c"net-pf-9", ROOT), root);
        }
        Ok(())
    }

    #[test]
    fn nothing_is_asked_for_in_vain() -> Result {
        for mode in [Mode::Everybody, Mode::Nobody] {
            let mut asked = false;
            let cgroup = LazyCgroup::of_current();
            let subject = Subject {
                is_nested: false,
                is_anybody: false,
                credentials: || {
                    asked = true;
                    USER
                },
                cgroup: &cgroup,
                cipher: None,
            };
            let rules = Rules {
                allow: list(b"b@*")?,
                deny: list(b"b@*")?,
                ..rules(mode)?
            };
            rules.decide(c"a", subject);
            assert!(!asked && cgroup.looked_up().is_none());
        }
        Ok(())
    }

    #[test]
    fn network_devices_are_for_who_configures_the_network() -> Result {
        let rules = rules(Mode::Privileged)?;
        assert!(is_allowed(&rules, c"netdev-eth0", NETWORK));
        assert!(is_allowed(&rules, c"netdev-eth0", ROOT));
        assert!(!is_allowed(&rules, c"netdev-eth0", USER));
        assert!(!is_allowed(&rules, c"xnetdev-eth0", NETWORK));
        assert!(!is_allowed(&rules, c"net-pf-9", NETWORK));
        Ok(())
    }

    #[test]
    fn system_uids_begin_with_1() -> Result {
        let rules = Rules {
            system_uids: 999,
            ..rules(Mode::Privileged)?
        };
        for (euids, allowed) in [
            (Some([0, 0]), false),
            (Some([1, 1]), true),
            (Some([999, 1]), true),
            (Some([1, 1000]), false),
            (Some([1000, 1]), false),
            (Some([0, 1]), false),
            (None, false),
        ] {
            let decision = decide(&rules, c"a", Credentials { euids, ..USER });
            assert_eq!(decision.is_allowed, allowed);
        }
        Ok(())
    }

    #[test]
    fn what_an_execution_has_given_may_count_for_nothing() -> Result {
        let elevated = |who| Credentials {
            is_elevated: true,
            ..who
        };
        let thread = elevated(Credentials {
            is_kernel_thread: true,
            ..USER
        });
        let system = Credentials {
            euids: Some([1; 2]),
            ..USER
        };
        for setuid in [true, false] {
            let rules = Rules {
                setuid,
                system_uids: 1,
                ..rules(Mode::Privileged)?
            };
            for who in [ROOT, system] {
                assert!(is_allowed(&rules, c"a", who));
                assert_eq!(is_allowed(&rules, c"a", elevated(who)), setuid);
            }
            assert_eq!(is_allowed(&rules, c"netdev-a", elevated(NETWORK)), setuid);
            assert!(is_allowed(&rules, c"a", thread));
            assert!(decide_as(&rules, c"a", true, elevated(ROOT)).is_allowed);
            assert!(decide(&rules, c"a", elevated(USER)).rule == Rule::Mode(Mode::Privileged));
        }
        Ok(())
    }

    #[test]
    fn helpers_and_kernel_threads_are_privileged_and_no_more() -> Result {
        let thread = Credentials {
            is_kernel_thread: true,
            ..USER
        };
        for (mode, allowed) in [(Mode::Privileged, true), (Mode::Nobody, false)] {
            let rules = rules(mode)?;
            assert_eq!(is_allowed(&rules, c"a", thread), allowed);
            assert_eq!(decide_as(&rules, c"a", true, USER).is_allowed, allowed);
        }
        let rules = rules(Mode::Privileged)?;
        assert!(decide(&rules, c"a", thread).rule == Rule::KernelThread);
        Ok(())
    }

    #[test]
    fn deny_wins_over_allow_and_that_over_the_mode() -> Result {
        let rules = Rules {
            allow: list(b"fs-* net-pf-10")?,
            deny: list(b"fs-xfs")?,
            ..rules(Mode::Nobody)?
        };
        assert!(is_allowed(&rules, c"fs-ext4", USER));
        assert!(!is_allowed(&rules, c"fs-xfs", USER));
        assert!(!is_allowed(&rules, c"fs-xfs", ROOT));
        assert!(!decide_as(&rules, c"fs-xfs", true, ROOT).is_allowed);
        assert!(is_allowed(&rules, c"net-pf-10", USER));
        assert!(!is_allowed(&rules, c"net-pf-1", ROOT));

        let rules = Rules {
            mode: Mode::Everybody,
            ..rules
        };
        assert!(!is_allowed(&rules, c"fs-xfs", ROOT));
        assert!(is_allowed(&rules, c"net-pf-1", USER));
        Ok(())
    }

    #[test]
    fn a_path_is_no_name() -> Result {
        let rules = Rules {
            allow: list(b"*")?,
            ..rules(Mode::Privileged)?
        };
        for path in [c"/", c"/x", c"./x", c"./", c"/../x"] {
            let decision = decide_as(&rules, path, true, ROOT);
            assert!(decision == Decision::denied(Rule::Path));
        }
        for name in [c"", c".", c"x/y", c"../x", c".x", c"-/x"] {
            assert!(is_allowed(&rules, name, USER));
        }
        Ok(())
    }

    #[test]
    fn a_module_is_denied_by_its_own_name() -> Result {
        let rules = Rules {
            allow: list(b"af_* algif_*")?,
            deny: list(b"algif-* x25@/user/*")?,
            ..rules(Mode::Nobody)?
        };
        let rule_on = |module, cgroup: Option<&CStr>| {
            let cgroup = LazyCgroup::known(cgroup.and_then(CgroupPath::new));
            rules.decide_on_module(module, &cgroup).map(|it| it.rule)
        };
        let system = Some(c"/system/a");
        assert!(rule_on(c"algif_aead", system) == Some(Rule::Deny(Name::new(c"algif-*"))));
        // The mode and the other list are about requests.
        assert!(rule_on(c"af_alg", system).is_none());
        assert!(rule_on(c"x25", system).is_none());
        // It may be loaded for those only of whom it is known that they are in no such cgroup.
        let by_cgroup = Some(Rule::Deny(Name::new(c"x25@/user/*")));
        assert!(rule_on(c"x25", Some(c"/user/1000")) == by_cgroup);
        assert!(rule_on(c"x25", None) == by_cgroup);
        Ok(())
    }

    #[test]
    fn parts_of_a_cipher_are_as_the_cipher() -> Result {
        let denied = Decision::denied(Rule::Crypto(Name::new(c"cbc(serpent)")));
        let allowed = Decision::allowed(Rule::Crypto(Name::new(c"cbc(serpent)")));
        let rules = Rules {
            allow: list(b"crypto-aes")?,
            deny: list(b"crypto-des")?,
            ..rules(Mode::Privileged)?
        };
        let part = |name, cipher| {
            let subject = Subject {
                is_nested: false,
                is_anybody: false,
                credentials: || ROOT,
                cgroup: &LazyCgroup::known(None),
                cipher: Some(cipher),
            };
            rules.decide(name, subject).is_allowed
        };
        assert!(!part(c"crypto-cbc", denied));
        assert!(part(c"crypto-cbc", allowed));
        assert!(part(c"crypto-aes", denied));
        assert!(!part(c"crypto-des", allowed));
        Ok(())
    }

    #[test]
    fn who_is_judged_as_anybody_has_no_privilege() -> Result {
        let thread = Credentials {
            is_kernel_thread: true,
            ..ROOT
        };
        for (mode, allowed) in [(Mode::Everybody, true), (Mode::Privileged, false)] {
            let rules = Rules {
                allow: list(b"b")?,
                ..rules(mode)?
            };
            let decide = |name| {
                let subject = Subject {
                    is_nested: false,
                    is_anybody: true,
                    credentials: || thread,
                    cgroup: &LazyCgroup::known(None),
                    cipher: None,
                };
                rules.decide(name, subject)
            };
            assert_eq!(decide(c"a").is_allowed, allowed);
            assert!(allowed || decide(c"a").rule == Rule::AsAnybody);
            assert!(decide(c"b").is_allowed);
        }
        Ok(())
    }

    #[test]
    fn an_entry_counts_for_its_cgroup() -> Result {
        let rules = Rules {
            allow: list(b"a@/x b@/x")?,
            deny: list(b"b@/x/* c@/x")?,
            ..rules(Mode::Privileged)?
        };
        let decide = |name, path: Option<&CStr>, who: Credentials| {
            let subject = Subject {
                is_nested: false,
                is_anybody: false,
                credentials: || who,
                cgroup: &LazyCgroup::known(path.and_then(CgroupPath::new)),
                cipher: None,
            };
            rules.decide(name, subject).is_allowed
        };
        assert!(decide(c"a", Some(c"/x"), USER));
        assert!(!decide(c"a", Some(c"/y"), USER));
        assert!(!decide(c"a", None, USER));
        assert!(decide(c"b", Some(c"/x"), USER));
        assert!(!decide(c"b", Some(c"/x/y"), ROOT));
        assert!(!decide(c"c", Some(c"/x"), ROOT));
        assert!(decide(c"c", Some(c"/y"), ROOT));
        assert!(!decide(c"c", None, ROOT));
        Ok(())
    }

    #[test]
    fn services_are_the_entries_for_a_cgroup() -> Result {
        let rules = Rules {
            allow: list(b"a@/x b")?,
            deny: list(b"c@/y* d@/z")?,
            ..rules(Mode::Privileged)?
        };
        let services = |path: Option<&CStr>| {
            rules.services(&LazyCgroup::known(path.and_then(CgroupPath::new)))
        };
        assert_eq!(services(Some(c"/")), Services::NONE);
        assert_eq!(services(Some(c"/w")), Services::NONE);
        assert_eq!(services(Some(c"/y")), services(Some(c"/y2")));
        let all = [None, Some(c"/"), Some(c"/x"), Some(c"/y"), Some(c"/z")];
        for (i, one) in all.iter().enumerate() {
            assert!(all[..i]
                .iter()
                .all(|other| services(*other) != services(*one)));
        }
        Ok(())
    }

    #[test]
    fn a_path_is_not_looked_up_without_entries_for_cgroups() -> Result {
        let cgroup = LazyCgroup::of_current();
        let rules = Rules {
            allow: list(b"a")?,
            deny: list(b"b")?,
            ..rules(Mode::Privileged)?
        };
        assert_eq!(rules.services(&cgroup), Services::NONE);
        assert!(cgroup.looked_up().is_none());
        Ok(())
    }

    #[test]
    fn rules_are_in_force_when_something_may_be_denied() -> Result {
        assert!(!Rules::new()?.are_in_force());
        assert!(rules(Mode::Privileged)?.are_in_force());
        let deny = Rules {
            deny: list(b"a")?,
            ..Rules::new()?
        };
        assert!(deny.are_in_force());
        Ok(())
    }

    #[test]
    fn who_only_learns_denies_nothing() -> Result {
        let mut rules = rules(Mode::Nobody)?;
        let decision = decide(&rules, c"a", USER);
        assert_eq!(rules.judge(decision).ruling, Ruling::Denied);
        rules.enforce = false;
        let verdict = rules.judge(decision);
        assert_eq!(verdict.ruling, Ruling::WouldBeDenied);
        let shown = CString::try_from_fmt(fmt!("{verdict}"))?;
        assert_eq!(
            shown.to_bytes(),
            b"policy=would-be-denied rule=\"autoload_mode 2\""
        );
        Ok(())
    }

    #[test]
    fn a_pattern_stays_in_its_field() -> Result {
        let rule = Rule::Deny(Name::new(c"a\"\n*"));
        let shown = CString::try_from_fmt(fmt!("{rule}"))?;
        assert_eq!(shown.to_bytes(), b"autoload_deny a\\x22\\x0a*");
        Ok(())
    }
}
