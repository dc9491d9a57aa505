// SPDX-License-Identifier: GPL-2.0

//! Which requests the user asks for.

use super::history::Header;
use super::live::End;
use super::pattern::Pattern;
use super::record::{Outcome, Record};
use super::text::Text;
use super::users::Users;
use crate::cli;
use crate::failure::{Failure, Result, Status};
use crate::view::IN_FLIGHT;
use chrono::{Local, NaiveDate, NaiveDateTime, NaiveTime};
use std::time::Duration;

/// Which requests the user asks for: those for which all of these hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    name: Option<Pattern>,
    uid: Option<u32>,
    cgroup: Option<Pattern>,
    /// No outcome stands for requests in flight.
    outcome: Option<Option<Outcome>>,
    is_denial: bool,
    since: Option<Duration>,
    until: Option<Duration>,
}

impl Filter {
    /// Understands what the user says, at the time and on the machine of `header`.
    pub(crate) fn new(said: &cli::Filter, users: &Users, header: &Header) -> Result<Self> {
        let pattern = |text: &Option<String>, parse: fn(&[u8]) -> Option<Pattern>| {
            let valid = |text: &String| {
                parse(text.as_bytes()).ok_or_else(|| {
                    usage(format!(
                        "{text} is no valid pattern: see \"Lists of names\" in the admin guide"
                    ))
                })
            };
            text.as_ref().map(valid).transpose()
        };
        let outcome = |word: &String| match Outcome::parse(word) {
            _ if word == IN_FLIGHT => Ok(None),
            Outcome::Other(_) => {
                let words: Vec<_> = Outcome::ALL
                    .iter()
                    .map(|(_, word)| *word)
                    .chain([IN_FLIGHT])
                    .collect();
                Err(usage(format!(
                    "{word} is no outcome: take one of {}",
                    words.join(", ")
                )))
            }
            outcome => Ok(Some(outcome)),
        };
        let time = |time: &String| {
            parse_time(time, header).ok_or_else(|| {
                usage(format!("{time} is no time: say 10m, 2h, 3d, \"2026-11-27 10:00\", or seconds since boot"))
            })
        };
        Ok(Self {
            name: pattern(&said.name, Pattern::for_names)?,
            uid: said.uid.as_ref().map(|user| users.find(user)).transpose()?,
            cgroup: pattern(&said.cgroup, Pattern::for_cgroups)?,
            outcome: said.outcome.as_ref().map(outcome).transpose()?,
            is_denial: said.denied,
            since: said.since.as_ref().map(time).transpose()?,
            until: said.until.as_ref().map(time).transpose()?,
        })
    }

    /// Returns whether the user asks for this request.
    pub(crate) fn matches(&self, record: &Record) -> bool {
        let cgroup = record.cgroup.as_ref();
        self.matches_name(&record.name)
            && self.uid.is_none_or(|uid| uid == record.uid)
            && (self.cgroup.as_ref())
                .is_none_or(|p| cgroup.is_some_and(|cgroup| p.matches(cgroup.as_bytes())))
            && (self.outcome.as_ref()).is_none_or(|o| record.outcome == *o)
            && (!self.is_denial || record.is_denial())
            && self.matches_time(record.time)
    }

    /// Returns whether the user asks for a request of which the end is known only. It is by nobody
    /// in particular.
    pub(crate) fn matches_end(&self, end: &End) -> bool {
        self.matches_name(&end.name)
            && self.uid.is_none()
            && self.cgroup.is_none()
            && self
                .outcome
                .as_ref()
                .is_none_or(|o| o.as_ref() == Some(&end.outcome))
            && (!self.is_denial || end.outcome == Outcome::Denied)
            && self.matches_time(end.time)
    }

    fn matches_time(&self, time: Duration) -> bool {
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time <= until)
    }

    fn matches_name(&self, name: &Text) -> bool {
        (self.name.as_ref()).is_none_or(|pattern| pattern.matches(name.as_bytes()))
    }
}

fn usage(sentence: String) -> Failure {
    Failure::new(Status::Usage, sentence)
}

