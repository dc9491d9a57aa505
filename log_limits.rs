// SPDX-License-Identifier: GPL-2.0

//! Which log lines are written, so that nobody can keep the lines of others out of the log.
//!
//! Has no counterpart in the C code, which has one rate limit for all lines. Whoever floods the log
//! uses up such a limit, and the line that matters is not written.
//!
//! Here each account has a limit of its own for each kind of line. A line that is left out is
//! counted, and each count comes to the log: [`LogLimits::admit`] counts, a delayed work reports.
//! Root and the kernel are not forgotten and have room that nobody else can use. See "The log" in
//! Documentation/design.rst.

use crate::{
    chosen_names,
    wrappers::{
        delayed_work,
        name::Name,
        requester::Account, //
    }, //
};
use core::mem;
use kernel::{
    fmt,
    new_spinlock,
    prelude::*,
    sync::{
        Arc,
        SpinLock, //
    },
    time::{
        msecs_to_jiffies,
        ClockSource,
        Jiffies,
        Monotonic,
        NSEC_PER_MSEC,
        NSEC_PER_SEC, //
    },
    workqueue::{
        self,
        impl_has_delayed_work,
        new_delayed_work,
        DelayedWork,
        WorkItem, //
    }, //
};

/// For how long the numbers of lines are limited, in nanoseconds.
const INTERVAL: i64 = 5 * NSEC_PER_SEC;

/// How many lines of one kind an account can have in an interval, which begins with the first one.
const MAX_OF_KIND: u8 = 10;

/// How many lines all accounts but root's can have in any interval, reports included.
const MAX_OF_ALL: usize = 100;

/// If all accounts but root's have had this many lines, only an account that has had none in its
/// interval gets one.
const MAX_OF_FLOODS: usize = 50;

/// If they have had this many lines, only the kernel's own account gets one.
const MAX_OF_USERS: usize = 80;

/// If they have had this many lines, only reports are written.
const MAX_BUT_REPORTS: usize = 90;

/// For how long a line that is equal to one in the log is only counted, in nanoseconds.
const EQUAL_FOR: i64 = 10 * 60 * NSEC_PER_SEC;

/// How much later a count of equal lines is reported if there is no further one.
const GRACE: i64 = INTERVAL;

/// How many accounts are remembered, besides root's and the kernel's.
const MAX_ACCOUNTS: usize = 64;

/// How many lines are remembered of each owner, to recognise equal ones.
const MAX_LINES: usize = 20;

/// A kind of log line that users can cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The firewall has denied a request.
    Denied,
    /// The firewall would have denied a request.
    WouldBeDenied,
    /// A request is part of a loop.
    Loop,
    /// A request has given up waiting for a slot.
    Timeout,
    /// A helper was killed because of `helper_timeout_ms`.
    HelperKilled,
    /// Such a helper has not exited.
    HelperStuck,
    /// A request has returned; see `log_requests`.
    Request,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    const ALL: [Self; 7] = [
        Self::Denied,
        Self::WouldBeDenied,
        Self::Loop,
        Self::Timeout,
        Self::HelperKilled,
        Self::HelperStuck,
        Self::Request,
    ];

    const COUNT: usize = Self::ALL.len();
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denied => "denied",
            Self::WouldBeDenied => "would-be-denied",
            Self::Loop => "loop",
            Self::Timeout => "timeout",
            Self::HelperKilled => "helper-killed",
            Self::HelperStuck => "helper-stuck",
            Self::Request => "request",
        })
    }
}

/// Whose limit a line counts against.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owner {
    /// The account that the request is on.
    Account(Account),
    /// The kernel's account, for names that others may have chosen. They have a thread of the
    /// kernel make the requests, so these must not hide other lines of the kernel.
    Chosen,
}

impl Owner {
    const ROOT: Self = Self::Account(Account::ROOT);
    const KERNEL: Self = Self::Account(Account::KERNEL);

    fn new(account: Account, name: &Name) -> Self {
        let name = name.as_cstr();

        if account == Account::KERNEL
            && (chosen_names::is_chosen(name) || chosen_names::is_algorithm(name))
        {
            Self::Chosen
        } else {
            Self::Account(account)
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(account) => account.fmt(f),
            Self::Chosen => f.write_fmt(fmt!("{}/chosen", Account::KERNEL)),
        }
    }
}

