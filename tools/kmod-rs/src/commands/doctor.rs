// SPDX-License-Identifier: GPL-2.0

//! `kmod-rs doctor`: why kmod_rs cannot be built, loaded or take over here.
//!
//! Each check is a function that looks at files, or at what a program has printed, and returns a
//! [`Finding`]. The checks that `on` and `off` make as well are in [`crate::check`].

use crate::check::{self, Finding};
use crate::cli::Cli;
use crate::failure::{Result, Status};
use crate::machine::Machine;
use crate::model::text::Text;
use crate::view::json;
use crate::view::Shown;
use std::io::{self, Write};
use std::process::{Command, Stdio};

/// The minor versions of Linux that are supported, and the names that `make KERNEL=` takes.
const MINORS: &str = env!("KMOD_RS_MINORS");
const KERNELS: &str = env!("KMOD_RS_SUPPORTED");

/// The options that the kernel must have, each with what it is for.
const NEEDED: [(&str, &str); 7] = [
    ("CONFIG_MODULES", "modules"),
    ("CONFIG_RUST", "modules in Rust"),
    ("CONFIG_LIVEPATCH", "replacing request_module()"),
    ("CONFIG_KALLSYMS_ALL", "finding modprobe_path"),
    ("CONFIG_TRACEPOINTS", "trace events"),
    ("CONFIG_STACKTRACE", "knowing whose request a thread makes"),
    (
        "CONFIG_CRYPTO_MANAGER2",
        "knowing for whom ciphers are made",
    ),
];

/// The option that the kernel must not have.
const UNWANTED: &str = "CONFIG_MODULE_DEBUG_AUTOLOAD_DUPS";

/// Shows what stands in the way, and what to do about it.
pub(crate) fn run(cli: &Cli, machine: &Machine) -> Result {
    let findings = findings(machine);
    let mut out = io::BufWriter::new(io::stdout().lock());
    for finding in &findings {
        if cli.json {
            json::write(&mut out, &finding.to_json())?;
            continue;
        }
        writeln!(out, "{:8} {}", finding.verdict, finding.what)?;
        if let Some(to_do) = &finding.to_do {
            writeln!(out, "{:8} -> {to_do}", "")?;
        }
    }
    let problems = findings
        .iter()
        .filter(|finding| finding.is_problem())
        .count();
    if !cli.json {
        match problems {
            0 => writeln!(out, "Nothing is known to stand in the way.")?,
            1 => writeln!(out, "1 problem.")?,
            n => writeln!(out, "{n} problems.")?,
        }
    }
    out.flush()?;
    Ok(if problems == 0 {
        Status::Success
    } else {
        Status::Error
    })
}

/// Makes all checks that make sense on this machine.
fn findings(machine: &Machine) -> Vec<Finding> {
    let release = machine
        .word("/proc/sys/kernel/osrelease")
        .unwrap_or_default();
    let config = config(machine, &release);
    let mut findings = vec![supported(&release)];
    findings.extend(options(&release, config.as_deref()));

    let installed = Installed::find(machine, &release);
    let skipped = skipped(machine);
    let is_skipped = skipped.iter().any(|(kernel, _)| *kernel == release);
    findings.push(fits(&release, installed.as_ref(), machine.is_loaded()));
    match &installed {
        Some(installed) => {
            findings.push(versions(machine, installed));
            findings.push(signature(machine, installed));
        }
        None if machine.is_loaded() || is_skipped => {}
        None => {
            if let Some(name) = kernel_name(&release) {
                findings.extend(build(machine, &release, &name, config.as_deref()));
            }
        }
    }

    findings.extend(skipped.iter().filter_map(|(kernel, reason)| {
        match *kernel == release {
            true if installed.is_some() => None,
            true => Some(Finding::problem(
                "dkms",
                not_built(kernel, reason),
                mend(kernel),
            )),
            // It stands in the way of nothing until that kernel runs.
            false => Some(Finding::unknown(
                "dkms",
                not_built(kernel, reason),
                mend(kernel),
            )),
        }
    }));

    findings.extend([
        check::modules_disabled(machine),
        check::other_transition(machine),
        check::redirected(machine),
        check::serves(machine),
    ]);
    findings
}

