// SPDX-License-Identifier: GPL-2.0

//! Requests as they happen: trace events joined to records.

use super::event::{Event, Kind};
use super::fields::Fields;
use super::history::Seconds;
use super::record::{Outcome, Record};
use super::text::Text;
use std::collections::BTreeMap;
use std::time::Duration;

/// How many requests that have begun are remembered. Those whose end was lost never end, so the
/// oldest are forgotten. As many as this are hardly in flight.
const MOST: usize = 1 << 16;

/// The keys of a record that are known when the request begins, in the order of the guide.
const AT_BEGIN: [&str; 14] = [
    "seq",
    "t",
    "name",
    "wait",
    "pid",
    "tgid",
    "comm",
    "uid",
    "loginuid",
    "userns",
    "nspid",
    "cgroup",
    "call_site",
    "chain",
];

/// A request that has returned.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// What a record has of it, as far as events tell: there is no `tgid`, and nothing of what
    /// would have been denied.
    Whole(Box<Record>),
    /// Its beginning was not seen.
    End(Box<End>),
}

impl Request {
    /// Returns all that is known, as pairs in a line.
    pub(crate) fn line(&self) -> &[u8] {
        match self {
            Self::Whole(record) => &record.line,
            Self::End(end) => &end.line,
        }
    }

    /// Returns the number of the request.
    pub(crate) fn seq(&self) -> u64 {
        match self {
            Self::Whole(record) => record.seq,
            Self::End(end) => end.seq,
        }
    }
}

/// The end of a request.
#[derive(Clone, Debug)]
pub(crate) struct End {
    /// The number of the request.
    pub(crate) seq: u64,
    /// When it returned, since boot by CLOCK_MONOTONIC.
    pub(crate) time: Duration,
    pub(crate) name: Text,
    pub(crate) outcome: Outcome,
    pub(crate) result: i64,
    pub(crate) queue: Option<Duration>,
    pub(crate) helper_time: Option<Duration>,
    /// The event, without its name.
    pub(crate) line: Vec<u8>,
}

/// Joins events into requests.
#[derive(Debug, Default)]
pub(crate) struct Joiner {
    /// By the number of the request.
    begun: BTreeMap<u64, Begun>,
}

/// What is known of a request that has not returned. The values stand as in the events.
#[derive(Debug, Default)]
struct Begun {
    /// What a record begins with, up to the last key of [`AT_BEGIN`]; empty if it is not known.
    line: Vec<u8>,
    /// The names of the modules that have appeared.
    modules: Vec<u8>,
    /// The rule of the firewall that has denied the request.
    rule: Option<Vec<u8>>,
    /// The first module that was denied, and the rule.
    denied_module: Option<(Vec<u8>, Vec<u8>)>,
}

impl Joiner {
    /// Takes the record of a request that is in flight, which may have begun before the first event.
    pub(crate) fn in_flight(&mut self, record: &Record) {
        let Some(fields) = Fields::parse(&record.line) else {
            return;
        };
        let begun = self.begun.entry(record.seq).or_default();
        if begun.line.is_empty() {
            for key in AT_BEGIN {
                push(&mut begun.line, key, fields.raw(key).unwrap_or(b"-"));
            }
        }
    }

    /// Takes an event. Returns the request if it has returned.
    pub(crate) fn event(&mut self, event: &Event<'_>) -> Option<Request> {
        if event.kind == Kind::End {
            let begun = self.begun.remove(&event.seq).unwrap_or_default();
            return begun.end(event);
        }
        if !self.begun.contains_key(&event.seq) && self.begun.len() >= MOST {
            self.begun.pop_first();
        }
        self.begun.entry(event.seq).or_default().add(event);
        None
    }
}

impl Begun {
    /// Takes an event that is not the end.
    fn add(&mut self, event: &Event<'_>) {
        let raw = |key| event.fields.raw(key);
        match event.kind {
            Kind::Begin => self.begin(event),
            Kind::Denied => {
                let Some(rule) = raw("rule") else {
                    return;
                };
                // "RULE, module MODULE". Neither has a blank after a comma.
                const MODULE: &[u8] = b", module ";
                let at = rule.windows(MODULE.len()).rposition(|part| part == MODULE);
                match (at, rule.strip_suffix(b"\"")) {
                    (Some(at), Some(text)) => {
                        let rule = [&rule[..at], b"\""].concat();
                        self.denied_module =
                            Some((text[at + MODULE.len()..].to_vec(), rule.clone()));
                        self.rule = Some(rule);
                    }
                    _ => self.rule = Some(rule.to_vec()),
                }
            }
            Kind::ModuleLoaded => {
                if let Some(module) = raw("module") {
                    if !self.modules.is_empty() {
                        self.modules.push(b' ');
                    }
                    self.modules.extend_from_slice(module);
                }
            }
            Kind::ModuleDenied => {
                if let (None, Some(module), Some(rule)) =
                    (&self.denied_module, raw("module"), raw("rule"))
                {
                    self.denied_module = Some((module.to_vec(), rule.to_vec()));
                }
            }
            // The end says it again.
            Kind::Loop | Kind::Timeout | Kind::End => (),
        }
    }