/// How many equal lines were left out since the line was last written.
///
/// To be shown at the end of the line: ` again=N`, or nothing if there were none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Again(u32);

impl Again {
    /// There were none.
    pub(crate) const NONE: Self = Self(0);
}

impl fmt::Display for Again {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            count => f.write_fmt(fmt!(" again={count}")),
        }
    }
}

/// How many lines were left out, to be logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct LeftOut {
    /// The kind of the lines and their owner; [`None`] if they are of several.
    of: Option<(Kind, Owner)>,
    lines: u64,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines;
        match self.of {
            Some((kind, owner)) => f.write_fmt(fmt!(
                "lines left out: kind={kind} account={owner} lines={lines}"
            )),
            None => f.write_fmt(fmt!("lines left out: kind=- account=- lines={lines}")),
        }
    }
}

/// A line in the log, to recognise equal ones.
struct Written {
    kind: Kind,
    name: Name,
    /// When it was last written.
    time: i64,
    /// How many equal lines were left out since.
    again: u32,
}

impl Written {
    /// Returns when the number of equal lines has to be reported, if there are any.
    fn due(&self) -> Option<i64> {
        (self.again > 0).then_some(self.time + EQUAL_FOR + GRACE)
    }
}

/// What was written and left out for one owner.
struct Ledger {
    /// [`None`] if nobody has this ledger yet.
    owner: Option<Owner>,
    /// When there was last a line, written or not.
    last: i64,
    /// When the interval of `written` began.
    began: i64,
    /// How many lines of each kind were written in the interval.
    written: [u8; Kind::COUNT],
    /// How many lines of each kind were left out and are to be reported.
    left_out: [u32; Kind::COUNT],
}

impl Ledger {
    fn new(owner: Option<Owner>, now: i64) -> Self {
        Self {
            owner,
            last: now,
            began: now,
            written: [0; Kind::COUNT],
            left_out: [0; Kind::COUNT],
        }
    }

    /// Begins another interval if this one is over.
    fn advance(&mut self, now: i64) {
        if now - self.began >= INTERVAL {
            self.began = now;
            self.written = [0; Kind::COUNT];
        }
    }

    fn leave_out(&mut self, kind: Kind, lines: u32) {
        let left_out = &mut self.left_out[kind as usize];
        *left_out = left_out.saturating_add(lines);
    }

    /// Leaves out those that were equal to a line that is forgotten.
    fn leave_out_equal_to(&mut self, line: Option<Written>) {
        if let Some(line) = line {
            self.leave_out(line.kind, line.again);
        }
    }

    /// Returns how many lines were left out and not reported.
    fn all_left_out(&self) -> u64 {
        self.left_out.iter().map(|lines| u64::from(*lines)).sum()
    }
}

/// The time at which a work is to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Alarm {
    /// It need not run.
    Off,
    /// It has to run at this time, and is not enqueued yet.
    Wanted(i64),
    /// It is enqueued.
    Set,
}

impl Alarm {
    /// Has the work run at this time, if there is one, and if the work is not to run earlier.
    fn want(&mut self, time: Option<i64>) {
        if let (Self::Off, Some(time)) = (*self, time) {
            *self = Self::Wanted(time);
        }
    }

    /// Returns the time at which the work is to run, if it has to be enqueued now.
    fn take(&mut self) -> Option<i64> {
        match *self {
            Self::Wanted(time) => {
                *self = Self::Set;
                Some(time)
            }
            _ => None,
        }
    }
}

/// What was written and left out for all owners.
///
/// All times are in nanoseconds, from one clock that does not go back. But what one task has read
/// may be counted after what another one has read later.
struct Ledgers {
    /// Those of [`Owner::ROOT`], [`Owner::KERNEL`] and [`Owner::Chosen`], in this order, and
    /// [`MAX_ACCOUNTS`] others.
    ledgers: KVec<Ledger>,
    /// The last lines that were written, [`MAX_LINES`] for each ledger in the same order.
    lines: KVVec<Option<Written>>,
    /// When the last lines of all accounts but root's were written. Has room for [`MAX_OF_ALL`] and
    /// a few more.
    times: KVec<i64>,
    /// How many lines of owners that are not remembered were left out and are to be reported.
    others: u64,
    /// When counts have to be reported: after an interval.
    report: Alarm,
    /// When the number of equal lines of some line has to be reported, if no equal line comes.
    forget: Alarm,
}

