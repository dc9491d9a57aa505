// SPDX-License-Identifier: GPL-2.0

//! How long requests waited and how long their helpers ran, as `latency` has it.

use super::fields::Fields;
use super::lines;

/// How often a time was in a range that ends at twice the end of the range before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// The end of the range, in microseconds, which is not part of it; `None` if it has none.
    pub(crate) us_below: Option<u64>,
    /// How many requests waited so long.
    pub(crate) queue: u64,
    /// How many helpers ran so long.
    pub(crate) helper: u64,
}

/// Returns the buckets of a file, in its order. Lines that are no buckets are left out.
pub(crate) fn parse(content: &[u8]) -> Vec<Bucket> {
    let bucket = |line| {
        let fields = Fields::parse(line)?;
        Some(Bucket {
            us_below: fields.number("us_below"),
            queue: fields.number("queue")?,
            helper: fields.number("helper")?,
        })
    };
    lines(content).filter_map(bucket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bucket_has_no_end() {
        let buckets = parse(b"us_below=1 queue=0 helper=2\nus_below=- queue=1 helper=0\nx\n");
        assert_eq!(buckets.len(), 2);
        assert_eq!(
            buckets[0],
            Bucket {
                us_below: Some(1),
                queue: 0,
                helper: 2
            }
        );
        assert_eq!(buckets[1].us_below, None);
    }
}
