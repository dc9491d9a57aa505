// SPDX-License-Identifier: GPL-2.0

//! The settings of kmod_rs in files for sysctl.d(5), where there is no systemd-sysctl(8).
//!
//! sysctl(8) reads these files as well, but `sysctl --system` applies all that is in them: in
//! procps 4.0.4 it does not heed `--pattern`.

use crate::machine::Machine;
use crate::view::Shown;
use std::collections::BTreeMap;
use std::fs;

/// Where the files are. Of two with the same name, that in the first directory counts.
const DIRECTORIES: [&str; 4] = [
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
];

/// A line of a file.
#[derive(Debug, PartialEq, Eq)]
struct Setting<'a> {
    /// The path of the knob below `/proc/sys`.
    knob: String,
    value: &'a [u8],
    /// Whether it does not matter if the kernel refuses it.
    is_optional: bool,
}

/// Applies the settings in the order of sysctl.d(5). Returns the first that the kernel refuses, if
/// there is one, and why.
pub(crate) fn apply(machine: &Machine) -> Result<(), String> {
    let mut result = Ok(());
    for file in files(machine) {
        let content = machine.bytes(&file).unwrap_or_default();
        for setting in content.split(|&b| b == b'\n').filter_map(setting) {
            // In one piece and with a newline, as the knobs for lists want it.
            let line = [setting.value, b"\n"].concat();
            let written = fs::write(machine.path("/proc/sys").join(&setting.knob), line);
            if let (Err(error), false, Ok(())) = (written, setting.is_optional, &result) {
                result = Err(format!(
                    "{} in {}: {error}",
                    setting.knob,
                    Shown(file.as_bytes())
                ));
            }
        }
    }
    result
}

/// Returns the files, in the order of their names.
fn files(machine: &Machine) -> impl Iterator<Item = String> {
    let mut files = BTreeMap::new();
    for directory in DIRECTORIES {
        for name in machine.names(directory) {
            if name.ends_with(".conf") {
                files
                    .entry(name.clone())
                    .or_insert_with(|| format!("{directory}/{name}"));
            }
        }
    }
    files.into_values()
}

/// Returns what a line sets, if it is about kmod_rs.
fn setting(line: &[u8]) -> Option<Setting<'_>> {
    let equals = line.iter().position(|&b| b == b'=')?;
    let name = std::str::from_utf8(&line[..equals]).ok()?.trim();
    let knob = name.strip_prefix('-').unwrap_or(name).replace('.', "/");
    let is_ours = knob == "kernel/kmod-limit"
        || knob
            .strip_prefix("kernel/kmod_rs/")
            .is_some_and(|rest| !rest.contains('/'));
    is_ours.then_some(Setting {
        is_optional: name.starts_with('-'),
        value: line[equals + 1..].trim_ascii(),
        knob,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::Fake;

    #[test]
    fn which_lines_are_about_kmod_rs() {
        for (line, expected) in [
            (
                "kernel.kmod-limit=44",
                Some(("kernel/kmod-limit", "44", false)),
            ),
            (
                " kernel/kmod_rs/autoload_allow = fs-* a=b ",
                Some(("kernel/kmod_rs/autoload_allow", "fs-* a=b", false)),
            ),
            ("-kernel.kmod_rs.x=", Some(("kernel/kmod_rs/x", "", true))),
            ("kernel.hostname=x", None),
            ("kernel.kmod_rs", None),
            ("kernel.kmod_rs.../../hostname=x", None),
            ("# kernel.kmod-limit=44", None),
            ("", None),
        ] {
            let expected = expected.map(|(knob, value, is_optional)| Setting {
                knob: knob.into(),
                value: value.as_bytes(),
                is_optional,
            });
            assert_eq!(setting(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn the_last_file_and_the_first_directory_count() {
        let fake = Fake::new();
        fake.write("/proc/sys/kernel/kmod-limit", "50\n");
        fake.write("/usr/lib/sysctl.d/20-b.conf", "kernel.kmod-limit = 2\n");
        fake.write("/etc/sysctl.d/10-a.conf", "kernel.kmod-limit = 1\n");
        assert_eq!(apply(fake.machine()), Ok(()));
        let limit = || fake.machine().bytes("/proc/sys/kernel/kmod-limit");
        assert_eq!(limit().as_deref(), Some(&b"2\n"[..]));
        fake.write("/etc/sysctl.d/20-b.conf", "kernel.kmod-limit = 3\n");
        fake.write("/etc/sysctl.d/30-c.txt", "kernel.kmod-limit = 4\n");
        assert_eq!(apply(fake.machine()), Ok(()));
        assert_eq!(limit().as_deref(), Some(&b"3\n"[..]));
    }

    #[test]
    fn what_the_kernel_refuses() {
        let fake = Fake::new();
        fake.write("/proc/sys/kernel/kmod-limit", "50\n");
        fake.write(
            "/etc/sysctl.d/a.conf",
            "-kernel.kmod_rs.a=1\nkernel.kmod_rs.b=1\nkernel.kmod_rs.c=1\nkernel.kmod-limit=9\n",
        );
        let said = apply(fake.machine()).unwrap_err();
        assert!(
            said.starts_with("kernel/kmod_rs/b in /etc/sysctl.d/a.conf: "),
            "{said}"
        );
        assert_eq!(
            fake.machine()
                .word("/proc/sys/kernel/kmod-limit")
                .as_deref(),
            Some("9")
        );
    }
}
