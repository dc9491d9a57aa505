// SPDX-License-Identifier: GPL-2.0

//! What stands in the way of taking over, giving back and unloading: one function for each.
//!
//! Each looks at files of a [`Machine`] and changes nothing.

use crate::livepatch::{self, Other, Situation, State};
use crate::machine::Machine;
use crate::model::lines;
use crate::model::text::Text;
use serde_json::{Map, Value};
use std::fmt;
use std::fs;
use std::path::Path;

/// Where the module has its files in debugfs.
const RECORDS: &str = "/sys/kernel/debug/kmod_rs";

/// What a check has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The name of the check.
    pub(crate) check: &'static str,
    pub(crate) verdict: Verdict,
    /// What is the case. Bytes that others chose are escaped.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) to_do: Option<String>,
}

/// Whether something stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing does.
    Ok,
    /// Something does.
    Problem,
    /// It cannot be told, for example without root.
    Unknown,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Problem => "problem",
            Self::Unknown => "unknown",
        })
    }
}

impl Finding {
    pub(crate) fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self {
            check,
            verdict: Verdict::Ok,
            what: what.into(),
            to_do: None,
        }
    }

    pub(crate) fn problem(
        check: &'static str,
        what: impl Into<String>,
        to_do: impl Into<String>,
    ) -> Self {
        Self {
            check,
            verdict: Verdict::Problem,
            what: what.into(),
            to_do: Some(to_do.into()),
        }
    }

    pub(crate) fn unknown(
        check: &'static str,
        what: impl Into<String>,
        to_do: impl Into<String>,
    ) -> Self {
        Self {
            verdict: Verdict::Unknown,
            ..Self::problem(check, what, to_do)
        }
    }

    /// Returns the finding as an object of JSON.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        Map::from_iter([
            ("check".into(), self.check.into()),
            ("verdict".into(), self.verdict.to_string().into()),
            ("what".into(), self.what.clone().into()),
            ("to_do".into(), self.to_do.clone().into()),
        ])
    }

    pub(crate) fn is_problem(&self) -> bool {
        self.verdict == Verdict::Problem
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.to_do {
            Some(to_do) => write!(f, ": {to_do}"),
            None => Ok(()),
        }
    }
}

/// Returns what stands in the way of loading the module and taking over.
pub(crate) fn before_on(machine: &Machine) -> Vec<Finding> {
    problems([
        locked(machine),
        modules_disabled(machine),
        other_transition(machine),
        redirected(machine),
    ])
}

/// Returns what stands in the way of unloading the module.
pub(crate) fn before_off(machine: &Machine) -> Vec<Finding> {
    problems([
        locked(machine),
        modules_disabled(machine),
        other_transition(machine),
        open_files(machine),
        listeners(machine),
    ])
}

fn problems<const N: usize>(findings: [Finding; N]) -> Vec<Finding> {
    findings.into_iter().filter(Finding::is_problem).collect()
}

/// Checks whether the rules are locked, so that the module stays until the next reboot.
pub(crate) fn locked(machine: &Machine) -> Finding {
    if is_locked(machine) {
        Finding::problem(
            "lock",
            "the rules are locked (autoload_lock is 1), which keeps kmod_rs loaded until the next \
             reboot",
            "reboot without kmod_rs",
        )
    } else {
        Finding::ok("lock", "the rules are not locked")
    }
}

/// Returns whether the rules are locked.
pub(crate) fn is_locked(machine: &Machine) -> bool {
    machine
        .word("/proc/sys/kernel/kmod_rs/autoload_lock")
        .as_deref()
        == Some("1")
}

/// Checks whether the kernel loads and unloads modules at all.
pub(crate) fn modules_disabled(machine: &Machine) -> Finding {
    const CHECK: &str = "modules-disabled";
    match machine.word("/proc/sys/kernel/modules_disabled").as_deref() {
        Some("0") => Finding::ok(CHECK, "the kernel loads and unloads modules"),
        Some(_) => Finding::problem(
            CHECK,
            "the kernel neither loads nor unloads modules until the next reboot \
             (kernel.modules_disabled is 1)",
            "reboot, and look in sysctl.d(5) for what sets it",
        ),
        None => Finding::unknown(CHECK, "there is no kernel.modules_disabled", "mount /proc"),
    }
}