/// Checks whether the release is one of those that the module is made for.
fn supported(release: &str) -> Finding {
    match kernel_name(release) {
        Some(_) => Finding::ok("release", format!("Linux {} is supported", shown(release))),
        None => Finding::problem(
            "release",
            format!("Linux {} is not supported", shown(release)),
            format!(
                "boot one of Debian's kernels {} for x86-64",
                MINORS.replace(' ', " and ")
            ),
        ),
    }
}

/// Returns what `make KERNEL=` calls this release of Debian, if it is supported.
///
/// This is name_of() in scripts/lib.sh.
fn kernel_name(release: &str) -> Option<String> {
    let (version, flavour) = release.strip_suffix("-amd64")?.split_once("+deb")?;
    let (minor, patch) = version.rsplit_once('.')?;
    patch.parse::<u32>().ok()?;
    let name = match flavour.split_at_checked(2)? {
        ("13", flavour) => format!("{minor}{flavour}"),
        ("14", flavour) => format!("forky{flavour}"),
        _ => return None,
    };
    let has = |list: &str, word: &str| list.split(' ').any(|each| each == word);
    (has(MINORS, minor) && has(KERNELS, &name)).then_some(name)
}

/// Returns the configuration of the kernel, if it is anywhere.
fn config(machine: &Machine, release: &str) -> Option<Vec<u8>> {
    [
        format!("/boot/config-{release}"),
        format!("/lib/modules/{release}/config"),
        format!("/lib/modules/{release}/build/.config"),
        format!("/lib/modules/{release}/build/include/config/auto.conf"),
    ]
    .iter()
    .find_map(|file| machine.bytes(file))
    .or_else(|| {
        let packed = machine.path("/proc/config.gz");
        packed
            .exists()
            .then(|| output("gzip", &["-dc", packed.to_str()?]))?
    })
}

/// Returns the value of an option as the configuration has it: `y`, `m`, or a text in quotes.
fn option<'a>(config: &'a [u8], name: &str) -> Option<&'a str> {
    config
        .split(|&b| b == b'\n')
        .find_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
        .and_then(|value| std::str::from_utf8(value).ok())
}

/// Checks whether the kernel has what the module needs.
fn options(release: &str, config: Option<&[u8]>) -> Vec<Finding> {
    const CHECK: &str = "configuration";
    const OTHER: &str = "boot one of Debian's own kernels";
    let Some(config) = config else {
        return vec![Finding::unknown(
            CHECK,
            "the configuration of the kernel is nowhere to be found",
            format!("install the package linux-image-{}", shown(release)),
        )];
    };
    let mut findings: Vec<_> = NEEDED
        .iter()
        .filter(|(name, _)| option(config, name).is_none())
        .map(|(name, what)| {
            Finding::problem(CHECK, format!("the kernel lacks {name}, for {what}"), OTHER)
        })
        .collect();
    if option(config, UNWANTED).is_some() {
        findings.push(Finding::problem(
            CHECK,
            format!("the kernel has {UNWANTED}, whose bookkeeping kmod_rs does not do"),
            OTHER,
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(
            CHECK,
            "the kernel has all options that are needed",
        ));
    }
    findings
}

/// The module that modprobe would load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Installed {
    file: Text,
    pub(super) version: Text,
    /// The release for which it was built.
    pub(super) release: Text,
    signer: Option<Text>,
}

impl Installed {
    /// Asks modinfo(8), which knows all places and compressions.
    pub(super) fn find(machine: &Machine, release: &str) -> Option<Self> {
        let root = machine.path("/");
        let modinfo = output(
            "modinfo",
            &["-b", root.to_str()?, "-k", release, "--", "kmod_rs"],
        )?;
        Self::parse(&modinfo)
    }

    /// Reads what modinfo(8) prints.
    fn parse(modinfo: &[u8]) -> Option<Self> {
        let value = |key: &str| -> Option<Text> {
            let line = modinfo
                .split(|&b| b == b'\n')
                .find_map(|line| line.strip_prefix(key.as_bytes())?.strip_prefix(b":"))?;
            Some(line.trim_ascii().into())
        };
        let vermagic = value("vermagic")?;
        let file = value("filename")?;
        // What is below "/" begins with two slashes.
        let begin = usize::from(file.as_bytes().starts_with(b"//"));
        Some(Self {
            file: file.as_bytes()[begin..].into(),
            version: value("version").unwrap_or_default(),
            release: vermagic.as_bytes().split(|&b| b == b' ').next()?.into(),
            signer: value("signer").filter(|signer| !signer.as_bytes().is_empty()),
        })
    }
}

