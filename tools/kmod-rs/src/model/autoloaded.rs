// SPDX-License-Identifier: GPL-2.0

//! The modules that came from a request and are still there, as `autoloaded` has them.

use super::fields::Fields;
use super::record::parse_seconds;
use super::text::Text;
use std::time::Duration;

/// A module that came from a request.
#[derive(Clone, Debug)]
pub(crate) struct Autoload {
    pub(crate) module: Text,
    /// When it appeared, since boot by CLOCK_MONOTONIC.
    pub(crate) time: Duration,
    /// The number of the request.
    pub(crate) seq: u64,
    /// The name that the request was for.
    pub(crate) name: Text,
    pub(crate) pid: u32,
    pub(crate) comm: Text,
    pub(crate) uid: u32,
    pub(crate) call_site: Option<Text>,
    /// How often the name was requested again.
    pub(crate) again: u64,
    /// How long ago it was used last, if kmod_rs knows.
    pub(crate) idle: Option<Duration>,
    /// How often it was used, if kmod_rs counts.
    pub(crate) uses: Option<u64>,
    /// The line, with keys that this program does not know.
    pub(crate) line: Vec<u8>,
}

impl Autoload {
    /// Returns the module in a whole line; `None` if it is no such line.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let fields = Fields::parse(line)?;
        Some(Self {
            module: fields.text("module")?,
            time: parse_seconds(fields.word("t")?)?,
            seq: fields.number("seq")?,
            name: fields.text("name")?,
            pid: fields.number("pid")?,
            comm: fields.text("comm")?,
            uid: fields.number("uid")?,
            call_site: fields.text("call_site"),
            again: fields.number("again")?,
            idle: fields.number("idle_ms").map(Duration::from_millis),
            uses: fields.number("uses"),
            line: line.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_line() {
        let line = br#"module="xfs" t=8.360528 seq=1 name="fs-xfs" pid=128 comm="mount" uid=0 call_site="get_fs_type+0x8d/0x100" again=4"#;
        let it = Autoload::parse(line).unwrap();
        assert_eq!((it.module, it.seq, it.again), ("xfs".into(), 1, 4));
        assert_eq!((it.idle, it.uses), (None, None));
        assert!(Autoload::parse(&line[..line.len() - 8]).is_none());
    }

    #[test]
    fn how_long_it_is_idle() {
        let line = |more: &str| {
            let line = format!("module=\"a\" t=8.360528 seq=1 name=\"a\" pid=1 comm=\"m\" uid=0 call_site=- again=0{more}");
            Autoload::parse(line.as_bytes()).map(|it| (it.idle, it.uses))
        };
        assert_eq!(line(" idle_ms=- uses=-"), Some((None, None)));
        let known = (Some(Duration::from_millis(1500)), Some(3));
        assert_eq!(line(" idle_ms=1500 uses=3"), Some(known));
    }
}
