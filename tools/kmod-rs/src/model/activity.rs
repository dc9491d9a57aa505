// SPDX-License-Identifier: GPL-2.0

//! Requests added up: by name, by requester, by outcome.

use super::live::Request;
use super::record::{Outcome, Record};
use super::text::Text;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// How many names, and how many requesters, are told apart. Users choose names and cgroups, so there
/// may be any number. If there are more, those of which nothing was heard for longest are forgotten.
const MOST: usize = 8192;

/// What all requests of a name, a requester or an outcome have added up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) requests: u64,
    /// How many were denied.
    pub(crate) denied: u64,
    /// How many others got an error.
    pub(crate) failed: u64,
    /// The longest time in the queue.
    pub(crate) queue: Option<Duration>,
    /// The longest time that a helper ran.
    pub(crate) helper: Option<Duration>,
    /// When the last one began, since boot by CLOCK_MONOTONIC.
    pub(crate) last: Duration,
    /// How the last one ended.
    pub(crate) outcome: Option<Outcome>,
}

/// Who makes requests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Requester {
    pub(crate) uid: u32,
    pub(crate) comm: Text,
    pub(crate) cgroup: Option<Text>,
}

impl From<&Record> for Requester {
    fn from(record: &Record) -> Self {
        Self {
            uid: record.uid,
            comm: record.comm.clone(),
            cgroup: record.cgroup.clone(),
        }
    }
}

/// All requests, added up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activity {
    pub(crate) all: Sum,
    pub(crate) names: HashMap<Text, Sum>,
    /// Requests whose beginning was not seen are in none of them.
    pub(crate) requesters: HashMap<Requester, Sum>,
    pub(crate) outcomes: HashMap<Outcome, Sum>,
}

/// By what sums are sorted; first comes what is greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// By the name, the requester or the outcome; first comes the smallest.
    Key,
    Requests,
    Denied,
    Failed,
    Queue,
    Helper,
    Last,
}

impl Activity {
    /// Adds a request that has returned.
    pub(crate) fn add(&mut self, request: &Request) {
        match request {
            Request::Whole(record) => self.add_record(record),
            Request::End(end) => {
                let sum = Sum {
                    requests: 1,
                    denied: (end.outcome == Outcome::Denied).into(),
                    failed: (end.outcome != Outcome::Denied && end.result != 0).into(),
                    queue: end.queue,
                    helper: end.helper_time,
                    last: end.time,
                    outcome: Some(end.outcome.clone()),
                };
                self.add_sum(&end.name, &end.outcome, &sum);
            }
        }
    }

    /// Adds a request of which there is a record.
    pub(crate) fn add_record(&mut self, record: &Record) {
        let Some(outcome) = &record.outcome else {
            return;
        };
        let is_denied = *outcome == Outcome::Denied;
        let sum = Sum {
            requests: 1,
            denied: is_denied.into(),
            failed: (!is_denied && record.result.is_some_and(|result| result != 0)).into(),
            queue: record.queue,
            helper: record.helper_time,
            last: record.time,
            outcome: Some(outcome.clone()),
        };
        add(&mut self.requesters, &record.into(), &sum);
        self.add_sum(&record.name, outcome, &sum);
    }

    fn add_sum(&mut self, name: &Text, outcome: &Outcome, sum: &Sum) {
        self.all.add(sum);
        add(&mut self.names, name, sum);
        add(&mut self.outcomes, outcome, sum);
    }
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.denied += other.denied;
        self.failed += other.failed;
        self.queue = self.queue.max(other.queue);
        self.helper = self.helper.max(other.helper);
        if other.last >= self.last {
            self.last = other.last;
            self.outcome.clone_from(&other.outcome);
        }
    }
}

fn add<K: Clone + Eq + Hash>(sums: &mut HashMap<K, Sum>, key: &K, sum: &Sum) {
    if let Some(it) = sums.get_mut(key) {
        it.add(sum);
        return;
    }
    if sums.len() >= MOST {
        // Half of them, so that this is seldom done.
        let mut times: Vec<_> = sums.values().map(|it| it.last).collect();
        let (_, median, _) = times.select_nth_unstable(MOST / 2);
        let median = *median;
        sums.retain(|_, it| it.last > median);
    }
    sums.insert(key.clone(), sum.clone());
}

