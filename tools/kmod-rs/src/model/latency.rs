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

/// Returns below how many microseconds this part of all times was: `Some(None)` if the last bucket,
/// which has no end, has some of them, and `None` if there were no times.
pub(crate) fn below(
    buckets: &[Bucket],
    number: fn(&Bucket) -> u64,
    percent: u64,
) -> Option<Option<u64>> {
    let all: u64 = buckets.iter().map(number).sum();
    let mut so_far = 0;
    let bucket = buckets.iter().find(|bucket| {
        so_far += number(bucket);
        so_far * 100 >= all * percent
    });
    (all > 0).then_some(bucket?.us_below)
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

    #[test]
    fn half_of_all_and_nearly_all() {
        let buckets = parse(b"us_below=1 queue=1 helper=0\nus_below=2 queue=1 helper=0\nus_below=- queue=1 helper=0\n");
        let queue = |percent| below(&buckets, |bucket| bucket.queue, percent);
        assert_eq!(queue(50), Some(Some(2)));
        assert_eq!(queue(33), Some(Some(1)));
        assert_eq!(queue(99), Some(None));
        assert_eq!(below(&buckets, |bucket| bucket.helper, 50), None);
        assert_eq!(below(&[], |bucket| bucket.helper, 50), None);
    }
}
