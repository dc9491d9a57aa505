// SPDX-License-Identifier: GPL-2.0

//! Entries of the journal, by its native protocol.
//!
//! An entry is a datagram of fields. A value without a newline is `NAME=value`; any other has its
//! length, as 8 bytes with the lowest first, between the name and the value.

use super::fields::Fields;
use super::live::Request;
use super::record::{Outcome, Record};
use super::text::Text;

/// What an entry is about. Each kind has a number of its own, by which `journalctl` and others find
/// entries: they stay the same for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Denial,
    Loop,
    Timeout,
    Failure,
}

impl Kind {
    /// Returns the kind of entry that a request with this end is written as, if it is one.
    fn of(outcome: &Outcome, has_denied_module: bool) -> Option<Self> {
        match outcome {
            Outcome::Denied | Outcome::Refused => Some(Self::Denial),
            Outcome::Loop => Some(Self::Loop),
            Outcome::Timeout => Some(Self::Timeout),
            Outcome::Exit | Outcome::Signal | Outcome::Errno | Outcome::TooLong => {
                Some(Self::Failure)
            }
            _ if has_denied_module => Some(Self::Denial),
            // Those that succeeded, or whose requester went. The helper of one that is shared has
            // an entry of its own.
            _ => None,
        }
    }

    fn message_id(self) -> &'static str {
        match self {
            Self::Denial => "6e07c1ad5bd94cd8b3a93f0e4c0c7d51",
            Self::Loop => "b1c83f2f0f7e4d0a9b6d1e5a7c2f4e92",
            Self::Timeout => "2fd44b6c8e3a4f7b8a5590d6f1b3c7e3",
            Self::Failure => "94a7d2e81b5f46c39e08c6b2d7f5a1f4",
        }
    }

    /// Returns the priority, as syslog(3) numbers them.
    fn priority(self, outcome: &Outcome) -> u8 {
        match (self, outcome) {
            (Self::Loop | Self::Timeout, _) => 3,
            // Mostly there is no such module, which is usual.
            (Self::Failure, Outcome::Exit) => 6,
            _ => 4,
        }
    }
}

/// Returns the entry for a request, or `None` if the journal need not have it.
pub(crate) fn of(request: &Request) -> Option<Vec<u8>> {
    let (line, outcome, kind) = match request {
        Request::Whole(record) => {
            let outcome = record.outcome.as_ref()?;
            let kind = Kind::of(outcome, record.denied_module.is_some())?;
            (&record.line, outcome, kind)
        }
        Request::End(end) => (&end.line, &end.outcome, Kind::of(&end.outcome, false)?),
    };
    let message = match request {
        Request::Whole(record) => message(record, outcome),
        Request::End(end) => format!("request for {}: {outcome}", end.name),
    };
    let mut entry = Vec::with_capacity(2048);
    push(&mut entry, "MESSAGE", message.as_bytes());
    push(&mut entry, "MESSAGE_ID", kind.message_id().as_bytes());
    push(
        &mut entry,
        "PRIORITY",
        kind.priority(outcome).to_string().as_bytes(),
    );
    push(&mut entry, "SYSLOG_IDENTIFIER", b"kmod-rs");
    for (key, value) in Fields::parse(line)?
        .iter()
        .filter(|(_, value)| *value != b"-")
    {
        // As the module shows it, so that all have it alike, and nothing in it does harm where the
        // journal is shown.
        let text = value
            .strip_prefix(b"\"")
            .and_then(|value| value.strip_suffix(b"\""));
        let shown = Text::unescape(text.unwrap_or(value)).to_string();
        let field = format!("KMOD_RS_{}", key.to_ascii_uppercase());
        push(&mut entry, &field, shown.as_bytes());
    }
    Some(entry)
}

fn message(record: &Record, outcome: &Outcome) -> String {
    let Record {
        name,
        comm,
        pid,
        uid,
        ..
    } = record;
    let mut message = format!("request for {name} by {comm}[{pid}] uid {uid}: {outcome}");
    let rule = record.verdict.as_ref().map(|verdict| &verdict.rule);
    match (&record.denied_module, rule) {
        (Some((module, verdict)), _) => {
            message.push_str(&format!(", module {module}, rule {}", verdict.rule));
        }
        (None, Some(rule)) => message.push_str(&format!(", rule {rule}")),
        (None, None) => (),
    }
    if *outcome == Outcome::Loop && !record.chain.is_empty() {
        let chain: Vec<_> = record.chain.iter().map(Text::to_string).collect();
        message.push_str(&format!(", {}", chain.join(" -> ")));
    }
    if let (Outcome::Exit | Outcome::Signal | Outcome::Errno, Some(result)) =
        (outcome, record.result)
    {
        message.push_str(&format!(", result {result}"));
    }
    message
}

