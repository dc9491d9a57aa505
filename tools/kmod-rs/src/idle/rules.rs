// SPDX-License-Identifier: GPL-2.0

//! Which modules may go, as `/etc/kmod-rs/autoclean.conf` says.

use super::modules::normal;
use crate::cli::Times;
use crate::conf;
use crate::failure::{Failure, Result, Status};
use crate::machine::Machine;
use crate::model::pattern::{folded, Pattern};
use crate::view::Shown;
use std::fs;
use std::io;
use std::time::Duration;

/// The file of the administrator.
pub(crate) const FILE: &str = "/etc/kmod-rs/autoclean.conf";

/// The names of requests for modules that say by their reference count whether they are used.
///
/// The families of sockets that are left out have routes, addresses or links that stay when the
/// last socket is closed, and do not count; btrfs knows which devices belong together, which
/// nobody tells it again.
const CLASSES: &str = "fs-* nls_* crypto-* algif-* tty-ldisc-* net-pf-* !fs-btrfs !net-pf-3 \
    !net-pf-5 !net-pf-6 !net-pf-9 !net-pf-11 !net-pf-28 !net-pf-30 !net-pf-35 !net-pf-43";

/// Names that no file can add: the families without which a machine does not work, or that have
/// rules for packets.
const NEVER_NAMES: [&str; 5] = [
    "net-pf-1",
    "net-pf-2",
    "net-pf-10",
    "net-pf-16",
    "net-pf-17",
];

/// Modules that no file can add. Rules for packets, bridges, traffic control and sound do not count
/// as uses: a table that drops all packets has a reference count of 0.
const NEVER_MODULES: &str = "nf_* nft_* nfnetlink* xt_* x_tables ip_tables ip6_tables arp_tables \
    iptable_* ip6table_* arptable_* ipt_* ip6t_* arpt_* ebt* ip_set* ip_vs* br_netfilter bridge \
    stp llc snd snd_* soundcore sch_* act_* cls_* em_*";

/// Which modules may go.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Modules that stay.
    keep: Vec<Pattern>,
    /// Names of requests; what is true is the opposite.
    classes: Vec<(bool, Pattern)>,
    never: Vec<Pattern>,
    /// How long a module has to be idle.
    pub(crate) idle: Duration,
    /// How far the two passes that see it so have to be apart.
    pub(crate) gap: Duration,
    /// Whether a module may go that an ordinary user would not get back.
    pub(crate) denied_may_go: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            keep: Vec::new(),
            classes: classes(CLASSES).unwrap_or_default(),
            never: patterns(NEVER_MODULES).unwrap_or_default(),
            idle: Duration::from_secs(600),
            gap: Duration::from_secs(60),
            denied_may_go: false,
        }
    }
}

impl Rules {
    /// Reads the file, if there is one. What the command line says counts more.
    pub(crate) fn read(machine: &Machine, times: &Times) -> Result<Self> {
        let mut rules = match fs::read(machine.path(FILE)) {
            Ok(content) => Self::parse(&content)
                .map_err(|said| Failure::new(Status::Error, format!("{FILE}, {said}")))?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(e) => {
                let sentence = format!("cannot read {FILE}: {e}");
                return Err(Failure::new(Status::Error, sentence));
            }
        };
        for (said, rule) in [(&times.idle, &mut rules.idle), (&times.gap, &mut rules.gap)] {
            if let Some(said) = said {
                *rule = duration(said).ok_or_else(|| {
                    let shown = Shown(said.as_bytes());
                    let sentence = format!("{shown} is no time: use 30s, 10min, 2h or 0");
                    Failure::new(Status::Usage, sentence)
                })?;
            }
        }
        Ok(rules)
    }

    fn parse(content: &[u8]) -> std::result::Result<Self, String> {
        let mut rules = Self::default();
        conf::read(content, |key, value| {
            let time = || duration(value).ok_or("this is no time, such as 10min");
            let no_pattern = "this is no list of patterns";
            match key {
                "keep" => rules.keep.extend(patterns(value).ok_or(no_pattern)?),
                "classes" => rules.classes = classes(value).ok_or(no_pattern)?,
                "idle" => rules.idle = time()?,
                "gap" => rules.gap = time()?,
                "denied" => {
                    rules.denied_may_go = match value {
                        "go" => true,
                        "stay" => false,
                        _ => return Err("denied is either \"stay\" or \"go\"".into()),
                    }
                }
                key => return Err(conf::no_key(key)),
            }
            Ok(())
        })?;
        Ok(rules)
    }

    /// Returns whether the file says that a module stays.
    pub(crate) fn keeps(&self, module: &str) -> bool {
        matches(&self.keep, module.as_bytes())
    }

