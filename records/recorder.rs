// SPDX-License-Identifier: GPL-2.0

//! The records of requests: those in flight, the last ones that have returned, and counters.
//!
//! A reader holds a lock only while it looks for the next record. It shows the record without the
//! lock, so no request waits for the output.

use crate::{
    firewall::policy::{
        Ruling,
        Verdict, //
    },
    records::{
        call_sites::CallSites,
        outcome::Outcome,
        record::{
            Beginning,
            Memory,
            Record,
            Seconds, //
        },
        remembered::Remembered,
        ring::{
            Opening,
            Place,
            Ring, //
        }, //
    },
    usermode_helper::WaitStatus,
    wrappers::{
        debugfs::Items,
        log::Known,
        modprobe_path::ModprobePath,
        name::Name,
        spare_node::SpareNode, //
    }, //
};
use core::ops::Deref;
use kernel::{
    ffi::c_int,
    new_spinlock,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    seq_file::SeqFile,
    seq_print,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        ArcBorrow,
        SpinLock, //
    },
    task::Pid,
    time::Delta, //
};

/// The largest number of records of each kind that the administrator can have kept.
pub(crate) const MAX_RECORDS: u32 = 65536;

/// The number of buckets of a [`Histogram`]; the last one is for 2^26 us (67 s) and more.
const BUCKETS: usize = 28;

/// Counts of times: those of less than 1 us, of at least 1 but less than 2 us, of at least 2 but
/// less than 4 us, and so on.
struct Histogram([Atomic<u64>; BUCKETS]);

impl Histogram {
    fn new() -> Self {
        Self([const { Atomic::new(0) }; BUCKETS])
    }

    /// Returns the bucket for a time in microseconds.
    fn bucket(us: i64) -> usize {
        // CAST: At most 63. No time is negative; if one were, it would count as 0.
        let bits = (i64::BITS - us.max(0).leading_zeros()) as usize;
        bits.min(BUCKETS - 1)
    }

    fn count(&self, time: Delta) {
        self.0[Self::bucket(time.as_nanos() / 1000)].add(1, Relaxed);
    }
}

/// The records of the last requests that have returned.
struct Rings {
    /// Those of denials, loops and timeouts, which others do not push out.
    denials: Ring,
    /// All others.
    others: Ring,
}

impl Rings {
    /// Returns the ring for denials, or the one for all others.
    fn ring(&mut self, is_denial: bool) -> &mut Ring {
        match is_denial {
            true => &mut self.denials,
            false => &mut self.others,
        }
    }
}

/// All records, and the counters.
///
/// The atomics guard nothing, so all accesses to them are relaxed.
#[pin_data]
pub(crate) struct Recorder {
    /// How many records are kept at most in each ring.
    size: u32,
    /// The number of the next request.
    next_seq: Atomic<u64>,
    /// Requests that have returned, by outcome.
    outcomes: [Atomic<u64>; Outcome::COUNT],
    /// Modules that have appeared because of a request.
    modules: Atomic<u64>,
    /// Requests that the firewall denied.
    denied_by_policy: Atomic<u64>,
    /// Requests that the firewall would have denied.
    would_be_denied: Atomic<u64>,
    /// Modules that the firewall refused to helpers.
    modules_denied: Atomic<u64>,
    /// Modules that the firewall would have refused.
    modules_would_be_denied: Atomic<u64>,
    /// Requests that have no record because there was no memory for it.
    lost: Atomic<u64>,
    /// How many requests that do not wait are kept now.
    kept: Arc<Atomic<u64>>,
    /// Remembered answers.
    remembered: Arc<Remembered>,
    memory: Arc<Memory>,
    call_sites: Arc<CallSites>,
    queue_times: Histogram,
    helper_times: Histogram,
    #[pin]
    rings: SpinLock<Rings>,
    #[pin]
    in_flight: SpinLock<Flying>,
}

