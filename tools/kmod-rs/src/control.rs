// SPDX-License-Identifier: GPL-2.0

//! Takes the steps that [`crate::livepatch`] decides on, until the goal is reached.
//!
//! A livepatch gives no event when a task is switched or when its transition ends, and a module
//! none when its last reference is put. So both are polled.

use crate::check::{self, Finding};
use crate::failure::{Failure, Result, Status};
use crate::interrupt::Interrupt;
use crate::kmsg::Kmsg;
use crate::livepatch::{self, Goal, Situation, State, Step, Waiter};
use crate::machine::Machine;
use crate::model::lines;
use crate::model::record::Record;
use crate::sysctl;
use crate::view::json;
use crate::view::Shown;
use rustix::fs::OFlags;
use rustix::io::Errno;
use serde_json::{Map, Value};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often it is polled. A user does not notice this delay, and reading a few files that often
/// costs next to nothing.
const POLL: Duration = Duration::from_millis(100);

/// After how long a wait is explained. Most are over by then.
const QUIET: Duration = Duration::from_secs(1);

/// How long the same explanation stands, at least.
const NEWS: Duration = Duration::from_secs(5);

/// How many tasks are shown.
const SHOWN_MAX: usize = 10;

/// Where administrators' programs are. In a unit or a script `PATH` may be anything.
const SBIN: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Tells the user what goes on.
pub(crate) struct Progress {
    is_json: bool,
    /// When the current wait began.
    since: Option<Instant>,
    /// When something was said of it, and what.
    said: Option<(Instant, String)>,
}

impl Progress {
    /// Speaks to people, or in JSON.
    pub(crate) fn new(is_json: bool) -> Self {
        Self {
            is_json,
            since: None,
            said: None,
        }
    }

    /// Says a sentence. It has no bytes that others chose, unless they are escaped.
    pub(crate) fn say(&self, sentence: &str) {
        self.write(sentence, || {
            Map::from_iter([("message".into(), sentence.into())])
        });
    }

    /// Writes the text to standard error, or the object to standard output.
    ///
    /// That nobody listens is no reason to stop half-way, so errors are ignored.
    fn write(&self, text: &str, object: impl FnOnce() -> Map<String, Value>) {
        let _ = if self.is_json {
            json::write(&mut io::stdout(), &object())
        } else {
            writeln!(io::stderr(), "kmod-rs: {text}")
        };
    }

    /// Says what stands in the way.
    pub(crate) fn say_all(&self, findings: &[Finding]) {
        for finding in findings {
            self.write(&finding.to_string(), || finding.to_json());
        }
    }

    fn act(&mut self) {
        self.since = None;
        self.said = None;
    }

    /// Waits a moment, and explains the wait now and then if there is something new to say.
    fn wait(&mut self, explain: impl FnOnce() -> Wait) {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let is_due = match &self.said {
            Some((when, _)) => now - *when >= NEWS,
            None => now - since >= QUIET,
        };
        if is_due {
            let wait = explain();
            let text = wait.to_text();
            if self.said.as_ref().map(|(_, said)| said) != Some(&text) {
                self.write(&text, || wait.to_json());
            }
            self.said = Some((now, text));
        }
        sleep(POLL);
    }
}

/// What is waited for.
enum Wait {
    /// Tasks are to leave a function.
    Tasks(&'static str, Vec<Waiter>),
    /// The module is in use.
    Users(Vec<String>),
    /// Another livepatch is in transition.
    Livepatch(Finding),
}

impl Wait {
    fn to_text(&self) -> String {
        let (head, list): (String, Vec<String>) = match self {
            Self::Tasks(whose, tasks) => (
                format!(
                    "waiting for these tasks to leave {whose} (a request ends when its modprobe \
                     ends, or when its task is killed)"
                ),
                tasks.iter().map(Waiter::to_string).collect(),
            ),
            Self::Users(users) => (
                "waiting until nothing uses kmod_rs any more".into(),
                users.clone(),
            ),
            Self::Livepatch(finding) => return format!("waiting: {finding}"),
        };
        let mut text = head;
        for line in list.iter().take(SHOWN_MAX) {
            text.push_str("\n  ");
            text.push_str(line);
        }
        if list.len() > SHOWN_MAX {
            text.push_str(&format!("\n  and {} more", list.len() - SHOWN_MAX));
        }
        text
    }

