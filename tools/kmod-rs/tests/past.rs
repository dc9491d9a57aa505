// SPDX-License-Identifier: GPL-2.0

//! The views of the past, and what is made of it, as a user sees them: with a file of records, and
//! with machines that are directories.

#![expect(clippy::unwrap_used, reason = "What a test cannot do is a failure.")]

use snapbox::cmd::Command;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A file of `kmod-rs save`. A name in it is hostile to terminals and to XML.
const RECORDS: &str = "tests/past/records";

/// The knob that the list is for.
const ALLOW: &str = "proc/sys/kernel/kmod_rs/autoload_allow";

fn kmod_rs() -> Command {
    Command::new(env!("CARGO_BIN_EXE_kmod-rs")).env("TZ", "UTC")
}

/// Runs it with the records of the file.
fn from_file() -> Command {
    kmod_rs().args(["--from", RECORDS])
}

/// Makes a machine of files.
fn machine(files: &[(&str, &str)]) -> TempDir {
    let machine = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = machine.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    machine
}

fn on(machine: &TempDir) -> Command {
    kmod_rs().arg("--root").arg(machine.path())
}

fn read(machine: &TempDir, path: &str) -> String {
    fs::read_to_string(machine.path().join(path)).unwrap()
}

#[test]
fn plot_has_each_request_in_words() {
    let output = from_file().arg("plot").output().unwrap();
    assert!(output.status.success());
    let picture = String::from_utf8(output.stdout).unwrap();
    for text in [
        ">fs-xfs<",
        ">mount[128] uid 0<",
        ">libcrc32c<",
        ">denied<",
        ">2.27s<",
        ">in-flight<",
        ">9000.0 s<",
        r">&lt;b&gt;&amp;amp; &quot;\x5c\x1b[2J\xe2\x80\xae<",
        "on host, Linux 7.3.4+deb13-amd64",
    ] {
        assert!(picture.contains(text), "{text}");
    }
    assert!(picture.chars().all(|c| c == '\n' || !c.is_control()));
}

#[test]
fn plot_of_a_time() {
    let arguments = ["plot", "--since", "6.2", "--until", "6.45", "--uid", "0"];
    let output = from_file().args(arguments).output().unwrap();
    let picture = String::from_utf8(output.stdout).unwrap();
    assert!(picture.contains(">libcrc32c<") && picture.contains(">1 requests on"));
}

#[test]
fn plot_into_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("boot.svg");
    let plot = || from_file().args(["plot", "--output"]).arg(&file).assert();
    plot().success().stdout_eq("");
    assert!(fs::read_to_string(&file).unwrap().ends_with("</svg>\n"));
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    plot()
        .code(1)
        .stderr_matches("kmod-rs: cannot write [..]boot.svg: [..]\n");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
}

