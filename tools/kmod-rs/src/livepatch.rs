// SPDX-License-Identifier: GPL-2.0

//! The livepatch of kmod_rs: in which state it is, what comes next, and who is waited for.
//!
//! What decides is [`next`] and [`left`]. They know nothing of the machine.

use crate::machine::Machine;
use crate::model::lines;
use crate::model::record::Record;
use crate::model::text::Text;
use std::fmt;
use std::path::Path;

/// How many functions of a stack are shown.
const STACK_SHOWN: usize = 4;

/// Which way requests go, as `/sys/kernel/livepatch/kmod_rs` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// There is no livepatch: it was disabled, or another one has replaced it.
    Absent,
    /// Tasks are being switched from C to Rust.
    TakingOver,
    /// All tasks are served by Rust, unless another livepatch is on top.
    InForce,
    /// Tasks are being switched from Rust to C.
    GivingBack,
}

impl State {
    /// Returns the state that the files `enabled` and `transition` stand for.
    fn of(enabled: Option<&str>, transition: Option<&str>) -> Self {
        match (enabled, transition) {
            (Some("1"), Some("0")) => Self::InForce,
            (Some("1"), Some(_)) => Self::TakingOver,
            (Some(_), Some(_)) => Self::GivingBack,
            _ => Self::Absent,
        }
    }
}

/// What the next step depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Situation {
    /// Whether the module is loaded.
    pub(crate) is_loaded: bool,
    pub(crate) state: State,
    /// How often the module is in use. The livepatch counts once.
    pub(crate) references: u64,
}

impl Situation {
    /// Reads how things are.
    pub(crate) fn read(machine: &Machine) -> Self {
        let file = |name| machine.word(&format!("/sys/kernel/livepatch/kmod_rs/{name}"));
        // In this order: a transition that ends in between is then seen as one.
        let transition = file("transition");
        let enabled = file("enabled");
        let references = machine
            .word("/sys/module/kmod_rs/refcnt")
            .and_then(|count| count.parse().ok());
        Self {
            is_loaded: machine.is_loaded(),
            state: State::of(enabled.as_deref(), transition.as_deref()),
            references: references.unwrap_or_default(),
        }
    }
}

/// What the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// kmod_rs serves requests.
    On,
    /// The kernel's C code serves requests, and the module is not loaded.
    Off,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Load the module, which takes over.
    Load,
    /// Turn a transition to C round.
    Enable,
    /// Give back, or turn a transition to Rust round.
    Disable,
    /// Wait until all tasks have been switched.
    AwaitTasks,
    /// Wait until nobody uses the module.
    AwaitReferences,
    /// Unload the module.
    Unload,
    /// Nothing: the goal is reached.
    Done,
}

/// Returns the next step towards the goal.
pub(crate) fn next(goal: Goal, now: Situation) -> Step {
    match (goal, now.is_loaded, now.state) {
        (Goal::On, false, _) => Step::Load,
        (Goal::Off, false, _) => Step::Done,
        (Goal::On, true, State::InForce) => Step::Done,
        (Goal::On, true, State::TakingOver) => Step::AwaitTasks,
        (Goal::On, true, State::GivingBack) => Step::Enable,
        // A patch that waits for a task which hangs in C is not waited for: it is turned round.
        (Goal::Off, true, State::InForce | State::TakingOver) => Step::Disable,
        (Goal::Off, true, State::GivingBack) => Step::AwaitTasks,
        // A livepatch that was disabled cannot be enabled again, so `on` unloads the module, too.
        (_, true, State::Absent) if now.references > 0 => Step::AwaitReferences,
        (_, true, State::Absent) => Step::Unload,
    }
}

/// Says in which state things are left when the user interrupts, and how to go on.
pub(crate) fn left(now: Situation) -> &'static str {
    match (now.is_loaded, now.state) {
        (false, _) => "interrupted: kmod_rs is not loaded, and the kernel's C code serves requests",
        (true, State::InForce) => {
            "interrupted: kmod_rs serves requests; \"kmod-rs off\" gives them back"
        }
        (true, State::TakingOver) => {
            "interrupted: kmod_rs goes on taking over, and until the tasks shown have left the \
             kernel's C code, they are served by that and all others by kmod_rs; \"kmod-rs on\" \
             waits for them again, \"kmod-rs off\" turns it round"
        }
        (true, State::GivingBack) => {
            "interrupted: kmod_rs goes on giving back, and until the tasks shown have left it, they \
             are served by it and all others by the kernel's C code; \"kmod-rs off\" waits for \
             them again, \"kmod-rs on\" turns it round"
        }
        (true, State::Absent) => {
            "interrupted: the kernel's C code serves requests, and kmod_rs is still loaded; \
             \"kmod-rs off\" goes on to unload it, \"kmod-rs on\" takes over again"
        }
    }
}