impl Ledgers {
    /// The owners that are not forgotten.
    const LASTING: [Owner; 3] = [Owner::ROOT, Owner::KERNEL, Owner::Chosen];

    fn new() -> Result<Self> {
        let size = Self::LASTING.len() + MAX_ACCOUNTS;
        let mut ledgers = KVec::with_capacity(size, GFP_KERNEL)?;
        let mut lines = KVVec::with_capacity(size * MAX_LINES, GFP_KERNEL)?;
        for i in 0..size {
            ledgers.push(Ledger::new(Self::LASTING.get(i).copied(), 0), GFP_KERNEL)?;
            for _ in 0..MAX_LINES {
                lines.push(None, GFP_KERNEL)?;
            }
        }

        Ok(Self {
            ledgers,
            lines,
            times: KVec::with_capacity(2 * MAX_OF_ALL, GFP_KERNEL)?,
            others: 0,
            report: Alarm::Off,
            forget: Alarm::Off,
        })
    }

    /// Returns the number of the ledger of an owner, who gets one if there is none.
    ///
    /// Then the owner who has had no line for the longest time loses theirs.
    fn of(&mut self, owner: Owner, now: i64) -> usize {
        let known = self.ledgers.iter().position(|it| it.owner == Some(owner));
        known.unwrap_or_else(|| {
            let lasting = Self::LASTING.len();
            let ledgers = self.ledgers.iter().enumerate().skip(lasting);
            let least_recent = ledgers
                .min_by_key(|(_, it)| (it.owner.is_some(), it.last))
                .map_or(lasting, |(i, _)| i);

            self.forget_lines(least_recent, |_| true);
            let before = mem::replace(
                &mut self.ledgers[least_recent],
                Ledger::new(Some(owner), now),
            );
            self.others += before.all_left_out();
            least_recent
        })
    }

    /// Returns the lines of the ledger with this number.
    fn lines(&mut self, i: usize) -> &mut [Option<Written>] {
        &mut self.lines[i * MAX_LINES..(i + 1) * MAX_LINES]
    }

    /// Returns the line that is equal to one of this kind for `name`.
    fn equal(&mut self, i: usize, kind: Kind, name: &Name) -> Option<&mut Written> {
        self.lines(i)
            .iter_mut()
            .flatten()
            .find(|line| line.kind == kind && line.name == *name)
    }

    /// Remembers a line that is written now, and forgets the oldest one if there is no room.
    fn remember(&mut self, i: usize, kind: Kind, name: &Name, now: i64) {
        let line = Written {
            kind,
            name: *name,
            time: now,
            again: 0,
        };
        // A free place comes first.
        let age = |place: &&mut Option<Written>| place.as_ref().map(|line| line.time);
        let oldest = self.lines(i).iter_mut().min_by_key(age);
        let before = oldest.and_then(|place| place.replace(line));
        self.ledgers[i].leave_out_equal_to(before);
    }

    /// Forgets some lines. The equal ones that were left out are then reported with all others.
    fn forget_lines(&mut self, i: usize, is_meant: impl Fn(&Written) -> bool) {
        for place in i * MAX_LINES..(i + 1) * MAX_LINES {
            let line = self.lines[place].take_if(|line| is_meant(line));
            self.ledgers[i].leave_out_equal_to(line);
        }
    }

    /// Returns whether all accounts but root's have had fewer lines than this in the last interval.
    fn has_room(&mut self, most: usize, now: i64) -> bool {
        self.times.retain(|time| now - *time < INTERVAL);
        self.times.len() < most
    }

    /// Counts a line of all accounts but root's.
    fn count(&mut self, now: i64) {
        // There is room: see `take_left_out()` for what is written when the limit is reached.
        let _ = self.times.push_within_capacity(now);
    }

    /// Returns whether a new line of this kind is to be written, and counts it if it is.
    ///
    /// `i` is the number of its owner's ledger.
    fn count_if_allowed(&mut self, i: usize, kind: Kind, now: i64) -> bool {
        let ledger = &mut self.ledgers[i];
        ledger.advance(now);
        let most = match ledger.owner {
            Some(Owner::ROOT) => usize::MAX,
            Some(Owner::KERNEL) => MAX_BUT_REPORTS,
            _ if ledger.written == [0; Kind::COUNT] => MAX_OF_USERS,
            _ => MAX_OF_FLOODS,
        };
        let is_allowed = ledger.written[kind as usize] < MAX_OF_KIND && self.has_room(most, now);

        if is_allowed {
            let ledger = &mut self.ledgers[i];
            ledger.written[kind as usize] += 1;
            if ledger.owner != Some(Owner::ROOT) {
                self.count(now);
            }
        }
        is_allowed
    }