#[test]
fn blame_has_the_slowest_first() {
    from_file()
        .args(["blame", "--until", "6.45"])
        .assert()
        .success()
        .stdout_eq(
            " TOOK  QUEUE  HELPER  NAME       OUTCOME  USER  COMMAND          TIME
2.27s  334us   2.27s  fs-xfs     loaded   0     mount[128]       Nov 14 22:13:26
410ms   12us   410ms  libcrc32c  loaded   0     modprobe[129]    Nov 14 22:13:26
    -      -       -  net-pf-9   denied   1000  cu\\x1b[mrl[132]  Nov 14 22:13:26
",
        );
}

#[test]
fn metrics_are_those_of_the_records() {
    from_file()
        .arg("metrics")
        .assert()
        .success()
        .stdout_eq_path("tests/past/metrics");
}

#[test]
fn metrics_of_a_machine_without_the_module_say_so() {
    let machine = machine(&[("metrics.prom", "kmod_rs_active 1\n")]);
    let file = machine.path().join("metrics.prom");
    on(&machine)
        .arg("metrics")
        .arg(&file)
        .assert()
        .success()
        .stdout_eq("");
    assert!(read(&machine, "metrics.prom").ends_with("\nkmod_rs_active 0\n"));
}

#[test]
fn learn_prints_a_list_and_says_what_it_lacks() {
    from_file()
        .arg("learn")
        .assert()
        .success()
        .stdout_eq("net-pf-38@/system.slice/iwd.service\n")
        .stderr_eq("");
    on(&machine(&[(ALLOW, "kept\n")]))
        .args(["--from", RECORDS, "learn", "--json"])
        .assert()
        .success()
        .stdout_eq(
            "{\"schema\":1,\"autoload_allow\":\"kept net-pf-38@/system.slice/iwd.service\"}\n",
        )
        .stderr_matches(
            "kmod-rs: other requests pushed out of the records: 2, [..] 5.000000 s [..]\n",
        );
}

#[test]
fn learn_takes_lines_of_the_file_recent() {
    let records = fs::read_to_string(RECORDS).unwrap();
    let lines: String = records
        .lines()
        .filter(|l| l.starts_with("seq=6 "))
        .collect();
    kmod_rs()
        .args(["learn", "-"])
        .stdin(format!(
            "{lines}\n[ 6.1] kmod_rs: autoload denied: no record\n{lines}"
        ))
        .assert()
        .success()
        .stdout_eq("net-pf-38@/system.slice/iwd.service\n")
        .stderr_eq("kmod-rs: lines that are no records were left out: 2\n");
    kmod_rs()
        .args(["learn", "no-file"])
        .assert()
        .code(1)
        .stdout_eq("");
}

#[test]
fn learn_applies_all_or_nothing() {
    let machine = machine(&[(ALLOW, "old\n"), ("sys/module/kmod_rs/version", "0.1.0\n")]);
    on(&machine)
        .args(["learn", "--apply", "/dev/null"])
        .assert()
        .code(1)
        .stdout_eq("")
        .stderr_eq("kmod-rs: no record says that anything is needed: nothing is set\n");
    assert_eq!(read(&machine, ALLOW), "old\n");
    on(&machine)
        .args(["--from", RECORDS, "learn", "--apply"])
        .assert()
        .success();
    assert_eq!(
        read(&machine, ALLOW),
        "net-pf-38@/system.slice/iwd.service old\n"
    );
}

#[test]
fn profiles_are_listed_and_shown() {
    kmod_rs()
        .args(["profiles", "list"])
        .assert()
        .success()
        .stdout_eq(
            "\
server          The firewall of kmod_rs for a server.
desktop         The firewall of kmod_rs for a desktop.
container-host  The firewall of kmod_rs for a machine that runs containers.
",
        );
    kmod_rs()
        .args(["profiles", "show", "desktop"])
        .assert()
        .success()
        .stdout_eq_path("../../Documentation/sysctl.d/60-kmod_rs-desktop.conf");
    kmod_rs()
        .args(["profiles", "show", "laptop"])
        .assert()
        .code(2)
        .stderr_eq("kmod-rs: there is no profile laptop, but server, desktop, container-host\n");
}

const RULES: &str = "etc/sysctl.d/60-kmod_rs.conf";

#[test]
fn a_profile_is_not_enforced_unless_that_is_said() {
    let machine = machine(&[(RULES, ""), ("etc/modules-load.d/x", "")]);
    fs::remove_file(machine.path().join(RULES)).unwrap();
    let enable = |arguments: &[&str]| {
        on(&machine)
            .args(["profiles", "enable"])
            .args(arguments)
            .assert()
            .success();
        read(&machine, RULES)
    };
    let enforced = "\nkernel.kmod_rs.autoload_enforce = 1\n";
    let not_enforced = "\nkernel.kmod_rs.autoload_enforce = 0\n";
    let server = enable(&["server"]);
    assert!(server.contains(not_enforced) && !server.contains(enforced));
    let containers = enable(&["container-host", "--enforce"]);
    assert!(containers.contains(enforced) && containers.contains("containers"));
    assert!(Path::exists(
        &machine
            .path()
            .join("etc/modules-load.d/kmod_rs-container-host.conf")
    ));
}

#[test]
fn a_file_that_was_changed_stays() {
    let machine = machine(&[(RULES, "kernel.kmod_rs.autoload_mode = 2\n")]);
    let enable = |arguments: &[&str]| {
        on(&machine)
            .args(["profiles", "enable"])
            .args(arguments)
            .assert()
    };
    enable(&["server"])
        .code(1)
        .stderr_matches("kmod-rs: /etc/sysctl.d/[..] add --force\n");
    assert_eq!(read(&machine, RULES), "kernel.kmod_rs.autoload_mode = 2\n");
    enable(&["server", "--force"]).success();
    assert!(read(&machine, RULES).contains("for a server"));
}

#[test]
fn a_profile_is_set_now() {
    let knob = |name| format!("proc/sys/kernel/kmod_rs/autoload_{name}");
    let knobs = ["mode", "allow", "deny", "enforce"].map(knob);
    let mut files: Vec<_> = knobs.iter().map(|path| (path.as_str(), "")).collect();
    files.extend([
        ("etc/sysctl.d/x", ""),
        ("sys/module/kmod_rs/version", "0.1.0\n"),
    ]);
    let with = machine(&files);
    on(&with)
        .args(["profiles", "enable", "server", "--now"])
        .assert()
        .success();
    assert_eq!(
        knobs.clone().map(|path| read(&with, &path).len() > 1),
        [true; 4]
    );
    assert_eq!(read(&with, &knobs[0]) + &read(&with, &knobs[3]), "1\n0\n");

    let without = machine(&[("etc/sysctl.d/x", "")]);
    on(&without)
        .args(["profiles", "enable", "server", "--now"])
        .assert()
        .code(4)
        .stderr_matches("kmod-rs: kmod_rs is not loaded[..]\n");
    assert!(!without.path().join(RULES).exists());
}

#[test]
fn check_says_why_it_cannot_ask() {
    on(&machine(&[]))
        .args(["check", "x"])
        .assert()
        .code(4)
        .stdout_eq("");
    let idle = [
        ("sys/module/kmod_rs/version", "0.1.0\n"),
        ("proc/sys/kernel/kmod_rs/active", "0\n"),
        ("proc/kmod_rs/check", ""),
    ];
    on(&machine(&idle))
        .args(["check", "x"])
        .assert()
        .code(3)
        .stdout_eq("");
    let mut active = idle;
    active[1].1 = "1\n";
    let active = machine(&active);
    on(&active)
        .args(["check", "x", "--as", "no:such"])
        .assert()
        .code(2);
    on(&active)
        .args(["check", "x", "--cgroup", "/none"])
        .assert()
        .code(1)
        .stderr_matches("kmod-rs: there is no cgroup /none now: [..]\n");
}
