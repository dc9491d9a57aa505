// SPDX-License-Identifier: GPL-2.0

//! The record of a request, as `recent` and `inflight` have it in a line.

use super::fields::Fields;
use super::text::Text;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// The record of a request.
///
/// Documentation/admin-guide.rst says what each key means. What the module does not know is `None`.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// The number of the request.
    pub(crate) seq: u64,
    /// When the request began, since boot by CLOCK_MONOTONIC.
    pub(crate) time: Duration,
    pub(crate) name: Text,
    /// Whether the request waits for its helper.
    pub(crate) waits: bool,
    pub(crate) pid: u32,
    pub(crate) comm: Text,
    pub(crate) uid: u32,
    pub(crate) loginuid: Option<u32>,
    /// Whether the requester is in the initial user namespace.
    pub(crate) is_in_initial_userns: bool,
    pub(crate) cgroup: Option<Text>,
    pub(crate) call_site: Option<Text>,
    /// The names of a nested request's chain, the outermost first and its own last; else empty.
    pub(crate) chain: Vec<Text>,
    /// The process ID of the helper.
    pub(crate) helper: Option<u32>,
    pub(crate) queue: Option<Duration>,
    pub(crate) helper_time: Option<Duration>,
    /// How the request ended; `None` while it is in flight.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) result: Option<i64>,
    /// The names of the modules that appeared.
    pub(crate) modules: Vec<Text>,
    /// How many more appeared.
    pub(crate) more_modules: u64,
    /// What the firewall decided, and why, if it was asked.
    pub(crate) verdict: Option<Verdict>,
    pub(crate) path: Option<Text>,
    /// The first module that the firewall did not let the helper load, and why.
    pub(crate) denied_module: Option<(Text, Verdict)>,
    /// The line, with keys that this program does not know.
    pub(crate) line: Vec<u8>,
}

/// What the firewall decided, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) policy: Policy,
    pub(crate) rule: Text,
}

impl Verdict {
    /// Returns the verdict that a line has with these keys.
    pub(crate) fn parse(fields: &Fields<'_>, policy: &str, rule: &str) -> Option<Self> {
        Some(Self {
            policy: Policy::parse(fields.word(policy)?)?,
            rule: fields.text(rule)?,
        })
    }
}

/// What the firewall decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Allowed,
    Denied,
    WouldBeDenied,
}

impl Policy {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "allowed" => Some(Self::Allowed),
            "denied" => Some(Self::Denied),
            "would-be-denied" => Some(Self::WouldBeDenied),
            _ => None,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::WouldBeDenied => "would be denied",
        })
    }
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Outcome {
    Loaded,
    Exit,
    Signal,
    Errno,
    Denied,
    Shared,
    Loop,
    Timeout,
    Killed,
    Started,
    Kept,
    Off,
    TooLong,
    Nothing,
    Refused,
    Remembered,
    /// An outcome of a newer module.
    Other(Text),
}

impl Outcome {
    /// All that are known, in the order of the guide, with their words.
    pub(crate) const ALL: [(Self, &'static str); 16] = [
        (Self::Loaded, "loaded"),
        (Self::Exit, "exit"),
        (Self::Signal, "signal"),
        (Self::Errno, "errno"),
        (Self::Denied, "denied"),
        (Self::Shared, "shared"),
        (Self::Loop, "loop"),
        (Self::Timeout, "timeout"),
        (Self::Killed, "killed"),
        (Self::Started, "started"),
        (Self::Kept, "kept"),
        (Self::Off, "off"),
        (Self::TooLong, "toolong"),
        (Self::Nothing, "nothing"),
        (Self::Refused, "refused"),
        (Self::Remembered, "remembered"),
    ];

    /// Returns the outcome that a word stands for.
    pub(crate) fn parse(word: &str) -> Self {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == word)
            .map_or_else(|| Self::Other(word.into()), |(outcome, _)| outcome.clone())
    }

    /// Returns the word that stands for the outcome.
    pub(crate) fn word(&self) -> Cow<'static, str> {
        match self {
            Self::Other(word) => word.to_string().into(),
            _ => (Self::ALL.iter().find(|(outcome, _)| outcome == self))
                .map_or("", |(_, word)| *word)
                .into(),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.word())
    }
}

