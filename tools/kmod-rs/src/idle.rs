// SPDX-License-Identifier: GPL-2.0

//! Which modules that came by a request could go again, and why the others stay.
//!
//! The reference count of many modules does not say whether they are used, and unloading such a
//! module opens a firewall or takes an interface down. So a module goes only if nothing speaks
//! against it, and each thing that does has a word.
//!
//! - [`modules`] is what is loaded, and what goes along.
//! - [`rules`] is what the administrator says.
//! - [`samples`] is what the passes before have seen.
//! - [`veto`] is what the administrator's programs say.

pub(crate) mod modules;
pub(crate) mod rules;
pub(crate) mod samples;
pub(crate) mod veto;

use crate::model::autoloaded::Autoload;
use crate::model::text::Text;
use crate::view::Took;
use modules::{normal, Module, Modules};
use rules::Rules;
use samples::Samples;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// Why a module stays, for now or for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// No request is known that brought it.
    NotRequested,
    /// The file says so.
    Kept,
    /// The request was for a name in no class of the file.
    Class,
    /// It is a module whose reference count does not say whether it is used.
    Kind,
    /// It is coming or going.
    NotLive,
    /// Modules need it.
    Needed,
    /// Something else uses it.
    InUse,
    /// It cannot be unloaded.
    Permanent,
    /// A device is bound to its driver.
    Device,
    /// It makes links.
    LinkKind,
    /// A request in flight may be for it.
    Asked,
    /// An ordinary user would not get it back.
    Firewall,
    /// It was used a short time ago.
    Used,
    /// It has not been seen idle for long enough.
    Waiting,
    /// What would go along may not go.
    Stack,
    /// A program of the administrator's says so.
    Veto,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NotRequested => "not-requested",
            Self::Kept => "kept",
            Self::Class => "class",
            Self::Kind => "kind",
            Self::NotLive => "not-live",
            Self::Needed => "needed",
            Self::InUse => "in-use",
            Self::Permanent => "permanent",
            Self::Device => "device",
            Self::LinkKind => "link-kind",
            Self::Asked => "asked",
            Self::Firewall => "firewall",
            Self::Used => "used",
            Self::Waiting => "waiting",
            Self::Stack => "stack",
            Self::Veto => "veto",
        })
    }
}

/// A reason why a module stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) word: Word,
    /// More about it, for people. Bytes that others chose are escaped.
    pub(crate) what: String,
}

impl Reason {
    pub(crate) fn new(word: Word, what: impl fmt::Display) -> Self {
        Self {
            word,
            what: what.to_string(),
        }
    }

    /// Returns whether it goes by itself when some time has passed.
    fn is_about_time(&self) -> bool {
        matches!(self.word, Word::Used | Word::Waiting)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what.is_empty() {
            true => self.word.fmt(f),
            false => write!(f, "{} ({})", self.word, self.what),
        }
    }
}

/// What becomes of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Goes,
    /// Only time is missing.
    Waits,
    Stays,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Goes => "goes",
            Self::Waits => "waits",
            Self::Stays => "stays",
        })
    }
}

/// What is said of a module.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub(crate) module: String,
    /// The request that brought it, if there was one.
    pub(crate) autoload: Option<Autoload>,
    /// For how long it is known to be idle.
    pub(crate) idle: Option<Duration>,
    /// What goes with it, itself included.
    pub(crate) stack: Vec<String>,
    /// Why it stays; there are none if it may go.
    pub(crate) reasons: Vec<Reason>,
}

impl Judgement {
    pub(crate) fn verdict(&self) -> Verdict {
        if self.reasons.is_empty() {
            Verdict::Goes
        } else if self.reasons.iter().all(Reason::is_about_time) {
            Verdict::Waits
        } else {
            Verdict::Stays
        }
    }
}

/// Returns the name of a module that came by a request.
pub(crate) fn name_of(it: &Autoload) -> String {
    normal(it.module.as_bytes())
}

/// All that is known at one moment.
pub(crate) struct Pass<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) modules: &'a Modules,
    pub(crate) autoloaded: &'a [Autoload],
    pub(crate) samples: &'a Samples,
    /// The names that requests in flight are for.
    pub(crate) in_flight: &'a [Text],
    /// Since boot, by CLOCK_MONOTONIC.
    pub(crate) now: Duration,
    /// Whether the rules of the firewall let an ordinary user ask for a name.
    pub(crate) may_ask: &'a dyn Fn(&Text) -> bool,
}

