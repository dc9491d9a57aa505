// SPDX-License-Identifier: GPL-2.0

//! Remembered answers, as the file `answers` has them.

use super::fields::Fields;
use super::text::Text;
use std::time::Duration;

/// What is remembered of a name.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The name that requests are for.
    pub(crate) name: Text,
    /// What is known: `miss`, `there` or `found`.
    pub(crate) why: Text,
    /// How long ago the helper began that said so.
    pub(crate) age: Duration,
    /// How many requests were answered from memory.
    pub(crate) hits: u64,
    /// The line, with keys that this program does not know.
    pub(crate) line: Vec<u8>,
}

impl Answer {
    /// Returns the answer in a whole line; `None` if it is no such line.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let fields = Fields::parse(line)?;
        Some(Self {
            name: fields.text("name")?,
            why: fields.word("why")?.into(),
            age: Duration::from_millis(fields.number("age_ms")?),
            hits: fields.number("hits")?,
            line: line.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_line() {
        let line = br#"name="net-pf-10" result=256 why=miss age_ms=21022 hits=310"#;
        let it = Answer::parse(line).unwrap();
        assert_eq!(it.name, "net-pf-10".into());
        assert_eq!((it.why, it.hits), ("miss".into(), 310));
        assert_eq!(it.age, Duration::from_millis(21022));
        assert!(Answer::parse(&line[..line.len() - 9]).is_none());
    }
}
