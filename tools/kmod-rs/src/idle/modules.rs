// SPDX-License-Identifier: GPL-2.0

//! The modules that are loaded, and what `modprobe -r` makes of them.

use crate::machine::Machine;
use crate::model::lines;
use crate::model::pattern::{folded, Pattern};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Where modprobe looks for its configuration, besides what depmod writes.
const MODPROBE_D: [&str; 5] = [
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
];

/// What aliases of modules that make kinds of links begin with.
const LINK_KIND: &[u8] = b"rtnl_link_";

/// A module that is loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Module {
    /// How often it is used, by modules that need it and by others.
    pub(crate) references: u64,
    /// The modules that need it.
    pub(crate) holders: Vec<String>,
    /// Whether it cannot be unloaded.
    pub(crate) is_permanent: bool,
    /// Whether it is neither coming nor going.
    pub(crate) is_live: bool,
    /// A device that one of its drivers is bound to.
    pub(crate) device: Option<String>,
}

/// The modules that are loaded, and what modprobe knows of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Modules {
    loaded: BTreeMap<String, Module>,
    /// For each module those that it needs, in the order of modules.dep.
    needs: BTreeMap<String, Vec<String>>,
    /// For each module those before and after it that its softdeps name, resolved.
    softdeps: BTreeMap<String, [Vec<String>; 2]>,
    /// The modules that a command removes.
    removed_by_command: BTreeSet<String>,
    /// All aliases: a pattern with `-` as `_`, and the module.
    aliases: Vec<(Vec<u8>, String)>,
}

/// Returns the name of a module as the kernel has it.
pub(crate) fn normal(name: &[u8]) -> String {
    let bytes: Vec<u8> = name.iter().map(|&b| folded(b)).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the name of the module in a file.
fn of_file(path: &[u8]) -> String {
    let file = path.rsplit(|&b| b == b'/').next().unwrap_or_default();
    let end = file.windows(3).position(|part| part == b".ko");
    normal(&file[..end.unwrap_or(file.len())])
}

/// Returns the words of a line.
fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| b.is_ascii_whitespace())
        .filter(|word| !word.is_empty())
}

/// Returns the lines of a file for modprobe.d(5): a backslash stands before what is taken as it is,
/// and before a newline that is none.
pub(crate) fn config_lines(content: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = vec![Vec::new()];
    let mut bytes = content.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\n' => lines.push(Vec::new()),
            b'\\' => match bytes.next() {
                Some(b'\n') | None => (),
                Some(&escaped) => lines.extend_last(escaped),
            },
            _ => lines.extend_last(byte),
        }
    }
    lines
}

/// Appends to the last of some lines.
trait ExtendLast {
    fn extend_last(&mut self, byte: u8);
}

impl ExtendLast for Vec<Vec<u8>> {
    fn extend_last(&mut self, byte: u8) {
        if let Some(line) = self.last_mut() {
            line.push(byte);
        }
    }
}

impl Modules {
    /// Reads what the machine says. Fails if what depmod writes is not there, without which nobody
    /// knows what modprobe would do.
    pub(crate) fn read(machine: &Machine) -> Result<Self, String> {
        let mut this = Self::default();
        let release = machine
            .word("/proc/sys/kernel/osrelease")
            .unwrap_or_default();
        let directory = format!("/lib/modules/{release}");
        let read = |name: &str| {
            let file = format!("{directory}/{name}");
            machine
                .bytes(&file)
                .ok_or_else(|| format!("there is no {file}: run depmod"))
        };
        this.parse_dep(&read("modules.dep")?);
        let (aliases, softdeps) = (read("modules.alias")?, read("modules.softdep")?);
        let mut config = config_lines(&aliases);
        config.extend(config_lines(&softdeps));
        let mut names = BTreeSet::new();
        for directory in MODPROBE_D {
            for name in machine.names(directory) {
                // Of two files with the same name, that in the first directory counts.
                if name.ends_with(".conf") && names.insert(name.clone()) {
                    let content = machine.bytes(&format!("{directory}/{name}"));
                    config.extend(config_lines(&content.unwrap_or_default()));
                }
            }
        }
        this.parse_config(&config);
        this.parse_loaded(&machine.bytes("/proc/modules").unwrap_or_default());
        for (name, module) in &mut this.loaded {
            module.device = bound(machine, name);
        }
        Ok(this)
    }

