// SPDX-License-Identifier: GPL-2.0

//! A machine that is made of files, and the command on it.

use snapbox::cmd::{cargo_bin, Command};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process;
use tempfile::TempDir;

/// The records of the machine, and where they are.
pub(crate) const RECORDS: &str = "sys/kernel/debug/kmod_rs";

/// A machine that is made of files.
pub(crate) struct Machine(TempDir);

impl Machine {
    /// Makes a machine on which kmod_rs is not loaded.
    pub(crate) fn new() -> Self {
        let machine = Self(TempDir::new().unwrap());
        machine.write("proc/sys/kernel/osrelease", "7.3.4+deb13-amd64\n");
        machine.write("proc/sys/kernel/hostname", "host\n");
        machine.write(
            "proc/sys/kernel/random/boot_id",
            "8b2b1e9c-17c7-4c1c-a1f5-f3b5d9c14d4a\n",
        );
        machine.write("proc/sys/kernel/modules_disabled", "0\n");
        machine.write("proc/sys/kernel/modprobe", "/sbin/modprobe\n");
        machine.write("sys/kernel/debug/tracing/enabled_functions", "");
        machine.write(
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/sh\n",
        );
        machine.write(
            "proc/modules",
            "xfs 2265088 1 - Live 0x0\nlibcrc32c 12288 1 xfs, Live 0x0\nloop 45056 0 - Live 0x0\n",
        );
        machine.write(
            "lib/modules/7.3.4+deb13-amd64/modules.builtin",
            "kernel/fs/ext4/ext4.ko\nkernel/crypto/crypto-null.ko\n",
        );
        machine
    }

    /// Makes a machine on which kmod_rs serves requests.
    pub(crate) fn serving() -> Self {
        let machine = Self::new();
        machine.write("proc/sys/kernel/kmod-limit", "50\n");
        machine.write("proc/sys/kernel/kmod_rs/active", "1\n");
        for (knob, value) in [
            ("mode", "1\n"),
            ("enforce", "1\n"),
            ("lock", "0\n"),
            ("allow", "net-pf-10 fs-*@/system.slice/x.service\n"),
            ("deny", "algif_aead\n"),
            ("system_uids", "0\n"),
            ("setuid", "1\n"),
        ] {
            machine.write(format!("proc/sys/kernel/kmod_rs/autoload_{knob}"), value);
        }
        machine.write("sys/module/kmod_rs/version", "0.1\n");
        machine.write("sys/module/kmod_rs/refcnt", "1\n");
        machine.write("sys/kernel/livepatch/kmod_rs/enabled", "1\n");
        machine.write("sys/kernel/livepatch/kmod_rs/transition", "0\n");
        for file in ["recent", "inflight", "autoloaded", "stats", "latency"] {
            let from = Path::new("tests/records").join(file);
            machine.write(format!("{RECORDS}/{file}"), fs::read(from).unwrap());
        }
        machine
    }

    /// Returns the path of a file of the machine.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(path)
    }

    /// Writes a file, and makes the directories above it.
    pub(crate) fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Removes a file, or a directory with all that is in it.
    pub(crate) fn remove(&self, path: &str) {
        let path = self.path(path);
        match path.is_dir() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
    }

    /// Lets nobody but root read a file or a directory, as debugfs is.
    pub(crate) fn for_root_only(&self, path: &str) {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(0o0)).unwrap();
    }

    /// Returns the command on this machine. Words of `line` are its arguments.
    pub(crate) fn command(&self, line: &str) -> Command {
        Command::from_std(self.std_command(&cargo_bin("kmod-rs"), line))
    }

    /// Returns the command on this machine, for a user who is not root.
    pub(crate) fn command_of_nobody(&self, line: &str) -> Command {
        if !rustix::process::geteuid().is_root() {
            return self.command(line);
        }
        // They must be able to reach the machine, but not to write to it. The program may have been
        // built below the home directory of root, which is closed to them.
        fs::set_permissions(self.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let program = self.path("program");
        // By another program: a child that another thread makes meanwhile must not inherit a file
        // that is open for writing, which could not be executed then.
        let copied = process::Command::new("cp")
            .arg(cargo_bin("kmod-rs"))
            .arg(&program)
            .status();
        assert!(copied.unwrap().success());
        let mut command = self.std_command(&program, line);
        command.uid(65534).gid(65534);
        Command::from_std(command)
    }

    fn std_command(&self, program: &Path, line: &str) -> process::Command {
        let mut command = process::Command::new(program);
        command
            .env("TZ", "UTC")
            .arg("--root")
            .arg(self.0.path())
            .args(line.split_ascii_whitespace())
            .current_dir(self.0.path());
        command
    }
}