    /// Decides on a line: returns [`None`] if it is left out, and counts it.
    fn admit(&mut self, kind: Kind, account: Account, name: &Name, now: i64) -> Option<Again> {
        let i = self.of(Owner::new(account, name), now);
        self.ledgers[i].last = now;

        let equal = self.equal(i, kind, name);
        if let Some(line) = equal.filter(|line| now - line.time < EQUAL_FOR) {
            line.again = line.again.saturating_add(1);
            let due = line.due();
            self.forget.want(due);
            return None;
        }

        let is_allowed = self.count_if_allowed(i, kind, now);
        let mut again = Again::NONE;
        if !is_allowed {
            self.ledgers[i].leave_out(kind, 1);
        } else if let Some(line) = self.equal(i, kind, name) {
            line.time = now;
            again = Again(mem::take(&mut line.again));
        } else {
            self.remember(i, kind, name, now);
        }
        self.report_if_needed(now);
        is_allowed.then_some(again)
    }

    /// Has what was left out reported after an interval.
    fn report_if_needed(&mut self, now: i64) {
        let is_left_out = |it: &Ledger| it.left_out != [0; Kind::COUNT];
        if self.report == Alarm::Off && (self.others > 0 || self.ledgers.iter().any(is_left_out)) {
            self.report.want(Some(now + INTERVAL));
        }
    }

    /// Takes the next count that is to be reported.
    ///
    /// `position` is 0 at first, and then goes through all ledgers once.
    fn take_left_out(&mut self, position: &mut usize, now: i64) -> Option<LeftOut> {
        while *position < self.ledgers.len() * Kind::COUNT {
            let ledger = &mut self.ledgers[*position / Kind::COUNT];
            let kind = Kind::ALL[*position % Kind::COUNT];
            let lines = mem::take(&mut ledger.left_out[kind as usize]).into();
            let owner = ledger.owner;
            *position += 1;

            let Some(owner) = owner.filter(|_| lines > 0) else {
                continue;
            };
            let left_out = Some(LeftOut {
                of: Some((kind, owner)),
                lines,
            });
            if owner == Owner::ROOT {
                return left_out;
            }
            // The last line is for all the others together.
            if self.has_room(MAX_OF_ALL - 1, now) {
                self.count(now);
                return left_out;
            }
            self.others += lines;
        }

        let lines = mem::take(&mut self.others);
        (lines > 0).then(|| {
            self.count(now);
            LeftOut { of: None, lines }
        })
    }

    /// Forgets each line whose equal ones were left out and have to be reported at `time`.
    fn forget_counted(&mut self, time: i64) {
        for i in 0..self.ledgers.len() {
            self.forget_lines(i, |line| line.due().is_some_and(|due| due <= time));
        }
    }

    /// Does what has to be done at the alarm `forget`.
    fn forget_and_report(&mut self, now: i64) {
        self.forget = Alarm::Off;
        self.forget_counted(now);
        self.forget
            .want(self.lines.iter().flatten().filter_map(Written::due).min());
        self.report_if_needed(now);
    }
}

/// The work that reports what was left out, and the one that forgets lines with equal ones.
const REPORT: u64 = 0;
const FORGET: u64 = 1;

/// The limits of the log, and the works that report what was left out.
#[pin_data]
pub(crate) struct LogLimits {
    #[pin]
    ledgers: SpinLock<Ledgers>,
    #[pin]
    report: DelayedWork<Self, REPORT>,
    #[pin]
    forget: DelayedWork<Self, FORGET>,
}

impl_has_delayed_work! {
    impl HasDelayedWork<Self, REPORT> for LogLimits { self.report }
    impl HasDelayedWork<Self, FORGET> for LogLimits { self.forget }
}

impl LogLimits {
    /// Creates limits against which nothing counts yet.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let ledgers = Ledgers::new()?;

