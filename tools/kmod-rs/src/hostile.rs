// SPDX-License-Identifier: GPL-2.0

//! Tests of everything that reads or shows what others chose, with random input.
//!
//! PROPTEST_CASES says how many random cases there are; `make fuzz` takes many more.

use crate::model::autoloaded::Autoload;
use crate::model::counters::Counters;
use crate::model::fields::Fields;
use crate::model::history::tests::FILE;
use crate::model::history::{History, Snapshot};
use crate::model::latency;
use crate::model::pattern::Pattern;
use crate::model::record::Record;
use crate::model::text::Text;
use crate::view::table::{Align, Cell, Table};
use crate::view::{self, json, Screen, Shown};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value};

/// Bytes, of which many mean something to a terminal, to a parser or to people.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let parts = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        prop::sample::select(vec![
            "\x1b[2J",
            "\x1b]0;x\x07",
            "\u{202e}",
            "\u{9b}",
            "\u{2066}",
            "\\x1b",
            "\\",
            "\"",
            " ",
            "=",
            "\n",
            "\r",
            "-",
            "+3",
            " -> ",
            "é",
            "\u{1f600}",
            "\u{feff}",
            "\0",
            "1.000000",
            "18446744073709551615",
            "-9223372036854775808",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        "[ -~]{0,8}".prop_map(String::into_bytes),
    ];
    vec(parts, 0..12).prop_map(|parts| parts.concat())
}

/// The keys of a record, and others.
fn key() -> impl Strategy<Value = String> {
    const KEYS: &str = "seq t name wait pid tgid comm uid loginuid userns nspid cgroup call_site \
        chain helper queue_us helper_us outcome result modules policy rule path as_uid as_userns \
        denied_module module_policy module_rule module again us_below queue schema";
    prop_oneof![
        prop::sample::select(KEYS.split_ascii_whitespace().collect::<Vec<_>>())
            .prop_map(str::to_owned),
        "[a-z_]{1,6}",
    ]
}

/// A line of pairs whose values are anything.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let word = |text: &'static str| text.prop_map(String::into_bytes);
    let value = prop_oneof![
        bytes(),
        bytes().prop_map(|bytes| [b"\"", &bytes[..], b"\""].concat()),
        word("[0-9]{1,20}"),
        word("-?[0-9]{0,20}\\.[0-9]{0,6}"),
    ];
    vec((key(), value), 0..30).prop_map(|pairs| {
        let pairs: Vec<_> = pairs
            .into_iter()
            .map(|(key, value)| [key.as_bytes(), b"=", &value].concat())
            .collect();
        pairs.join(&b' ')
    })
}

/// What the module writes of bytes that somebody chose.
fn escaped(bytes: &[u8]) -> String {
    Shown(bytes)
        .to_string()
        .replace('"', "\\x22")
        .replace(' ', "\\x20")
}

/// The line of a record that has all that somebody can choose.
fn record_line(chosen: &[Vec<u8>; 8], number: u64) -> Vec<u8> {
    let [name, comm, cgroup, site, link, module, rule, path] =
        chosen.each_ref().map(|b| escaped(b));
    format!(
        "seq={number} t={number}.000001 name=\"{name}\" wait=1 pid=1 tgid=1 comm=\"{comm}\" uid=0 \
         loginuid=- userns=other nspid=1 cgroup=\"{cgroup}\" call_site=\"{site}\" \
         chain=\"{link} -> {name}\" helper=1 queue_us={number} helper_us={number} outcome=loop \
         result=-40 modules=\"{module} +3\" policy=denied rule=\"{rule}\" path=\"{path}\" \
         denied_module=\"{module}\" module_policy=denied module_rule=\"{rule}\""
    )
    .into_bytes()
}

fn chosen() -> impl Strategy<Value = [Vec<u8>; 8]> {
    prop::array::uniform8(bytes())
}

/// Returns whether a text does no harm in a terminal.
fn is_harmless(shown: &[u8]) -> bool {
    shown.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n'))
}

