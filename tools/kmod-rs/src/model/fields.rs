// SPDX-License-Identifier: GPL-2.0

//! A line of `key=value` pairs, as records, events and log lines have them.

use super::text::Text;
use std::cell::Cell;

/// The pairs of a line, in its order. A value may be in double quotes, which it has none of inside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields<'a> {
    pairs: Vec<(&'a str, &'a [u8])>,
    /// Where the next key is looked for first: they are asked for in the order of the line.
    next: Cell<usize>,
}

impl<'a> Fields<'a> {
    /// Returns the pairs of a line without its newline, or `None` if it has anything else.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = Vec::with_capacity(24);
        let mut rest = line;
        while !rest.is_empty() {
            let equals = rest.iter().position(|&b| b == b'=')?;
            let key = std::str::from_utf8(&rest[..equals]).ok()?;
            if key.is_empty() || !key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
                return None;
            }
            rest = &rest[equals + 1..];
            let value;
            if let Some(quoted) = rest.strip_prefix(b"\"") {
                let end = quoted.iter().position(|&b| b == b'"')?;
                value = &rest[..end + 2];
                rest = &quoted[end + 1..];
            } else {
                let end = rest.iter().position(|&b| b == b' ').unwrap_or(rest.len());
                value = &rest[..end];
                rest = &rest[end..];
            }
            fields.push((key, value));
            rest = match rest {
                [] => rest,
                [b' ', after @ ..] if !after.is_empty() => after,
                _ => return None,
            };
        }
        (!fields.is_empty()).then_some(Self {
            pairs: fields,
            next: Cell::new(0),
        })
    }

    /// Returns the pairs, the values as they stand in the line.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + '_ {
        self.pairs.iter().copied()
    }

    /// Returns a value as it stands in the line; `None` if it is not there or is `-`.
    pub(crate) fn raw(&self, key: &str) -> Option<&'a [u8]> {
        let (before, behind) = self.pairs.split_at(self.next.get());
        let mut indices = (before.len()..).zip(behind).chain((0..).zip(before));
        let (index, (_, value)) = indices.find(|(_, (k, _))| *k == key)?;
        self.next.set(index + 1);
        (*value != b"-").then_some(*value)
    }

    /// Returns a number.
    pub(crate) fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        std::str::from_utf8(self.raw(key)?).ok()?.parse().ok()
    }

    /// Returns a word that is not in quotes.
    pub(crate) fn word(&self, key: &str) -> Option<&'a str> {
        std::str::from_utf8(self.raw(key)?).ok()
    }

    /// Returns what is between the quotes, as it stands there.
    pub(crate) fn quoted(&self, key: &str) -> Option<&'a [u8]> {
        self.raw(key)?.strip_prefix(b"\"")?.strip_suffix(b"\"")
    }

    /// Returns a text that is in quotes.
    pub(crate) fn text(&self, key: &str) -> Option<Text> {
        self.quoted(key).map(Text::unescape)
    }

    /// Returns the texts that are in quotes, with `separator` between them.
    pub(crate) fn texts(&self, key: &str, separator: &str) -> Option<Vec<Text>> {
        let quoted = std::str::from_utf8(self.quoted(key)?).ok()?;
        Some(
            quoted
                .split(separator)
                .filter(|part| !part.is_empty())
                .map(|part| Text::unescape(part.as_bytes()))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_pairs() {
        let fields = Fields::parse(br#"seq=1 name="a\x20b" chain=- modules="x y +2""#).unwrap();
        assert_eq!(fields.number::<u64>("seq"), Some(1));
        assert_eq!(fields.text("name"), Some("a b".into()));
        assert_eq!(fields.raw("chain"), None);
        assert_eq!(
            fields.texts("modules", " "),
            Some(vec!["x".into(), "y".into(), "+2".into()])
        );
    }

    #[test]
    fn not_a_line_of_pairs() {
        for line in [
            "",
            "seq",
            "seq=1 ",
            "seq=1  t=2",
            "=1",
            "name=\"a",
            "name=\"a\"b=1",
            "S=1",
        ] {
            assert!(Fields::parse(line.as_bytes()).is_none(), "{line:?}");
        }
    }
}