        Arc::pin_init(
            pin_init!(Self {
                ledgers <- new_spinlock!(ledgers, "kmod_rs::LogLimits::ledgers"),
                report <- new_delayed_work!("kmod_rs::LogLimits::report"),
                forget <- new_delayed_work!("kmod_rs::LogLimits::forget"),
            }),
            GFP_KERNEL,
        )
    }

    /// Returns whether a line is to be written to the log now. If not, it is counted.
    ///
    /// To be called once for each line, which is of this kind, about a request for `name`, and on
    /// this account. What is returned is shown at the end of the line.
    ///
    /// Context: any but interrupts. Takes `ledgers`.
    pub(crate) fn admit(
        self: &Arc<Self>,
        kind: Kind,
        account: Account,
        name: &Name,
    ) -> Option<Again> {
        let now = Monotonic::ktime_get();
        self.change(&mut self.ledgers.lock(), now, |ledgers| {
            ledgers.admit(kind, account, name, now)
        })
    }

    /// Changes the ledgers, and enqueues the works that have to run then.
    fn change<T>(
        self: &Arc<Self>,
        ledgers: &mut Ledgers,
        now: i64,
        f: impl FnOnce(&mut Ledgers) -> T,
    ) -> T {
        let result = f(ledgers);

        // The kernel warns of works on `system_wq`, which is to go.
        let queue = workqueue::system_power_efficient();
        if let Some(time) = ledgers.report.take() {
            let _ = queue.enqueue_delayed::<Arc<Self>, REPORT>(self.clone(), delay(time - now));
        }
        if let Some(time) = ledgers.forget.take() {
            let _ = queue.enqueue_delayed::<Arc<Self>, FORGET>(self.clone(), delay(time - now));
        }
        result
    }

    /// Logs what was left out.
    fn report(&self) {
        let mut position = 0;
        loop {
            let now = Monotonic::ktime_get();
            // The lock is not held while the line is written.
            let next = self.ledgers.lock().take_left_out(&mut position, now);
            match next {
                Some(left_out) => pr_warn!("{left_out}\n"),
                None => return,
            }
        }
    }
}

impl WorkItem<REPORT> for LogLimits {
    type Pointer = Arc<Self>;

    /// Context: in a worker.
    fn run(this: Arc<Self>) {
        // What is left out from here on is reported by the next run, if not by this one.
        this.ledgers.lock().report = Alarm::Off;
        this.report();
    }
}

impl WorkItem<FORGET> for LogLimits {
    type Pointer = Arc<Self>;

    /// Context: in a worker.
    fn run(this: Arc<Self>) {
        let now = Monotonic::ktime_get();
        this.change(&mut this.ledgers.lock(), now, |ledgers| {
            ledgers.forget_and_report(now);
        });
    }
}

/// Converts a time in nanoseconds to jiffies, rounded up; the result is at least 1.
fn delay(time: i64) -> Jiffies {
    // CAST: Not negative, and at most `EQUAL_FOR + GRACE`, in milliseconds. A part of a millisecond
    // is cut off, which the last jiffy makes up for.
    msecs_to_jiffies((time.max(0) / NSEC_PER_MSEC) as u32) + 1
}

/// The right of the works to run, which ends when this value is dropped.
///
/// Dropping it waits for the works, and logs what they have not reported.
pub(crate) struct Reports(pub(crate) Arc<LogLimits>);

impl Drop for Reports {
    fn drop(&mut self) {
        delayed_work::disable::<_, FORGET>(&self.0);
        delayed_work::disable::<_, REPORT>(&self.0);
        self.0.ledgers.lock().forget_counted(i64::MAX);
        self.0.report();
    }
}

#[kunit_tests(kmod_rs_log_limits)]
mod tests {
    use super::*;
    use kernel::str::CString;

    const MS: i64 = NSEC_PER_MSEC;

    /// Some time at which the tests begin.
    const START: i64 = 1_000_000 * MS;

    fn user(number: u32) -> Account {
        Account::of_user(1000 + number)
    }

    fn numbered(number: u32) -> Result<Name> {
        Ok(Name::new(&*CString::try_from_fmt(fmt!("name-{number}"))?))
    }

    /// Reports what was left out. Returns how many lines that takes, and how many were left out.
    fn report(ledgers: &mut Ledgers, now: i64) -> (usize, u64) {
        let (mut position, mut reports, mut lines) = (0, 0, 0);
        ledgers.report = Alarm::Off;
        while let Some(left_out) = ledgers.take_left_out(&mut position, now) {
            reports += 1;
            lines += left_out.lines;
        }
        (reports, lines)
    }