/// Checks whether a module for this kernel is installed.
fn fits(release: &str, installed: Option<&Installed>, is_loaded: bool) -> Finding {
    const CHECK: &str = "installed";
    match installed {
        Some(installed) if installed.release == release.into() => {
            Finding::ok(CHECK, format!("{} is for this kernel", installed.file))
        }
        Some(installed) => Finding::problem(
            CHECK,
            format!("{} is for Linux {}", installed.file, installed.release),
            "build and install it again",
        ),
        None if is_loaded => Finding::unknown(
            CHECK,
            "kmod_rs is loaded, but not installed, so modprobe will not find it after a reboot",
            "run \"make install\" where it was built",
        ),
        None => Finding::problem(
            CHECK,
            "kmod_rs is not installed for this kernel",
            "install a package with it, or run \"make\" and \"make install\" in its sources; \
             \"kmod-rs on --file FILE\" takes a file",
        ),
    }
}

/// Returns for which kernels DKMS was to build the module and has not, with the reasons, as
/// scripts/dkms/pre-build.sh has written them.
fn skipped(machine: &Machine) -> Vec<(String, Text)> {
    const STATE: &str = "/var/lib/kmod-rs-dkms";
    let kernels = machine.names(STATE).into_iter();
    kernels
        .filter_map(|kernel| {
            let reason = machine.bytes(&format!("{STATE}/{kernel}/skipped"))?;
            Some((kernel, reason.trim_ascii().into()))
        })
        .collect()
}

/// Says that DKMS has not built the module for a kernel, and why.
fn not_built(kernel: &str, reason: &Text) -> String {
    format!("DKMS has skipped Linux {}: {reason}", shown(kernel))
}

fn mend(kernel: &str) -> String {
    format!(
        "change that, and run \"dkms autoinstall -k {}\"",
        shown(kernel)
    )
}

/// Checks whether the version that is loaded is the one that is installed.
fn versions(machine: &Machine, installed: &Installed) -> Finding {
    const CHECK: &str = "version";
    let loaded = machine.word("/sys/module/kmod_rs/version");
    match loaded {
        Some(loaded) if installed.version != loaded.as_str().into() => Finding::problem(
            CHECK,
            format!(
                "version {} is loaded, and {} is installed",
                shown(&loaded),
                installed.version
            ),
            "run \"kmod-rs off\" and then \"kmod-rs on\"",
        ),
        _ => Finding::ok(CHECK, format!("version {} is installed", installed.version)),
    }
}

/// Why the kernel takes only modules with a signature that it trusts, or `None` if it takes others.
fn enforced(machine: &Machine) -> Option<&'static str> {
    let lockdown = machine.word("/sys/kernel/security/lockdown");
    if machine
        .word("/sys/module/module/parameters/sig_enforce")
        .as_deref()
        == Some("Y")
    {
        Some("module.sig_enforce is set")
    } else if lockdown.is_some_and(|modes| !modes.contains("[none]")) {
        Some("the kernel is locked down")
    } else if secure_boot(machine) && machine.bytes("/sys/kernel/security/lockdown").is_none() {
        Some("Secure Boot is on")
    } else {
        None
    }
}

/// Returns whether the firmware says that Secure Boot is on.
fn secure_boot(machine: &Machine) -> bool {
    // Four bytes of attributes, then the value.
    machine
        .bytes("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")
        .is_some_and(|variable| variable.get(4) == Some(&1))
}