/// Adds a field.
fn push(entry: &mut Vec<u8>, field: &str, value: &[u8]) {
    entry.extend_from_slice(field.as_bytes());
    if value.contains(&b'\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value);
    entry.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::live::End;
    use proptest::prelude::*;
    use std::time::Duration;

    /// Returns the fields of an entry, as journald takes them.
    fn fields(mut entry: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut fields = Vec::new();
        while !entry.is_empty() {
            let end = entry
                .iter()
                .position(|b| matches!(b, b'=' | b'\n'))
                .unwrap();
            let name = String::from_utf8(entry[..end].to_vec()).unwrap();
            let is_text = entry[end] == b'=';
            entry = &entry[end + 1..];
            let length = if is_text {
                entry.iter().position(|&b| b == b'\n').unwrap()
            } else {
                let (length, rest) = entry.split_first_chunk::<8>().unwrap();
                entry = rest;
                u64::from_le_bytes(*length) as usize
            };
            fields.push((name, entry[..length].to_vec()));
            assert_eq!(entry[length], b'\n');
            entry = &entry[length + 1..];
        }
        fields
    }

    fn request(name: &str, rest: &str) -> Request {
        let line = format!(
            r#"seq=1 t=1.000000 name="{name}" wait=1 pid=7 tgid=- comm="a\x0ab" uid=1000 loginuid=- userns=initial nspid=1 cgroup="/a" call_site="f" chain="x -> y" helper=- queue_us=- helper_us=- {rest} path=-"#
        );
        Request::Whole(Box::new(Record::parse(line.as_bytes()).unwrap()))
    }

    fn value(entry: &[u8], field: &str) -> String {
        let all = fields(entry);
        let (_, value) = all.iter().find(|(name, _)| name == field).unwrap();
        String::from_utf8(value.clone()).unwrap()
    }

    #[test]
    fn a_denial() {
        let denied = request(
            "net-pf-9",
            r#"outcome=denied result=256 modules=- policy=denied rule="autoload_mode 1""#,
        );
        let entry = of(&denied).unwrap();
        let names: Vec<_> = fields(&entry).into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            names.join(" "),
            "MESSAGE MESSAGE_ID PRIORITY SYSLOG_IDENTIFIER KMOD_RS_SEQ KMOD_RS_T KMOD_RS_NAME KMOD_RS_WAIT KMOD_RS_PID KMOD_RS_COMM KMOD_RS_UID KMOD_RS_USERNS KMOD_RS_NSPID KMOD_RS_CGROUP KMOD_RS_CALL_SITE KMOD_RS_CHAIN KMOD_RS_OUTCOME KMOD_RS_RESULT KMOD_RS_POLICY KMOD_RS_RULE"
        );
        assert_eq!(
            value(&entry, "MESSAGE"),
            r"request for net-pf-9 by a\x0ab[7] uid 1000: denied, rule autoload_mode 1"
        );
        assert_eq!(value(&entry, "KMOD_RS_COMM"), r"a\x0ab");
        assert_eq!(value(&entry, "PRIORITY"), "4");
    }

    #[test]
    fn what_has_an_entry() {
        for (outcome, expected) in [
            ("denied", Some("4")),
            ("refused", Some("4")),
            ("loop", Some("3")),
            ("timeout", Some("3")),
            ("exit", Some("6")),
            ("signal", Some("4")),
            ("errno", Some("4")),
            ("toolong", Some("4")),
            ("loaded", None),
            ("shared", None),
            ("killed", None),
            ("started", None),
            ("kept", None),
            ("off", None),
            ("nothing", None),
            ("newer", None),
        ] {
            let entry = of(&request(
                "a",
                &format!("outcome={outcome} result=1 modules=-"),
            ));
            let priority = entry.map(|entry| value(&entry, "PRIORITY"));
            assert_eq!(priority.as_deref(), expected, "{outcome}");
        }
    }

    #[test]
    fn messages() {
        let message = |rest| value(&of(&request("a", rest)).unwrap(), "MESSAGE");
        let start = r"request for a by a\x0ab[7] uid 1000: ";
        assert_eq!(
            message("outcome=loop result=-40 modules=-"),
            format!("{start}loop, x -> y")
        );
        assert_eq!(
            message("outcome=exit result=256 modules=-"),
            format!("{start}exit, result 256")
        );
        assert_eq!(
            message(
                r#"outcome=loaded result=0 modules="m" denied_module="n" module_policy=denied module_rule="autoload_deny n""#
            ),
            format!("{start}loaded, module n, rule autoload_deny n")
        );
    }

    #[test]
    fn one_whose_beginning_was_not_seen() {
        let end = |outcome| {
            Request::End(Box::new(End {
                seq: 1,
                time: Duration::ZERO,
                name: "a".into(),
                outcome,
                result: 256,
                queue: None,
                helper_time: None,
                line: br#"seq=1 name="a" outcome=exit"#.to_vec(),
            }))
        };
        let entry = of(&end(Outcome::Exit)).unwrap();
        assert_eq!(value(&entry, "MESSAGE"), "request for a: exit");
        assert_eq!(value(&entry, "KMOD_RS_NAME"), "a");
        assert!(of(&end(Outcome::Loaded)).is_none());
    }

    proptest! {
        #[test]
        fn any_value_comes_back(values: Vec<Vec<u8>>) {
            let mut entry = Vec::new();
            for value in &values {
                push(&mut entry, "FIELD", value);
            }
            let back: Vec<_> = fields(&entry).into_iter().map(|(_, value)| value).collect();
            prop_assert_eq!(back, values);
        }

        #[test]
        fn no_byte_of_a_user_gets_in_raw(name in r#"[^"\n]{0,40}"#) {
            let entry = of(&request(&name, "outcome=exit result=256 modules=-")).unwrap();
            prop_assert!(entry.iter().all(|b| matches!(b, b'\n' | b' '..=b'~')), "{entry:?}");
        }
    }
}
