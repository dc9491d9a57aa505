// SPDX-License-Identifier: GPL-2.0

//! Requests in the order in which a picture or a table shows them: each nested request below the
//! request whose helper made it.

use super::record::Record;
use std::collections::HashMap;
use std::time::Duration;

/// How many candidates for the request above a nested one are looked at. With more, records say
/// too little to tell them apart.
const CANDIDATES: usize = 64;

/// A request, and how deep it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) record: &'a Record,
    /// How many requests above it there are of which it is a part; at least those of its chain.
    pub(crate) depth: usize,
}

/// Returns the requests in the order in which they began, but each nested one below the request
/// that it is a part of. `requests` are in the order in which they began.
pub(crate) fn rows<'a>(requests: &[&'a Record]) -> Vec<Row<'a>> {
    // Each name, with the chain above it, and the requests that it stands for.
    let mut places: HashMap<Vec<&[u8]>, Vec<usize>> = HashMap::new();
    let mut children = vec![Vec::new(); requests.len()];
    let mut top = Vec::new();
    for (index, record) in requests.iter().enumerate() {
        let place = place(record);
        let above = &place[..place.len() - 1];
        let parent = places.get(above).and_then(|candidates| {
            let last = candidates.iter().rev().take(CANDIDATES).copied();
            last.max_by_key(|&candidate| likelihood(requests[candidate], record))
        });
        match parent {
            Some(parent) => children[parent].push(index),
            None => top.push(index),
        }
        places.entry(place).or_default().push(index);
    }

    let mut rows = Vec::with_capacity(requests.len());
    let mut stack: Vec<_> = top.into_iter().rev().collect();
    while let Some(index) = stack.pop() {
        let record = requests[index];
        rows.push(Row {
            record,
            depth: place(record).len() - 1,
        });
        stack.extend(children[index].iter().rev());
    }
    rows
}

/// Returns the names of the requests above a request, the outermost first, and its own.
fn place(record: &Record) -> Vec<&[u8]> {
    match &record.chain[..] {
        [] => vec![record.name.as_bytes()],
        chain => chain.iter().map(|name| name.as_bytes()).collect(),
    }
}

/// Returns how likely it is that the helper of `outer`, or a descendant of it, made `inner`.
///
/// It is that of the requester itself; it ran at that time; it began last.
fn likelihood(outer: &Record, inner: &Record) -> (bool, bool, Duration) {
    (
        outer.helper == Some(inner.pid),
        outer.outcome.is_none() || outer.helper_time.is_none() || outer.end() >= inner.time,
        outer.time,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the record of a request that began at that second and ran for as many.
    fn record(seq: u64, time: u64, ran: u64, chain: &[&str], pid: u32, helper: u32) -> Record {
        let name = chain[chain.len() - 1];
        let chain = match chain.len() {
            1 => "-".into(),
            _ => format!("\"{}\"", chain.join(" -> ")),
        };
        let line = format!(
            "seq={seq} t={time}.000000 name=\"{name}\" wait=1 pid={pid} comm=\"c\" uid=0 \
             userns=initial chain={chain} helper={helper} helper_us={} outcome=exit",
            ran * 1_000_000
        );
        Record::parse(line.as_bytes()).unwrap()
    }

    /// Returns the numbers of the requests and how deep they are, in the order of the rows.
    fn order(records: &[Record]) -> Vec<(u64, usize)> {
        let rows = rows(&records.iter().collect::<Vec<_>>());
        rows.iter().map(|row| (row.record.seq, row.depth)).collect()
    }

    #[test]
    fn nested_requests_are_below_the_one_whose_helper_made_them() {
        let records = [
            record(1, 0, 9, &["a"], 1, 10),
            record(2, 1, 9, &["a"], 2, 20),
            record(3, 2, 1, &["a", "b"], 10, 30),
            record(4, 3, 1, &["x"], 4, 40),
            record(5, 4, 1, &["a", "b", "c"], 30, 50),
            record(6, 5, 1, &["a", "b"], 20, 60),
        ];
        assert_eq!(
            order(&records),
            [(1, 0), (3, 1), (5, 2), (2, 0), (6, 1), (4, 0)]
        );
    }

    #[test]
    fn it_is_one_that_was_running_then() {
        let records = [
            record(1, 0, 9, &["a"], 1, 10),
            record(2, 1, 1, &["a"], 2, 20),
            record(3, 5, 1, &["a", "b"], 99, 30),
        ];
        assert_eq!(order(&records), [(1, 0), (3, 1), (2, 0)]);
    }

    #[test]
    fn nested_requests_without_the_outermost_have_rows_of_their_own() {
        let records = [
            record(1, 0, 1, &["a", "b"], 1, 10),
            record(2, 1, 1, &["c"], 2, 20),
        ];
        assert_eq!(order(&records), [(1, 1), (2, 0)]);
    }
}