/// Returns the sums in this order, or the other way round. What is equal is in the order of keys.
pub(crate) fn sorted<K: Ord>(
    sums: &HashMap<K, Sum>,
    order: Order,
    is_reversed: bool,
) -> Vec<(&K, &Sum)> {
    let mut sorted: Vec<_> = sums.iter().collect();
    sorted.sort_by_key(|(key, _)| *key);
    let by = |sum: &Sum| match order {
        Order::Key => Duration::ZERO,
        Order::Requests => Duration::from_secs(sum.requests),
        Order::Denied => Duration::from_secs(sum.denied),
        Order::Failed => Duration::from_secs(sum.failed),
        Order::Queue => sum.queue.unwrap_or_default(),
        Order::Helper => sum.helper.unwrap_or_default(),
        Order::Last => sum.last,
    };
    match (order, is_reversed) {
        (Order::Key, false) => (),
        (Order::Key, true) => sorted.reverse(),
        (_, false) => sorted.sort_by_key(|(_, sum)| Reverse(by(sum))),
        (_, true) => sorted.sort_by_key(|(_, sum)| by(sum)),
    }
    sorted
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns the record of a request that ended like this.
    pub(crate) fn record(seq: u64, name: &str, uid: u32, end: &str) -> Record {
        let line = format!(
            r#"seq={seq} t={seq}.000000 name="{name}" wait=1 pid=1 tgid=1 comm="mount" uid={uid} loginuid=- userns=initial nspid=1 cgroup="/system.slice/x.service" call_site="f" chain=- helper=9 queue_us=5 helper_us={seq}000 {end} modules=- path=-"#
        );
        Record::parse(line.as_bytes()).unwrap()
    }

    fn activity() -> Activity {
        let mut activity = Activity::default();
        activity.add_record(&record(1, "b", 0, "outcome=loaded result=0"));
        activity.add_record(&record(2, "a", 0, "outcome=exit result=256"));
        activity.add_record(&record(9, "c", 7, "outcome=denied result=256"));
        activity.add_record(&record(4, "b", 7, "outcome=nothing result=0"));
        activity
    }

    #[test]
    fn what_is_added_up() {
        let activity = activity();
        assert_eq!(
            activity.names[&"b".into()],
            Sum {
                requests: 2,
                denied: 0,
                failed: 0,
                queue: Some(Duration::from_micros(5)),
                helper: Some(Duration::from_millis(4)),
                last: Duration::from_secs(4),
                outcome: Some(Outcome::Nothing),
            }
        );
        assert_eq!((activity.all.denied, activity.all.failed), (1, 1));
        assert_eq!(activity.requesters.len(), 2);
        assert_eq!(activity.outcomes[&Outcome::Exit].failed, 1);
    }

    #[test]
    fn an_older_one_is_not_the_last() {
        let mut activity = activity();
        activity.add_record(&record(3, "b", 0, "outcome=exit result=256"));
        let b = &activity.names[&"b".into()];
        assert_eq!((b.last.as_secs(), &b.outcome), (4, &Some(Outcome::Nothing)));
    }

    #[test]
    fn each_order() {
        let activity = activity();
        for (order, expected) in [
            (Order::Key, "abc"),
            (Order::Requests, "bac"),
            (Order::Denied, "cab"),
            (Order::Failed, "abc"),
            (Order::Queue, "abc"),
            (Order::Helper, "cba"),
            (Order::Last, "cba"),
        ] {
            let keys = |is_reversed| {
                sorted(&activity.names, order, is_reversed)
                    .iter()
                    .map(|(name, _)| name.to_string())
                    .collect::<String>()
            };
            assert_eq!(keys(false), expected, "{order:?}");
            let same = order == Order::Queue;
            assert_eq!(keys(true) == expected, same, "{order:?}");
        }
    }

    #[test]
    fn any_number_of_names_does_not_fill_the_memory() {
        let mut activity = Activity::default();
        for seq in 0..3 * MOST as u64 {
            activity.add_record(&record(
                seq,
                &format!("x{seq}"),
                0,
                "outcome=exit result=256",
            ));
        }
        assert!(activity.names.len() <= MOST);
        assert_eq!(activity.all.requests, 3 * MOST as u64);
        let newest = format!("x{}", 3 * MOST - 1);
        assert!(activity.names.contains_key(&newest.as_str().into()));
    }
}
