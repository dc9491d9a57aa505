// SPDX-License-Identifier: GPL-2.0

//! What was set in a module, and is put back when it comes again.
//!
//! Which settings matter is never guessed: a file for each module says it. Parameters go to a file
//! for modprobe.d(5), so that the module has them from its start. What is there only after that, its
//! sysctls and what commands do, is put back then.

use crate::conf;
use crate::failure::{Failure, Result, Status};
use crate::file::{check_trusted, write_whole};
use crate::idle::modules::{config_lines, normal};
use crate::machine::Machine;
use crate::model::fields::Fields;
use crate::model::lines;
use crate::view::{word, Shown};
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where the files are that say what is kept.
const FILES: &str = "/etc/kmod-rs/settings.d";

/// Where it is kept.
const STATE: &str = "/var/lib/kmod-rs/settings";

/// Where modprobe finds parameters.
const MODPROBE_D: &str = "/run/modprobe.d";

/// How deep there may be directories below a prefix.
const DEEPEST: usize = 16;

/// What the kernel shows for a text that was not set.
const NO_TEXT: &[u8] = b"(null)";

/// The name of a module, which is safe as a part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Module(String);

/// What a file says of a module.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    parameters: Vec<String>,
    /// Paths below `/proc/sys`: all that is there or below it.
    sysctls: Vec<String>,
    save: Option<String>,
    restore: Option<String>,
}

/// What a setting is called, and its value.
type Setting = (String, Vec<u8>);