    fn begin(&mut self, event: &Event<'_>) {
        *self = Self::default();
        let line = &mut self.line;
        for key in AT_BEGIN {
            match key {
                "t" => push(line, key, Seconds(event.time).to_string().as_bytes()),
                "pid" => push(line, key, event.pid.to_string().as_bytes()),
                _ => push(line, key, known(&event.fields, key, b"-1")),
            }
        }
    }

    /// Returns the request that ends with this event.
    fn end(mut self, event: &Event<'_>) -> Option<Request> {
        let fields = &event.fields;
        if self.line.is_empty() {
            let micros = |key| fields.number(key).map(Duration::from_micros);
            return Some(Request::End(Box::new(End {
                seq: event.seq,
                time: event.time,
                name: fields.text("name")?,
                outcome: fields.word("outcome").map(Outcome::parse)?,
                result: fields.number("result")?,
                queue: micros("queue_us"),
                helper_time: micros("helper_us"),
                line: line_of(fields),
            })));
        }
        let line = &mut self.line;
        push(line, "helper", known(fields, "helper", b"0"));
        push(line, "queue_us", known(fields, "queue_us", b"-1"));
        push(line, "helper_us", known(fields, "helper_us", b"-1"));
        push(line, "outcome", fields.raw("outcome")?);
        push(line, "result", fields.raw("result")?);
        if self.modules.is_empty() {
            push(line, "modules", b"-");
        } else {
            push(line, "modules", &[b"\"", &self.modules[..], b"\""].concat());
        }
        if let Some(rule) = &self.rule {
            push(line, "policy", b"denied");
            push(line, "rule", rule);
        }
        push(line, "path", fields.raw("path").unwrap_or(b"-"));
        if let Some((module, rule)) = &self.denied_module {
            push(line, "denied_module", &[b"\"", &module[..], b"\""].concat());
            push(line, "module_policy", b"denied");
            push(line, "module_rule", rule);
        }
        Some(Request::Whole(Box::new(Record::parse(line)?)))
    }
}

/// Adds a key and a value to a line.
fn push(line: &mut Vec<u8>, key: &str, value: &[u8]) {
    if !line.is_empty() {
        line.push(b' ');
    }
    line.extend_from_slice(key.as_bytes());
    line.push(b'=');
    line.extend_from_slice(value);
}

/// Returns a value of an event as a record has it: `unknown` stands for one that is not known.
fn known<'a>(fields: &Fields<'a>, key: &str, unknown: &[u8]) -> &'a [u8] {
    fields
        .raw(key)
        .filter(|value| *value != unknown)
        .unwrap_or(b"-")
}