    /// Takes what `/proc/modules` says.
    fn parse_loaded(&mut self, content: &[u8]) {
        for line in lines(content) {
            let words: Vec<_> = words(line).collect();
            let [name, _size, references, users, state, ..] = words[..] else {
                continue;
            };
            let users: Vec<_> = users
                .split(|&b| b == b',')
                .filter(|user| !matches!(*user, b"" | b"-"))
                .collect();
            let references = std::str::from_utf8(references).ok();
            let module = Module {
                // A kernel that cannot unload has no number there.
                references: references
                    .and_then(|it| it.parse().ok())
                    .unwrap_or(u64::MAX),
                is_permanent: users.contains(&&b"[permanent]"[..]),
                holders: users
                    .iter()
                    .filter(|user| !user.starts_with(b"["))
                    .map(|user| normal(user))
                    .collect(),
                is_live: state == b"Live",
                device: None,
            };
            self.loaded.insert(normal(name), module);
        }
    }

    fn parse_dep(&mut self, content: &[u8]) {
        for line in lines(content) {
            let Some(colon) = line.iter().position(|&b| b == b':') else {
                continue;
            };
            let needs = words(&line[colon + 1..]).map(of_file).collect();
            self.needs.insert(of_file(&line[..colon]), needs);
        }
    }

    fn parse_config(&mut self, lines: &[Vec<u8>]) {
        for line in lines {
            let words: Vec<_> = words(line).collect();
            match words[..] {
                [b"alias", pattern, module] => {
                    let pattern = pattern.iter().map(|&b| folded(b)).collect();
                    self.aliases.push((pattern, normal(module)));
                }
                [b"remove", module, ..] => {
                    self.removed_by_command.insert(normal(module));
                }
                _ => (),
            }
        }
        // These may name aliases.
        for line in lines {
            let mut words = words(line);
            let (Some(b"softdep"), Some(module)) = (words.next(), words.next()) else {
                continue;
            };
            let mut softdeps = [Vec::new(), Vec::new()];
            let mut side = None;
            for word in words {
                match (word, side) {
                    (b"pre:", _) => side = Some(0),
                    (b"post:", _) => side = Some(1),
                    (name, Some(side)) => softdeps[side].extend(self.resolve(name)),
                    (_, None) => (),
                }
            }
            let known = self.softdeps.entry(normal(module)).or_default();
            for (known, more) in known.iter_mut().zip(softdeps) {
                known.extend(more);
            }
        }
    }

    /// Returns the modules that modprobe may load for a name: the one with that name, and those
    /// with an alias that matches. modprobe takes some of them, not others.
    pub(crate) fn resolve(&self, name: &[u8]) -> Vec<String> {
        let name = normal(name);
        let has_glob = |pattern: &[u8]| pattern.iter().any(|b| matches!(b, b'*' | b'?' | b'['));
        let matches = |pattern: &[u8]| match has_glob(pattern) {
            true => Pattern::for_names(pattern).is_some_and(|it| it.matches(name.as_bytes())),
            false => pattern == name.as_bytes(),
        };
        let mut modules: Vec<_> = self
            .aliases
            .iter()
            .filter(|(pattern, _)| matches(pattern))
            .map(|(_, module)| module.clone())
            .collect();
        modules.push(name);
        modules
    }

    /// Returns the modules that a request for a name may load or need.
    pub(crate) fn wanted(&self, name: &[u8]) -> BTreeSet<String> {
        let mut wanted = BTreeSet::new();
        for module in self.resolve(name) {
            wanted.extend(self.needs.get(&module).into_iter().flatten().cloned());
            wanted.insert(module);
        }
        wanted
    }