/// What is kept of a module.
#[derive(Debug, Default, PartialEq, Eq)]
struct Kept {
    parameters: Vec<Setting>,
    sysctls: Vec<Setting>,
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn error(sentence: String) -> Failure {
    Failure::new(Status::Error, sentence)
}

impl Module {
    /// Checks the name of a module.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let is_name = (1..56).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        match is_name {
            true => Ok(Self(normal(name.as_bytes()))),
            false => {
                let shown = Shown(name.as_bytes());
                let sentence =
                    format!("{shown} is no name of a module: give it without path and .ko");
                Err(Failure::new(Status::Usage, sentence))
            }
        }
    }

    /// Returns the modules that have a file, in order, and what is wrong with names of files.
    pub(crate) fn all(machine: &Machine) -> (Vec<Self>, Vec<String>) {
        let (mut modules, mut problems) = (Vec::new(), Vec::new());
        for file in machine.names(FILES) {
            let Some(name) = file.strip_suffix(".conf") else {
                continue;
            };
            match Self::new(name) {
                Ok(module) if module.0 == name => modules.push(module),
                _ => {
                    let shown = Shown(file.as_bytes());
                    let normal = normal(name.as_bytes());
                    problems.push(format!(
                        "{FILES}/{shown} is not read: its name would have to be {}.conf",
                        Shown(normal.as_bytes())
                    ));
                }
            }
        }
        (modules, problems)
    }

    fn file(&self) -> String {
        format!("{FILES}/{}.conf", self.0)
    }

    fn state(&self) -> String {
        format!("{STATE}/{}", self.0)
    }

    /// Returns whether a file says what is kept of it.
    pub(crate) fn has_file(&self, machine: &Machine) -> bool {
        fs::symlink_metadata(machine.path(&self.file())).is_ok()
    }

    fn is_loaded(&self, machine: &Machine) -> bool {
        machine.path(&format!("/sys/module/{}", self.0)).exists()
    }

    /// Reads what is to be kept. The commands in it are run, so it has to be root's alone.
    fn wanted(&self, machine: &Machine) -> Result<Wanted> {
        let file = self.file();
        if !self.has_file(machine) {
            return Err(error(format!(
                "there is no {file}, which says what is kept of {}",
                self.0
            )));
        }
        for path in [FILES, &file] {
            check_trusted(&machine.path(path)).map_err(|said| error(format!("{path} {said}")))?;
        }
        let content = fs::read_to_string(machine.path(&file))
            .map_err(|e| error(format!("cannot read {file}: {e}")))?;
        Wanted::parse(&content).map_err(|said| error(format!("{file}, {said}")))
    }

    /// Keeps its settings. Returns what could not be kept.
    pub(crate) fn save(&self, machine: &Machine) -> Result<Vec<String>> {
        let wanted = self.wanted(machine)?;
        if !self.is_loaded(machine) {
            return Err(error(format!(
                "{} is not loaded, so there is nothing to keep",
                self.0
            )));
        }
        let mut problems = Vec::new();
        let mut kept = Kept::default();
        let mut is_public = true;
        for name in &wanted.parameters {
            let path = machine.path(&format!("/sys/module/{}/parameters/{name}", self.0));
            match read_value(&path) {
                Ok(value) if value == NO_TEXT => (),
                Ok(value) => {
                    is_public &= fs::metadata(&path).is_ok_and(|it| it.mode() & 0o004 != 0);
                    kept.parameters.push((name.clone(), value));
                }
                Err(e) => problems.push(format!("the parameter {name} cannot be read: {e}")),
            }
        }
        for prefix in &wanted.sysctls {
            let before = kept.sysctls.len();
            walk(machine, prefix, DEEPEST, &mut kept.sysctls, &mut problems);
            if kept.sysctls.len() == before {
                problems.push(format!("there is nothing to keep in /proc/sys/{prefix}"));
            }
        }
        let options = kept.options(self, &mut problems);
        make_directory(machine, STATE)?;
        write_whole(&machine.path(&self.state()), kept.file().as_bytes(), 0o600)?;
        self.write_options(machine, &options, is_public)?;
        if let Some(command) = &wanted.save {
            problems.extend(self.run(machine, command).err());
        }
        Ok(problems)
    }

    /// Puts its settings back. Returns what could not be put back, or `None` if nothing was kept.
    pub(crate) fn restore(&self, machine: &Machine) -> Result<Option<Vec<String>>> {
        let wanted = self.wanted(machine)?;
        let content = match fs::read(machine.path(&self.state())) {
            Ok(content) => content,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(error(format!("cannot read {}: {e}", self.state()))),
        };
        let mut kept = Kept::parse(&content);
        // What the file does not name any more is not put back.
        kept.parameters
            .retain(|(name, _)| wanted.parameters.contains(name));
        kept.sysctls.retain(|(path, _)| {
            let is_in = |prefix: &String| Path::new(path).starts_with(prefix);
            is_path(path) && wanted.sysctls.iter().any(is_in)
        });
        let mut problems = Vec::new();
        let options = kept.options(self, &mut problems);
        // Whether all may read the parameters is not known before the module is there.
        self.write_options(machine, &options, false)?;
        if self.is_loaded(machine) {
            for (path, value) in &kept.sysctls {
                let file = machine.path(&format!("/proc/sys/{path}"));
                if let Err(e) = machine.set(&file, value) {
                    let shown = Shown(path.as_bytes());
                    problems.push(format!(
                        "/proc/sys/{shown} does not take {}: {e}",
                        Shown(value)
                    ));
                }
            }
            if let Some(command) = &wanted.restore {
                problems.extend(self.run(machine, command).err());
            }
        }
        Ok(Some(problems))
    }

    /// Writes the file for modprobe, or removes it if there are no parameters.
    fn write_options(&self, machine: &Machine, options: &[u8], is_public: bool) -> Result<()> {
        let file = format!("{MODPROBE_D}/kmod-rs-{}.conf", self.0);
        let path = machine.path(&file);
        if options.is_empty() {
            return match fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    Err(error(format!("cannot remove {file}: {e}")))
                }
                _ => Ok(()),
            };
        }
        make_directory(machine, MODPROBE_D)?;
        write_whole(&path, options, if is_public { 0o644 } else { 0o600 })
    }

    /// Runs a command of the administrator's.
    fn run(&self, machine: &Machine, command: &str) -> std::result::Result<(), String> {
        let failed = |what: String| format!("the command \"{command}\" {what}");
        if !machine.is_this() {
            return Err(failed("is run on this machine only".into()));
        }
        let status = Command::new("/bin/sh")
            .args(["-c", command])
            .env("MODULE", &self.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .map_err(|e| failed(format!("cannot be run: {e}")))?;
        match status.success() {
            true => Ok(()),
            false => Err(failed(format!("has failed: {status}"))),
        }
    }
}

