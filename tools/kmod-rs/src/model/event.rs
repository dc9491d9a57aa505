// SPDX-License-Identifier: GPL-2.0

//! Trace events, as a `trace_pipe` has them.
//!
//! ```text
//!            mount-128     [000]     6.271508: request_begin: seq=1 name="fs-xfs" wait=1 ...
//! CPU:1 [LOST 12 EVENTS]
//! ```
//!
//! The kernel shows the name of the task as it is, and a task can give itself any name, with
//! newlines and with what looks like an event. But a name has at most 15 bytes, and its column has
//! 16. So an event begins with a blank, nothing in its first 16 bytes is looked at, and it ends
//! with the next newline: the module escapes those in its own texts. All that is not an event
//! begins with something else.

use super::fields::Fields;
use super::record::parse_seconds;
use std::str;
use std::time::Duration;

/// The width of the column with the name of the task: TASK_COMM_LEN.
const COLUMN: usize = 16;

/// No event is as long as this, in bytes: an event fits into a page.
const TOO_LONG: usize = 64 << 10;

/// The events of the group kmod_rs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Begin,
    End,
    Denied,
    Loop,
    Timeout,
    ModuleLoaded,
    ModuleDenied,
}

impl Kind {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "request_begin" => Self::Begin,
            "request_end" => Self::End,
            "request_denied" => Self::Denied,
            "request_loop" => Self::Loop,
            "request_timeout" => Self::Timeout,
            "module_loaded" => Self::ModuleLoaded,
            "module_denied" => Self::ModuleDenied,
            _ => return None,
        })
    }
}

/// A trace event of a request.
#[derive(Clone, Debug)]
pub(crate) struct Event<'a> {
    pub(crate) kind: Kind,
    /// When it happened, by the clock of the trace.
    pub(crate) time: Duration,
    /// The process ID of the task in which it happened, in the initial namespace.
    pub(crate) pid: u32,
    /// The number of the request.
    pub(crate) seq: u64,
    pub(crate) fields: Fields<'a>,
}

/// What a `trace_pipe` tells.
#[derive(Clone, Debug)]
pub(crate) enum Item<'a> {
    Event(Event<'a>),
    /// Events were lost, as they were not read in time: how many, if the kernel knows.
    Lost(Option<u64>),
}

/// Cuts what is read from a `trace_pipe` into items.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    /// The beginning of an item whose end has not been read.
    rest: Vec<u8>,
}

impl Splitter {
    /// Takes the next bytes, and calls `take` for each item that ends in them.
    ///
    /// What is neither an event of kmod_rs nor a report of lost ones is passed over.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(Item<'_>)) {
        self.rest.extend_from_slice(bytes);
        let mut items = &self.rest[..];
        while let Some(end) = end_of_item(items) {
            if let Some(item) = parse(&items[..end]) {
                take(item);
            }
            items = &items[end + 1..];
        }
        if items.len() > TOO_LONG {
            items = &[];
        }
        let done = self.rest.len() - items.len();
        self.rest.drain(..done);
    }
}

/// Returns where the newline is that ends the first item, or `None` if it has not been read yet.
fn end_of_item(bytes: &[u8]) -> Option<usize> {
    let newline_from =
        |start: usize| Some(start + bytes[start..].iter().position(|&b| b == b'\n')?);
    match (bytes.first()?, bytes.get(COLUMN)) {
        (b' ', Some(b'-')) => newline_from(COLUMN),
        // It may still become an event.
        (b' ', None) => None,
        _ => newline_from(0),
    }
}

fn parse(item: &[u8]) -> Option<Item<'_>> {
    if item.first() == Some(&b' ') {
        return parse_event(item).map(Item::Event);
    }
    let lost = str::from_utf8(item.strip_prefix(b"CPU:")?).ok()?;
    let (_, lost) = lost.split_once(" [LOST ")?;
    match lost.strip_suffix("EVENTS]")? {
        "" => Some(Item::Lost(None)),
        number => Some(Item::Lost(Some(number.trim_end().parse().ok()?))),
    }
}

