// SPDX-License-Identifier: GPL-2.0

//! The counters, as `stats` has them.

use super::lines;
use super::record::{parse_seconds, Outcome};
use std::time::Duration;

/// The counters, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters(Vec<(String, Value)>);

/// What a counter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Number(u64),
    /// A time since boot, by CLOCK_MONOTONIC.
    Time(Duration),
    /// `-`: there is none.
    Nothing,
}

impl Value {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "-" => Some(Self::Nothing),
            _ => (word.parse().ok().map(Self::Number))
                .or_else(|| parse_seconds(word).map(Self::Time)),
        }
    }
}

impl Counters {
    /// Returns the counters of a file. Lines that are no counters are left out.
    pub(crate) fn parse(content: &[u8]) -> Self {
        let counter = |line| {
            let (key, word) = std::str::from_utf8(line).ok()?.split_once(' ')?;
            let is_key =
                !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            is_key.then_some((key.to_owned(), Value::parse(word)?))
        };
        Self(lines(content).filter_map(counter).collect())
    }

    /// Returns the counters, in the order of the file.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), *value))
    }

    fn value(&self, key: &str) -> Option<Value> {
        self.iter()
            .find(|(known, _)| *known == key)
            .map(|(_, value)| value)
    }

    /// Returns a number.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        match self.value(key)? {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Returns a time since boot.
    pub(crate) fn time(&self, key: &str) -> Option<Duration> {
        match self.value(key)? {
            Value::Time(time) => Some(time),
            _ => None,
        }
    }

    /// Returns how many requests have returned with each outcome that is known.
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = (&Outcome, &'static str, u64)> {
        Outcome::ALL
            .iter()
            .filter_map(|(outcome, word)| Some((outcome, *word, self.number(word)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_times_and_nothing() {
        let counters = Counters::parse(
            b"loaded 7\nrequests 9\nrecords_oldest 6.095587\ndenials_oldest -\nBad 1\nx\nhalf 3",
        );
        assert_eq!(counters.number("requests"), Some(9));
        assert_eq!(
            counters.time("records_oldest"),
            Some(Duration::from_micros(6_095_587))
        );
        assert_eq!(counters.value("denials_oldest"), Some(Value::Nothing));
        assert_eq!(
            counters.outcomes().next(),
            Some((&Outcome::Loaded, "loaded", 7))
        );
        assert_eq!(counters.iter().count(), 4);
    }
}
