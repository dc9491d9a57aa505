// SPDX-License-Identifier: GPL-2.0

//! What `idle`, `autoclean` and `settings` say on machines of files.

#![expect(clippy::unwrap_used, reason = "What a test cannot do is a failure.")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

mod machine;

use machine::{Machine, RECORDS};

/// A machine on which no rules count.
fn machine() -> Machine {
    let machine = Machine::serving();
    machine.write("proc/sys/kernel/kmod_rs/autoload_mode", "0\n");
    machine.write("proc/sys/kernel/kmod_rs/track_use", "1\n");
    let line = |module: &str, name: &str, more: &str| {
        format!(
            "module=\"{module}\" t=8.360528 seq=1 name=\"{name}\" pid=128 comm=\"mount\" uid=0 \
             call_site=- again=0{more}\n"
        )
    };
    machine.write(
        format!("{RECORDS}/autoloaded"),
        [
            line("libcrc32c", "fs-xfs", " idle_ms=900000 uses=1"),
            line("xfs", "fs-xfs", " idle_ms=900000 uses=7"),
            line("iptable_filter", "iptable_filter", " idle_ms=- uses=-"),
            line("udf", "fs-udf", " idle_ms=1000 uses=2"),
        ]
        .concat(),
    );
    machine.write(format!("{RECORDS}/inflight"), "");
    machine.write(
        "proc/modules",
        "xfs 2265088 0 - Live 0x0\nlibcrc32c 12288 1 xfs, Live 0x0\nudf 4096 0 - Live 0x0\n\
         iptable_filter 4096 0 - Live 0x0\nloop 45056 0 - Live 0x0\n",
    );
    let directory = "lib/modules/7.3.4+deb13-amd64";
    machine.write(
        format!("{directory}/modules.dep"),
        "kernel/fs/xfs/xfs.ko.xz: kernel/lib/libcrc32c.ko.xz\nkernel/lib/libcrc32c.ko.xz:\n",
    );
    machine.write(format!("{directory}/modules.alias"), "alias fs-xfs xfs\n");
    machine.write(format!("{directory}/modules.softdep"), "");
    machine
}

#[test]
fn what_could_go() {
    let machine = machine();
    machine.command("idle --gap 0").assert().code(0).stdout_eq(
        "\
MODULE          FOR              IDLE  USES  VERDICT  WHY
libcrc32c       fs-xfs           900s     1  stays    needed (xfs)
xfs             fs-xfs           900s     7  goes     with libcrc32c
iptable_filter  iptable_filter      -     -  stays    class (iptable_filter), kind
udf             fs-udf          1.00s     2  waits    used (1.00s ago)
",
    );
    machine
        .command("idle --gap 0 --json")
        .assert()
        .code(0)
        .stdout_eq(
            r#"{"schema":1,"module":"libcrc32c","t":8.360528,"seq":1,"name":"fs-xfs","pid":128,"comm":"mount","uid":0,"call_site":null,"again":0,"idle_ms":900000,"uses":1,"verdict":"stays","idle_s":900.0,"stack":["libcrc32c"],"reasons":[{"reason":"needed","what":"xfs"}]}
{"schema":1,"module":"xfs","t":8.360528,"seq":1,"name":"fs-xfs","pid":128,"comm":"mount","uid":0,"call_site":null,"again":0,"idle_ms":900000,"uses":7,"verdict":"goes","idle_s":900.0,"stack":["xfs","libcrc32c"],"reasons":[]}
{"schema":1,"module":"iptable_filter","t":8.360528,"seq":1,"name":"iptable_filter","pid":128,"comm":"mount","uid":0,"call_site":null,"again":0,"idle_ms":null,"uses":null,"verdict":"stays","idle_s":null,"stack":["iptable_filter"],"reasons":[{"reason":"class","what":"iptable_filter"},{"reason":"kind","what":""}]}
{"schema":1,"module":"udf","t":8.360528,"seq":1,"name":"fs-udf","pid":128,"comm":"mount","uid":0,"call_site":null,"again":0,"idle_ms":1000,"uses":2,"verdict":"waits","idle_s":1.0,"stack":["udf"],"reasons":[{"reason":"used","what":"1.00s ago"}]}
"#,
        );
    // Others as well.
    let all = machine.command("idle --all").assert().code(0);
    let shown = String::from_utf8(all.get_output().stdout.clone()).unwrap();
    assert!(
        shown.ends_with("loop            -                   -     -  stays    not-requested\n"),
        "{shown}"
    );
}

#[test]
fn what_would_be_done() {
    let machine = machine();
    machine
        .command("autoclean --gap 0")
        .assert()
        .code(0)
        .stdout_eq(
            "\
would unload xfs with libcrc32c
would wait with udf: used (1.00s ago)
2 of 4 modules that came by a request stay: \"kmod-rs idle\" says why
",
        );
    machine
        .command("autoclean --gap 0 --json")
        .assert()
        .code(0)
        .stdout_eq(
            r#"{"schema":1,"module":"xfs","would":"unload","stack":["xfs","libcrc32c"]}
{"schema":1,"module":"udf","would":"wait","stack":["udf"]}
"#,
        );
    machine.command("autoclean").assert().code(0).stdout_eq(
        "\
would wait with xfs: waiting (seen idle in no pass before), waiting (libcrc32c: waiting (seen idle in no pass before))
would wait with udf: used (1.00s ago)
2 of 4 modules that came by a request stay: \"kmod-rs idle\" says why
",
    );
    // Nothing is written, so it is no pass.
    assert!(!machine.path("run").exists());
    machine
        .command("autoclean --yes")
        .assert()
        .code(1)
        .stderr_eq("kmod-rs: --root is for looking only\n");
    machine.write("proc/sys/kernel/kmod_rs/track_use", "0\n");
    let idle = machine.command("idle").assert().code(0);
    let shown = String::from_utf8(idle.get_output().stdout.clone()).unwrap();
    assert!(shown.contains("\ntrack_use is 0: "), "{shown}");
}

