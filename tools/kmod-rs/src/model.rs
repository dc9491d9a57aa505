// SPDX-License-Identifier: GPL-2.0

//! What the module says of requests, modelled once; all views show this.

pub(crate) mod activity;
pub(crate) mod answer;
pub(crate) mod autoloaded;
pub(crate) mod counters;
pub(crate) mod entry;
pub(crate) mod event;
pub(crate) mod fields;
pub(crate) mod filter;
pub(crate) mod history;
pub(crate) mod latency;
pub(crate) mod learned;
pub(crate) mod live;
pub(crate) mod pattern;
pub(crate) mod record;
pub(crate) mod text;
pub(crate) mod timeline;
pub(crate) mod users;

/// Returns the whole lines of a file, without their newlines.
///
/// Half a line, which a file ends in that was not written as a whole, is left out: its last value
/// may be wrong, which nothing in it shows.
pub(crate) fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content
        .split_inclusive(|&b| b == b'\n')
        .filter_map(|line| line.strip_suffix(b"\n"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn half_a_line_is_none() {
        assert!(super::lines(b"seq=1\nseq=2\nseq=3").eq([b"seq=1", b"seq=2"]));
    }
}