    /// Returns the same as an object of JSON.
    fn to_json(&self) -> Map<String, Value> {
        let (what, list) = match self {
            Self::Tasks(_, tasks) => ("tasks", tasks.iter().map(task_to_json).collect()),
            Self::Users(users) => ("users", users.iter().cloned().map(Value::from).collect()),
            Self::Livepatch(finding) => ("livepatch", vec![finding.what.clone().into()]),
        };
        Map::from_iter([
            ("waiting_for".into(), what.into()),
            ("list".into(), Value::Array(list)),
        ])
    }
}

fn task_to_json(task: &Waiter) -> Value {
    let (name, helper) = task
        .request
        .as_ref()
        .map_or((None, None), |(name, helper)| {
            (Some(json::text(name)), *helper)
        });
    let stack: Vec<_> = task.stack.iter().map(json::text).collect();
    serde_json::json!({
        "pid": task.pid,
        "comm": json::text(&task.comm),
        "name": name,
        "helper": helper,
        "stack": stack,
    })
}

/// Returns who uses the module, as far as this is known.
fn users(machine: &Machine) -> Vec<String> {
    let helpers = machine
        .bytes("/sys/kernel/debug/kmod_rs/inflight")
        .unwrap_or_default();
    let mut users: Vec<_> = lines(&helpers)
        .filter_map(Record::parse)
        .map(|record| match record.helper {
            Some(helper) => format!("the helper {helper} runs for {}", record.name),
            None => format!(
                "a request for {} is kept until its helper can start",
                record.name
            ),
        })
        .collect();
    users.extend(
        check::open_records(machine)
            .iter()
            .map(|opener| format!("{opener} has {} open", opener.file)),
    );
    users.extend(
        check::tracers(machine)
            .iter()
            .map(|opener| format!("{opener} may listen to its trace events")),
    );
    users.dedup();
    users
}

/// Takes steps until the goal is reached.
///
/// `load` loads the module.
pub(crate) fn reach(
    goal: Goal,
    machine: &Machine,
    interrupt: &Interrupt,
    progress: &mut Progress,
    load: impl Fn() -> Result<()>,
) -> Result<()> {
    // Each step that changes something is taken once. If it has to be taken again, somebody else
    // has another goal.
    let mut taken = Vec::new();
    loop {
        let now = Situation::read(machine);
        let step = livepatch::next(goal, now);
        if step == Step::Done {
            return Ok(());
        }
        if interrupt.is_set() {
            return Err(Failure::new(Status::Error, livepatch::left(now)));
        }
        let waits = matches!(step, Step::AwaitTasks | Step::AwaitReferences);
        if !waits && taken.contains(&step) {
            return Err(Failure::new(
                Status::Error,
                "somebody else is turning kmod_rs on and off at the same time: run this again when \
                 that is done",
            ));
        }
        let done = match step {
            Step::Done => true,
            Step::Load => load().map(|()| true)?,
            Step::Enable => switch(machine, "1")?,
            Step::Disable => {
                if now.state == State::TakingOver {
                    progress.say("kmod_rs is still taking over: turning this round");
                }
                switch(machine, "0")?
            }
            Step::Unload => unload()?,
            Step::AwaitTasks => {
                let (whose, enabled) = match now.state {
                    State::TakingOver => ("the kernel's C code", "1"),
                    _ => ("kmod_rs", "0"),
                };
                progress.wait(|| Wait::Tasks(whose, livepatch::waiters(machine, enabled)));
                continue;
            }
            Step::AwaitReferences => {
                if check::is_locked(machine) {
                    return Err(Failure::new(Status::Error, check::locked(machine)));
                }
                progress.wait(|| Wait::Users(users(machine)));
                continue;
            }
        };
        if done {
            progress.act();
            taken.push(step);
        } else if step == Step::Unload {
            progress.wait(|| Wait::Users(users(machine)));
        } else {
            progress.wait(|| Wait::Livepatch(check::other_transition(machine)));
        }
    }
}

/// Writes to the switch of the livepatch. Returns whether that has changed something.
fn switch(machine: &Machine, enabled: &str) -> Result<bool> {
    let file = machine.path("/sys/kernel/livepatch/kmod_rs/enabled");
    let Err(error) = fs::write(&file, enabled) else {
        return Ok(true);
    };
    match Errno::from_io_error(&error) {
        // Another livepatch is in transition; or the state has changed since it was read.
        Some(Errno::BUSY | Errno::INVAL | Errno::NOENT | Errno::NODEV) => Ok(false),
        _ => Err(Failure::new(
            Status::Error,
            format!("cannot write to {}: {error}", file.display()),
        )),
    }
}

/// Unloads the module. Returns whether it is unloaded: it is not if it is in use again.
fn unload() -> Result<bool> {
    let flags = OFlags::NONBLOCK.bits().try_into().unwrap_or_default();
    match rustix::system::delete_module(c"kmod_rs", flags) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::AGAIN | Errno::BUSY) => Ok(false),
        Err(error) => Err(Failure::new(
            Status::Error,
            format!(
                "the kernel's C code serves requests, but kmod_rs cannot be unloaded: {}",
                io::Error::from(error)
            ),
        )),
    }
}