    /// Has an account flood the log with different lines. Returns how many are written.
    fn flood(ledgers: &mut Ledgers, account: Account, lines: u32, now: i64) -> Result<usize> {
        let mut written = 0;
        for number in 0..lines {
            let line = ledgers.admit(Kind::Denied, account, &numbered(number)?, now);
            written += usize::from(line.is_some());
        }
        Ok(written)
    }

    #[test]
    fn ten_different_lines_of_a_kind_in_five_seconds() -> Result {
        let mut ledgers = Ledgers::new()?;
        assert_eq!(flood(&mut ledgers, user(0), 30, START)?, 10);
        assert_eq!(ledgers.report.take(), Some(START + INTERVAL));
        assert_eq!(flood(&mut ledgers, user(0), 30, START + INTERVAL - 1)?, 0);
        let mut position = 0;
        let left_out = ledgers.take_left_out(&mut position, START + INTERVAL);
        assert_eq!(
            left_out,
            Some(LeftOut {
                of: Some((Kind::Denied, Owner::Account(user(0)))),
                lines: 20 + 20,
            })
        );
        assert_eq!(ledgers.take_left_out(&mut position, START + INTERVAL), None);
        // The next interval. Ten lines are equal to those before.
        assert_eq!(flood(&mut ledgers, user(0), 30, START + INTERVAL)?, 10);
        Ok(())
    }

    #[test]
    fn other_kinds_and_accounts_have_their_own_limit() -> Result {
        let mut ledgers = Ledgers::new()?;
        flood(&mut ledgers, user(0), 30, START)?;
        let name = numbered(99)?;
        assert!(ledgers.admit(Kind::Denied, user(0), &name, START).is_none());
        assert!(ledgers.admit(Kind::Loop, user(0), &name, START).is_some());
        assert!(ledgers.admit(Kind::Denied, user(1), &name, START).is_some());
        Ok(())
    }

    #[test]
    fn an_equal_line_is_written_after_ten_minutes_with_the_number() -> Result {
        let mut ledgers = Ledgers::new()?;
        let name = numbered(0)?;
        let mut line = |time| ledgers.admit(Kind::Denied, user(0), &name, time);
        assert_eq!(line(START), Some(Again(0)));
        assert_eq!(line(START + 1), None);
        assert_eq!(line(START + EQUAL_FOR - 1), None);
        assert_eq!(line(START + EQUAL_FOR), Some(Again(2)));
        assert_eq!(line(START + EQUAL_FOR + 1), None);
        assert_eq!(line(START + 2 * EQUAL_FOR - 1), None);
        assert_eq!(line(START + 2 * EQUAL_FOR), Some(Again(2)));
        assert_eq!(line(START + 4 * EQUAL_FOR), Some(Again(0)));
        Ok(())
    }

    #[test]
    fn equal_lines_are_reported_if_there_is_no_further_one() -> Result {
        let mut ledgers = Ledgers::new()?;
        let (first, second) = (numbered(0)?, numbered(1)?);
        ledgers.admit(Kind::Denied, user(0), &first, START);
        assert_eq!(ledgers.forget, Alarm::Off);
        ledgers.admit(Kind::Denied, user(0), &first, START + 1);
        ledgers.admit(Kind::Denied, user(0), &second, START + 2);
        ledgers.admit(Kind::Denied, user(0), &second, START + 3);

        let due = START + EQUAL_FOR + GRACE;
        assert_eq!(ledgers.forget.take(), Some(due));
        assert_eq!(report(&mut ledgers, due), (0, 0));
        ledgers.forget_and_report(due);
        assert_eq!(ledgers.forget.take(), Some(due + 2));
        assert_eq!(ledgers.report.take(), Some(due + INTERVAL));
        assert_eq!(report(&mut ledgers, due + INTERVAL), (1, 1));
        ledgers.forget_and_report(due + 2);
        assert_eq!(ledgers.forget, Alarm::Off);
        assert_eq!(report(&mut ledgers, due + 2 * INTERVAL), (1, 1));
        Ok(())
    }