/// Checks whether another livepatch is in transition: the kernel does one at a time.
pub(crate) fn other_transition(machine: &Machine) -> Finding {
    const CHECK: &str = "livepatch-transition";
    let others = livepatch::others(machine);
    let Some(other) = others.iter().find(|other| other.is_in_transition) else {
        return Finding::ok(CHECK, "no other livepatch is in transition");
    };
    let waiters = livepatch::waiters(machine, &other.enabled);
    let for_whom = match &waiters[..] {
        [] => String::new(),
        [first] => format!(", and waits for {first}"),
        [first, rest @ ..] => format!(", and waits for {first} and {} more", rest.len()),
    };
    Finding::problem(
        CHECK,
        format!("the livepatch {} is in transition{for_whom}", other.name),
        format!(
            "try again when /sys/kernel/livepatch/{}/transition is 0",
            other.name
        ),
    )
}

/// Returns the livepatch that takes all requests before kmod_rs gets them, if there is one.
pub(crate) fn on_top(machine: &Machine) -> Option<Other> {
    livepatch::others(machine)
        .into_iter()
        .find(|other| other.is_on_top && other.has_request_module)
}

/// Checks whether kmod_rs, if it is loaded, gets the requests.
pub(crate) fn serves(machine: &Machine) -> Finding {
    const CHECK: &str = "serves";
    const RELOAD: &str = "run \"kmod-rs off\" and then \"kmod-rs on\"";
    let now = Situation::read(machine);
    match now.state {
        _ if !now.is_loaded => Finding::ok(CHECK, "kmod_rs is not loaded"),
        State::Absent => Finding::problem(
            CHECK,
            "kmod_rs is loaded, but serves no requests (active is 0): they were given back, or \
             another livepatch has replaced it",
            RELOAD,
        ),
        State::GivingBack => Finding::problem(
            CHECK,
            "kmod_rs is giving requests back",
            "\"kmod-rs on\" turns this round",
        ),
        State::TakingOver => Finding::problem(
            CHECK,
            "kmod_rs is still taking over",
            "\"kmod-rs on\" shows which tasks it waits for",
        ),
        State::InForce => match on_top(machine) {
            Some(other) => Finding::problem(
                CHECK,
                format!(
                    "the livepatch {} was loaded later and takes all requests",
                    other.name
                ),
                RELOAD,
            ),
            None => Finding::ok(CHECK, "kmod_rs serves requests"),
        },
    }
}

/// Checks whether something else redirects `__request_module()`: a kprobe with a post handler.
pub(crate) fn redirected(machine: &Machine) -> Finding {
    const CHECK: &str = "kprobe";
    // A livepatch redirects it as well, and does not keep another one out.
    let has_livepatch = machine.names("/sys/kernel/livepatch").iter().any(|name| {
        let functions = machine.names(&format!("/sys/kernel/livepatch/{name}/vmlinux"));
        functions
            .iter()
            .any(|function| function.starts_with("__request_module,"))
    });
    let traced = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
        .iter()
        .find_map(|directory| machine.bytes(&format!("{directory}/enabled_functions")));
    match traced {
        _ if has_livepatch => Finding::ok(CHECK, "a livepatch has __request_module()"),
        Some(traced) if lines(&traced).any(redirects_request_module) => Finding::problem(
            CHECK,
            "a kprobe with a post handler, or the like, claims __request_module() for itself",
            "remove it; \"grep __request_module /sys/kernel/debug/kprobes/list\" shows kprobes",
        ),
        Some(_) => Finding::ok(CHECK, "nothing claims __request_module() for itself"),
        None => Finding::unknown(
            CHECK,
            "it cannot be told whether a kprobe claims __request_module() for itself",
            "run this as root, with tracefs mounted",
        ),
    }
}