/// Loads the module, by modprobe or from this file, and then applies the settings for it.
pub(crate) fn load(
    machine: &Machine,
    file: Option<&PathBuf>,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<()> {
    let kmsg = Kmsg::since_now(machine).ok();
    let mut command = match file {
        Some(file) => program("insmod", [file.as_path()]),
        None => program("modprobe", [Path::new("--"), Path::new("kmod_rs")]),
    };
    if let Err(reason) = run(&mut command, Some(interrupt)) {
        // modprobe may have been interrupted after it has loaded the module.
        if !machine.is_loaded() {
            for message in kmsg.map(Kmsg::about_kmod_rs).unwrap_or_default() {
                progress.say(&format!("the kernel says: {message}"));
            }
            return Err(Failure::new(
                Status::Error,
                format!("cannot load kmod_rs ({reason}): \"kmod-rs doctor\" says what to do"),
            ));
        }
    }
    if let Err(reason) = apply_settings(machine) {
        progress.say(&format!(
            "kmod_rs is loaded, but not all settings in sysctl.d(5) were applied: {reason}"
        ));
    }
    Ok(())
}

/// Applies the settings of kmod_rs in files for sysctl.d(5).
fn apply_settings(machine: &Machine) -> std::result::Result<(), String> {
    const SYSTEMD_SYSCTL: &str = "/usr/lib/systemd/systemd-sysctl";
    if !machine.path(SYSTEMD_SYSCTL).exists() {
        return sysctl::apply(machine);
    }
    let prefixes = ["--prefix=/kernel/kmod_rs", "--prefix=/kernel/kmod-limit"];
    // This takes milliseconds, and is not interrupted: no rule is left out.
    run(&mut program(SYSTEMD_SYSCTL, prefixes), None)
}

/// Returns a command of the administrator's.
pub(crate) fn program<T: AsRef<std::ffi::OsStr>>(
    name: &str,
    arguments: impl IntoIterator<Item = T>,
) -> Command {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":");
    path.push(SBIN);
    let mut command = Command::new(name);
    command
        .args(arguments)
        .env("PATH", path)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    // A signal from the terminal comes to this program only, which knows what to do about it.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

/// Runs the command. If it fails, returns the last line that it wrote to standard error.
///
/// If the user interrupts meanwhile, the command is killed.
pub(crate) fn run(
    command: &mut Command,
    interrupt: Option<&Interrupt>,
) -> std::result::Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|e| format!("{name}: {e}"))?;
    if let Some(interrupt) = interrupt {
        while child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if interrupt.is_set() {
                child.kill().map_err(|e| format!("{name}: {e}"))?;
                break;
            }
            sleep(POLL / 10);
        }
    }
    let output = child
        .wait_with_output()
        .map_err(|e| format!("{name}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = output
        .stderr
        .split(|&b| b == b'\n')
        .rev()
        .find(|line| !line.is_empty());
    Err(match said {
        Some(line) => Shown(line).to_string(),
        None => format!("{name}: {}", output.status),
    })
}

/// Fails if this is not root on its own machine, or if something stands in the way.
pub(crate) fn prepare(
    machine: &Machine,
    in_the_way: &[Finding],
    progress: &Progress,
    what: &str,
) -> Result<()> {
    progress.say_all(in_the_way);
    if !in_the_way.is_empty() {
        return Err(Failure::new(
            Status::Error,
            format!("{what} is not possible now, and nothing was changed"),
        ));
    }
    if !machine.is_this() {
        return Err(Failure::new(Status::Error, "--root is for looking only"));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::new(
            Status::Error,
            format!("{what} is for root only"),
        ));
    }
    Ok(())
}

/// Says who serves requests after giving back.
pub(crate) fn successor(machine: &Machine) -> String {
    let other = livepatch::others(machine)
        .into_iter()
        .find(|other| other.has_request_module);
    match other {
        Some(other) => format!(
            "kmod_rs is unloaded; the livepatch {} serves requests",
            other.name
        ),
        None => "kmod_rs is unloaded; request_module() is the kernel's C code again".into(),
    }
}