    /// Returns the modules that are loaded, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Module)> {
        self.loaded.iter()
    }

    /// Returns a module that is loaded.
    pub(crate) fn get(&self, name: &str) -> Option<&Module> {
        self.loaded.get(name)
    }

    /// Returns the kind of links that a module makes, if it makes any.
    pub(crate) fn link_kind(&self, name: &str) -> Option<String> {
        self.aliases
            .iter()
            .filter(|(_, module)| module == name)
            .find_map(|(alias, _)| alias.strip_prefix(LINK_KIND))
            .map(|kind| String::from_utf8_lossy(kind).into_owned())
    }

    /// Returns what `modprobe -r` unloads when it unloads a module: what its softdeps name, itself,
    /// and what it needs and nothing else uses. This is the order in which they go.
    pub(crate) fn stack(&self, name: &str) -> Vec<String> {
        let mut gone = Vec::new();
        self.leave(name, &mut gone, &mut BTreeSet::new());
        gone
    }

    fn leave(&self, name: &str, gone: &mut Vec<String>, seen: &mut BTreeSet<String>) {
        // Softdeps may form a circle.
        if !self.loaded.contains_key(name) || !seen.insert(name.to_owned()) {
            return;
        }
        let none = [Vec::new(), Vec::new()];
        let [before, after] = self.softdeps.get(name).unwrap_or(&none);
        for module in after.iter().rev() {
            self.leave(module, gone, seen);
        }
        if self.is_used(name, gone) {
            return;
        }
        if !gone.iter().any(|it| it == name) {
            gone.push(name.to_owned());
        }
        if !self.removed_by_command.contains(name) {
            for module in self.needs.get(name).into_iter().flatten() {
                let is_there = self.loaded.contains_key(module) && !gone.contains(module);
                if is_there && !self.is_used(module, gone) {
                    gone.push(module.clone());
                }
            }
        }
        for module in before.iter().rev() {
            self.leave(module, gone, seen);
        }
    }

    /// Returns whether something uses a module when some modules are gone.
    fn is_used(&self, name: &str, gone: &[String]) -> bool {
        self.get(name).is_some_and(|module| {
            let gone = module.holders.iter().filter(|it| gone.contains(it));
            module.references > gone.count() as u64
        })
    }
}