    #[test]
    fn no_flood_hides_a_line_of_root_or_of_the_kernel() -> Result {
        let mut ledgers = Ledgers::new()?;
        let name = numbered(0)?;
        let root = |ledgers: &mut Ledgers, kind, time| {
            let line = ledgers.admit(kind, Account::ROOT, &name, time);
            assert!(line.is_some());
        };
        root(&mut ledgers, Kind::Loop, START);
        for number in 0..300 {
            flood(&mut ledgers, user(number), 20, START + 1)?;
        }
        flood(&mut ledgers, Account::KERNEL, 30, START + 1)?;
        for kind in [Kind::Denied, Kind::Timeout, Kind::HelperKilled] {
            root(&mut ledgers, kind, START + 2);
        }
        // Root's ledger is still the same.
        assert_eq!(
            ledgers.admit(Kind::Loop, Account::ROOT, &name, START + 3),
            None
        );

        let mut ledgers = Ledgers::new()?;
        for number in 0..300 {
            flood(&mut ledgers, user(number), 20, START)?;
        }
        assert_eq!(flood(&mut ledgers, Account::KERNEL, 30, START)?, 10);
        Ok(())
    }

    #[test]
    fn names_that_users_choose_do_not_hide_lines_of_the_kernel() -> Result {
        let mut ledgers = Ledgers::new()?;
        for number in 0..15 {
            for prefix in ["crypto", "tty-ldisc"] {
                let name = CString::try_from_fmt(fmt!("{prefix}-{number}"))?;
                ledgers.admit(Kind::Denied, Account::KERNEL, &Name::new(&name), START);
            }
        }
        assert_eq!(flood(&mut ledgers, Account::KERNEL, 30, START)?, 10);
        assert_eq!(report(&mut ledgers, START + INTERVAL), (2, 40));
        Ok(())
    }

    #[test]
    fn a_few_floods_leave_room_for_everybody_else() -> Result {
        let mut ledgers = Ledgers::new()?;
        // Five have 10 lines each, the others one.
        for number in 0..5 + 29 {
            flood(&mut ledgers, user(number), 20, START)?;
        }
        assert_eq!(flood(&mut ledgers, user(98), 20, START)?, 1);
        assert_eq!(flood(&mut ledgers, user(99), 20, START)?, 0);
        Ok(())
    }

    /// However many accounts there are, each line is written or counted, and few are written.
    #[test]
    fn a_hundred_lines_in_any_five_seconds_and_none_is_lost() -> Result {
        const STEPS: usize = 5;
        let mut ledgers = Ledgers::new()?;
        let mut in_log = [0; 8 * STEPS];
        let (mut lines, mut written, mut left_out) = (0, 0, 0);

        for (i, in_log) in in_log.iter_mut().enumerate() {
            // CAST: Small.
            let now = START + i as i64 * (INTERVAL / STEPS as i64);
            for number in 0..100 {
                let count = 1 + (number + i as u32) % 20;
                *in_log += flood(&mut ledgers, user(number), count, now)?;
                lines += u64::from(count);
            }
            written += *in_log as u64;
            if i % STEPS == STEPS - 1 {
                let (reports, counted) = report(&mut ledgers, now);
                assert!(reports > 0);
                *in_log += reports;
                left_out += counted;
            }
        }
        for interval in in_log.windows(STEPS) {
            assert!(interval.iter().sum::<usize>() <= MAX_OF_ALL);
        }
        ledgers.forget_counted(i64::MAX);
        left_out += report(&mut ledgers, START + 100 * INTERVAL).1;
        assert_eq!(lines, written + left_out);
        Ok(())
    }

    #[test]
    fn what_is_shown() -> Result {
        let mut ledgers = Ledgers::new()?;
        ledgers.others = 3;
        ledgers.ledgers[0].leave_out(Kind::Request, 1);
        let mut position = 0;
        let mut shown = || {
            let left_out = ledgers.take_left_out(&mut position, START).ok_or(EINVAL)?;
            CString::try_from_fmt(fmt!("{left_out}"))
        };
        assert_eq!(
            shown()?.to_bytes(),
            b"lines left out: kind=request account=0 lines=1"
        );
        assert_eq!(
            shown()?.to_bytes(),
            b"lines left out: kind=- account=- lines=3"
        );
        let shown = CString::try_from_fmt(fmt!("{}{}", Again(0), Again(7)))?;
        assert_eq!(shown.to_bytes(), b" again=7");
        let shown = CString::try_from_fmt(fmt!("{}", Owner::Chosen))?;
        assert_eq!(shown.to_bytes(), b"kernel/chosen");
        Ok(())
    }
}