/// Returns whether this line of `enabled_functions` says that `__request_module()` is redirected.
///
/// After the name and the number of users come flags, of which `I` (IPMODIFY) means this.
fn redirects_request_module(line: &[u8]) -> bool {
    let mut words = line
        .split(|b| b.is_ascii_whitespace())
        .filter(|word| !word.is_empty());
    words.next() == Some(b"__request_module")
        && words
            .skip(1)
            .take_while(|word| word.len() == 1)
            .any(|flag| flag == b"I")
}

/// A process that has something open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opener {
    pub(crate) pid: u32,
    pub(crate) comm: Text,
    /// What it has open.
    pub(crate) file: Text,
}

impl fmt::Display for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.comm, self.pid)
    }
}

/// Returns the processes that have a file open whose name the function accepts.
fn openers(machine: &Machine, is_wanted: impl Fn(&Path) -> bool) -> Vec<Opener> {
    let mut openers = Vec::new();
    for (pid, process) in machine.numbered("/proc") {
        for (_, fd) in machine.numbered(&format!("/proc/{pid}/fd")) {
            if let Some(file) = fs::read_link(fd).ok().filter(|file| is_wanted(file)) {
                openers.push(Opener {
                    pid,
                    comm: machine.comm(&process),
                    file: file.as_os_str().as_encoded_bytes().into(),
                });
            }
        }
    }
    openers
}

/// Returns the processes that have a file of kmod_rs open in debugfs.
pub(crate) fn open_records(machine: &Machine) -> Vec<Opener> {
    openers(machine, |file| file.starts_with(RECORDS))
}

/// Checks whether somebody has a file of kmod_rs open in debugfs: that keeps it loaded.
pub(crate) fn open_files(machine: &Machine) -> Finding {
    let open: Vec<_> = open_records(machine)
        .iter()
        .map(|opener| format!("{opener} has {} open", opener.file))
        .collect();
    if open.is_empty() {
        return Finding::ok("open-files", "no file of kmod_rs is open in debugfs");
    }
    Finding::problem(
        "open-files",
        open.join(", "),
        "this keeps kmod_rs loaded, so end the program",
    )
}

/// Returns the processes that may listen to trace events by perf or BPF.
pub(crate) fn tracers(machine: &Machine) -> Vec<Opener> {
    openers(machine, |file| {
        file.to_str().is_some_and(|name| {
            name.starts_with("anon_inode:") && (name.contains("perf_event") || name.contains("bpf"))
        })
    })
}

/// Checks whether somebody listens to trace events of kmod_rs: that keeps it loaded.
///
/// The kernel does not say who or whether, but it counts them as references. They are what is left
/// when everything else is known.
pub(crate) fn listeners(machine: &Machine) -> Finding {
    const CHECK: &str = "listeners";
    let before = Use::read(machine);
    let references = Situation::read(machine).references;
    let after = Use::read(machine);
    // If a request came or went meanwhile, the number says nothing.
    let unknown = match before {
        Some(before) if Some(&before) == after.as_ref() => before.unexplained(references),
        _ => 0,
    };
    if unknown == 0 {
        return Finding::ok(CHECK, "nothing else is known to keep kmod_rs loaded");
    }
    let mut who: Vec<_> = tracers(machine).iter().map(Opener::to_string).collect();
    who.dedup();
    let who = match &who[..] {
        [] => "perf or a BPF program".into(),
        _ => who.join(" or "),
    };
    Finding::problem(
        CHECK,
        format!(
            "something uses kmod_rs {unknown} times: most likely {who} listens to its trace events"
        ),
        "this keeps kmod_rs loaded, so end the program",
    )
}

/// What is known of those who use the module.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Use {
    has_livepatch: bool,
    is_locked: bool,
    open_files: usize,
    /// The file `stats`: it changes when a request returns.
    stats: Vec<u8>,
}

