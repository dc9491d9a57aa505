// SPDX-License-Identifier: GPL-2.0

//! Requests that were made, who made them, and how kmod_rs is, as a user sees them: on a machine
//! that is made of files.

#![expect(clippy::unwrap_used, reason = "What a test cannot do is a failure.")]

mod machine;

use machine::{Machine, RECORDS};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// The line of a failure: a file that holds its text.
fn golden(name: &str) -> String {
    format!("tests/golden/{name}")
}

#[test]
fn recent() {
    let machine = Machine::serving();
    let assert = machine.command("recent --monotonic").assert().success();
    assert.stdout_eq_path(golden("recent.txt")).stderr_eq("");
    let assert = machine.command("recent --json").assert().success();
    assert.stdout_eq_path(golden("recent.json"));
}

#[test]
fn recent_of_some() {
    let machine = Machine::serving();
    for (filter, seqs) in [
        ("--name fs_*", "1 3 4 7 8"),
        ("--uid ann", "2 8"),
        ("--uid 100000", "3"),
        ("--cgroup /system.slice/*", "1"),
        ("--outcome refused", "5"),
        ("--outcome in-flight", "7"),
        ("--denied", "2 3 5"),
        ("--since 11.5", "7 8"),
        ("--uid root --since 9.5 --name fs*", "4 7"),
    ] {
        let output = machine
            .command(&format!("recent --json {filter}"))
            .output()
            .unwrap();
        let shown: Vec<_> = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| line.split(&[':', ','][..]).nth(3).unwrap().to_owned())
            .collect();
        assert_eq!(shown.join(" "), seqs, "{filter}");
    }
}

#[test]
fn recent_of_nothing() {
    let machine = Machine::serving();
    let assert = machine.command("recent --name no-such").assert().success();
    assert.stdout_eq("").stderr_eq(
        "kmod-rs: none of the 8 requests that are remembered is like that; 3 are forgotten, the \
         newest from t=5.000000\n",
    );
}

#[test]
fn status() {
    let machine = Machine::serving();
    let assert = machine.command("status").assert().code(0);
    assert.stdout_eq_path(golden("status.txt")).stderr_eq("");
    let assert = machine.command("status --json").assert().code(0);
    assert.stdout_eq_path(golden("status.json"));
}

#[test]
fn status_without_the_module() {
    let machine = Machine::new();
    let assert = machine.command("status").assert().code(4);
    assert
        .stdout_eq_path(golden("status-not-loaded.txt"))
        .stderr_eq("");
    let assert = machine.command("status --json").assert().code(4);
    assert.stdout_eq_path(golden("status-not-loaded.json"));
}

#[test]
fn status_when_it_does_not_serve() {
    let machine = Machine::serving();
    machine.remove("sys/kernel/livepatch/kmod_rs");
    machine.write("proc/sys/kernel/kmod_rs/active", "0\n");
    let assert = machine.command("status").assert().code(3);
    assert.stdout_eq_path(golden("status-not-active.txt"));
}

#[test]
fn status_without_root() {
    let machine = Machine::serving();
    machine.for_root_only("sys/kernel/debug");
    for knob in [
        "mode",
        "enforce",
        "lock",
        "allow",
        "deny",
        "system_uids",
        "setuid",
    ] {
        machine.for_root_only(&format!("proc/sys/kernel/kmod_rs/autoload_{knob}"));
    }
    let assert = machine.command_of_nobody("status").assert().code(0);
    assert.stdout_eq_path(golden("status-without-root.txt"));
}

#[test]
fn who() {
    let machine = Machine::serving();
    for (module, code) in [
        ("xfs", 0),
        ("libcrc32c", 0),
        ("loop", 0),
        ("ext4", 0),
        ("crypto-null", 0),
        ("snd", 0),
        ("zfs", 1),
    ] {
        let command = machine.command(&format!("who --monotonic {module}"));
        let assert = command.assert().code(code).stderr_eq("");
        assert.stdout_eq_path(golden(&format!("who-{module}.txt")));
    }
    let assert = machine.command("who --json xfs").assert().code(0);
    assert.stdout_eq_path(golden("who-xfs.json"));
}