/// Checks whether the kernel takes the signature of the module, if it wants one.
fn signature(machine: &Machine, installed: &Installed) -> Finding {
    const CHECK: &str = "signature";
    const SIGN: &str = "sign it with \"make sign\" and a key that is enrolled (mokutil --import)";
    let why = enforced(machine);
    match (why, &installed.signer) {
        (None, None) => Finding::ok(
            CHECK,
            "the module is not signed, and the kernel takes it like that",
        ),
        (None, Some(signer)) => Finding::ok(CHECK, format!("the module is signed by {signer}")),
        (Some(why), None) => Finding::problem(
            CHECK,
            format!("{why}, so the kernel takes only signed modules, and this one is not signed"),
            SIGN,
        ),
        (Some(why), Some(signer)) => match trusts(machine, signer) {
            Some(true) => Finding::ok(
                CHECK,
                format!("the module is signed by {signer}, whose key the kernel has"),
            ),
            Some(false) => Finding::problem(
                CHECK,
                format!("{why}, and the kernel has no key of {signer}, who signed the module"),
                "enrol that key with \"mokutil --import\" and reboot, or sign it with another one",
            ),
            None => Finding::unknown(
                CHECK,
                format!("{why}, and the module is signed by {signer}, whose key may be missing"),
                "run this as root",
            ),
        },
    }
}

/// Returns whether a keyring of the kernel has a key with this name, if this can be told.
///
/// `/proc/keys` shows a key as `... asymmetri NAME: IDENTIFIER: ...`.
fn trusts(machine: &Machine, signer: &Text) -> Option<bool> {
    let keys = machine.bytes("/proc/keys")?;
    let mut key = b"asymmetri ".to_vec();
    key.extend_from_slice(signer.as_bytes());
    key.push(b':');
    let has_any = keys.windows(10).any(|part| part == b"asymmetri ");
    has_any.then(|| keys.windows(key.len()).any(|part| part == key))
}

/// Checks whether the module can be built here for this kernel, which `make` calls `name`.
///
/// Only asked if there is no module.
fn build(machine: &Machine, release: &str, name: &str, config: Option<&[u8]>) -> Vec<Finding> {
    const CHECK: &str = "build";
    let prepared = cache().map(|cache| format!("{cache}/kernels/{release}/complete"));
    if prepared.is_some_and(|file| machine.path(&file).exists()) {
        return vec![Finding::ok(
            CHECK,
            "\"make prepare\" has set up what is needed to build it",
        )];
    }
    let Some(metadata) = metadata(machine, release) else {
        return vec![Finding::problem(
            CHECK,
            "there is no Rust metadata for this kernel, so the module cannot be built",
            format!("run \"make prepare KERNEL={name}\" in the sources of kmod_rs"),
        )];
    };
    let expected = |option_name| {
        let text = option(config?, option_name)?;
        Some(text.trim_matches('"').to_owned())
    };
    let mut findings = vec![metadata];
    for (program, option_name) in [
        ("rustc", "CONFIG_RUSTC_VERSION_TEXT"),
        ("bindgen", "CONFIG_BINDGEN_VERSION_TEXT"),
        ("gcc", "CONFIG_CC_VERSION_TEXT"),
    ] {
        let version = output(program, &["--version"]);
        findings.push(tool(
            program,
            expected(option_name).as_deref(),
            version.as_deref(),
        ));
    }
    findings
}

/// Returns a finding about the Rust metadata, if the kernel's own tree has any.
fn metadata(machine: &Machine, release: &str) -> Option<Finding> {
    let file = format!("/lib/modules/{release}/build/rust/libkernel.rmeta");
    machine
        .path(&file)
        .exists()
        .then(|| Finding::ok("build", format!("{} is there", shown(&file))))
}

/// Returns where the project's scripts keep what they have set up.
fn cache() -> Option<String> {
    let cache = std::env::var("XDG_CACHE_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cache")));
    cache.ok().map(|cache| format!("{cache}/kmod_rs"))
}