impl Use {
    /// Reads it, or returns `None` if there are users whose number is not known.
    fn read(machine: &Machine) -> Option<Self> {
        let stats = machine.bytes(&format!("{RECORDS}/stats"))?;
        let number = |key: &str| -> Option<u64> {
            let rest = lines(&stats).find_map(|line| line.strip_prefix(key.as_bytes()))?;
            std::str::from_utf8(rest).ok()?.trim().parse().ok()
        };
        // Without records, nothing tells who is in flight. With a time limit, each helper counts,
        // also those that are not in flight.
        let is_known = number("records ")? > 0
            && number("kept_now ")? == 0
            && machine.word("/proc/sys/kernel/kmod_rs/helper_timeout_ms")? == "0"
            && machine.bytes(&format!("{RECORDS}/inflight"))?.is_empty();
        is_known.then(|| Self {
            has_livepatch: Situation::read(machine).state != State::Absent,
            is_locked: is_locked(machine),
            open_files: open_records(machine).len(),
            stats,
        })
    }

    /// Returns how many of that many references are of somebody else.
    fn unexplained(&self, references: u64) -> u64 {
        let known = u64::from(self.has_livepatch) + u64::from(self.is_locked);
        references.saturating_sub(known + self.open_files as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::Fake;

    /// A machine on which kmod_rs serves requests.
    fn serving() -> Fake {
        let fake = Fake::new();
        fake.write("/proc/sys/kernel/modules_disabled", "0\n");
        for (knob, value) in [
            ("active", "1"),
            ("autoload_lock", "0"),
            ("helper_timeout_ms", "0"),
        ] {
            fake.write(
                &format!("/proc/sys/kernel/kmod_rs/{knob}"),
                format!("{value}\n"),
            );
        }
        fake.write("/sys/module/kmod_rs/refcnt", "1\n");
        fake.write("/sys/kernel/livepatch/kmod_rs/enabled", "1\n");
        fake.write("/sys/kernel/livepatch/kmod_rs/transition", "0\n");
        fake.write("/sys/kernel/livepatch/kmod_rs/stack_order", "1\n");
        fake.write(
            "/sys/kernel/livepatch/kmod_rs/vmlinux/__request_module,1/x",
            "",
        );
        fake.write("/sys/kernel/debug/kmod_rs/inflight", "");
        fake.write(
            "/sys/kernel/debug/kmod_rs/stats",
            "requests 3\nrecords 256\nkept_now 0\n",
        );
        fake
    }

    fn checks(findings: &[Finding]) -> Vec<&'static str> {
        findings.iter().map(|finding| finding.check).collect()
    }

    #[test]
    fn nothing_in_the_way() {
        let fake = serving();
        assert_eq!(before_off(fake.machine()), []);
        assert_eq!(before_on(fake.machine()), []);
        assert_eq!(serves(fake.machine()).verdict, Verdict::Ok);
    }

    #[test]
    fn locked_rules() {
        let fake = serving();
        fake.write("/proc/sys/kernel/kmod_rs/autoload_lock", "1\n");
        fake.write("/sys/module/kmod_rs/refcnt", "2\n");
        assert_eq!(checks(&before_off(fake.machine())), ["lock"]);
    }

    #[test]
    fn no_modules_any_more() {
        let fake = serving();
        fake.write("/proc/sys/kernel/modules_disabled", "1\n");
        assert_eq!(checks(&before_off(fake.machine())), ["modules-disabled"]);
        assert_eq!(checks(&before_on(fake.machine())), ["modules-disabled"]);
    }

    #[test]
    fn an_open_file_and_whose() {
        let fake = serving();
        fake.write("/proc/12/comm", "tail\n");
        fake.write("/proc/13/comm", "other\n");
        fake.link("/proc/12/fd/3", "/sys/kernel/debug/kmod_rs/recent");
        fake.link("/proc/13/fd/3", "/sys/kernel/debug/kmod_rs_not/recent");
        fake.write("/sys/module/kmod_rs/refcnt", "2\n");
        let found = before_off(fake.machine());
        assert_eq!(checks(&found), ["open-files"]);
        assert_eq!(
            found[0].what,
            "tail[12] has /sys/kernel/debug/kmod_rs/recent open"
        );
    }

    #[test]
    fn who_listens_to_events() {
        let fake = serving();
        fake.write("/sys/module/kmod_rs/refcnt", "2\n");
        fake.write("/proc/12/comm", "perf\n");
        fake.link("/proc/12/fd/3", "anon_inode:[perf_event]");
        let found = before_off(fake.machine());
        assert_eq!(checks(&found), ["listeners"]);
        assert!(found[0].what.contains("perf[12]"), "{}", found[0]);
    }

    #[test]
    fn requests_in_flight_are_no_listeners() {
        for (file, content) in [
            ("/sys/kernel/debug/kmod_rs/inflight", "seq=1\n"),
            ("/sys/kernel/debug/kmod_rs/stats", "records 0\nkept_now 0\n"),
            (
                "/sys/kernel/debug/kmod_rs/stats",
                "records 256\nkept_now 1\n",
            ),
            ("/proc/sys/kernel/kmod_rs/helper_timeout_ms", "9\n"),
        ] {
            let fake = serving();
            fake.write("/sys/module/kmod_rs/refcnt", "2\n");
            assert_eq!(checks(&before_off(fake.machine())), ["listeners"]);
            fake.write(file, content);
            assert_eq!(before_off(fake.machine()), [], "{file}: {content}");
        }
    }

    #[test]
    fn another_livepatch_in_transition_and_for_whom() {
        let fake = serving();
        fake.write("/sys/kernel/livepatch/other/enabled", "1\n");
        fake.write("/sys/kernel/livepatch/other/transition", "1\n");
        fake.write("/proc/5/comm", "sleeper\n");
        fake.write("/proc/5/task/5/comm", "sleeper\n");
        fake.write("/proc/5/task/5/patch_state", "0\n");
        let found = before_off(fake.machine());
        assert_eq!(checks(&found), ["livepatch-transition"]);
        assert_eq!(checks(&before_on(fake.machine())), ["livepatch-transition"]);
        assert_eq!(
            found[0].what,
            "the livepatch other is in transition, and waits for sleeper[5]"
        );
    }

    #[test]
    fn a_livepatch_on_top() {
        let fake = serving();
        let other = |file: &str| format!("/sys/kernel/livepatch/other/{file}");
        fake.write(&other("enabled"), "1\n");
        fake.write(&other("transition"), "0\n");
        fake.write(&other("stack_order"), "2\n");
        assert_eq!(serves(fake.machine()).verdict, Verdict::Ok);
        fake.write(&other("vmlinux/__request_module,1/x"), "");
        assert!(serves(fake.machine()).what.contains("other"));
        // It does not keep kmod_rs from being unloaded.
        assert_eq!(before_off(fake.machine()), []);
        fake.write(&other("stack_order"), "0\n");
        assert_eq!(serves(fake.machine()).verdict, Verdict::Ok);
    }

    #[test]
    fn a_kprobe_that_claims_the_function() {
        let fake = Fake::new();
        assert_eq!(redirected(fake.machine()).verdict, Verdict::Unknown);
        for (line, verdict) in [
            (
                "__request_module (1)    I     M \ttramp: x",
                Verdict::Problem,
            ),
            ("__request_module (1) R I ", Verdict::Problem),
            ("__request_module (1)          M \ttramp: I", Verdict::Ok),
            ("other (1) R I", Verdict::Ok),
        ] {
            fake.write("/sys/kernel/tracing/enabled_functions", format!("{line}\n"));
            assert_eq!(redirected(fake.machine()).verdict, verdict, "{line}");
        }
        // A livepatch that has it does not keep another one out.
        fake.write(
            "/sys/kernel/tracing/enabled_functions",
            "__request_module (1) R I\n",
        );
        fake.write(
            "/sys/kernel/livepatch/other/vmlinux/__request_module,1/x",
            "",
        );
        assert_eq!(redirected(fake.machine()).verdict, Verdict::Ok);
    }
}