/// The records of the requests in flight, by their numbers.
struct Flying {
    records: RBTree<u64, Arc<Record>>,
    spare: SpareNode<u64, Arc<Record>>,
}

impl Recorder {
    /// Creates a recorder that keeps the records of the last `size` requests that have returned, and
    /// those of the last `size` denials.
    ///
    /// Returns [`EINVAL`] if `size` is greater than [`MAX_RECORDS`], and [`ENOMEM`] if there is no
    /// memory.
    ///
    /// Context: may sleep.
    pub(crate) fn new(size: u32) -> Result<Arc<Self>> {
        if size > MAX_RECORDS {
            pr_err!("records={size} is too many: at most {MAX_RECORDS}\n");
            return Err(EINVAL);
        }
        let kept = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let remembered = Arc::new(Remembered::new(), GFP_KERNEL)?;
        let memory = Arc::new(Memory::new(), GFP_KERNEL)?;
        let call_sites = CallSites::new()?;
        // CAST: At most `MAX_RECORDS`.
        let rings = Rings {
            denials: Ring::new(size as usize),
            others: Ring::new(size as usize),
        };

        Arc::pin_init(
            pin_init!(Self {
                size,
                next_seq: Atomic::new(1),
                outcomes: [const { Atomic::new(0) }; Outcome::COUNT],
                modules: Atomic::new(0),
                denied_by_policy: Atomic::new(0),
                would_be_denied: Atomic::new(0),
                modules_denied: Atomic::new(0),
                modules_would_be_denied: Atomic::new(0),
                lost: Atomic::new(0),
                kept,
                remembered,
                memory,
                call_sites,
                queue_times: Histogram::new(),
                helper_times: Histogram::new(),
                rings <- new_spinlock!(rings, "kmod_rs::Recorder::rings"),
                in_flight <- new_spinlock!(
                    Flying {
                        records: RBTree::new(),
                        spare: SpareNode::new(),
                    },
                    "kmod_rs::Recorder::in_flight"
                ),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns whether records are kept of requests that have returned.
    pub(crate) fn keeps_records(&self) -> bool {
        self.size > 0
    }

    /// Returns the counter of the requests that are kept, for their owner to keep it up to date.
    pub(crate) fn kept(&self) -> &Arc<Atomic<u64>> {
        &self.kept
    }

    /// Returns the places that requests come from.
    pub(crate) fn call_sites(&self) -> &Arc<CallSites> {
        &self.call_sites
    }

    /// Returns the counters of remembered answers, for their owner to keep them up to date.
    pub(crate) fn remembered(&self) -> &Arc<Remembered> {
        &self.remembered
    }

    /// Begins the record of a request that the current task makes.
    ///
    /// Returns `None`, and counts the request, if there is no memory for the record.
    ///
    /// `chain` yields the names of the chain, the closest helper's first.
    ///
    /// Context: may sleep; the caller may hold mutexes.
    pub(crate) fn begin<'a>(
        self: &Arc<Self>,
        beginning: &Beginning<'_>,
        chain: impl Iterator<Item = &'a Name> + Clone,
    ) -> Option<InFlight> {
        let seq = self.next_seq.fetch_add(1, Relaxed);
        let record = self
            .call_sites
            .get(beginning.call_site)
            .and_then(|call_site| Record::new(seq, beginning, call_site, chain, &self.memory));

        record
            .and_then(|record| InFlight::new(self, record))
            .inspect_err(|_| self.lose())
            .ok()
    }

    /// Counts a request that has no record because there was no memory.
    fn lose(&self) {
        self.lost.add(1, Relaxed);
    }

    /// Counts a request that returns with this outcome.
    ///
    /// Context: any.
    pub(crate) fn count(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].add(1, Relaxed);
    }

    /// Counts a verdict of the firewall that denies a request, or would deny it.
    ///
    /// Context: any.
    pub(crate) fn count_verdict(&self, verdict: Verdict) {
        let counter = match verdict.ruling {
            Ruling::Allowed => return,
            Ruling::Denied => &self.denied_by_policy,
            Ruling::WouldBeDenied => &self.would_be_denied,
        };
        counter.add(1, Relaxed);
    }

    /// Counts a verdict of the firewall that refuses a helper a module, or would.
    ///
    /// Context: any.
    pub(crate) fn count_module_verdict(&self, verdict: Verdict) {
        let counter = match verdict.ruling {
            Ruling::Allowed => return,
            Ruling::Denied => &self.modules_denied,
            Ruling::WouldBeDenied => &self.modules_would_be_denied,
        };
        counter.add(1, Relaxed);
    }

    /// Counts a module that has appeared because of a request.
    ///
    /// Context: any.
    pub(crate) fn count_module(&self) {
        self.modules.add(1, Relaxed);
    }

    /// Puts a record into its ring, which may push out another one.
    ///
    /// Does nothing if no records are kept. Counts the request as one without a record if there is
    /// no memory.
    ///
    /// Context: may sleep.
    fn keep(&self, record: Arc<Record>) {
        if self.keeps_records() {
            let _ = self.try_keep(record).inspect_err(|_| self.lose());
        }
    }

    fn try_keep(&self, record: Arc<Record>) -> Result {
        let mut place = None;
        let mut opening = None;
        // Before the lock is taken, as this takes one of the record.
        let is_denial = record.is_denial();

        let mut rings = self.rings.lock();
        loop {
            let ring = rings.ring(is_denial);
            let needs_place = place.is_none() && !ring.has_place();
            let needs_opening = opening.is_none() && !ring.has(record.account());
            if !needs_place && !needs_opening {
                break;
            }
            // Nothing is allocated with the lock held. Others may come meanwhile: then the ring
            // does not need this, or needs more.
            drop(rings);
            if needs_place {
                place = Some(Place::new()?);
            }
            if needs_opening {
                opening = Some(Opening::new()?);
            }
            rings = self.rings.lock();
        }
        let pushed_out = rings.ring(is_denial).keep(record, place, opening);
        drop(rings);
        // Only now, without the lock: this may free the record.
        drop(pushed_out);
        Ok(())
    }

    /// Returns the first record in the rings whose request has at least the number `seq`, and that
    /// number.
    fn recent(&self, seq: u64) -> Option<(u64, Arc<Record>)> {
        let rings = self.rings.lock();
        let first = [rings.denials.find(seq), rings.others.find(seq)];
        drop(rings);

        let record = first.into_iter().flatten().min_by_key(|it| it.seq())?;
        Some((record.seq(), record))
    }

    /// Returns the first record in flight whose request has at least the number `seq`, and that
    /// number.
    fn in_flight(&self, seq: u64) -> Option<(u64, Arc<Record>)> {
        let in_flight = self.in_flight.lock();
        let cursor = in_flight.records.cursor_lower_bound(&seq)?;
        let (seq, record) = cursor.current();

        Some((*seq, record.clone()))
    }

    fn show_stats(&self, to: &SeqFile) {
        let outcomes = || self.outcomes.iter().map(|count| count.load(Relaxed));

        // The sum of the values that are shown, so that the lines add up.
        let mut requests = 0;
        for (outcome, count) in Outcome::ALL.iter().zip(outcomes()) {
            requests += count;
            seq_print!(to, "{outcome} {count}\n");
        }
        seq_print!(to, "requests {requests}\n");
        seq_print!(to, "modules {}\n", self.modules.load(Relaxed));
        seq_print!(to, "records {}\n", self.size);
        seq_print!(to, "records_lost {}\n", self.lost.load(Relaxed));
        seq_print!(to, "records_bytes {}\n", self.memory.bytes());
        seq_print!(
            to,
            "denied_by_policy {}\n",
            self.denied_by_policy.load(Relaxed)
        );
        seq_print!(
            to,
            "would_be_denied {}\n",
            self.would_be_denied.load(Relaxed)
        );
        seq_print!(to, "modules_denied {}\n", self.modules_denied.load(Relaxed));
        seq_print!(
            to,
            "modules_would_be_denied {}\n",
            self.modules_would_be_denied.load(Relaxed)
        );
        seq_print!(to, "kept_now {}\n", self.kept.load(Relaxed));
        self.remembered.show(to);
        self.show_rings(to);
    }

    fn show_rings(&self, to: &SeqFile) {
        let status = |ring: &Ring| (ring.pushed_out(), ring.pushed_out_until(), ring.oldest());
        let rings = self.rings.lock();
        let all = [
            ("records", status(&rings.others)),
            ("denials", status(&rings.denials)),
        ];
        drop(rings);

        for (what, (pushed_out, until, oldest)) in all {
            seq_print!(to, "{what}_pushed_out {pushed_out}\n");
            seq_print!(
                to,
                "{what}_pushed_out_until {}\n",
                Known(until.map(Seconds))
            );
            seq_print!(to, "{what}_oldest {}\n", Known(oldest.map(Seconds)));
        }
    }

    fn show_latency(&self, to: &SeqFile) {
        for (i, (queue, helper)) in self
            .queue_times
            .0
            .iter()
            .zip(&self.helper_times.0)
            .enumerate()
        {
            if i < BUCKETS - 1 {
                seq_print!(to, "us_below={} ", 1u64 << i);
            } else {
                seq_print!(to, "us_below=- ");
            }
            seq_print!(
                to,
                "queue={} helper={}\n",
                queue.load(Relaxed),
                helper.load(Relaxed)
            );
        }
    }
}

/// The record of a request in flight.
///
/// The request has one copy, and its helper has another. The record is listed among those in flight
/// until the last copy is dropped.
///
/// # Invariants
///
/// `Record::flights` is the number of copies. While there is one, the record is in
/// `Recorder::in_flight`.
pub(crate) struct InFlight {
    record: Arc<Record>,
    recorder: Arc<Recorder>,
}

impl Clone for InFlight {
    fn clone(&self) -> Self {
        // INVARIANT: For the value that is returned.
        self.record.flights.inc();
        Self {
            record: self.record.clone(),
            recorder: self.recorder.clone(),
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // INVARIANT: This value is gone.
        if !self.record.flights.dec_and_test() {
            return;
        }
        let mut flying = self.recorder.in_flight.lock();
        let node = flying.records.remove_node(&self.record.seq());
        // The record is not freed here: this value has it, too.
        let node = node.and_then(|node| flying.spare.keep(node));
        drop(flying);
        // Only now, without the lock.
        drop(node);
    }
}

impl InFlight {
    /// Lists a new record among those in flight.
    fn new(recorder: &Arc<Recorder>, record: Arc<Record>) -> Result<Self> {
        let mut flying = recorder.in_flight.lock();
        let place = match flying.spare.take() {
            Some(place) => place,
            None => {
                drop(flying);
                let place = RBTreeNodeReservation::new(GFP_KERNEL)?;
                flying = recorder.in_flight.lock();
                place
            }
        };
        flying
            .records
            .insert(place.into_node(record.seq(), record.clone()));
        drop(flying);

        // INVARIANT: A new record counts one.
        Ok(Self {
            record,
            recorder: recorder.clone(),
        })
    }

    /// Returns the record, which can be kept for longer than the request is in flight.
    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// Notes that the request begins to wait, for its leader's helper or for a slot.
    pub(crate) fn queued(&self) {
        self.record.queued();
    }

    /// Notes that the request has stopped waiting, and counts how long it waited.
    ///
    /// Does nothing if the request was not waiting.
    pub(crate) fn dequeued(&self) {
        if let Some(time) = self.record.dequeued() {
            self.recorder.queue_times.count(time);
        }
    }

    /// Notes the process id of the helper, which is about to execute the program at `path`.
    pub(crate) fn helper_started(&self, helper: Pid, path: &ModprobePath) {
        self.record.helper_started(helper);
        self.ran(path);
    }

    /// Notes the path of the program that a helper runs for the request: its own or its leader's.
    pub(crate) fn ran(&self, path: &ModprobePath) {
        self.record.ran(path);
    }

    /// Notes that the helper has ended, or could not be run, and counts how long it ran if that is
    /// known.
    pub(crate) fn helper_ended(&self, result: Result<WaitStatus>) {
        if let Some(time) = self.record.helper_ended(result) {
            self.recorder.helper_times.count(time);
        }
    }

    /// Notes what has become of a request that was kept, if no helper is started for it.
    pub(crate) fn not_started(&self, outcome: Outcome) {
        self.dequeued();
        self.record.not_started(outcome);
    }

    /// Notes the outcome and the result that the request returns with, and puts its record into a
    /// ring. A request that is kept waits on.
    ///
    /// Returns the outcome; a success is [`Outcome::Nothing`] if no module has appeared.
    pub(crate) fn answered(&self, outcome: Outcome, result: c_int) -> Outcome {
        let (outcome, queue_time) = self.record.answered(outcome, result);
        if let Some(time) = queue_time {
            self.recorder.queue_times.count(time);
        }
        self.recorder.keep(self.record.clone());
        outcome
    }
}

/// Defines the type of a debugfs file that shows a part of a [`Recorder`].
macro_rules! file {
    ($(#[doc = $doc:literal])+ $type:ident) => {
        $(#[doc = $doc])+
        pub(crate) struct $type(pub(crate) Arc<Recorder>);

        impl Deref for $type {
            type Target = Recorder;

            fn deref(&self) -> &Recorder {
                &self.0
            }
        }
    };
}

file! {
    /// The file `recent`: the last requests that have returned, in the order in which they began.
    Recent
}

impl Items for Recent {
    type Item = Arc<Record>;

    const NAME: &'static CStr = c"recent";

    fn find(&self, position: u64) -> Result<Option<(u64, Arc<Record>)>> {
        Ok(self.recent(position))
    }

    fn show(&self, record: ArcBorrow<'_, Record>, to: &SeqFile) {
        seq_print!(to, "{}\n", &*record);
    }
}

file! {
    /// The file `inflight`: the requests in flight, in the order in which they began.
    Inflight
}

impl Items for Inflight {
    type Item = Arc<Record>;

    const NAME: &'static CStr = c"inflight";

    fn find(&self, position: u64) -> Result<Option<(u64, Arc<Record>)>> {
        Ok(self.in_flight(position))
    }

    fn show(&self, record: ArcBorrow<'_, Record>, to: &SeqFile) {
        seq_print!(to, "{}\n", &*record);
    }
}

file! {
    /// The file `stats`: the counters.
    Stats
}

impl Items for Stats {
    type Item = KBox<()>;

    const NAME: &'static CStr = c"stats";

    fn find(&self, position: u64) -> Result<Option<(u64, KBox<()>)>> {
        let whole = KBox::new((), GFP_KERNEL)?;
        Ok((position == 0).then_some((0, whole)))
    }

    fn show(&self, (): &(), to: &SeqFile) {
        self.show_stats(to);
    }
}

file! {
    /// The file `latency`: how long requests waited, and how long their helpers ran.
    Latency
}

impl Items for Latency {
    type Item = KBox<()>;

    const NAME: &'static CStr = c"latency";

    fn find(&self, position: u64) -> Result<Option<(u64, KBox<()>)>> {
        let whole = KBox::new((), GFP_KERNEL)?;
        Ok((position == 0).then_some((0, whole)))
    }

    fn show(&self, (): &(), to: &SeqFile) {
        self.show_latency(to);
    }
}

#[kunit_tests(kmod_rs_recorder)]
mod tests {
    use super::*;
    use crate::wrappers::requester::{
        Account,
        Requester, //
    };
    use core::iter;

    /// Begins a request of root's.
    fn begin(recorder: &Arc<Recorder>, name: &CStr) -> Result<InFlight> {
        let beginning = Beginning {
            name: &Name::new(name),
            wait: true,
            call_site: 0,
            requester: &Requester::current(),
            account: Account::of_user(0),
        };
        recorder.begin(&beginning, iter::empty()).ok_or(ENOMEM)
    }

    /// Makes a request that returns at once.
    fn request(recorder: &Arc<Recorder>, name: &CStr, outcome: Outcome) -> Result {
        let in_flight = begin(recorder, name)?;

        assert!(recorder.in_flight(0).is_some());
        in_flight.answered(outcome, 0);
        Ok(())
    }

    fn name_at(recorder: &Recorder, position: u64) -> Option<(u64, Name)> {
        recorder
            .recent(position)
            .map(|(position, record)| (position, *record.name()))
    }

    #[test]
    fn the_last_ones_are_kept() -> Result {
        let recorder = Recorder::new(2)?;
        assert!(name_at(&recorder, 0).is_none());
        for name in [c"a", c"b", c"c"] {
            request(&recorder, name, Outcome::Loaded)?;
        }
        assert!(name_at(&recorder, 0) == Some((2, Name::new(c"b"))));
        assert!(name_at(&recorder, 3) == Some((3, Name::new(c"c"))));
        assert!(name_at(&recorder, 4).is_none());
        assert!(recorder.in_flight(0).is_none());
        Ok(())
    }

    #[test]
    fn others_do_not_push_denials_out() -> Result {
        let recorder = Recorder::new(1)?;
        request(&recorder, c"denied", Outcome::Denied)?;
        request(&recorder, c"a", Outcome::Loaded)?;
        request(&recorder, c"b", Outcome::Loaded)?;
        assert!(name_at(&recorder, 0) == Some((1, Name::new(c"denied"))));
        assert!(name_at(&recorder, 2) == Some((3, Name::new(c"b"))));

        request(&recorder, c"loop", Outcome::Loop)?;
        assert!(name_at(&recorder, 0) == Some((3, Name::new(c"b"))));
        assert!(name_at(&recorder, 4) == Some((4, Name::new(c"loop"))));
        Ok(())
    }

    #[test]
    fn none_is_kept_if_none_is_wanted() -> Result {
        let recorder = Recorder::new(0)?;
        request(&recorder, c"a", Outcome::Loaded)?;
        assert!(name_at(&recorder, 0).is_none());
        assert_eq!(recorder.memory.bytes(), 0);
        Ok(())
    }

    #[test]
    fn too_many_are_refused() -> Result {
        assert!(Recorder::new(MAX_RECORDS + 1).is_err());
        Ok(())
    }

    #[test]
    fn a_helper_keeps_its_request_in_flight() -> Result {
        let recorder = Recorder::new(1)?;
        let of_request = begin(&recorder, c"a")?;
        let of_helper = of_request.clone();
        let seq = of_request.record().seq();

        of_request.answered(Outcome::Killed, -512);
        drop(of_request);
        assert!(recorder.in_flight(0).is_some_and(|(found, _)| found == seq));
        drop(of_helper);
        assert!(recorder.in_flight(0).is_none());
        Ok(())
    }

    #[test]
    fn times_are_counted_in_powers_of_two() -> Result {
        for (us, bucket) in [
            (0, 0),
            (1, 1),
            (2, 2),
            (3, 2),
            (4, 3),
            (1 << 40, BUCKETS - 1),
        ] {
            assert_eq!(Histogram::bucket(us), bucket);
        }
        assert_eq!(Histogram::bucket(-1), 0);
        Ok(())
    }
}
