// SPDX-License-Identifier: GPL-2.0

//! A line of `key=value` pairs, as records, events and log lines have them.

use super::text::Text;
use std::cell::Cell;

/// The pairs of a line, in its order. A value may be in double quotes, which it has none of inside.
///
/// The module escapes what is not ASCII, so a line is UTF-8.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields<'a> {
    pairs: Vec<(&'a str, &'a str)>,
    /// Where the next key is looked for first: they are asked for in the order of the line.
    next: Cell<usize>,
}

impl<'a> Fields<'a> {
    /// Returns the pairs of a line without its newline, or `None` if it has anything else.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = Vec::with_capacity(32);
        let mut rest = std::str::from_utf8(line).ok()?;
        while !rest.is_empty() {
            let is_of_key = |b: u8| b.is_ascii_lowercase() || b == b'_';
            let length = rest.bytes().position(|b| !is_of_key(b))?;
            let (key, behind) = rest.split_at(length);
            let behind = behind.strip_prefix('=').filter(|_| length > 0)?;
            // Most values are short, so that no search is faster than this.
            let find = |text: &str, byte| text.bytes().position(|b| b == byte);
            let end = match behind.strip_prefix('"') {
                Some(quoted) => find(quoted, b'"')? + 2,
                None => find(behind, b' ').unwrap_or(behind.len()),
            };
            let value;
            (value, rest) = behind.split_at(end);
            fields.push((key, value));
            rest = match rest.strip_prefix(' ') {
                None if rest.is_empty() => rest,
                Some(after) if !after.is_empty() => after,
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
        self.pairs
            .iter()
            .map(|(key, value)| (*key, value.as_bytes()))
    }

    /// Returns a value as it stands in the line; `None` if it is not there or is `-`.
    pub(crate) fn raw(&self, key: &str) -> Option<&'a [u8]> {
        self.word(key).map(str::as_bytes)
    }

    /// Returns a number.
    pub(crate) fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.word(key)?.parse().ok()
    }

    /// Returns a word that is not in quotes; `None` if it is not there or is `-`.
    pub(crate) fn word(&self, key: &str) -> Option<&'a str> {
        let (before, behind) = self.pairs.split_at(self.next.get());
        let mut indices = (before.len()..).zip(behind).chain((0..).zip(before));
        let (index, (_, value)) = indices.find(|(_, (k, _))| *k == key)?;
        self.next.set(index + 1);
        (*value != "-").then_some(*value)
    }

    /// Returns what is between the quotes, as it stands there.
    pub(crate) fn quoted(&self, key: &str) -> Option<&'a str> {
        self.word(key)?.strip_prefix('"')?.strip_suffix('"')
    }

    /// Returns a text that is in quotes.
    pub(crate) fn text(&self, key: &str) -> Option<Text> {
        self.quoted(key)
            .map(|shown| Text::unescape(shown.as_bytes()))
    }

    /// Returns the texts that are in quotes, with `separator` between them.
    pub(crate) fn texts(&self, key: &str, separator: &str) -> Option<Vec<Text>> {
        let texts = self.quoted(key)?.split(separator);
        let shown = texts.filter(|part| !part.is_empty());
        Some(shown.map(|part| Text::unescape(part.as_bytes())).collect())
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