/// Returns a device that a driver of the module is bound to.
fn bound(machine: &Machine, module: &str) -> Option<String> {
    let drivers = format!("/sys/module/{module}/drivers");
    machine.names(&drivers).iter().find_map(|driver| {
        let directory = format!("{drivers}/{driver}");
        machine.names(&directory).into_iter().find(|name| {
            // Devices are links, as is the module.
            let path = machine.path(&format!("{directory}/{name}"));
            name != "module" && fs::symlink_metadata(path).is_ok_and(|it| it.is_symlink())
        })
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::machine::tests::Fake;

    /// A machine on which these modules are loaded, and of which modprobe knows this.
    pub(crate) fn fake(loaded: &str, dep: &str, alias: &str, softdep: &str) -> Fake {
        let fake = Fake::new();
        fake.write("/proc/sys/kernel/osrelease", "7.3.4\n");
        fake.write("/proc/modules", loaded);
        fake.write("/lib/modules/7.3.4/modules.dep", dep);
        fake.write("/lib/modules/7.3.4/modules.alias", alias);
        fake.write("/lib/modules/7.3.4/modules.softdep", softdep);
        fake
    }

    fn stack(fake: &Fake, name: &str) -> String {
        Modules::read(fake.machine()).unwrap().stack(name).join(" ")
    }

    #[test]
    fn what_is_loaded() {
        let fake = fake(
            "xfs 1 2 - Live 0x0\nlib-a 1 1 xfs,[permanent], Loading 0x0 (OE)\n",
            "",
            "",
            "",
        );
        fake.link("/sys/module/xfs/drivers/pci:x/module", "/m");
        let modules = Modules::read(fake.machine()).unwrap();
        assert_eq!(
            modules.get("lib_a"),
            Some(&Module {
                references: 1,
                holders: vec!["xfs".into()],
                is_permanent: true,
                is_live: false,
                device: None,
            })
        );
        assert_eq!(modules.get("xfs").unwrap().device, None);
        fake.link("/sys/module/xfs/drivers/pci:x/0000:00:01.0", "/d");
        let modules = Modules::read(fake.machine()).unwrap();
        let device = modules.get("xfs").unwrap().device.as_deref();
        assert_eq!(device, Some("0000:00:01.0"));
    }

    #[test]
    fn what_nothing_else_needs_goes_along() {
        let dep = "k/xfs.ko.xz: k/lib-a.ko.xz k/lib-b.ko\nk/lib-a.ko.xz: k/lib-b.ko\nk/lib-b.ko:\n";
        let fake = fake(
            "xfs 1 0 - Live 0x0\nlib_a 1 1 xfs, Live 0x0\nlib_b 1 2 lib_a,xfs, Live 0x0\n",
            dep,
            "",
            "",
        );
        assert_eq!(stack(&fake, "xfs"), "xfs lib_a lib_b");
        fake.write(
            "/proc/modules",
            "xfs 1 0 - Live 0x0\nlib_a 1 2 xfs, Live 0x0\nlib_b 1 2 lib_a,xfs, Live 0x0\n",
        );
        assert_eq!(stack(&fake, "xfs"), "xfs");
        // Something uses it: nothing goes.
        fake.write("/proc/modules", "xfs 1 1 - Live 0x0\n");
        assert_eq!(stack(&fake, "xfs"), "");
    }

    #[test]
    fn softdeps_go_along_by_their_aliases() {
        let fake = fake(
            "fs 1 0 - Live 0x0\nsum_a 1 0 - Live 0x0\nsum_b 1 1 - Live 0x0\nlate 1 0 - Live 0x0\n",
            "k/fs.ko:\n",
            "alias crypto-sum* sum_a\nalias crypto-sum sum-b\n",
            "softdep fs pre: crypto-sum post: late\nsoftdep late post: fs\n",
        );
        assert_eq!(stack(&fake, "fs"), "late fs sum_a");
        fake.write("/etc/modprobe.d/a.conf", "softdep fs \\\n pre: sum-c\n");
        fake.write("/proc/modules", "fs 1 0 - Live 0x0\nsum_c 1 0 - Live 0x0\n");
        assert_eq!(stack(&fake, "fs"), "fs sum_c");
    }

    #[test]
    fn a_command_is_left_to_itself() {
        let fake = fake(
            "fs 1 0 - Live 0x0\nlib 1 1 fs, Live 0x0\n",
            "k/fs.ko: k/lib.ko\n",
            "",
            "",
        );
        assert_eq!(stack(&fake, "fs"), "fs lib");
        fake.write("/run/modprobe.d/a.conf", "remove fs /bin/true\n");
        assert_eq!(stack(&fake, "fs"), "fs");
    }

    #[test]
    fn what_a_name_wants() {
        let fake = fake("", "k/xfs.ko: k/lib.ko\n", "alias fs-xfs xfs\n", "");
        let modules = Modules::read(fake.machine()).unwrap();
        let wanted: Vec<_> = modules.wanted(b"fs-xfs").into_iter().collect();
        assert_eq!(wanted, ["fs_xfs", "lib", "xfs"]);
    }

    #[test]
    fn kinds_of_links() {
        let fake = fake("", "", "alias rtnl-link-dummy dummy\n", "");
        let modules = Modules::read(fake.machine()).unwrap();
        assert_eq!(modules.link_kind("dummy").as_deref(), Some("dummy"));
        assert_eq!(modules.link_kind("xfs"), None);
    }

    #[test]
    fn without_what_depmod_writes() {
        let fake = Fake::new();
        fake.write("/proc/sys/kernel/osrelease", "7.3.4\n");
        let said = Modules::read(fake.machine()).unwrap_err();
        assert_eq!(
            said,
            "there is no /lib/modules/7.3.4/modules.dep: run depmod"
        );
    }
}
