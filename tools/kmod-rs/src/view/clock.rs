// SPDX-License-Identifier: GPL-2.0

//! How points in time are shown to people.

use crate::cli::Cli;
use crate::model::history::{Header, Seconds};
use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, Local};
use std::cell::RefCell;
use std::time::Duration;

/// The end of what is taken for a time of the day, since 1970.
const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);

/// How points in time are shown: as the time of the day, or since boot.
#[derive(Clone, Debug)]
pub(crate) struct Clock<'a> {
    /// Where the time of the day comes from, if that is wanted.
    header: Option<&'a Header>,
    format: Vec<Item<'static>>,
    /// The second that was shown last, since 1970, and as what: one after the other are often in
    /// the same.
    last: RefCell<(u64, String)>,
}

impl<'a> Clock<'a> {
    /// Returns the clock that the user wants, for the machine of `header`.
    pub(crate) fn new(cli: &Cli, header: &'a Header) -> Self {
        Self {
            header: (!cli.monotonic).then_some(header),
            format: StrftimeItems::new("%b %d %H:%M:%S").collect(),
            last: RefCell::default(),
        }
    }

    /// Returns what a point in time, since boot by CLOCK_MONOTONIC, is shown as.
    ///
    /// This is `Nov 27 10:00:00` in local time, as in the journal, or seconds like `t` in a record.
    pub(crate) fn show(&self, since_boot: Duration) -> String {
        let local = |header: &Header| {
            // A later time is wrong, and may be more than a calendar has.
            let realtime = Some(header.realtime(since_boot)).filter(|it| *it < YEAR_10000)?;
            let second = realtime.as_secs();
            let mut last = self.last.borrow_mut();
            if last.0 != second || last.1.is_empty() {
                let time = DateTime::from_timestamp(second.try_into().ok()?, 0)?;
                let local = time.with_timezone(&Local);
                *last = (
                    second,
                    local.format_with_items(self.format.iter()).to_string(),
                );
            }
            Some(last.1.clone())
        };
        (self.header.and_then(local)).unwrap_or_else(|| Seconds(since_boot).to_string())
    }
}
