// SPDX-License-Identifier: GPL-2.0

//! `watch`, `journal` and `top` on a machine of files, where `trace_pipe` is a FIFO.

#![expect(clippy::unwrap_used, reason = "What a test cannot do is a failure.")]

use rustix::event::{poll, PollFd, PollFlags};
use rustix::fs::{mknodat, FileType, Mode, CWD};
use rustix::process::{kill_process, Pid, Signal};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_kmod-rs");

/// For how long anything is waited for. It comes in less than one second, but a machine can be busy.
const LONGEST_WAIT: Duration = Duration::from_secs(180);

/// The events of a request: SEQ, NAME and COMM stand for what is different.
const BEGIN: &str = r#"-7       [001]  1.000000: request_begin: seq=SEQ name="NAME" wait=1 comm="c" uid=1000 loginuid=-1 userns=initial nspid=7 cgroup="/a.service" call_site="f" chain=-"#;
const DENIED: &str = r#"-7       [001]  1.000001: request_denied: seq=SEQ name="NAME" result=256 rule="autoload_mode 1""#;
const END: &str = r#"-7       [001]  1.000002: request_end: seq=SEQ name="NAME" outcome=OUTCOME result=256 helper=0 queue_us=-1 helper_us=-1 path=-"#;

/// A machine of files on which kmod_rs is loaded.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(this.path("sys/module/kmod_rs")).unwrap();
        fs::create_dir_all(this.path("sys/kernel/tracing/instances")).unwrap();
        this
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, content: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), content).unwrap();
    }

    /// Returns the command. The instance that it is going to make is there already, as only a
    /// kernel makes its files.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(
                "instance=$0/sys/kernel/tracing/instances/kmod-rs-$$
                mkdir -p $instance/events/kmod_rs $instance/options
                mv $0/trace_pipe $instance
                for file in trace_clock buffer_percent set_event options/irq-info; do
                        : >$instance/$file
                done
                echo 0 >$instance/events/kmod_rs/enable
                exec \"$@\"",
            )
            .arg(self.0.path())
            .arg(PROGRAM)
            .arg("--root")
            .arg(self.0.path())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts the command, and returns it with what its events are written to.
    fn start(&self, arguments: &[&str]) -> Running {
        let fifo = self.path("trace_pipe");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        // Reading as well, so that it does not wait for a reader.
        let events = File::options().read(true).write(true).open(&fifo).unwrap();
        let mut child = self.command(arguments).spawn().unwrap();
        let running = Running {
            out: BufReader::new(child.stdout.take().unwrap()),
            errors: BufReader::new(child.stderr.take().unwrap()),
            instance: self.path(&format!(
                "sys/kernel/tracing/instances/kmod-rs-{}",
                child.id()
            )),
            child,
            events,
        };
        // Signals are caught by then.
        await_content(&running.instance.join("events/kmod_rs/enable"), "1\n");
        running
    }
}

/// A command that runs.
struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    errors: BufReader<ChildStderr>,
    events: File,
    instance: PathBuf,
}

impl Running {
    /// Has events happen, in a task with this name.
    fn happen(&mut self, comm: &str, events: &[&str], seq: u64, name: &str, outcome: &str) {
        for event in events {
            let event = event
                .replace("SEQ", &seq.to_string())
                .replace("NAME", name)
                .replace("OUTCOME", outcome);
            self.events
                .write_all(format!("{comm:>16}{event}\n").as_bytes())
                .unwrap();
        }
    }

    /// Returns the next line of its output.
    fn line(&mut self) -> String {
        next_line(&mut self.out)
    }

    /// Returns the next line of its error output.
    fn error(&mut self) -> String {
        next_line(&mut self.errors)
    }

    /// Ends it, and returns what is left of its output and of its error output. What has happened
    /// before is in them.
    fn end(mut self, signal: Signal) -> (String, String) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        let (mut out, mut error) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        self.errors.read_to_string(&mut error).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{error}");
        (out, error)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that fails leaves it running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next_line<T: Read + AsFd>(reader: &mut BufReader<T>) -> String {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        if reader.buffer().is_empty() {
            let mut fds = [PollFd::new(reader.get_ref(), PollFlags::IN)];
            assert_ne!(
                poll(&mut fds, LONGEST_WAIT.as_millis().try_into().unwrap()).unwrap(),
                0,
                "no line comes after {:?}",
                String::from_utf8_lossy(&line)
            );
        }
        let available = reader.fill_buf().unwrap();
        if available.is_empty() {
            break;
        }
        let end = available.iter().position(|&b| b == b'\n');
        let length = end.map_or(available.len(), |at| at + 1);
        line.extend_from_slice(&available[..length]);
        reader.consume(length);
    }
    String::from_utf8(line).unwrap().trim_end().to_owned()
}

