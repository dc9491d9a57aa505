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