/// Returns the time since boot that the user means: so long ago, a time of the day, or since boot.
fn parse_time(text: &str, header: &Header) -> Option<Duration> {
    let seconds = |number: &str, unit: f64| {
        Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()
    };
    let ago = |number, unit| Some(header.monotonic.saturating_sub(seconds(number, unit)?));
    let unit = text.chars().next_back()?;
    let number = &text[..text.len() - unit.len_utf8()];
    match unit {
        's' => ago(number, 1.0),
        'm' => ago(number, 60.0),
        'h' => ago(number, 3600.0),
        'd' => ago(number, 86400.0),
        _ => seconds(text, 1.0).or_else(|| Some(header.since_boot(parse_date(text)?))),
    }
}

/// Returns the time since 1970 of a local date, with or without a time of the day.
fn parse_date(text: &str) -> Option<Duration> {
    let date = || {
        Some(
            NaiveDate::parse_from_str(text, "%F")
                .ok()?
                .and_time(NaiveTime::MIN),
        )
    };
    let local = ["%F %H:%M", "%F %T", "%FT%H:%M", "%FT%T"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(date)?
        .and_local_timezone(Local)
        .earliest()?;
    Some(Duration::from_secs(local.timestamp().try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::history::tests::history;

    fn found(filter: &cli::Filter) -> Vec<u64> {
        let history = history();
        let filter = Filter::new(filter, &Users::default(), &history.header).unwrap();
        let requests = history.requests().into_iter();
        requests
            .filter(|r| filter.matches(r))
            .map(|r| r.seq)
            .collect()
    }

    fn is_refused(filter: &cli::Filter) -> bool {
        Filter::new(filter, &Users::default(), &history().header)
            .is_err_and(|failure| failure.status() == Status::Usage)
    }

    #[test]
    fn each_condition_has_to_hold() {
        let all = cli::Filter::default();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(found(&all), [1, 2, 3, 4]);
        assert_eq!(
            found(&cli::Filter {
                name: some("fs_?"),
                ..all.clone()
            }),
            [2, 4]
        );
        assert_eq!(
            found(&cli::Filter {
                uid: some("1000"),
                ..all.clone()
            }),
            [3]
        );
        assert_eq!(
            found(&cli::Filter {
                cgroup: some("/u*"),
                ..all.clone()
            }),
            [3]
        );
        assert_eq!(
            found(&cli::Filter {
                outcome: some("killed"),
                ..all.clone()
            }),
            [4]
        );
        assert_eq!(
            found(&cli::Filter {
                denied: true,
                ..all.clone()
            }),
            [3]
        );
        assert_eq!(
            found(&cli::Filter {
                since: some("6.5"),
                ..all.clone()
            }),
            [2, 3, 4]
        );
        assert_eq!(
            found(&cli::Filter {
                until: some("6.5"),
                ..all.clone()
            }),
            [1, 2]
        );
        let both = cli::Filter {
            since: some("7"),
            name: some("net*"),
            ..all
        };
        assert_eq!(found(&both), [3]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let all = cli::Filter::default();
        let some = |text: &str| Some(text.to_owned());
        assert!(is_refused(&cli::Filter {
            name: some("[a"),
            ..all.clone()
        }));
        assert!(is_refused(&cli::Filter {
            cgroup: some("\\"),
            ..all.clone()
        }));
        assert!(is_refused(&cli::Filter {
            outcome: some("lost"),
            ..all.clone()
        }));
        for time in ["", "m", "yesterday", "é", "-1s", "1e999d", "2026-13-01"] {
            assert!(
                is_refused(&cli::Filter {
                    since: some(time),
                    ..all.clone()
                }),
                "{time}"
            );
        }
    }

    #[test]
    fn since_ago_since_boot_and_since_a_date() {
        let header = history().header;
        let since = |text| parse_time(text, &header).unwrap().as_secs_f64();
        assert_eq!(since("10s"), 90.0);
        assert_eq!(since("1.5m"), 10.0);
        assert_eq!(since("3d"), 0.0);
        assert_eq!(since("6.25"), 6.25);
        assert_eq!(since("2001-01-01"), 0.0);
        assert!(since("2100-01-01 10:00") > 1e9);
    }
}