impl Record {
    /// Returns the record in a whole line, of which [`super::lines`] has taken the newline.
    ///
    /// Returns `None` if it is no record: a key is missing that every version has.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let fields = Fields::parse(line)?;
        let mut modules = fields.texts("modules", " ").unwrap_or_default();
        let more_modules = modules
            .last()
            .and_then(|last| last.as_bytes().strip_prefix(b"+"))
            .and_then(|number| std::str::from_utf8(number).ok()?.parse().ok());
        if more_modules.is_some() {
            modules.pop();
        }

        Some(Self {
            seq: fields.number("seq")?,
            time: parse_seconds(fields.word("t")?)?,
            name: fields.text("name")?,
            waits: fields.word("wait")? == "1",
            pid: fields.number("pid")?,
            comm: fields.text("comm")?,
            uid: fields.number("uid")?,
            loginuid: fields.number("loginuid"),
            is_in_initial_userns: fields.word("userns")? == "initial",
            cgroup: fields.text("cgroup"),
            call_site: fields.text("call_site"),
            chain: fields.texts("chain", " -> ").unwrap_or_default(),
            helper: fields.number("helper"),
            queue: fields.number("queue_us").map(Duration::from_micros),
            helper_time: fields.number("helper_us").map(Duration::from_micros),
            outcome: fields.word("outcome").map(Outcome::parse),
            result: fields.number("result"),
            modules,
            more_modules: more_modules.unwrap_or_default(),
            verdict: Verdict::parse(&fields, "policy", "rule"),
            path: fields.text("path"),
            denied_module: fields.text("denied_module").zip(Verdict::parse(
                &fields,
                "module_policy",
                "module_rule",
            )),
            line: line.to_vec(),
        })
    }

    /// Returns whether the request was denied, or would have been, by its name or by a module's.
    pub(crate) fn is_denial(&self) -> bool {
        let is_denial = |verdict: &Verdict| verdict.policy != Policy::Allowed;
        self.outcome == Some(Outcome::Denied)
            || self.verdict.as_ref().is_some_and(is_denial)
            || self
                .denied_module
                .as_ref()
                .is_some_and(|(_, v)| is_denial(v))
    }

    /// Returns how long the request was in the queue and its helper ran, as far as this is known.
    pub(crate) fn took(&self) -> Option<Duration> {
        match (self.queue, self.helper_time) {
            (Some(queue), Some(helper)) => Some(queue.saturating_add(helper)),
            (queue, helper) => queue.or(helper),
        }
    }

    /// Returns when the request returned or its helper ended, as far as this is known.
    pub(crate) fn end(&self) -> Duration {
        self.time.saturating_add(self.took().unwrap_or_default())
    }
}

/// Returns the time that `S.UUUUUU` stands for.
pub(crate) fn parse_seconds(text: &str) -> Option<Duration> {
    let (seconds, micros) = text.split_once('.')?;
    if micros.len() != 6 || !micros.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(Duration::from_secs(seconds.parse().ok()?) + Duration::from_micros(micros.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &[u8] = br#"seq=1 t=6.095587 name="fs-xfs" wait=1 pid=128 tgid=128 comm="mount" uid=0 loginuid=- userns=initial nspid=128 cgroup="/" call_site="get_fs_type+0x8d/0x100" chain=- helper=129 queue_us=334 helper_us=2266372 outcome=loaded result=0 modules="xfs libcrc32c +3" path="/sbin/modprobe""#;

    #[test]
    fn a_whole_line() {
        let record = Record::parse(LINE).unwrap();
        assert_eq!(record.name, "fs-xfs".into());
        assert_eq!(record.time, Duration::from_micros(6_095_587));
        assert_eq!(record.loginuid, None);
        assert_eq!(record.outcome, Some(Outcome::Loaded));
        assert_eq!(record.modules, ["xfs".into(), "libcrc32c".into()]);
        assert_eq!(record.more_modules, 3);
        assert!(!record.is_denial());
    }
}