#[test]
fn who_when_the_record_is_forgotten() {
    let machine = Machine::serving();
    machine.write(format!("{RECORDS}/recent"), "");
    let assert = machine.command("who --monotonic xfs").assert().code(0);
    assert.stdout_eq_path(golden("who-forgotten.txt"));
}

#[test]
fn what_is_saved_is_shown_elsewhere() {
    let machine = Machine::serving();
    machine
        .command("save records")
        .assert()
        .code(0)
        .stdout_eq("")
        .stderr_eq("");
    let mode = fs::metadata(machine.path("records"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    // Nothing is loaded there, and its users have other names.
    let elsewhere = Machine::new();
    elsewhere.write("records", fs::read(machine.path("records")).unwrap());
    let assert = elsewhere
        .command("recent --monotonic --from records")
        .assert()
        .code(0);
    assert.stdout_eq_path(golden("recent-elsewhere.txt"));
    let assert = elsewhere
        .command("recent --json --from records")
        .assert()
        .code(0);
    assert.stdout_eq_path(golden("recent.json"));
    let assert = elsewhere
        .command("who --monotonic xfs --from records")
        .assert()
        .code(0);
    assert.stdout_eq_path(golden("who-elsewhere.txt"));
}

#[test]
fn the_time_of_the_day_is_that_of_the_machine() {
    let machine = Machine::new();
    machine.write("records", include_str!("records/saved"));
    let assert = machine.command("recent --from records").assert().code(0);
    assert.stdout_eq_path(golden("recent-by-day.txt"));
    // It was saved half a second after the newest one.
    let assert = machine
        .command("recent --monotonic --since 0.9s --from records")
        .assert();
    assert.stdout_matches("TIME [..]\n12.000000  fs-slow [..]\n");
}

#[test]
fn no_module() {
    let machine = Machine::new();
    for command in ["recent", "who xfs", "save file", "status --probe"] {
        let assert = machine.command(command).assert().code(4);
        if command != "status --probe" {
            assert
                .stdout_eq("")
                .stderr_eq("kmod-rs: kmod_rs is not loaded: run \"kmod-rs on\"\n");
        }
    }
    assert!(!machine.path("file").exists());
}

#[test]
fn an_old_module() {
    let machine = Machine::serving();
    machine.remove(&format!("{RECORDS}/latency"));
    for command in ["recent", "who xfs", "save file"] {
        let assert = machine.command(command).assert().code(1).stdout_eq("");
        assert.stderr_matches(
            "kmod-rs: there is no [..]/kmod_rs/latency: another version of kmod_rs is loaded\n",
        );
    }
    assert!(!machine.path("file").exists());
}

#[test]
fn records_of_another_version() {
    let machine = Machine::serving();
    machine.write("sys/module/kmod_rs/version", "9.0\n");
    machine.write(format!("{RECORDS}/recent"), "number=1 asked-for=xfs\n");
    machine.write(format!("{RECORDS}/inflight"), "");
    for command in ["recent", "who xfs"] {
        let assert = machine.command(command).assert().code(1).stdout_eq("");
        assert.stderr_eq(
            "kmod-rs: the records of kmod_rs 9.0 have another form: use the kmod-rs of that \
             version\n",
        );
    }
}

#[test]
fn lines_that_are_no_records() {
    let machine = Machine::serving();
    let mut recent = fs::read_to_string(machine.path(format!("{RECORDS}/recent"))).unwrap();
    recent.insert_str(0, "something else\n");
    machine.write(format!("{RECORDS}/recent"), recent);
    let assert = machine.command("recent --monotonic").assert().code(0);
    assert
        .stdout_eq_path(golden("recent.txt"))
        .stderr_eq("kmod-rs: 1 line is left out, as it is no record\n");
}

#[test]
fn half_a_line() {
    let machine = Machine::serving();
    let recent = fs::read(machine.path(format!("{RECORDS}/recent"))).unwrap();
    machine.write(format!("{RECORDS}/inflight"), "");
    let second = recent.iter().position(|&b| b == b'\n').unwrap() + 1;
    for cut in [second + 10, recent.len() - 1] {
        machine.write(format!("{RECORDS}/recent"), &recent[..cut]);
        let output = machine.command("recent --json").output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let lines = output.stdout.iter().filter(|&&b| b == b'\n').count();
        let whole = recent[..cut].iter().filter(|&&b| b == b'\n').count();
        assert_eq!(lines, whole);
    }
}

#[test]
fn no_debugfs() {
    let machine = Machine::serving();
    machine.remove("sys/kernel/debug");
    let assert = machine.command("recent").assert().code(1).stdout_eq("");
    assert.stderr_eq(
        "kmod-rs: debugfs is not mounted: run \"mount -t debugfs none /sys/kernel/debug\"\n",
    );
    let assert = machine.command("status").assert().code(0);
    assert.stdout_matches("kmod_rs serves requests\n[..]\n[..]\n[..]\n[..]\n  requests    debugfs is not mounted\n...");
}

#[test]
fn no_root() {
    let machine = Machine::serving();
    machine.for_root_only("sys/kernel/debug");
    for command in ["recent", "who xfs", "save file"] {
        let assert = machine
            .command_of_nobody(command)
            .assert()
            .code(1)
            .stdout_eq("");
        assert.stderr_matches("kmod-rs: [..]/recent is for root only: run this as root\n");
    }
    assert!(!machine.path("file").exists());
}

#[test]
fn a_directory_that_cannot_be_written() {
    let machine = Machine::serving();
    fs::create_dir(machine.path("there")).unwrap();
    for file in ["no/such/file", "there", "/dev/full"] {
        let assert = machine.command(&format!("save {file}")).assert().code(1);
        assert
            .stdout_eq("")
            .stderr_matches("kmod-rs: cannot write [..]\n");
    }
}

#[test]
fn a_file_that_is_cut_short() {
    let machine = Machine::serving();
    machine.write("there/file", "old\n");
    // A limit of 1 KB ends a write in the middle, as a full disk does.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 2; exec \"$@\"", "sh"])
        .arg(snapbox::cmd::cargo_bin("kmod-rs"))
        .args(["--root", ".", "save", "there/file"])
        .current_dir(machine.path(""))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.starts_with("kmod-rs: cannot write there/file: "),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1);
    assert_eq!(fs::read(machine.path("there/file")).unwrap(), b"old\n");
    assert_eq!(fs::read_dir(machine.path("there")).unwrap().count(), 1);
}

#[test]
fn garbage() {
    let machine = Machine::serving();
    machine.command("save whole").assert().success();
    let whole = fs::read(machine.path("whole")).unwrap();
    machine.write("empty", "");
    machine.write("half", &whole[..whole.len() / 2]);
    machine.write("longer", [&whole[..], b"x"].concat());
    machine.write(
        "binary",
        (0..=255).cycle().take(100_000).collect::<Vec<u8>>(),
    );
    machine.write(
        "records",
        fs::read(machine.path(format!("{RECORDS}/recent"))).unwrap(),
    );
    for file in ["empty", "half", "longer", "binary", "records"] {
        for command in ["recent", "who xfs"] {
            let command = machine.command(&format!("{command} --from {file}"));
            let assert = command.assert().code(1).stdout_eq("");
            assert.stderr_eq(format!(
                "kmod-rs: {file} is not a whole file of \"kmod-rs save\": save it again\n"
            ));
        }
    }
    let assert = machine
        .command("recent --from no-such")
        .assert()
        .code(1)
        .stdout_eq("");
    assert.stderr_matches("kmod-rs: cannot read no-such: [..]\n");
}

#[test]
fn what_is_not_understood() {
    let machine = Machine::serving();
    for (command, sentence) in [
        (
            "recent --name [a",
            "[a is no valid pattern: see \"Lists of names\" in the admin guide",
        ),
        ("recent --uid nobody-here", "there is no user nobody-here"),
        ("recent --since soon", "soon is no time: [..]"),
        (
            "recent --outcome lost",
            "lost is no outcome: take one of loaded, [..]",
        ),
        (
            "save x --from y",
            "save takes the records of this machine: [..]",
        ),
        (
            "status --from y",
            "status is that of this machine: leave --from out",
        ),
    ] {
        let assert = machine.command(command).assert().code(2).stdout_eq("");
        assert.stderr_matches(format!("kmod-rs: {sentence}\n"));
    }
    machine.command("recent --no-such").assert().code(2);
}

#[test]
fn colours_are_for_terminals() {
    let machine = Machine::serving();
    // Not on a pipe, even if the environment speaks of a terminal.
    let assert = machine
        .command("recent --monotonic")
        .env("TERM", "xterm")
        .assert();
    assert.stdout_eq_path(golden("recent.txt"));
    let assert = machine
        .command("recent --monotonic")
        .env("CLICOLOR_FORCE", "1")
        .env("NO_COLOR", "1")
        .assert();
    assert.stdout_eq_path(golden("recent.txt"));
    let coloured = machine
        .command("recent")
        .env("CLICOLOR_FORCE", "1")
        .output()
        .unwrap();
    assert!(String::from_utf8(coloured.stdout)
        .unwrap()
        .contains("\x1b[32mloaded"));
}

/// The knob that says how many answers are remembered.
const KNOB: &str = "proc/sys/kernel/kmod_rs/answers";

/// A machine on which three names are known, two of them with an answer.
fn remembering() -> Machine {
    let machine = Machine::serving();
    machine.write(KNOB, "256\n");
    machine.write(
        format!("{RECORDS}/answers"),
        "name=\"net-pf-10\" result=256 why=miss age_ms=21022 hits=310\n\
         name=\"nft-chain-1-nat\" result=0 why=there age_ms=1500 hits=2\n\
         name=\"fs-\\x1b\" result=- why=found age_ms=3 hits=0\n\
         name=\"half",
    );
    machine
}

#[test]
fn answers() {
    remembering().command("answers").assert().code(0).stdout_eq(
        "\
NAME             ANSWER                                      AGE  HITS
net-pf-10        not found                                 21.0s   310
nft-chain-1-nat  there already                             1.50s     2
fs-\\x1b          none: it is found, and cannot be loaded  3.00ms     0
",
    );
}

#[test]
fn answers_as_json() {
    let machine = remembering();
    let assert = machine.command("--json answers").assert().code(0);
    let output = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    let first = output.lines().next().unwrap();
    for part in [
        r#""name":"net-pf-10""#,
        r#""result":256"#,
        r#""why":"miss""#,
        r#""hits":310"#,
    ] {
        assert!(first.contains(part), "{first}");
    }
    assert_eq!(output.lines().count(), 3);
}

#[test]
fn answers_are_forgotten() {
    let machine = remembering();
    fs::remove_file(machine.path(KNOB)).unwrap();
    machine.command("answers --flush").assert().code(1);
    machine.write(KNOB, "256 ?");
    machine
        .command("answers --flush")
        .assert()
        .code(0)
        .stdout_eq("3 answers are forgotten\n");
    // The word was written, and a newline.
    assert_eq!(fs::read(machine.path(KNOB)).unwrap(), b"256 ?\n");
}

#[test]
fn why_there_are_no_answers() {
    let machine = Machine::serving();
    machine.write(KNOB, "0\n");
    machine.write(format!("{RECORDS}/answers"), "");
    let stats = fs::read_to_string(machine.path(format!("{RECORDS}/stats"))).unwrap();
    let says = |sentence: &str| {
        let assert = machine.command("answers").assert().code(0).stdout_eq("");
        let said = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        assert!(said.contains(sentence), "{said}");
    };
    says("set kernel.kmod_rs.answers");
    machine.write(KNOB, "8\n");
    for (word, sentence) in [
        ("-", "no request has got"),
        ("filesystem", "file system"),
        ("elsewhere", "symbolic link"),
        ("toomany", "too many files"),
        ("failed", "no memory"),
        ("nothingfound", "until a request has succeeded"),
        ("nolook", "-R"),
    ] {
        let stats = format!("{stats}answers_off {word}\n");
        machine.write(format!("{RECORDS}/stats"), stats);
        says(sentence);
    }
}

#[test]
fn what_answers_needs() {
    remembering().command("answers --from x").assert().code(2);
    Machine::new().command("answers").assert().code(4);
}