fn parse_event(item: &[u8]) -> Option<Event<'_>> {
    let event = str::from_utf8(item.get(COLUMN..)?).ok()?;
    let (pid, event) = event.strip_prefix('-')?.split_once(' ')?;
    let (_, event) = event.split_once("] ")?;
    let (time, event) = event.split_once(": ")?;
    let (name, fields) = event.split_once(": ")?;
    let fields = Fields::parse(fields.as_bytes())?;
    Some(Event {
        kind: Kind::parse(name)?,
        // Flags may come before the time.
        time: parse_seconds(time.rsplit(' ').next()?)?,
        pid: pid.parse().ok()?,
        seq: fields.number("seq")?,
        fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIELDS: &str = r#"seq=7 name="exit-0" outcome=exit result=256 helper=12 queue_us=3 helper_us=-1 path="/sbin/modprobe""#;

    /// Returns an event of a task with this name, as the kernel shows it.
    fn event_of(comm: &[u8]) -> Vec<u8> {
        let mut event = vec![b' '; COLUMN - comm.len()];
        event.extend_from_slice(comm);
        event.extend_from_slice(b"-123     [001]     6.000271: request_end: ");
        event.extend_from_slice(FIELDS.as_bytes());
        event.push(b'\n');
        event
    }

    /// Returns what is in the bytes, fed in pieces of `size` bytes: the sequence number and the
    /// process ID of each event, and the number of lost events.
    fn items(bytes: &[u8], size: usize) -> Vec<(u64, u32)> {
        let mut splitter = Splitter::default();
        let mut items = Vec::new();
        for piece in bytes.chunks(size) {
            splitter.feed(piece, |item| {
                items.push(match item {
                    Item::Event(event) => (event.seq, event.pid),
                    Item::Lost(number) => (number.unwrap_or_default(), 0),
                });
            });
        }
        items
    }

    #[test]
    fn an_event() {
        let mut splitter = Splitter::default();
        let mut seen = 0;
        splitter.feed(&event_of(b"mount"), |item| {
            let Item::Event(event) = item else {
                panic!("{item:?}");
            };
            assert_eq!(event.kind, Kind::End);
            assert_eq!(event.time, Duration::from_micros(6_000_271));
            assert_eq!(event.fields.word("outcome"), Some("exit"));
            seen += 1;
        });
        assert_eq!(seen, 1);
    }

    #[test]
    fn with_the_flags_that_another_reader_has_left_on() {
        let event = b"           mount-128     [000] d..1.     6.271508: request_loop: seq=1\n";
        assert_eq!(items(event, 1000), [(1, 128)]);
    }

    #[test]
    fn lost_events() {
        assert_eq!(
            items(b"CPU:1 [LOST 12 EVENTS]\nCPU:10 [LOST EVENTS]\n", 1000),
            [(12, 0), (0, 0)]
        );
    }

    #[test]
    fn what_is_no_event_is_passed_over() {
        let mut bytes = event_of(b"a");
        bytes.extend_from_slice(b"[LINE TOO BIG]\n <stack trace>\n\n =>    a_function+0x1\n");
        bytes.extend_from_slice(b"##### CPU 1 buffer started ####\n");
        bytes.extend_from_slice(b"           mount-128     [000]     6.271508: other: seq=1\n");
        bytes.extend(event_of(b"b"));
        assert_eq!(items(&bytes, 1000), [(7, 123), (7, 123)]);
    }

    #[test]
    fn a_task_cannot_forge_an_event() {
        for comm in [
            "\n: request_end:",
            "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
            "CPU:0 [LOST 9",
            "\nCPU:1 [LOST E",
            "-1 [0] 1.000000",
            ": ",
        ] {
            let mut bytes = event_of(comm.as_bytes());
            bytes.extend(event_of(b"last"));
            assert_eq!(items(&bytes, 1000), [(7, 123), (7, 123)], "{comm:?}");
        }
    }

    #[test]
    fn text_without_an_end_does_not_fill_the_memory() {
        let mut splitter = Splitter::default();
        for _ in 0..100 {
            splitter.feed(&[b'x'; 4096], |_| panic!("not an item"));
        }
        assert!(splitter.rest.len() <= TOO_LONG);
    }

    proptest! {
        #[test]
        fn any_name_of_a_task_in_any_pieces(
            comm in prop::collection::vec(1..=255u8, 0..COLUMN),
            size in 1..200usize,
        ) {
            let mut bytes = event_of(&comm);
            bytes.extend_from_slice(b"CPU:1 [LOST 12 EVENTS]\n");
            bytes.extend(event_of(&comm));
            prop_assert_eq!(items(&bytes, size), [(7, 123), (12, 0), (7, 123)]);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, size in 1..200usize) {
            items(&bytes, size);
        }

        #[test]
        fn nor_do_those_that_look_like_events(
            bytes in r#"( {15}a-[0-9]{1,9} \[[0-9]{3}\] [0-9]{0,5}\.[0-9]{5,7}: (request_end|request_begin|x): (seq|name)=("?[a-z"]{0,3}"?|[0-9]{0,25})\n?|CPU:[0-9] \[LOST [0-9]{0,25} ?EVENTS\]\n?){0,4}"#,
        ) {
            items(bytes.as_bytes(), 1000);
        }
    }
}