impl Wanted {
    fn parse(content: &str) -> std::result::Result<Self, String> {
        let mut wanted = Self::default();
        conf::read(content.as_bytes(), |key, value| {
            let words = value.split_ascii_whitespace().map(str::to_owned);
            match key {
                "parameters" => wanted.parameters.extend(words),
                "sysctl" => wanted.sysctls.extend(words.map(|it| as_path(&it))),
                "save" => wanted.save = Some(value.to_owned()),
                "restore" => wanted.restore = Some(value.to_owned()),
                key => return Err(conf::no_key(key)),
            }
            if let Some(wrong) = wanted.parameters.iter().find(|it| !is_parameter(it)) {
                let shown = Shown(wrong.as_bytes());
                return Err(format!("{shown} is no name of a parameter"));
            }
            if let Some(wrong) = wanted.sysctls.iter().find(|it| !is_path(it)) {
                let shown = Shown(wrong.as_bytes());
                return Err(format!("{shown} is no path below /proc/sys"));
            }
            Ok(())
        })?;
        Ok(wanted)
    }
}

impl Kept {
    /// Returns the file for modprobe: empty if there are no parameters. Notes what cannot be
    /// written there.
    fn options(&self, module: &Module, problems: &mut Vec<String>) -> Vec<u8> {
        let mut line = Vec::new();
        for (name, value) in &self.parameters {
            match argument(name, value) {
                Some(argument) => {
                    line.push(b' ');
                    line.extend(argument);
                }
                None => problems.push(format!(
                    "the parameter {name} cannot be given to modprobe, as no line of modprobe.d(5) \
                     stands for its value {}",
                    Shown(value)
                )),
            }
        }
        if line.is_empty() {
            return line;
        }
        let mut file = format!("options {}", module.0).into_bytes();
        file.extend(line);
        file.push(b'\n');
        file
    }

    /// Returns what the file of the state has.
    fn file(&self) -> String {
        let mut file = String::new();
        for (kind, settings) in [("parameter", &self.parameters), ("sysctl", &self.sysctls)] {
            for (name, value) in settings {
                let (name, value) = (word(name.as_bytes()), word(value));
                file.push_str(&format!("{kind}=\"{name}\" value=\"{value}\"\n"));
            }
        }
        file
    }

    fn parse(content: &[u8]) -> Self {
        let mut kept = Self::default();
        for fields in lines(content).filter_map(Fields::parse) {
            let Some(value) = fields.text("value") else {
                continue;
            };
            let name = |key| String::from_utf8(fields.text(key)?.as_bytes().to_vec()).ok();
            let value = value.as_bytes().to_vec();
            if let Some(name) = name("parameter") {
                kept.parameters.push((name, value));
            } else if let Some(name) = name("sysctl") {
                kept.sysctls.push((name, value));
            }
        }
        kept
    }
}

fn is_parameter(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Returns a name for sysctl(8) as a path: the first separator in it tells which one it has.
fn as_path(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(at) if name.as_bytes()[at] == b'.' => name
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
        _ => name.trim_end_matches('/').to_owned(),
    }
}