    /// Returns whether modules that came for this name may go.
    pub(crate) fn has_class(&self, name: &[u8]) -> bool {
        let matches = |is_not, name: &[u8]| {
            (self.classes.iter()).any(|(is, pattern)| *is == is_not && pattern.matches(name))
        };
        // What is true of a family is true of its protocols.
        let family = family(name);
        let is_never = NEVER_NAMES
            .iter()
            .any(|it| normal(it.as_bytes()) == normal(family));
        matches(false, name) && !matches(true, name) && !matches(true, family) && !is_never
    }

    /// Returns whether a module never goes, whatever the file says.
    pub(crate) fn never(&self, module: &str) -> bool {
        matches(&self.never, module.as_bytes())
    }
}

/// Returns the part of a name that stands for a family of sockets: the first three words.
fn family(name: &[u8]) -> &[u8] {
    let mut dashes = (0..name.len()).filter(|&i| folded(name[i]) == b'_');
    match (normal(name).starts_with("net_pf_"), dashes.nth(2)) {
        (true, Some(end)) => &name[..end],
        _ => name,
    }
}

fn matches(patterns: &[Pattern], text: &[u8]) -> bool {
    patterns.iter().any(|pattern| pattern.matches(text))
}

fn patterns(list: &str) -> Option<Vec<Pattern>> {
    list.split_ascii_whitespace()
        .map(|word| Pattern::for_names(word.as_bytes()))
        .collect()
}

/// Returns the patterns, and of each whether `!` stands before it.
fn classes(list: &str) -> Option<Vec<(bool, Pattern)>> {
    list.split_ascii_whitespace()
        .map(|word| {
            let (is_not, word) = match word.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, word),
            };
            Some((is_not, Pattern::for_names(word.as_bytes())?))
        })
        .collect()
}

/// Returns the time that a text stands for: a number of seconds, or one with a unit.
fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 10] = [
        ("", 1.0),
        ("ms", 0.001),
        ("s", 1.0),
        ("sec", 1.0),
        ("m", 60.0),
        ("min", 60.0),
        ("h", 3600.0),
        ("hour", 3600.0),
        ("d", 86400.0),
        ("day", 86400.0),
    ];
    let end = text
        .find(|c: char| !matches!(c, '0'..='9' | '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit.trim())?;
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expected) in [
            ("0", Some(0)),
            ("10min", Some(600_000)),
            ("10 min", Some(600_000)),
            ("90", Some(90_000)),
            ("1.5h", Some(5_400_000)),
            ("20ms", Some(20)),
            ("1d", Some(86_400_000)),
            ("", None),
            ("min", None),
            ("-1s", None),
            ("1e3", None),
            ("1 fortnight", None),
            ("99999999999999999999d", None),
        ] {
            assert_eq!(
                duration(text),
                expected.map(Duration::from_millis),
                "{text}"
            );
        }
    }

    #[test]
    fn classes_of_names() {
        let rules = Rules::default();
        for (name, expected) in [
            ("fs-xfs", true),
            ("nls_cp437", true),
            ("crypto-md4", true),
            ("algif-hash", true),
            ("tty-ldisc-3", true),
            ("net-pf-38", true),
            ("net-pf-40-proto-1", true),
            ("net-pf-10", false),
            ("net-pf-2-proto-132", false),
            ("net_pf_16_proto_12", false),
            ("net-pf-17", false),
            ("net-pf-30", false),
            ("net-pf-3-proto-1", false),
            ("net-pf-300", true),
            ("fs-btrfs", false),
            ("iptable_filter", false),
            ("rtnl-link-dummy", false),
            ("netdev-eth0", false),
            ("xfs", false),
        ] {
            assert_eq!(rules.has_class(name.as_bytes()), expected, "{name}");
        }
        // What no file can add.
        let all = Rules::parse(b"classes = *\n").unwrap();
        assert!(all.has_class(b"xfs") && all.has_class(b"net-pf-100"));
        assert!(!all.has_class(b"net-pf-10") && !all.has_class(b"net-pf-2-proto-132"));
        assert!(all.never("iptable_filter") && all.never("snd_timer") && !all.never("xfs"));
    }

    #[test]
    fn what_the_file_says() {
        let rules = Rules::parse(
            b"# A comment.\n\n keep = xfs e?t*\nkeep=udf\nidle = 5min\ngap=0\ndenied = go\n",
        )
        .unwrap();
        assert!(rules.keeps("ext4") && rules.keeps("udf") && !rules.keeps("jfs"));
        assert_eq!(rules.idle, Duration::from_secs(300));
        assert_eq!(rules.gap, Duration::ZERO);
        assert!(rules.denied_may_go);
        for (file, said) in [
            ("x", "line 1: there is no \"KEY = VALUE\""),
            ("\nkep = x", "line 2: there is no key kep"),
            ("idle = soon", "line 1: this is no time, such as 10min"),
            ("keep = [x", "line 1: this is no list of patterns"),
            (
                "denied = yes",
                "line 1: denied is either \"stay\" or \"go\"",
            ),
        ] {
            assert_eq!(Rules::parse(file.as_bytes()).unwrap_err(), said);
        }
    }
}