/// A task that livepatch waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiter {
    pub(crate) pid: u32,
    pub(crate) comm: Text,
    /// The name that it has requested from kmod_rs, and the process ID of its helper.
    pub(crate) request: Option<(Text, Option<u32>)>,
    /// The functions that it sleeps in, the innermost first; not all of them.
    pub(crate) stack: Vec<Text>,
}

impl fmt::Display for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.comm, self.pid)?;
        if let Some((name, helper)) = &self.request {
            write!(f, " requests {name}")?;
            if let Some(helper) = helper {
                write!(f, ", its helper is {helper}")?;
            }
        }
        for (i, function) in self.stack.iter().enumerate() {
            f.write_str(if i == 0 { ", sleeps in " } else { " < " })?;
            function.fmt(f)?;
        }
        Ok(())
    }
}

/// Returns the tasks that a livepatch in transition waits for.
///
/// `enabled` is the content of its file of that name: `1` if tasks are being switched to it.
pub(crate) fn waiters(machine: &Machine, enabled: &str) -> Vec<Waiter> {
    // A task that has not been switched yet has the other state.
    let other = if enabled == "1" { "0" } else { "1" };
    let in_flight: Vec<Record> = machine
        .bytes("/sys/kernel/debug/kmod_rs/inflight")
        .map(|content| lines(&content).filter_map(Record::parse).collect())
        .unwrap_or_default();
    let mut waiters = Vec::new();
    for process in machine.processes() {
        for (pid, task) in machine.numbered(&format!("/proc/{process}/task")) {
            if read_word(&task.join("patch_state")).as_deref() != Some(other) {
                continue;
            }
            let request = in_flight.iter().find(|record| record.pid == pid);
            waiters.push(Waiter {
                pid,
                comm: machine.comm(&task),
                request: request.map(|record| (record.name.clone(), record.helper)),
                stack: std::fs::read(task.join("stack"))
                    .map(|stack| functions(&stack))
                    .unwrap_or_default(),
            });
        }
    }
    waiters
}

fn read_word(path: &Path) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

/// Returns the functions of a stack as `/proc/PID/stack` shows it.
fn functions(stack: &[u8]) -> Vec<Text> {
    lines(stack)
        .filter_map(|line| {
            let function = line.split(|&b| b == b' ').nth(1)?;
            function.split(|&b| b == b'+').next().map(Text::from)
        })
        .take(STACK_SHOWN)
        .collect()
}

/// Another livepatch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Other {
    pub(crate) name: Text,
    /// The content of its file `enabled`.
    pub(crate) enabled: String,
    pub(crate) is_in_transition: bool,
    /// Whether it changes `__request_module()`.
    pub(crate) has_request_module: bool,
    /// Whether it was loaded after kmod_rs.
    pub(crate) is_on_top: bool,
}