impl Pass<'_> {
    /// Judges all modules that came by a request, in the order in which they came, and with `all`
    /// the others as well.
    pub(crate) fn judge(&self, all: bool) -> Vec<Judgement> {
        let asked: BTreeSet<String> = self
            .in_flight
            .iter()
            .flat_map(|name| self.modules.wanted(name.as_bytes()))
            .collect();
        let mut judgements: Vec<_> = self
            .autoloaded
            .iter()
            .map(|it| self.judge_one(name_of(it), &asked))
            .collect();
        if all {
            for (name, _) in self.modules.iter() {
                if self.autoload(name).is_none() {
                    judgements.push(self.judge_one(name.clone(), &asked));
                }
            }
        }
        judgements
    }

    fn autoload(&self, module: &str) -> Option<&Autoload> {
        self.autoloaded.iter().find(|it| name_of(it) == module)
    }

    fn judge_one(&self, module: String, asked: &BTreeSet<String>) -> Judgement {
        let mut stack = self.modules.stack(&module);
        if !stack.contains(&module) {
            // Something uses it, so all of that stays.
            stack = vec![module.clone()];
        }
        let mut reasons = self.reasons(&module, &[], asked);
        for other in stack.iter().filter(|it| **it != module) {
            if let Some(reason) = self.reasons(other, &stack, asked).first() {
                let word = match reason.is_about_time() {
                    true => reason.word,
                    false => Word::Stack,
                };
                reasons.push(Reason::new(word, format!("{other}: {reason}")));
            }
        }
        let autoload = self.autoload(&module);
        let is_quiet =
            (self.modules.get(&module)).is_some_and(|it| it.references == it.holders.len() as u64);
        let sampled = autoload
            .filter(|_| is_quiet)
            .and_then(|it| self.samples.since(it));
        Judgement {
            idle: (autoload.and_then(|it| it.idle))
                .or(sampled.map(|since| self.now.saturating_sub(since))),
            module,
            autoload: autoload.cloned(),
            stack,
            reasons,
        }
    }

    /// Returns why a module stays when all of `leaving` goes.
    fn reasons(&self, name: &str, leaving: &[String], asked: &BTreeSet<String>) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let mut add = |word, what: String| reasons.push(Reason { word, what });
        let autoload = self.autoload(name);
        match autoload {
            None => add(Word::NotRequested, String::new()),
            Some(it) if !self.rules.has_class(it.name.as_bytes()) => {
                add(Word::Class, it.name.to_string())
            }
            Some(_) => (),
        }
        if self.rules.keeps(name) {
            add(Word::Kept, String::new());
        }
        if self.rules.never(name) {
            add(Word::Kind, String::new());
        }
        match self.modules.get(name) {
            None => add(Word::NotLive, "it is not there any more".into()),
            Some(module) => self.look(name, module, leaving, &mut add),
        }
        if asked.contains(name) {
            add(Word::Asked, String::new());
        }
        let Some(it) = autoload.filter(|_| reasons.is_empty()) else {
            return reasons;
        };
        // Only of what could go otherwise: each question takes a process.
        if !self.rules.denied_may_go && !(self.may_ask)(&it.name) {
            reasons.push(Reason::new(Word::Firewall, &it.name));
        }
        reasons.extend(self.times(it));
        reasons
    }

    /// Adds what the kernel says against unloading a module.
    fn look(
        &self,
        name: &str,
        module: &Module,
        leaving: &[String],
        add: &mut impl FnMut(Word, String),
    ) {
        if !module.is_live {
            add(Word::NotLive, String::new());
        }
        let holders: Vec<_> = module
            .holders
            .iter()
            .filter(|it| !leaving.contains(it))
            .cloned()
            .collect();
        if !holders.is_empty() {
            add(Word::Needed, holders.join(" "));
        }
        if module.references > module.holders.len() as u64 {
            let uses = module.references - module.holders.len() as u64;
            add(Word::InUse, uses.to_string());
        }
        if module.is_permanent {
            add(Word::Permanent, String::new());
        }
        if let Some(device) = &module.device {
            add(Word::Device, device.clone());
        }
        if let Some(kind) = self.modules.link_kind(name) {
            add(Word::LinkKind, kind);
        }
    }

    /// Returns what is missing until a module has been idle for long enough.
    fn times(&self, it: &Autoload) -> Option<Reason> {
        let Rules { idle, gap, .. } = *self.rules;
        if let Some(exact) = it.idle.filter(|exact| *exact < idle) {
            return Some(Reason::new(Word::Used, format!("{} ago", Took(exact))));
        }
        // If nothing tells when it was used last, the passes have to.
        let needed = match it.idle {
            Some(_) => gap,
            None => gap.max(idle),
        };
        if needed.is_zero() {
            return None;
        }
        let Some(since) = self.samples.since(it) else {
            return Some(Reason::new(Word::Waiting, "seen idle in no pass before"));
        };
        let seen = self.now.saturating_sub(since);
        (seen < needed).then(|| {
            let what = format!("seen idle for {} of {}", Took(seen), Took(needed));
            Reason::new(Word::Waiting, what)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::Fake;

    const DEP: &str = "k/xfs.ko: k/lib.ko\nk/lib.ko:\nk/dummy.ko:\n";

    fn line(module: &str, name: &str, more: &str) -> String {
        format!(
            "module=\"{module}\" t=8.360528 seq=1 name=\"{name}\" pid=1 comm=\"mount\" uid=0 \
             call_site=- again=0{more}"
        )
    }

    /// A machine, and what is said of its modules.
    struct Case {
        fake: Fake,
        autoloaded: Vec<Autoload>,
        rules: Rules,
        in_flight: Vec<Text>,
        denied: &'static str,
        /// When it was seen before, and when it is judged.
        seen: Option<u64>,
        now: u64,
    }

    impl Case {
        fn new(loaded: &str, autoloaded: &[(&str, &str)]) -> Self {
            let fake = modules::tests::fake(loaded, DEP, "alias rtnl-link-dummy dummy\n", "");
            let lines = autoloaded
                .iter()
                .map(|(module, name)| line(module, name, ""));
            Self {
                fake,
                autoloaded: lines
                    .filter_map(|it| Autoload::parse(it.as_bytes()))
                    .collect(),
                rules: Rules::default(),
                in_flight: Vec::new(),
                denied: "",
                seen: Some(0),
                now: 600,
            }
        }

        /// Returns what is said of a module: the verdict, and the reasons.
        fn said(&self, module: &str) -> String {
            let modules = Modules::read(self.fake.machine()).unwrap();
            let mut samples = Samples::default();
            if let Some(seen) = self.seen {
                samples.see(&modules, &self.autoloaded, Duration::from_secs(seen));
            }
            let pass = Pass {
                rules: &self.rules,
                modules: &modules,
                autoloaded: &self.autoloaded,
                samples: &samples,
                in_flight: &self.in_flight,
                now: Duration::from_secs(self.now),
                may_ask: &|name| name.as_bytes() != self.denied.as_bytes(),
            };
            let judgements = pass.judge(true);
            let it = judgements.iter().find(|it| it.module == module).unwrap();
            let reasons: Vec<_> = it.reasons.iter().map(Reason::to_string).collect();
            format!("{} {}", it.verdict(), reasons.join(", "))
        }
    }

    const LOADED: &str = "xfs 1 0 - Live 0x0\nlib 1 1 xfs, Live 0x0\n";
    const BOTH: [(&str, &str); 2] = [("lib", "fs-xfs"), ("xfs", "fs-xfs")];

    #[test]
    fn what_may_go() {
        let mut case = Case::new(LOADED, &BOTH);
        assert_eq!(case.said("xfs"), "goes ");
        assert_eq!(case.said("lib"), "stays needed (xfs)");
        case.rules.gap = Duration::from_secs(601);
        assert_eq!(case.said("xfs"), "waits waiting (seen idle for 600s of 601s), waiting (lib: waiting (seen idle for 600s of 601s))");
    }

    #[test]
    fn each_reason() {
        let cases: [(&str, (&str, &str), &str); 9] = [
            ("xfs 1 3 - Live 0x0\n", ("xfs", "fs-xfs"), "in-use (3)"),
            (
                "xfs 1 1 other, Live 0x0\n",
                ("xfs", "fs-xfs"),
                "needed (other)",
            ),
            (
                "xfs 1 0 [permanent], Live 0x0\n",
                ("xfs", "fs-xfs"),
                "permanent",
            ),
            ("xfs 1 0 - Unloading 0x0\n", ("xfs", "fs-xfs"), "not-live"),
            ("", ("xfs", "fs-xfs"), "not-live (it is not there any more)"),
            ("xfs 1 0 - Live 0x0\n", ("xfs", "xfs"), "class (xfs)"),
            ("xfs 1 0 - Live 0x0\n", ("lib", "fs-xfs"), "not-requested"),
            (
                "iptable_filter 1 0 - Live 0x0\n",
                ("iptable_filter", "iptable_filter"),
                "class (iptable_filter), kind",
            ),
            (
                "dummy 1 0 - Live 0x0\n",
                ("dummy", "rtnl-link-dummy"),
                "class (rtnl-link-dummy), link-kind (dummy)",
            ),
        ];
        for (loaded, autoload, expected) in cases {
            let module = loaded.split(' ').next().unwrap();
            let module = if module.is_empty() { "xfs" } else { module };
            let case = Case::new(loaded, &[autoload]);
            assert_eq!(case.said(module), format!("stays {expected}"), "{loaded}");
        }
    }

    #[test]
    fn what_the_administrator_and_the_machine_say() {
        let case = || Case::new(LOADED, &BOTH);
        let mut kept = case();
        kept.fake
            .write("/etc/kmod-rs/autoclean.conf", "keep = lib\n");
        kept.rules = Rules::read(kept.fake.machine(), &Default::default()).unwrap();
        assert_eq!(kept.said("xfs"), "stays stack (lib: kept)");

        let mut asked = case();
        asked.in_flight = vec!["xfs".into()];
        assert_eq!(asked.said("xfs"), "stays asked, stack (lib: asked)");

        let mut denied = case();
        denied.denied = "fs-xfs";
        assert_eq!(
            denied.said("xfs"),
            "stays firewall (fs-xfs), stack (lib: firewall (fs-xfs))"
        );
        denied.rules.denied_may_go = true;
        assert_eq!(denied.said("xfs"), "goes ");

        let bound = case();
        bound
            .fake
            .link("/sys/module/xfs/drivers/pci:x/0000:00:01.0", "/d");
        assert_eq!(bound.said("xfs"), "stays device (0000:00:01.0)");
    }

    #[test]
    fn nobody_pays_for_what_goes_along() {
        let case = Case::new(LOADED, &[("xfs", "fs-xfs")]);
        assert_eq!(case.said("xfs"), "stays stack (lib: not-requested)");
        let case = Case::new(LOADED, &[("xfs", "fs-xfs"), ("lib", "lib")]);
        assert_eq!(case.said("xfs"), "stays stack (lib: class (lib))");
    }

    #[test]
    fn idle_for_long_enough() {
        let mut case = Case::new("xfs 1 0 - Live 0x0\n", &[("xfs", "fs-xfs")]);
        case.seen = None;
        assert_eq!(
            case.said("xfs"),
            "waits waiting (seen idle in no pass before)"
        );
        case.seen = Some(1);
        assert_eq!(
            case.said("xfs"),
            "waits waiting (seen idle for 599s of 600s)"
        );

        // The kernel knows when it was used last: two passes a gap apart are enough.
        let exact = |ms: u64| {
            let line = line("xfs", "fs-xfs", &format!(" idle_ms={ms} uses=3"));
            vec![Autoload::parse(line.as_bytes()).unwrap()]
        };
        case.autoloaded = exact(599_999);
        assert_eq!(case.said("xfs"), "waits used (600s ago)");
        case.autoloaded = exact(600_000);
        case.seen = Some(541);
        assert_eq!(
            case.said("xfs"),
            "waits waiting (seen idle for 59.0s of 60.0s)"
        );
        case.seen = Some(540);
        assert_eq!(case.said("xfs"), "goes ");

        // At once.
        case.seen = None;
        case.rules.gap = Duration::ZERO;
        assert_eq!(case.said("xfs"), "goes ");
        case.autoloaded[0].idle = None;
        assert_eq!(
            case.said("xfs"),
            "waits waiting (seen idle in no pass before)"
        );
        case.rules.idle = Duration::ZERO;
        assert_eq!(case.said("xfs"), "goes ");
    }
}
