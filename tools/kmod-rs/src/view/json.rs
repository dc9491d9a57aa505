// SPDX-License-Identifier: GPL-2.0

//! JSON, one object a line: `"schema":1`, and the keys of the guide.
//!
//! What is not a printable ASCII character is escaped, so a line is safe in a terminal as well. In
//! strings that others chose, a byte that is no UTF-8, and a backslash, is `\xNN`.

use crate::model::counters::{self, Counters};
use crate::model::fields::Fields;
use crate::model::text::Text;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::ser::Formatter;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

/// The version of what the objects mean. It is raised when a key is removed, or gets another
/// meaning.
const SCHEMA: u64 = 1;

/// Writes an object.
pub(crate) fn write(out: &mut impl Write, object: &Map<String, Value>) -> io::Result<()> {
    let fields = Fields::default();
    let more = object;
    write_line(out, &Object { fields, more })
}

/// Writes an object with the pairs of a line, and more.
pub(crate) fn write_fields(
    out: &mut impl Write,
    line: &[u8],
    more: &Map<String, Value>,
) -> io::Result<()> {
    let fields = Fields::parse(line).unwrap_or_default();
    write_line(out, &Object { fields, more })
}

/// Returns an object with the pairs of a line, as a part of another object.
pub(crate) fn object(line: &[u8]) -> Value {
    let fields = Fields::parse(line).unwrap_or_default();
    let pairs = fields.iter().map(|(key, value)| {
        let value = serde_json::to_value(Field { key, value }).unwrap_or_default();
        (key.to_owned(), value)
    });
    Value::Object(pairs.collect())
}

/// Returns the counters as an object, as a part of another object.
pub(crate) fn counters(counters: &Counters) -> Value {
    let pairs = counters.iter().map(|(key, value)| {
        let value = match value {
            counters::Value::Number(number) => number.into(),
            counters::Value::Time(time) => time.as_secs_f64().into(),
            counters::Value::Nothing => Value::Null,
        };
        (key.to_owned(), value)
    });
    Value::Object(pairs.collect())
}

/// Returns a text as a JSON string.
pub(crate) fn text(text: &Text) -> Value {
    string(text.as_bytes()).into()
}

/// Returns bytes as a string: valid UTF-8 as it is, other bytes and the backslash as `\xNN`.
pub(crate) fn string(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(valid) if !valid.contains('\\') => return valid.into(),
        _ => (),
    }
    let mut string = String::with_capacity(bytes.len() + 3);
    for chunk in bytes.utf8_chunks() {
        string.push_str(&chunk.valid().replace('\\', "\\x5c"));
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(string, "\\x{byte:02x}");
        }
    }
    string.into()
}

struct Object<'a> {
    fields: Fields<'a>,
    more: &'a Map<String, Value>,
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("schema", &SCHEMA)?;
        for (key, value) in self.fields.iter() {
            map.serialize_entry(key, &Field { key, value })?;
        }
        for (key, value) in self.more {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// The value of a pair, as it stands in a line.
struct Field<'a> {
    key: &'a str,
    value: &'a [u8],
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let quoted = self
            .value
            .strip_prefix(b"\"")
            .and_then(|v| v.strip_suffix(b"\""));
        let list = |separator: &'static str| {
            let value = String::from_utf8_lossy(quoted.unwrap_or_default());
            let texts = value.split(separator).filter(|part| !part.is_empty());
            texts
                .map(|part| string(Text::unescape(part.as_bytes()).as_bytes()).into_owned())
                .collect::<Vec<_>>()
        };
        match (self.key, quoted) {
            (_, None) if self.value == b"-" => serializer.serialize_none(),
            ("chain", Some(_)) => serializer.collect_seq(list(" -> ")),
            ("modules", Some(_)) => serializer.collect_seq(list(" ")),
            (_, Some(quoted)) if quoted.contains(&b'\\') => {
                serializer.serialize_str(&string(Text::unescape(quoted).as_bytes()))
            }
            (_, Some(quoted)) => serializer.serialize_str(&string(quoted)),
            (_, None) => {
                let word = string(self.value);
                // Not all that Rust takes for a number is one in a record: "inf".
                let is_number = word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'-' | b'.'));
                match (is_number, word.parse::<i64>(), word.parse::<f64>()) {
                    (true, Ok(number), _) => serializer.serialize_i64(number),
                    (true, _, Ok(number)) => serializer.serialize_f64(number),
                    _ => serializer.serialize_str(&word),
                }
            }
        }
    }
}

fn write_line(out: &mut impl Write, object: &impl Serialize) -> io::Result<()> {
    object.serialize(&mut serde_json::Serializer::with_formatter(
        &mut *out, Ascii,
    ))?;
    out.write_all(b"\n")
}

/// Writes what is not a printable ASCII character as `\uNNNN`.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        it: &str,
    ) -> io::Result<()> {
        let mut rest = it;
        while let Some(at) = rest.find(|c: char| !matches!(c, ' '..='~')) {
            out.write_all(&rest.as_bytes()[..at])?;
            let Some(character) = rest[at..].chars().next() else {
                break;
            };
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = &rest[at + character.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &[u8]) -> String {
        let mut out = Vec::new();
        write_fields(&mut out, line, &Map::new()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_keys_of_the_line() {
        let line = br#"seq=1 t=6.095587 name="a\x20b" loginuid=- chain="a -> b" modules="x y +3" result=-512 outcome=exit comm="1""#;
        assert_eq!(
            shown(line),
            r#"{"schema":1,"seq":1,"t":6.095587,"name":"a b","loginuid":null,"chain":["a","b"],"modules":["x","y","+3"],"result":-512,"outcome":"exit","comm":"1"}"#.to_owned() + "\n"
        );
    }

    #[test]
    fn bytes_that_others_chose() {
        let line = br#"name="\x5c\xff\xc3\xa9\x1b\x7f\xe2\x80\xae\xc2\x9b\xf0\x9f\x98\x80" x=inf"#;
        assert_eq!(
            shown(line),
            r#"{"schema":1,"name":"\\x5c\\xff\u00e9\u001b\u007f\u202e\u009b\ud83d\ude00","x":"inf"}"#.to_owned() + "\n"
        );
    }
}