/// Checks whether a tool is the one that the kernel was built with.
///
/// `expected` is the first line of what that one prints as its version; `printed` is what the one
/// here prints, if there is one.
fn tool(program: &str, expected: Option<&str>, printed: Option<&[u8]>) -> Finding {
    const CHECK: &str = "tools";
    let Some(expected) = expected else {
        return Finding::unknown(
            CHECK,
            format!("it is not known with which {program} the kernel was built"),
            "compare it yourself, or run \"make prepare\", which sets up the right one",
        );
    };
    let here = printed.and_then(|printed| printed.split(|&b| b == b'\n').next());
    // The first word of gcc's line is the name by which it was called.
    let version = |line: &str| line.split_once(' ').map(|(_, version)| version.to_owned());
    let is_same = here
        .and_then(|here| std::str::from_utf8(here).ok())
        .is_some_and(|here| version(here) == version(expected));
    let to_do = format!(
        "install \"{}\", or run \"make prepare\", which sets it up",
        shown(expected)
    );
    match here {
        Some(here) if is_same => Finding::ok(CHECK, Shown(here).to_string()),
        Some(here) => Finding::problem(
            CHECK,
            format!(
                "{program} is another one than the kernel was built with ({})",
                Shown(here)
            ),
            to_do,
        ),
        None => Finding::problem(CHECK, format!("there is no {program}"), to_do),
    }
}

/// Returns what a program prints, if it succeeds.
fn output(program: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/usr/bin:/sbin:/bin");
    let output = Command::new(program)
        .args(arguments)
        .env("PATH", path)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then_some(output.stdout)
}

