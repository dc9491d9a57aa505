// SPDX-License-Identifier: GPL-2.0

//! What `on`, `off` and `doctor` say on machines of files, which they cannot change.

#![expect(clippy::unwrap_used, reason = "What a test cannot do is a failure.")]

use snapbox::cmd::{cargo_bin, Command};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;

/// Returns a machine with these files.
fn machine(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (file, content) in files {
        let path = below(&root, file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}

fn below(root: &TempDir, file: &str) -> std::path::PathBuf {
    root.path().join(Path::new(file).strip_prefix("/").unwrap())
}

fn kmod_rs(root: &TempDir) -> Command {
    Command::new(cargo_bin!("kmod-rs"))
        .arg("--root")
        .arg(root.path())
}

/// Files of a machine on which kmod_rs serves requests.
const SERVING: [(&str, &str); 9] = [
    ("/proc/sys/kernel/osrelease", "7.3.4+deb13-amd64\n"),
    ("/proc/sys/kernel/modules_disabled", "0\n"),
    ("/proc/sys/kernel/kmod_rs/active", "1\n"),
    ("/proc/sys/kernel/kmod_rs/autoload_lock", "0\n"),
    ("/sys/module/kmod_rs/refcnt", "1\n"),
    ("/sys/module/kmod_rs/version", "0.1\n"),
    ("/sys/kernel/livepatch/kmod_rs/enabled", "1\n"),
    ("/sys/kernel/livepatch/kmod_rs/transition", "0\n"),
    (
        "/sys/kernel/livepatch/kmod_rs/vmlinux/__request_module,1/x",
        "",
    ),
];

#[test]
fn nothing_to_give_back() {
    kmod_rs(&machine(&[]))
        .arg("off")
        .assert()
        .code(4)
        .stdout_eq("")
        .stderr_eq("kmod-rs: kmod_rs is not loaded: there is nothing to give back\n");
}

#[test]
fn off_says_all_that_stands_in_the_way() {
    let root = machine(&SERVING);
    fs::write(
        below(&root, "/proc/sys/kernel/kmod_rs/autoload_lock"),
        "1\n",
    )
    .unwrap();
    fs::create_dir_all(below(&root, "/proc/12/fd")).unwrap();
    fs::write(below(&root, "/proc/12/comm"), "a\x1b[2Jb\n").unwrap();
    symlink(
        "/sys/kernel/debug/kmod_rs/recent",
        below(&root, "/proc/12/fd/3"),
    )
    .unwrap();
    kmod_rs(&root).arg("off").assert().code(1).stdout_eq("").stderr_eq(
        r"kmod-rs: the rules are locked (autoload_lock is 1), which keeps kmod_rs loaded until the next reboot: reboot without kmod_rs
kmod-rs: a\x1b[2Jb[12] has /sys/kernel/debug/kmod_rs/recent open: this keeps kmod_rs loaded, so end the program
kmod-rs: giving back is not possible now, and nothing was changed
",
    );
    kmod_rs(&root).args(["off", "--json"]).assert().code(1).stdout_eq(
        r#"{"schema":1,"check":"lock","verdict":"problem","what":"the rules are locked (autoload_lock is 1), which keeps kmod_rs loaded until the next reboot","to_do":"reboot without kmod_rs"}
{"schema":1,"check":"open-files","verdict":"problem","what":"a\\x1b[2Jb[12] has /sys/kernel/debug/kmod_rs/recent open","to_do":"this keeps kmod_rs loaded, so end the program"}
"#,
    );
}

#[test]
fn on_says_what_stands_in_the_way() {
    kmod_rs(&machine(&[("/proc/sys/kernel/modules_disabled", "1\n")]))
        .arg("on")
        .assert()
        .code(1)
        .stderr_eq(
            "kmod-rs: the kernel neither loads nor unloads modules until the next reboot \
             (kernel.modules_disabled is 1): reboot, and look in sysctl.d(5) for what sets it\n\
             kmod-rs: taking over is not possible now, and nothing was changed\n",
        );
}

#[test]
fn what_is_on_needs_nothing() {
    kmod_rs(&machine(&SERVING))
        .arg("on")
        .assert()
        .code(0)
        .stderr_eq("kmod-rs: kmod_rs serves requests\n");
}

#[test]
fn doctor_on_a_machine_that_serves() {
    let root = machine(&SERVING);
    kmod_rs(&root).arg("doctor").assert().code(0).stdout_eq(
        r#"ok       Linux 7.3.4+deb13-amd64 is supported
unknown  the configuration of the kernel is nowhere to be found
         -> install the package linux-image-7.3.4+deb13-amd64
unknown  kmod_rs is loaded, but not installed, so modprobe will not find it after a reboot
         -> run "make install" where it was built
ok       the kernel loads and unloads modules
ok       no other livepatch is in transition
ok       a livepatch has __request_module()
ok       kmod_rs serves requests
Nothing is known to stand in the way.
"#,
    );
}

#[test]
fn doctor_knows_what_dkms_has_skipped() {
    let root = machine(&[
        ("/proc/sys/kernel/osrelease", "7.3.4+deb13-amd64\n"),
        (
            "/var/lib/kmod-rs-dkms/7.3.4+deb13-amd64/skipped",
            "the package linux-source-7.3 is not installed, in version 7.3.4-1\n",
        ),
        (
            "/var/lib/kmod-rs-dkms/7.3.5+deb13-amd64/skipped",
            "the disk is full\x1b\n",
        ),
        ("/var/lib/kmod-rs-dkms/7.2.9+deb13-amd64/complete", "1\n"),
        ("/proc/sys/kernel/modules_disabled", "0\n"),
        ("/sys/kernel/tracing/enabled_functions", ""),
    ]);
    kmod_rs(&root).arg("doctor").assert().code(1).stdout_eq(
        r#"ok       Linux 7.3.4+deb13-amd64 is supported
unknown  the configuration of the kernel is nowhere to be found
         -> install the package linux-image-7.3.4+deb13-amd64
problem  kmod_rs is not installed for this kernel
         -> install a package with it, or run "make" and "make install" in its sources; "kmod-rs on --file FILE" takes a file
problem  DKMS has skipped Linux 7.3.4+deb13-amd64: the package linux-source-7.3 is not installed, in version 7.3.4-1
         -> change that, and run "dkms autoinstall -k 7.3.4+deb13-amd64"
unknown  DKMS has skipped Linux 7.3.5+deb13-amd64: the disk is full\x1b
         -> change that, and run "dkms autoinstall -k 7.3.5+deb13-amd64"
ok       the kernel loads and unloads modules
ok       no other livepatch is in transition
ok       nothing claims __request_module() for itself
ok       kmod_rs is not loaded
2 problems.
"#,
    );
}

#[test]
fn doctor_on_a_machine_that_cannot() {
    let root = machine(&[
        ("/proc/sys/kernel/osrelease", "6.12.0\x1b+deb13-amd64\n"),
        ("/proc/sys/kernel/modules_disabled", "1\n"),
        (
            "/sys/kernel/tracing/enabled_functions",
            "__request_module (1) R I\n",
        ),
    ]);
    kmod_rs(&root).arg("doctor").assert().code(1).stdout_eq(
        r#"problem  Linux 6.12.0\x1b+deb13-amd64 is not supported
         -> boot one of Debian's kernels 7.3 and 7.2 for x86-64
unknown  the configuration of the kernel is nowhere to be found
         -> install the package linux-image-6.12.0\x1b+deb13-amd64
problem  kmod_rs is not installed for this kernel
         -> install a package with it, or run "make" and "make install" in its sources; "kmod-rs on --file FILE" takes a file
problem  the kernel neither loads nor unloads modules until the next reboot (kernel.modules_disabled is 1)
         -> reboot, and look in sysctl.d(5) for what sets it
ok       no other livepatch is in transition
problem  a kprobe with a post handler, or the like, claims __request_module() for itself
         -> remove it; "grep __request_module /sys/kernel/debug/kprobes/list" shows kprobes
ok       kmod_rs is not loaded
4 problems.
"#,
    );
}