/// Writes a line as JSON, and reads it again.
fn through_json(line: &[u8]) -> Value {
    let mut out = Vec::new();
    json::write_fields(&mut out, line, &Map::new()).unwrap();
    assert!(is_harmless(&out), "{}", Shown(&out));
    assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 1);
    serde_json::from_slice(&out).unwrap()
}

proptest! {
    #[test]
    fn nothing_makes_a_parser_panic(bytes in bytes(), line in line()) {
        for line in [bytes, line] {
            let _ = Fields::parse(&line);
            let _ = Autoload::parse(&line);
            let _ = Counters::parse(&line);
            let _ = latency::parse(&line);
            let _ = Text::unescape(&line);
            if let Some(record) = Record::parse(&line) {
                record.end();
                record.is_denial();
                prop_assert!(is_harmless(view::detail(&record).as_bytes()));
                prop_assert!(is_harmless(view::ending(&record).as_bytes()));
            }
        }
    }

    #[test]
    fn a_line_is_always_json(bytes in bytes(), line in line()) {
        through_json(&bytes);
        through_json(&line);
    }

    #[test]
    fn what_was_chosen_arrives_unchanged(chosen in chosen(), number in any::<u64>()) {
        let line = record_line(&chosen, number);
        let record = Record::parse(&line).unwrap();
        prop_assert_eq!(record.name.as_bytes(), &chosen[0][..]);
        prop_assert_eq!(record.comm.as_bytes(), &chosen[1][..]);
        let cgroup = record.cgroup.unwrap();
        prop_assert_eq!(cgroup.as_bytes(), &chosen[2][..]);

        let object = through_json(&line);
        prop_assert_eq!(object["comm"].as_str().unwrap(), &*json::string(&chosen[1]));
        // The backslash is escaped, so what is JSON says which bytes there were.
        let comm = Text::unescape(object["comm"].as_str().unwrap().as_bytes());
        prop_assert_eq!(comm.as_bytes(), &chosen[1][..]);
    }

    #[test]
    fn no_table_has_it_raw(chosen in chosen(), number in any::<u64>(), width in prop::option::of(0usize..100)) {
        let record = Record::parse(&record_line(&chosen, number)).unwrap();
        let mut table = Table::new([("NAME", Align::Left), ("N", Align::Right), ("DETAIL", Align::Left)]);
        let detail = view::detail(&record);
        let cells = || [Cell::from(&record.name), (&record.seq).into(), (&detail).into()];
        table.push(cells());
        table.push(cells());
        let mut out = Vec::new();
        table.write(&mut out, &Screen { width, has_colours: false }).unwrap();
        prop_assert!(is_harmless(&out));
        prop_assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 3);
        if let Some(width) = width.filter(|width| *width >= 3 * 8 + 4) {
            prop_assert!(out.split(|&byte| byte == b'\n').all(|line| line.len() <= width));
        }
    }

    #[test]
    fn a_file_with_anything_in_it(at in 0..FILE.len(), length in 0..40usize, bytes in bytes()) {
        let end = (at + length).min(FILE.len());
        let file = [&FILE[..at], &bytes, &FILE[end..]].concat();
        if let Some(history) = Snapshot::parse(&file).and_then(|it| History::new(it).ok()) {
            for record in history.requests() {
                history.header.realtime(record.time);
                history.header.since_boot(record.time);
                through_json(&record.line);
            }
        }
    }

    #[test]
    fn a_name_that_is_escaped_matches_itself(bytes in bytes(), pattern in bytes()) {
        let escaped: Vec<u8> = bytes.iter().flat_map(|&byte| [b'\\', byte]).collect();
        prop_assert!(Pattern::for_names(&escaped).unwrap().matches(&bytes));
        prop_assert!(Pattern::for_cgroups(b"*").unwrap().matches(&bytes));
        for pattern in [Pattern::for_names(&pattern), Pattern::for_cgroups(&pattern)] {
            pattern.map(|pattern| pattern.matches(&bytes));
        }
    }
}