#[test]
fn what_the_administrator_says() {
    let machine = machine();
    machine.write("etc/kmod-rs/autoclean.conf", "keep = libcrc32c\n");
    machine
        .command("autoclean --gap 0")
        .assert()
        .code(0)
        .stdout_eq(
            "\
would wait with udf: used (1.00s ago)
3 of 4 modules that came by a request stay: \"kmod-rs idle\" says why
",
        );
    machine.write("etc/kmod-rs/autoclean.conf", "keep = libcrc32c\nidel = 1\n");
    machine
        .command("idle")
        .assert()
        .code(1)
        .stderr_eq("kmod-rs: /etc/kmod-rs/autoclean.conf, line 2: there is no key idel\n");
    machine
        .command("idle --gap soon")
        .assert()
        .code(1)
        .stderr_eq("kmod-rs: /etc/kmod-rs/autoclean.conf, line 2: there is no key idel\n");
    machine.remove("etc/kmod-rs/autoclean.conf");
    machine
        .command("idle --gap soon")
        .assert()
        .code(2)
        .stderr_eq("kmod-rs: soon is no time: use 30s, 10min, 2h or 0\n");
}

#[test]
fn without_what_is_needed() {
    for command in ["idle", "autoclean", "autoclean --yes"] {
        Machine::new()
            .command(command)
            .assert()
            .code(4)
            .stderr_eq("kmod-rs: kmod_rs is not loaded: run \"kmod-rs on\"\n");
    }
    let machine = machine();
    machine.for_root_only(RECORDS);
    let inflight = machine.path(RECORDS).join("inflight");
    machine
        .command_of_nobody("idle")
        .assert()
        .code(1)
        .stderr_eq(format!(
            "kmod-rs: {} is for root only: run this as root\n",
            inflight.display()
        ));
    fs::set_permissions(machine.path(RECORDS), fs::Permissions::from_mode(0o755)).unwrap();
    machine.remove("lib/modules/7.3.4+deb13-amd64/modules.dep");
    machine
        .command("idle")
        .assert()
        .code(1)
        .stderr_eq("kmod-rs: there is no /lib/modules/7.3.4+deb13-amd64/modules.dep: run depmod\n");
}

#[test]
fn settings_of_a_module() {
    let machine = machine();
    machine.write(
        "etc/kmod-rs/settings.d/m_n.conf",
        "parameters = a b\nsysctl = net.m\n",
    );
    for (path, mode) in [
        ("etc/kmod-rs/settings.d", 0o755),
        ("etc/kmod-rs/settings.d/m_n.conf", 0o644),
    ] {
        fs::set_permissions(machine.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    machine
        .command("settings save m-n")
        .assert()
        .code(1)
        .stderr_eq(
            "\
kmod-rs: m_n is not loaded, so there is nothing to keep
kmod-rs: what is named above was left out, and the rest was done
",
        );
    machine.write("sys/module/m_n/parameters/a", "a \\ \"\n");
    machine.write("sys/module/m_n/parameters/b", "# b\n");
    machine.write("proc/sys/net/m/x", "1\n");
    machine.command("settings save m-n").assert().code(1).stderr_eq(
        "\
kmod-rs: m_n: the parameter a cannot be given to modprobe, as no line of modprobe.d(5) stands for its value a \\x5c \"
kmod-rs: what is named above was left out, and the rest was done
",
    );
    let options = fs::read_to_string(machine.path("run/modprobe.d/kmod-rs-m_n.conf")).unwrap();
    assert_eq!(options, "options m_n b=\"# b\"\n");
    machine.write("proc/sys/net/m/x", "2\n");
    machine.write("sys/module/m_n/parameters/a", "1\n");
    machine
        .command("settings save m_n")
        .assert()
        .code(0)
        .stderr_eq("");
    machine.write("proc/sys/net/m/x", "3\n");
    machine.remove("run/modprobe.d");
    machine.write("etc/kmod-rs/settings.d/m-o.conf", "");
    machine
        .command("settings restore")
        .assert()
        .code(1)
        .stderr_eq(
            "\
kmod-rs: /etc/kmod-rs/settings.d/m-o.conf is not read: its name would have to be m_o.conf
kmod-rs: what is named above was left out, and the rest was done
",
        );
    assert_eq!(fs::read(machine.path("proc/sys/net/m/x")).unwrap(), b"2\n");
    let options = fs::read_to_string(machine.path("run/modprobe.d/kmod-rs-m_n.conf")).unwrap();
    assert_eq!(options, "options m_n a=1 b=\"# b\"\n");
    machine
        .command("settings restore ../m_n")
        .assert()
        .code(2)
        .stderr_eq("kmod-rs: ../m_n is no name of a module: give it without path and .ko\n");
}