/// Waits until the file has this content.
fn await_content(path: &Path, content: &str) {
    let start = Instant::now();
    while fs::read_to_string(path).ok().as_deref() != Some(content) {
        assert!(
            start.elapsed() < LONGEST_WAIT,
            "{path:?} is not {content:?}"
        );
        thread::sleep(Duration::from_millis(5));
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn watch_shows_requests_when_they_end() {
    let machine = Machine::new();
    let mut watch = machine.start(&["--monotonic", "watch"]);
    let titles = watch.line();
    assert!(
        titles.starts_with("TIME             NAME                  OUTCOME "),
        "{titles}"
    );
    assert_eq!(read(&watch.instance.join("events/kmod_rs/enable")), "1\n");
    assert_eq!(read(&watch.instance.join("trace_clock")), "mono");
    assert_eq!(read(&watch.instance.join("buffer_percent")), "0");
    assert_eq!(read(&watch.instance.join("options/irq-info")), "0");

    watch.happen("a", &[BEGIN], 1, "first", "");
    watch.happen("b", &[BEGIN, END], 2, "second", "exit");
    watch.happen("a", &[DENIED, END], 1, "first", "denied");
    watch.happen("a", &[END], 9, "third", "loop");
    let (out, error) = watch.end(Signal::Int);
    snapbox::assert_eq(
        "\
1.000000         second                exit      1000      c[7]                   -       -  status 1
1.000000         first                 denied    1000      c[7]                   -       -  denied by autoload_mode 1
1.000002         third                 loop      -         -                      -       -  began before
",
        out,
    );
    assert_eq!(error, "");
}

#[test]
fn watch_as_json_and_filtered() {
    let machine = Machine::new();
    let mut watch = machine.start(&["--json", "watch", "--name", "b*", "--uid", "1000"]);
    // Nobody knows who made the last but one.
    watch.happen("x", &[BEGIN, END], 1, "a1", "exit");
    watch.happen("x", &[END], 9, "b9", "exit");
    watch.happen("x", &[BEGIN, END], 2, r"b\xff", "exit");
    assert_eq!(
        watch.end(Signal::Term).0.trim_end(),
        r#"{"schema":1,"seq":2,"t":1.0,"name":"b\\xff","wait":1,"pid":7,"tgid":null,"comm":"c","uid":1000,"loginuid":null,"userns":"initial","nspid":7,"cgroup":"/a.service","call_site":"f","chain":null,"helper":null,"queue_us":null,"helper_us":null,"outcome":"exit","result":256,"modules":null,"path":null}"#
    );
}

#[test]
fn watch_knows_what_was_in_flight() {
    let machine = Machine::new();
    machine.write(
        "sys/kernel/debug/kmod_rs/inflight",
        "seq=5 t=0.500000 name=\"slow\" wait=1 pid=70 tgid=69 comm=\"mount\" uid=0 loginuid=- userns=initial nspid=70 cgroup=\"/\" call_site=\"f\" chain=- helper=9 queue_us=3 helper_us=- outcome=- result=- modules=- path=\"/sbin/modprobe\"\n",
    );
    let mut watch = machine.start(&["--monotonic", "watch", "--uid", "0"]);
    watch.happen("x", &[END], 5, "slow", "exit");
    let (out, _) = watch.end(Signal::Hup);
    assert!(out.contains("mount[70]"), "{out}");
}

#[test]
fn no_task_forges_a_line_or_writes_to_the_terminal() {
    let machine = Machine::new();
    let mut watch = machine.start(&["watch"]);
    watch.line();
    watch.happen("\n: request_end:", &[BEGIN, END], 1, "true", "exit");
    watch.happen(
        "\x1b[2J\n\n\nCPU:0 [L",
        &[BEGIN, END],
        2,
        r"\x1b[2J\xe2\x80\xae",
        "exit",
    );
    watch.happen("last", &[BEGIN, END], 3, "last", "exit");
    let (out, error) = watch.end(Signal::Int);
    let lines: Vec<_> = out.lines().collect();
    assert_eq!((lines.len(), error.as_str()), (3, ""), "{out}");
    assert!(lines[0].contains("  true "), "{out}");
    assert!(lines[1].contains(r"  \x1b[2J\xe2\x80\xae  "), "{out}");
    assert!(lines[2].contains("  last "), "{out}");
}

#[test]
fn lost_events_and_an_unloaded_module_are_told() {
    let machine = Machine::new();
    let mut watch = machine.start(&["watch"]);
    watch.events.write_all(b"CPU:1 [LOST 12 EVENTS]\n").unwrap();
    watch.happen("x", &[BEGIN], 1, "old", "");
    assert_eq!(
        watch.error(),
        "kmod-rs: 12 events were lost, as they came too fast: requests are missing"
    );

    let (events, gone) = (
        watch.instance.join("events/kmod_rs"),
        watch.instance.join("gone"),
    );
    fs::rename(&events, &gone).unwrap();
    assert_eq!(
        watch.error(),
        "kmod-rs: kmod_rs is unloaded: waiting until it is loaded again"
    );
    let set_event = watch.instance.join("set_event");
    assert_eq!(read(&set_event), ":mod:kmod_rs\n");

    // The kernel forgets what it was told, and is told again.
    fs::write(&set_event, "").unwrap();
    await_content(&set_event, ":mod:kmod_rs\n");
    fs::write(gone.join("enable"), "1\n").unwrap();
    fs::rename(&gone, &events).unwrap();
    assert_eq!(watch.error(), "kmod-rs: kmod_rs is loaded again");
    // It counts from 1 again, and what began before does not go on.
    watch.happen("x", &[END], 1, "new", "exit");
    let (out, error) = watch.end(Signal::Int);
    assert_eq!((out.lines().count(), error.as_str()), (2, ""), "{out}");
    assert!(out.ends_with("began before\n"), "{out}");
}

#[test]
fn what_returned_before_the_events_were_enabled_is_known_from_its_record() {
    let machine = Machine::new();
    let mut watch = machine.start(&["--monotonic", "watch"]);
    watch.happen("x", &[BEGIN], 1, "old", "");
    watch.happen("x", &[END], 3, "old", "exit");
    assert!(watch.line().starts_with("TIME "));
    assert!(watch.line().ends_with("began before"));

    // Unloaded and loaded so fast that nobody has seen it.
    let record = |seq: u64, name: &str, outcome: &str| {
        format!("seq={seq} t=0.500000 name=\"{name}\" wait=1 pid=70 tgid=69 comm=\"mount\" uid=0 loginuid=- userns=initial nspid=70 cgroup=\"/\" call_site=\"f\" chain=- helper=9 queue_us=3 helper_us=- outcome={outcome} result=- modules=- path=\"/sbin/modprobe\"\n")
    };
    let records = "sys/kernel/debug/kmod_rs";
    machine.write(
        &format!("{records}/recent"),
        &(record(1, "first", "exit") + &record(2, "second", "exit")),
    );
    machine.write(&format!("{records}/inflight"), &record(3, "third", "-"));
    fs::rename(
        machine.path("sys/module/kmod_rs"),
        machine.path("sys/module/old"),
    )
    .unwrap();
    fs::create_dir(machine.path("sys/module/kmod_rs")).unwrap();
    let enable = watch.instance.join("events/kmod_rs/enable");
    fs::write(&enable, "0\n").unwrap();
    assert_eq!(watch.error(), "kmod-rs: kmod_rs is loaded again");
    assert_eq!(read(&enable), "1\n");
    // The second returned after the events were enabled, and before the records were read.
    watch.happen("x", &[END], 2, "second", "exit");
    watch.happen("x", &[END], 3, "third", "exit");
    watch.happen("x", &[END], 1, "first", "exit");

    // Somebody else disables the events of the same module.
    fs::write(&enable, "0\n").unwrap();
    assert_eq!(
        watch.error(),
        "kmod-rs: the trace events were disabled by somebody: requests are missing"
    );
    assert_eq!(read(&enable), "1\n");
    let (out, error) = watch.end(Signal::Int);
    let names: Vec<_> = out
        .lines()
        .map(|line| line.split_whitespace().nth(1).unwrap())
        .collect();
    assert_eq!(
        (names, error.as_str()),
        (vec!["first", "second", "third"], ""),
        "{out}"
    );
    assert!(out.lines().all(|line| line.contains("mount[70]")), "{out}");
}

#[test]
fn instances_of_dead_processes_are_removed() {
    let machine = Machine::new();
    let instances = machine.path("sys/kernel/tracing/instances");
    for name in ["kmod-rs-111", "kmod-rs-222", "kmod-rs-x", "other-111"] {
        fs::create_dir(instances.join(name)).unwrap();
    }
    machine.write("proc/222/comm", "kmod-rs\n");
    // The number has gone to another program.
    machine.write("proc/111/comm", "bash\n");
    let watch = machine.start(&["watch"]);
    assert!(!instances.join("kmod-rs-111").exists());
    for name in ["kmod-rs-222", "kmod-rs-x", "other-111"] {
        assert!(instances.join(name).exists(), "{name}");
    }
    // A kernel removes an instance with all that is in it.
    let instance = watch.instance.clone();
    fs::remove_dir_all(&instance).unwrap();
    fs::create_dir(&instance).unwrap();
    watch.end(Signal::Int);
    assert!(!instance.exists());
}

#[test]
fn what_stands_in_the_way() {
    let said = |machine: &Machine, arguments: &[&str]| {
        let output = Command::new(PROGRAM)
            .arg("--root")
            .arg(machine.0.path())
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.stdout, b"");
        format!(
            "{} {}",
            output.status.code().unwrap(),
            String::from_utf8(output.stderr).unwrap().trim_end()
        )
    };
    let machine = Machine::new();
    assert_eq!(
        said(&machine, &["--from", "x", "watch"]),
        "2 kmod-rs: watch has no --from: see \"kmod-rs recent\""
    );
    assert_eq!(
        said(&machine, &["--json", "journal"]),
        "2 kmod-rs: journal has neither --json nor --from: see \"kmod-rs watch\" or \"recent\""
    );
    assert_eq!(
        said(&machine, &["--json", "top"]),
        "2 kmod-rs: top has neither --json nor --from: see \"kmod-rs watch\" or \"recent\""
    );
    assert_eq!(
        said(&machine, &["top"]),
        "1 kmod-rs: top needs a terminal: see \"kmod-rs watch\" or \"kmod-rs recent\""
    );
    let socket = machine.path("run/systemd/journal/socket");
    assert_eq!(
        said(&machine, &["journal"]),
        format!(
            "1 kmod-rs: there is no journal at {}: start systemd-journald",
            socket.display()
        )
    );
    fs::remove_dir_all(machine.path("sys/kernel/tracing")).unwrap();
    assert_eq!(
        said(&machine, &["watch"]),
        "1 kmod-rs: tracefs is not mounted: run \"mount -t tracefs none /sys/kernel/tracing\""
    );
    fs::remove_dir_all(machine.path("sys/module")).unwrap();
    assert_eq!(
        said(&machine, &["watch"]),
        "4 kmod-rs: kmod_rs is not loaded: run \"kmod-rs on\""
    );
}

#[test]
fn journal_writes_what_went_wrong() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("run/systemd/journal")).unwrap();
    let socket = UnixDatagram::bind(machine.path("run/systemd/journal/socket")).unwrap();
    let mut journal = machine.start(&["journal"]);
    journal.happen("x", &[BEGIN, END], 1, "good", "nothing");
    journal.happen("x", &[BEGIN, DENIED, END], 2, r"bad\x0a\xff", "denied");
    journal.end(Signal::Term);
    let mut buffer = [0; 8192];
    socket.set_nonblocking(true).unwrap();
    let length = socket.recv(&mut buffer).unwrap();
    snapbox::assert_eq(
        r#"MESSAGE=request for bad\x0a\xff by c[7] uid 1000: denied, rule autoload_mode 1
MESSAGE_ID=6e07c1ad5bd94cd8b3a93f0e4c0c7d51
PRIORITY=4
SYSLOG_IDENTIFIER=kmod-rs
KMOD_RS_SEQ=2
KMOD_RS_T=1.000000
KMOD_RS_NAME=bad\x0a\xff
KMOD_RS_WAIT=1
KMOD_RS_PID=7
KMOD_RS_COMM=c
KMOD_RS_UID=1000
KMOD_RS_USERNS=initial
KMOD_RS_NSPID=7
KMOD_RS_CGROUP=/a.service
KMOD_RS_CALL_SITE=f
KMOD_RS_OUTCOME=denied
KMOD_RS_RESULT=256
KMOD_RS_POLICY=denied
KMOD_RS_RULE=autoload_mode 1
"#,
        std::str::from_utf8(&buffer[..length]).unwrap(),
    );
}