/// Returns the line that the fields were parsed from.
fn line_of(fields: &Fields<'_>) -> Vec<u8> {
    let mut line = Vec::new();
    for (key, value) in fields.iter() {
        push(&mut line, key, value);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Item, Splitter};
    use crate::model::record::{Policy, Verdict};
    use proptest::prelude::*;

    const BEGIN: &str = r#"request_begin: seq=1 name="fs-xfs" wait=1 comm="a\x22b" uid=1000 loginuid=-1 userns=other nspid=7 cgroup="/a" call_site="f+0x1" chain="x -> fs-xfs""#;
    const END: &str = r#"request_end: seq=1 name="fs-xfs" outcome=loaded result=0 helper=129 queue_us=334 helper_us=-1 path="/sbin/modprobe""#;

    /// Returns the requests that have returned after these events, each by a task with ID 42, one a
    /// second.
    fn requests(joiner: &mut Joiner, events: &[&str]) -> Vec<Request> {
        let mut requests = Vec::new();
        let mut splitter = Splitter::default();
        for (second, event) in events.iter().enumerate() {
            let line = format!("            task-42      [000] {second:>5}.000001: {event}\n");
            splitter.feed(line.as_bytes(), |item| {
                if let Item::Event(event) = item {
                    requests.extend(joiner.event(&event));
                }
            });
        }
        requests
    }

    fn record(events: &[&str]) -> Record {
        match &requests(&mut Joiner::default(), events)[..] {
            [Request::Whole(record)] => *record.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_whole_request() {
        let record = record(&[
            BEGIN,
            r#"module_loaded: seq=1 name="fs-xfs" module=libcrc32c"#,
            r#"module_loaded: seq=1 name="fs-xfs" module=xfs"#,
            END,
        ]);
        assert_eq!(
            String::from_utf8(record.line).unwrap(),
            r#"seq=1 t=0.000001 name="fs-xfs" wait=1 pid=42 tgid=- comm="a\x22b" uid=1000 loginuid=- userns=other nspid=7 cgroup="/a" call_site="f+0x1" chain="x -> fs-xfs" helper=129 queue_us=334 helper_us=- outcome=loaded result=0 modules="libcrc32c xfs" path="/sbin/modprobe""#
        );
    }

    #[test]
    fn a_denied_one() {
        let end = END.replace("loaded", "denied").replace("=129", "=0");
        let denied = |rule: &str| {
            let event = format!(r#"request_denied: seq=1 name="fs-xfs" result=256 rule={rule}"#);
            record(&[BEGIN, &event, &end])
        };
        let verdict = || Verdict {
            policy: Policy::Denied,
            rule: "autoload_deny x*".into(),
        };
        let by_name = denied(r#""autoload_deny x*""#);
        assert_eq!(by_name.verdict, Some(verdict()));
        assert_eq!(by_name.denied_module, None);
        let by_module = denied(r#""autoload_deny x*, module xfs""#);
        assert_eq!(by_module.verdict, Some(verdict()));
        assert_eq!(by_module.denied_module, Some(("xfs".into(), verdict())));
        let by_a_security_module = denied("-");
        assert_eq!(by_a_security_module.verdict, None);
        assert_eq!(by_a_security_module.outcome, Some(Outcome::Denied));
        assert_eq!(by_a_security_module.helper, None);
    }

    #[test]
    fn a_refused_one() {
        let record = record(&[
            BEGIN,
            r#"module_denied: seq=1 name="fs-xfs" module=a rule="autoload_deny a""#,
            r#"module_denied: seq=1 name="fs-xfs" module=b rule="autoload_deny b""#,
            END,
        ]);
        assert_eq!(
            record.denied_module.map(|(module, _)| module),
            Some("a".into())
        );
        assert_eq!(record.verdict, None);
    }

    #[test]
    fn what_began_before_has_what_the_end_says() {
        let loaded = r#"module_loaded: seq=1 name="fs-xfs" module=xfs"#;
        match &requests(&mut Joiner::default(), &[loaded, END])[..] {
            [Request::End(end)] => {
                assert_eq!((end.seq, end.time.as_secs()), (1, 1));
                assert_eq!(end.line, END["request_end: ".len()..].as_bytes());
                assert_eq!(end.helper_time, None);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn unless_it_was_seen_in_flight() {
        let in_flight = br#"seq=1 t=6.095587 name="fs-xfs" wait=1 pid=128 tgid=127 comm="mount" uid=0 loginuid=- userns=initial nspid=128 cgroup="/" call_site="f" chain=- helper=129 queue_us=334 helper_us=- outcome=- result=- modules=- path="/sbin/modprobe""#;
        let mut joiner = Joiner::default();
        joiner.in_flight(&Record::parse(in_flight).unwrap());
        match &requests(&mut joiner, &[END])[..] {
            [Request::Whole(record)] => {
                assert_eq!((record.pid, record.time.as_secs()), (128, 6));
                assert_eq!(record.outcome, Some(Outcome::Loaded));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn requests_without_an_end_do_not_fill_the_memory() {
        let mut joiner = Joiner::default();
        let mut splitter = Splitter::default();
        for seq in 1..=MOST + 10 {
            let event = format!(
                "            task-42      [000] 1.000001: module_loaded: seq={seq} module=a\n"
            );
            splitter.feed(event.as_bytes(), |item| {
                if let Item::Event(event) = item {
                    joiner.event(&event);
                }
            });
        }
        assert_eq!(joiner.begun.len(), MOST);
        assert!(!joiner.begun.contains_key(&10));
    }

    proptest! {
        #[test]
        fn each_end_is_a_request_whatever_comes_before(
            events in prop::collection::vec(
                (1..5u64, prop::sample::select(vec![
                    "request_begin: seq=@ name=\"a\" wait=1 comm=\"c\" uid=0 loginuid=5 userns=initial nspid=1 cgroup=\"/\" call_site=\"f\" chain=-",
                    "request_end: seq=@ name=\"a\" outcome=exit result=256 helper=2 queue_us=1 helper_us=2 path=-",
                    "request_denied: seq=@ name=\"a\" result=256 rule=\"r, module m\"",
                    "module_loaded: seq=@ name=\"a\" module=m",
                    "module_denied: seq=@ name=\"a\" module=m rule=\"r\"",
                ])),
                0..40,
            ),
        ) {
            let events: Vec<_> = events
                .iter()
                .map(|(seq, event)| event.replace('@', &seq.to_string()))
                .collect();
            let events: Vec<_> = events.iter().map(String::as_str).collect();
            let ends = events.iter().filter(|event| event.starts_with("request_end")).count();
            let mut joiner = Joiner::default();
            let requests = requests(&mut joiner, &events);
            prop_assert_eq!(requests.len(), ends);
        }
    }
}