/// Returns whether this is a path below a directory that does not lead out of it.
fn is_path(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Returns the value in a file, without the newline that the kernel adds.
fn read_value(path: &Path) -> io::Result<Vec<u8>> {
    let mut value = fs::read(path)?;
    if value.ends_with(b"\n") {
        value.pop();
    }
    Ok(value)
}

/// Collects all that can be set at a path below `/proc/sys`.
fn walk(
    machine: &Machine,
    path: &str,
    depth: usize,
    found: &mut Vec<Setting>,
    problems: &mut Vec<String>,
) {
    let absolute = format!("/proc/sys/{path}");
    let file = machine.path(&absolute);
    let Ok(it) = fs::symlink_metadata(&file) else {
        return;
    };
    if it.is_dir() && depth > 0 {
        for name in machine.names(&absolute) {
            walk(
                machine,
                &format!("{path}/{name}"),
                depth - 1,
                found,
                problems,
            );
        }
    } else if it.is_file() && it.mode() & 0o222 != 0 && it.mode() & 0o444 != 0 {
        match read_value(&file) {
            Ok(value) => found.push((path.to_owned(), value)),
            Err(e) => problems.push(format!(
                "{} cannot be read: {e}",
                Shown(absolute.as_bytes())
            )),
        }
    }
}

fn make_directory(machine: &Machine, directory: &str) -> Result<()> {
    fs::create_dir_all(machine.path(directory))
        .map_err(|e| error(format!("cannot make {directory}: {e}")))
}

/// Returns a parameter as a line of modprobe.d(5) has it, if it can have it.
///
/// modprobe takes a backslash before any character away, and ends at a newline. The kernel separates
/// parameters by blanks that are not in double quotes, takes away those around a value, and knows
/// nothing that stands for a double quote.
fn argument(name: &str, value: &[u8]) -> Option<Vec<u8>> {
    let name = name.as_bytes();
    [&b""[..], b"\""].iter().find_map(|quote| {
        let plain = [name, b"=", quote, value, quote].concat();
        let mut escaped = Vec::with_capacity(plain.len());
        for &byte in &plain {
            if byte == b'\\' {
                escaped.push(b'\\');
            }
            escaped.push(byte);
        }
        // What comes after it must not become a part of it.
        let line = [&escaped[..], b" end=1"].concat();
        let arrives = [
            (name.to_vec(), Some(value.to_vec())),
            (b"end".to_vec(), Some(b"1".to_vec())),
        ];
        let is_exact = match &config_lines(&line)[..] {
            [line] => arguments(line) == arrives,
            _ => false,
        };
        (is_exact && !value.contains(&0)).then_some(escaped)
    })
}

/// Returns the parameters in a line as the kernel takes them (`parse_args()`).
fn arguments(line: &[u8]) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    const BLANKS: &[u8] = b" \t\n\x0b\x0c\r\xa0";
    let mut arguments = Vec::new();
    let mut rest = line;
    loop {
        while let [first, after @ ..] = rest {
            if !BLANKS.contains(first) {
                break;
            }
            rest = after;
        }
        if rest.is_empty() {
            return arguments;
        }
        let is_quoted = rest[0] == b'"';
        let mut in_quotes = is_quoted;
        let all = if is_quoted { &rest[1..] } else { rest };
        let mut equals = None;
        let mut end = 0;
        while end < all.len() && (in_quotes || !BLANKS.contains(&all[end])) {
            match all[end] {
                // One at the very beginning is none.
                b'=' if equals.is_none() && end > 0 => equals = Some(end),
                b'"' => in_quotes = !in_quotes,
                _ => (),
            }
            end += 1;
        }
        let word = &all[..end];
        let word = match is_quoted {
            true => word.strip_suffix(b"\"").unwrap_or(word),
            false => word,
        };
        let (name, value) = match equals {
            Some(at) => (&word[..at], Some(&word[at + 1..])),
            None => (word, None),
        };
        let value = value.map(|value| match value.strip_prefix(b"\"") {
            Some(inner) => inner.strip_suffix(b"\"").unwrap_or(inner),
            None => value,
        });
        arguments.push((name.to_vec(), value.map(<[u8]>::to_vec)));
        rest = &all[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::Fake;
    use proptest::prelude::*;

    fn text(name: &str, value: &str) -> Option<String> {
        argument(name, value.as_bytes()).map(|it| String::from_utf8(it).unwrap())
    }

    #[test]
    fn values_for_modprobe() {
        for (value, expected) in [
            ("1", Some("p=1")),
            ("", Some("p=")),
            ("1,2", Some("p=1,2")),
            ("a b", Some("p=\"a b\"")),
            (" ", Some("p=\" \"")),
            ("a\tb", Some("p=\"a\tb\"")),
            ("#x", Some("p=#x")),
            ("a # b", Some("p=\"a # b\"")),
            ("a\\b", Some("p=a\\\\b")),
            ("a b\\", Some("p=\"a b\\\\\"")),
            ("a=b", Some("p=a=b")),
            ("$x;`y`'z'", Some("p=$x;`y`'z'")),
            ("é", Some("p=é")),
            // Two of them, and no blank outside of them, arrive as they are.
            ("a\"b c\"d", Some("p=a\"b c\"d")),
            ("\"a\"", Some("p=\"\"a\"\"")),
            ("a\"b", None),
            ("a b\"c", None),
            ("a\nb", None),
            ("a\0b", None),
        ] {
            assert_eq!(text("p", value).as_deref(), expected, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_arrives(values in prop::collection::vec("[ -~\t\u{e9}]{0,12}", 1..4)) {
            let module = Module::new("m").unwrap();
            let numbered = values.iter().enumerate();
            let kept = Kept {
                parameters: numbered.map(|(i, it)| (format!("p{i}"), it.as_bytes().to_vec())).collect(),
                sysctls: Vec::new(),
            };
            let mut problems = Vec::new();
            let file = kept.options(&module, &mut problems);
            let line = config_lines(&file).swap_remove(0);
            let arrived = arguments(line.strip_prefix(b"options m ").unwrap_or_default());
            let sent: Vec<_> = kept.parameters.iter()
                .filter(|(name, value)| argument(name, value).is_some())
                .map(|(name, value)| (name.clone().into_bytes(), Some(value.clone())))
                .collect();
            prop_assert_eq!(problems.len(), values.len() - sent.len());
            prop_assert_eq!(arrived, sent);
            let has_quote = values.iter().any(|it| it.contains('"'));
            prop_assert!(has_quote || problems.is_empty());
        }

        #[test]
        fn what_is_kept_comes_back(
            settings in prop::collection::vec(("[a-z_./ \"\\\\]{1,9}", prop::collection::vec(any::<u8>(), 0..9)), 0..4),
        ) {
            let kept = Kept { parameters: settings.clone(), sysctls: settings };
            prop_assert_eq!(Kept::parse(kept.file().as_bytes()), kept);
        }
    }

    #[test]
    fn names_of_modules() {
        assert_eq!(Module::new("snd-hda").unwrap().0, "snd_hda");
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "/etc/passwd",
            "a.ko",
            "a b",
            "a\n",
            "é",
            &"a".repeat(56),
        ] {
            let failure = Module::new(bad).unwrap_err();
            assert_eq!(failure.status(), Status::Usage, "{bad}");
        }
    }

    #[test]
    fn what_is_wanted() {
        assert_eq!(
            Wanted::parse(
                "# x\nparameters = a b\nparameters=c\nsysctl = net.x net/y/\nsave = f x=1 # y\n"
            ),
            Ok(Wanted {
                parameters: vec!["a".into(), "b".into(), "c".into()],
                sysctls: vec!["net/x".into(), "net/y".into()],
                save: Some("f x=1 # y".into()),
                restore: None,
            })
        );
        for (file, said) in [
            ("x", "line 1: there is no \"KEY = VALUE\""),
            ("\nx = y", "line 2: there is no key x"),
            (
                "parameters = ../x",
                "line 1: ../x is no name of a parameter",
            ),
            (
                "sysctl = net/../x",
                "line 1: net/../x is no path below /proc/sys",
            ),
            (
                "sysctl = /proc/sys/x",
                "line 1: /proc/sys/x is no path below /proc/sys",
            ),
            ("sysctl = ..", "line 1: // is no path below /proc/sys"),
        ] {
            assert_eq!(Wanted::parse(file).unwrap_err(), said);
        }
    }

    /// A machine on which the module `m` is loaded, with settings.
    fn loaded(file: &str) -> (Fake, Module) {
        let fake = Fake::new();
        fake.write("/etc/kmod-rs/settings.d/m.conf", file);
        for path in ["/etc/kmod-rs/settings.d", "/etc/kmod-rs/settings.d/m.conf"] {
            let path = fake.machine().path(path);
            let mode = fs::metadata(&path).unwrap().mode() & !0o022;
            fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        }
        fake.write("/sys/module/m/parameters/a", "1\n");
        fake.write("/sys/module/m/parameters/b", "x y\n");
        fake.write("/sys/module/m/parameters/text", "(null)\n");
        fake.write("/proc/sys/net/m/one", "1\n");
        fake.write("/proc/sys/net/m/deep/two", "2\t3\n");
        fake.write("/proc/sys/net/other", "0\n");
        (fake, Module::new("m").unwrap())
    }

    #[test]
    fn kept_and_put_back() {
        let (fake, module) = loaded("parameters = a b text\nsysctl = net/m\n");
        let machine = fake.machine();
        let read = |file: &str| String::from_utf8(machine.bytes(file).unwrap()).unwrap();
        assert_eq!(module.restore(machine).unwrap(), None);
        assert_eq!(module.save(machine).unwrap(), Vec::<String>::new());
        let options = "/run/modprobe.d/kmod-rs-m.conf";
        assert_eq!(read(options), "options m a=1 b=\"x y\"\n");
        let mode = |file: &str| fs::metadata(machine.path(file)).unwrap().mode() & 0o777;
        assert_eq!(mode("/var/lib/kmod-rs/settings/m"), 0o600);

        // The next boot: the module is not there yet.
        fs::remove_dir_all(machine.path("/run")).unwrap();
        fs::rename(
            machine.path("/sys/module/m"),
            machine.path("/sys/module/gone"),
        )
        .unwrap();
        fake.write("/proc/sys/net/m/one", "9\n");
        assert_eq!(module.restore(machine).unwrap(), Some(Vec::new()));
        assert_eq!(read(options), "options m a=1 b=\"x y\"\n");
        assert_eq!(read("/proc/sys/net/m/one"), "9\n");

        // It comes.
        fs::rename(
            machine.path("/sys/module/gone"),
            machine.path("/sys/module/m"),
        )
        .unwrap();
        fake.write("/proc/sys/net/m/deep/two", "9999\n");
        assert_eq!(module.restore(machine).unwrap(), Some(Vec::new()));
        assert_eq!(read("/proc/sys/net/m/one"), "1\n");
        // Files of a test are not cut, as those of the kernel.
        assert_eq!(read("/proc/sys/net/m/deep/two"), "2\t3\n\n");
        assert_eq!(read("/proc/sys/net/other"), "0\n");
    }

    #[test]
    fn the_rest_is_put_back() {
        let (fake, module) =
            loaded("parameters = a absent\nsysctl = net/m net/none\nsave = true\n");
        let machine = fake.machine();
        assert_eq!(
            module.save(machine).unwrap(),
            [
                "the parameter absent cannot be read: No such file or directory (os error 2)",
                "there is nothing to keep in /proc/sys/net/none",
                "the command \"true\" is run on this machine only",
            ]
        );
        fs::remove_file(machine.path("/proc/sys/net/m/deep/two")).unwrap();
        fake.write("/proc/sys/net/m/one", "9\n");
        assert_eq!(
            module.restore(machine).unwrap().unwrap(),
            ["/proc/sys/net/m/deep/two does not take 2\\x093: No such file or directory (os error 2)"]
        );
        assert_eq!(machine.word("/proc/sys/net/m/one").as_deref(), Some("1"));

        // What the file does not name any more.
        fake.write("/etc/kmod-rs/settings.d/m.conf", "");
        fake.write("/proc/sys/net/m/one", "9\n");
        assert_eq!(module.restore(machine).unwrap(), Some(Vec::new()));
        assert_eq!(machine.word("/proc/sys/net/m/one").as_deref(), Some("9"));
        assert!(!machine.path("/run/modprobe.d/kmod-rs-m.conf").exists());
    }

    #[test]
    fn a_state_that_leads_out() {
        let (fake, module) = loaded("sysctl = net/m\n");
        fake.write(
            "/var/lib/kmod-rs/settings/m",
            "sysctl=\"net/m/../other\" value=\"1\"\nsysctl=\"net/other\" value=\"1\"\n",
        );
        assert_eq!(module.restore(fake.machine()).unwrap(), Some(Vec::new()));
        assert_eq!(
            fake.machine().word("/proc/sys/net/other").as_deref(),
            Some("0")
        );
    }

    #[test]
    fn a_file_that_others_can_write() {
        let (fake, module) = loaded("parameters = a\n");
        let path = fake.machine().path("/etc/kmod-rs/settings.d/m.conf");
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        let said = module.save(fake.machine()).unwrap_err().to_string();
        assert!(said.contains("can be written by others"), "{said}");
    }
}