/// Returns the other livepatches.
pub(crate) fn others(machine: &Machine) -> Vec<Other> {
    const ALL: &str = "/sys/kernel/livepatch";
    let order = |name: &str| -> Option<u64> {
        machine
            .word(&format!("{ALL}/{name}/stack_order"))?
            .parse()
            .ok()
    };
    let ours = order("kmod_rs");
    machine
        .names(ALL)
        .into_iter()
        .filter(|name| name != "kmod_rs")
        .map(|name| Other {
            enabled: machine
                .word(&format!("{ALL}/{name}/enabled"))
                .unwrap_or_default(),
            is_in_transition: machine.word(&format!("{ALL}/{name}/transition")).as_deref()
                == Some("1"),
            has_request_module: machine
                .names(&format!("{ALL}/{name}/vmlinux"))
                .iter()
                .any(|function| function.starts_with("__request_module,")),
            is_on_top: ours.is_some() && order(&name) > ours,
            name: name.as_str().into(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::Fake;

    fn loaded(state: State, references: u64) -> Situation {
        Situation {
            is_loaded: true,
            state,
            references,
        }
    }

    const NOT_LOADED: Situation = Situation {
        is_loaded: false,
        state: State::Absent,
        references: 0,
    };

    #[test]
    fn states() {
        assert_eq!(State::of(Some("1"), Some("0")), State::InForce);
        assert_eq!(State::of(Some("1"), Some("1")), State::TakingOver);
        assert_eq!(State::of(Some("0"), Some("1")), State::GivingBack);
        // It is about to go.
        assert_eq!(State::of(Some("0"), Some("0")), State::GivingBack);
        assert_eq!(State::of(None, None), State::Absent);
        assert_eq!(State::of(None, Some("0")), State::Absent);
    }

    #[test]
    fn the_way_to_off() {
        let next = |now| next(Goal::Off, now);
        assert_eq!(next(loaded(State::InForce, 1)), Step::Disable);
        assert_eq!(next(loaded(State::GivingBack, 1)), Step::AwaitTasks);
        assert_eq!(next(loaded(State::Absent, 2)), Step::AwaitReferences);
        assert_eq!(next(loaded(State::Absent, 0)), Step::Unload);
        assert_eq!(next(NOT_LOADED), Step::Done);
    }

    #[test]
    fn a_take_over_that_stalls_is_turned_round() {
        assert_eq!(next(Goal::Off, loaded(State::TakingOver, 1)), Step::Disable);
    }

    #[test]
    fn the_way_to_on() {
        let next = |now| next(Goal::On, now);
        assert_eq!(next(NOT_LOADED), Step::Load);
        assert_eq!(next(loaded(State::TakingOver, 1)), Step::AwaitTasks);
        assert_eq!(next(loaded(State::InForce, 1)), Step::Done);
    }

    #[test]
    fn giving_back_is_turned_round() {
        assert_eq!(next(Goal::On, loaded(State::GivingBack, 1)), Step::Enable);
    }

    #[test]
    fn what_was_given_back_is_loaded_again() {
        assert_eq!(
            next(Goal::On, loaded(State::Absent, 1)),
            Step::AwaitReferences
        );
        assert_eq!(next(Goal::On, loaded(State::Absent, 0)), Step::Unload);
    }

    #[test]
    fn each_way_ends() {
        // Whatever the state is, as long as each step does what it should, the goal is reached.
        for goal in [Goal::On, Goal::Off] {
            for state in [
                State::Absent,
                State::TakingOver,
                State::InForce,
                State::GivingBack,
            ] {
                let mut now = loaded(state, 3);
                let mut steps = 0;
                loop {
                    now = match next(goal, now) {
                        Step::Load | Step::Enable => loaded(State::TakingOver, 1),
                        Step::Disable => loaded(State::GivingBack, 2),
                        Step::AwaitTasks if now.state == State::TakingOver => {
                            loaded(State::InForce, 1)
                        }
                        Step::AwaitTasks => loaded(State::Absent, 1),
                        Step::AwaitReferences => loaded(State::Absent, 0),
                        Step::Unload => NOT_LOADED,
                        Step::Done => break,
                    };
                    steps += 1;
                    assert!(steps < 10, "{goal:?} from {state:?}");
                }
                assert_eq!(now.is_loaded, goal == Goal::On);
            }
        }
    }

    #[test]
    fn who_is_waited_for() {
        let fake = Fake::new();
        for (task, comm, patch_state) in [
            ("7/task/7", "mount", "0"),
            ("7/task/8", "mount", "1"),
            ("9/task/9", "a\x1bb", "0"),
            ("10/task/10", "idle", "-1"),
        ] {
            fake.write(&format!("/proc/{task}/comm"), format!("{comm}\n"));
            fake.write(
                &format!("/proc/{task}/patch_state"),
                format!("{patch_state}\n"),
            );
        }
        fake.write(
            "/proc/7/task/7/stack",
            "[<0>] wait_for_completion_killable+0x1/0x2\n[<0>] __request_module+0x1/0x2\n",
        );
        let shown: Vec<_> = waiters(fake.machine(), "1")
            .iter()
            .map(Waiter::to_string)
            .collect();
        assert_eq!(
            shown,
            [
                "mount[7], sleeps in wait_for_completion_killable < __request_module",
                r"a\x1bb[9]"
            ]
        );
        assert_eq!(waiters(fake.machine(), "0").len(), 1);
    }

    #[test]
    fn other_livepatches() {
        let fake = Fake::new();
        for (name, order) in [("below", "1"), ("kmod_rs", "2"), ("above", "3")] {
            let file = |file: &str| format!("/sys/kernel/livepatch/{name}/{file}");
            fake.write(&file("enabled"), "1\n");
            fake.write(
                &file("transition"),
                if name == "above" { "1\n" } else { "0\n" },
            );
            fake.write(&file("stack_order"), order);
            fake.write(&file("vmlinux/__request_module,1/x"), "");
        }
        let mut others = others(fake.machine());
        others.sort_by_key(|other| other.name.clone());
        let [above, below] = &others[..] else {
            panic!("{others:?}");
        };
        assert!(above.is_on_top && above.is_in_transition && above.has_request_module);
        assert!(!below.is_on_top && !below.is_in_transition && below.has_request_module);
    }
}