fn shown(text: &str) -> Shown<'_> {
    Shown(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;
    use crate::machine::tests::Fake;

    const RELEASE: &str = "7.3.4+deb13-amd64";
    const SECURE_BOOT: &str =
        "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

    fn installed(signer: Option<&str>) -> Installed {
        Installed {
            file: "/lib/modules/x/updates/kmod-rs.ko".into(),
            version: "0.1".into(),
            release: RELEASE.into(),
            signer: signer.map(Text::from),
        }
    }

    #[test]
    fn names_of_kernels() {
        for (release, name) in [
            (RELEASE, Some("7.3")),
            ("7.2.12+deb13-cloud-amd64", Some("7.2-cloud")),
            ("7.3.4+deb13-rt-amd64", Some("7.3-rt")),
            ("7.3.1+deb14-amd64", Some("forky")),
            ("7.1.4+deb13-amd64", None),
            ("7.3.4+deb13-arm64", None),
            ("7.3.4+deb12-amd64", None),
            ("7.3.x+deb13-amd64", None),
            ("7.3.4+deb13-other-amd64", None),
            ("7.3.4+deb1é-amd64", None),
            ("7.3.4", None),
            ("", None),
        ] {
            assert_eq!(kernel_name(release).as_deref(), name, "{release}");
        }
        assert!(supported("6.12.0-1-amd64").is_problem());
    }

    #[test]
    fn what_the_kernel_lacks() {
        let mut config = String::new();
        for (name, _) in NEEDED {
            config += &format!("{name}=y\n");
        }
        assert_eq!(
            options(RELEASE, Some(config.as_bytes()))[0].verdict,
            Verdict::Ok
        );
        for (name, _) in NEEDED {
            let without = config.replace(&format!("{name}=y"), &format!("# {name} is not set"));
            let found = options(RELEASE, Some(without.as_bytes()));
            assert_eq!(found.len(), 1);
            assert!(
                found[0].is_problem() && found[0].what.contains(name),
                "{found:?}"
            );
        }
        config.push_str("CONFIG_MODULE_DEBUG_AUTOLOAD_DUPS=y\n");
        assert!(options(RELEASE, Some(config.as_bytes()))[0].is_problem());
        assert_eq!(options(RELEASE, None)[0].verdict, Verdict::Unknown);
    }

    #[test]
    fn where_the_configuration_is() {
        let fake = Fake::new();
        assert_eq!(config(fake.machine(), RELEASE), None);
        fake.write(&format!("/lib/modules/{RELEASE}/build/.config"), "b");
        assert_eq!(config(fake.machine(), RELEASE).as_deref(), Some(&b"b"[..]));
        fake.write(&format!("/boot/config-{RELEASE}"), "a");
        assert_eq!(config(fake.machine(), RELEASE).as_deref(), Some(&b"a"[..]));
    }

    #[test]
    fn what_modinfo_prints() {
        let printed = b"filename:       /lib/modules/x/updates/kmod-rs.ko\nversion:        0.1\n\
            vermagic:       7.3.4+deb13-amd64 SMP preempt mod_unload modversions \n\
            sig_id:         PKCS#7\nsigner:         my modules\n";
        assert_eq!(
            Installed::parse(printed),
            Some(installed(Some("my modules")))
        );
        let below_slash = String::from_utf8_lossy(printed).replace(" /lib", " //lib");
        assert_eq!(
            Installed::parse(below_slash.as_bytes()),
            Some(installed(Some("my modules")))
        );
        assert_eq!(Installed::parse(b"filename:       /x\n"), None);
        assert_eq!(Installed::parse(b""), None);
    }

    #[test]
    fn which_module_is_installed() {
        let installed = installed(None);
        assert_eq!(fits(RELEASE, Some(&installed), false).verdict, Verdict::Ok);
        assert!(fits("7.3.5+deb13-amd64", Some(&installed), false).is_problem());
        assert!(fits(RELEASE, None, false).is_problem());
        assert_eq!(fits(RELEASE, None, true).verdict, Verdict::Unknown);

        let fake = Fake::new();
        assert_eq!(versions(fake.machine(), &installed).verdict, Verdict::Ok);
        fake.write("/sys/module/kmod_rs/version", "0.1\n");
        assert_eq!(versions(fake.machine(), &installed).verdict, Verdict::Ok);
        fake.write("/sys/module/kmod_rs/version", "0.2\n");
        assert!(versions(fake.machine(), &installed).is_problem());
    }

    #[test]
    fn when_a_signature_is_wanted() {
        let fake = Fake::new();
        assert_eq!(enforced(fake.machine()), None);
        fake.write(SECURE_BOOT, [6, 0, 0, 0, 0]);
        assert_eq!(enforced(fake.machine()), None);
        fake.write(SECURE_BOOT, [6, 0, 0, 0, 1]);
        assert_eq!(enforced(fake.machine()), Some("Secure Boot is on"));
        // The kernel was told not to care.
        fake.write(
            "/sys/kernel/security/lockdown",
            "[none] integrity confidentiality\n",
        );
        assert_eq!(enforced(fake.machine()), None);
        fake.write(
            "/sys/kernel/security/lockdown",
            "none [integrity] confidentiality\n",
        );
        assert_eq!(enforced(fake.machine()), Some("the kernel is locked down"));
        fake.write("/sys/module/module/parameters/sig_enforce", "Y\n");
        assert_eq!(enforced(fake.machine()), Some("module.sig_enforce is set"));
    }

    #[test]
    fn whose_signature_is_taken() {
        let fake = Fake::new();
        let verdict = |signer| signature(fake.machine(), &installed(signer)).verdict;
        assert_eq!(verdict(None), Verdict::Ok);
        fake.write("/sys/module/module/parameters/sig_enforce", "Y\n");
        assert_eq!(verdict(None), Verdict::Problem);
        assert_eq!(verdict(Some("my modules")), Verdict::Unknown);
        fake.write(
            "/proc/keys",
            "0a1b I------ 1 perm 1f030000 0 0 asymmetri my modules: 6c: X509.rsa 6c []\n",
        );
        assert_eq!(verdict(Some("my modules")), Verdict::Ok);
        assert_eq!(verdict(Some("my module")), Verdict::Problem);
    }

    #[test]
    fn which_tools_are_right() {
        let gcc = Some("x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0");
        let verdict = |expected, printed: Option<&str>| {
            tool("gcc", expected, printed.map(str::as_bytes)).verdict
        };
        assert_eq!(
            verdict(gcc, Some("gcc (Debian 14.2.0-19) 14.2.0\nmore\n")),
            Verdict::Ok
        );
        assert_eq!(
            verdict(gcc, Some("gcc (Debian 12.2.0-14) 12.2.0\n")),
            Verdict::Problem
        );
        assert_eq!(verdict(gcc, None), Verdict::Problem);
        assert_eq!(verdict(None, Some("gcc")), Verdict::Unknown);
    }

    #[test]
    fn no_metadata() {
        let fake = Fake::new();
        let found = build(fake.machine(), RELEASE, "7.3", None);
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().contains("make prepare KERNEL=7.3"));
        fake.write(
            &format!("/lib/modules/{RELEASE}/build/rust/libkernel.rmeta"),
            "",
        );
        assert_eq!(
            build(fake.machine(), RELEASE, "7.3", None)[0].verdict,
            Verdict::Ok
        );
    }
}
