// SPDX-License-Identifier: GPL-2.0

//! A picture of requests: one bar for each, over time, as an SVG file.
//!
//! It is plain formatting, as that of `systemd-analyze plot`. On the left of each bar it has the
//! request in words, so that it says the same when it is printed in grey.

use crate::model::history::Header;
use crate::model::record::{Outcome, Record};
use crate::model::timeline::Row;
use crate::view::{ending, Took};
use std::fmt::{self, Write};
use std::time::Duration;

/// The width of a character, in pixels: that of the usual monospace fonts at 11 pixels, and a bit.
const CHARACTER: usize = 7;
/// The height of a row.
const ROW: usize = 18;
/// The space around the picture, and between its columns.
const MARGIN: usize = 16;
/// By how much a nested request is indented, and how often at most.
const INDENT: usize = 12;
const INDENTS: usize = 12;
/// How many characters of a name and of a requester are shown. Few have more.
const NAME: usize = 44;
const REQUESTER: usize = 32;
/// The width of the time axis, without the gaps.
const AXIS: f64 = 900.0;
/// The width of a gap, which has room for a mark on both sides, and the least width of what is
/// between two gaps.
const GAP: f64 = 64.0;
const LEAST: f64 = 80.0;
/// The least distance between two marks on the axis.
const MARKS: f64 = 80.0;
/// Above the first row there are the titles, the legend and the axis.
const TOP: usize = 112;
/// How many gaps there are at most, and how long an idle time is at least to be one, in seconds.
const GAPS: usize = 10;
const IDLE: f64 = 5.0;
/// A bar is at least that wide, so that it can be seen.
const BAR: f64 = 3.0;

/// Outcomes that have one colour. The colours differ in lightness as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Loaded,
    Nothing,
    Failed,
    Denied,
    Stuck,
    InFlight,
}

impl Class {
    const ALL: [Self; 6] = [
        Self::Loaded,
        Self::Nothing,
        Self::Failed,
        Self::Denied,
        Self::Stuck,
        Self::InFlight,
    ];

    fn of(record: &Record) -> Self {
        match record.outcome {
            Some(Outcome::Loaded) => Self::Loaded,
            Some(Outcome::Denied | Outcome::Refused) => Self::Denied,
            Some(Outcome::Loop | Outcome::Timeout | Outcome::Killed) => Self::Stuck,
            Some(Outcome::Exit | Outcome::Signal | Outcome::Errno | Outcome::TooLong) => {
                Self::Failed
            }
            Some(_) => Self::Nothing,
            None => Self::InFlight,
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::Loaded => "#3a8f4d",
            Self::Nothing => "#a9cdea",
            Self::Failed => "#e8973a",
            Self::Denied => "#b3262a",
            Self::Stuck => "#4b2a78",
            Self::InFlight => "#ffffff",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Nothing => "nothing, shared, started, kept, off",
            Self::Failed => "exit, signal, errno, toolong",
            Self::Denied => "denied, refused",
            Self::Stuck => "loop, timeout, killed",
            Self::InFlight => "in flight",
        }
    }
}

/// Shows a text in XML, at most that many characters of it. Nothing in it is markup, and nothing is a
/// control character.
struct Xml<T>(T, usize);

impl<T: fmt::Display> fmt::Display for Xml<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let is_cut = text.chars().count() > self.1;
        for c in text.chars().take(if is_cut { self.1 - 1 } else { self.1 }) {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                ' '..='~' => f.write_char(c)?,
                _ => f.write_char(char::REPLACEMENT_CHARACTER)?,
            }
        }
        f.write_str(if is_cut { "…" } else { "" })
    }
}

/// A time in which there are requests, and where it is on the axis.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Busy {
    /// In seconds since boot.
    begin: f64,
    end: f64,
    /// In pixels from the beginning of the axis.
    left: f64,
    right: f64,
}

/// The time axis: the times in which there are requests, without long idle times between them. The
/// scale is the same everywhere, so that the lengths of bars can be compared.
#[derive(Debug, PartialEq)]
struct Axis {
    parts: Vec<Busy>,
    /// Pixels for each second.
    scale: f64,
}

impl Axis {
    /// Returns the axis for these times, each with a beginning and an end, in the order of the
    /// beginnings.
    fn new(times: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let mut busy: Vec<(f64, f64)> = Vec::new();
        for (begin, end) in times {
            match busy.last_mut() {
                Some(last) if begin - last.1 < IDLE => last.1 = last.1.max(end),
                _ => busy.push((begin, end)),
            }
        }
        // Of all idle times, the longest remain.
        let mut idle: Vec<_> = busy.windows(2).map(|two| two[1].0 - two[0].1).collect();
        idle.sort_by(|a, b| b.total_cmp(a));
        let shortest = idle.get(GAPS).copied().unwrap_or_default();
        let mut kept: Vec<(f64, f64)> = Vec::new();
        for (begin, end) in busy {
            match kept.last_mut() {
                Some(last) if begin - last.1 <= shortest => last.1 = end,
                _ => kept.push((begin, end)),
            }
        }

        let total: f64 = kept.iter().map(|(begin, end)| end - begin).sum();
        let scale = match total > 0.0 {
            true => AXIS / total,
            // There are moments only.
            false => LEAST / 0.001,
        };
        let mut left = 0.0;
        let parts = kept.into_iter().map(|(begin, end)| {
            let right = left + ((end - begin) * scale).max(LEAST);
            let part = Busy {
                begin,
                end,
                left,
                right,
            };
            left = right + GAP;
            part
        });
        Self {
            parts: parts.collect(),
            scale,
        }
    }

    /// Returns where a time is.
    fn x(&self, time: f64) -> f64 {
        let part = self.parts.iter().rev().find(|part| part.begin <= time);
        match part.or(self.parts.first()) {
            Some(part) => {
                let time = time.clamp(part.begin, part.end);
                part.left + (time - part.begin) * self.scale
            }
            None => 0.0,
        }
    }

    fn width(&self) -> f64 {
        self.parts.last().map_or(LEAST, |part| part.right)
    }

    /// Returns the marks: where they are, and what they say.
    fn marks(&self) -> Vec<(f64, String)> {
        let mut marks = Vec::new();
        let (step, decimals) = step(MARKS / self.scale);
        for part in &self.parts {
            let first = (part.begin / step).ceil();
            let mut times = (0..)
                .map(|i| (first + f64::from(i)) * step)
                .take_while(|time| *time <= part.end)
                .peekable();
            if times.peek().is_none() {
                marks.push((part.left, format!("{:.*} s", decimals + 1, part.begin)));
            }
            marks.extend(times.map(|time| (self.x(time), format!("{time:.decimals$} s"))));
        }
        marks
    }
}

/// Returns the smallest of 1, 2, 5, 10, ... seconds and of 0.5, 0.2, 0.1, ... that is no less than
/// this, and how many decimals it has.
fn step(least: f64) -> (f64, usize) {
    let power = least.log10().floor();
    let unit = 10f64.powf(power);
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * unit)
        .find(|step| *step >= least)
        .unwrap_or(10.0 * unit);
    let decimals = (-step.log10().floor()).max(0.0);
    // CAST: Times have at most six decimals.
    (step, decimals.min(6.0) as usize)
}

/// Where the columns of a picture begin, in pixels.
struct Columns {
    requester: usize,
    outcome: usize,
    time: usize,
    axis: usize,
}

impl Columns {
    fn new(rows: &[Row<'_>]) -> Self {
        let widest = |length: &dyn Fn(&Row<'_>) -> usize| rows.iter().map(length).max();
        let name =
            widest(&|row| indent(row) + CHARACTER * row.record.name.to_string().len().min(NAME));
        let requester = widest(&|row| requester(row.record).len().min(REQUESTER));
        let outcome = widest(&|row| ending(row.record).len().min(NAME));
        let requester_at = MARGIN + name.unwrap_or_default() + MARGIN;
        let outcome_at = requester_at + CHARACTER * requester.unwrap_or_default() + MARGIN;
        let time_at = outcome_at + CHARACTER * (outcome.unwrap_or_default() + 10);
        Self {
            requester: requester_at,
            outcome: outcome_at,
            time: time_at,
            // There is room for half a mark.
            axis: time_at + 3 * MARGIN,
        }
    }

    fn titles(&self, svg: &mut String) -> fmt::Result {
        let y = TOP - 8;
        writeln!(
            svg,
            r#"<text x="{MARGIN}" y="{y}">name</text><text x="{}" y="{y}">requester</text><text x="{}" y="{y}">outcome</text><text class="end" x="{}" y="{y}">took</text>"#,
            self.requester, self.outcome, self.time,
        )
    }
}

fn indent(row: &Row<'_>) -> usize {
    INDENT * row.depth.min(INDENTS)
}

fn requester(record: &Record) -> String {
    format!("{}[{}] uid {}", record.comm, record.pid, record.uid)
}

/// Returns a time in seconds. Later than in thirty years there is none.
fn seconds(time: Duration) -> f64 {
    time.as_secs_f64().min(1e9)
}

/// Returns when a request ended, or now if that is to come.
fn end(record: &Record, now: Duration) -> f64 {
    seconds(match record.outcome {
        Some(_) => record.end(),
        None => now.max(record.end()),
    })
}

/// Returns the picture.
pub(crate) fn plot(header: &Header, rows: &[Row<'_>]) -> Result<String, fmt::Error> {
    let mut times: Vec<_> = rows
        .iter()
        .map(|row| (seconds(row.record.time), end(row.record, header.monotonic)))
        .collect();
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    let axis = Axis::new(times);
    let columns = Columns::new(rows);
    let bottom = TOP + ROW * rows.len();
    let width = columns.axis + axis.width().ceil() as usize + 3 * MARGIN;
    let height = bottom + 2 * MARGIN;

    let mut svg = String::new();
    writeln!(
        svg,
        r##"<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">
<defs><pattern id="queue" width="4" height="4" patternUnits="userSpaceOnUse">
<rect width="4" height="4" fill="#ffffff"/><path d="M-1,1 l2,-2 M0,4 l4,-4 M3,5 l2,-2" stroke="#444444"/></pattern></defs>
<style>text {{ font: 11px monospace; fill: #111111 }} .title {{ font: bold 16px sans-serif }} .name {{ font-weight: bold }}
.end {{ text-anchor: end }} .middle {{ text-anchor: middle }} .stripe {{ fill: #f2f2f2 }} .mark {{ stroke: #bbbbbb }}
.bar {{ stroke: #222222; stroke-width: 0.5 }} .queue {{ fill: url(#queue) }} .gap {{ stroke: #777777; stroke-dasharray: 1 3 }}</style>
<rect width="100%" height="100%" fill="#ffffff"/>"##
    )?;
    heading(&mut svg, header, rows, axis.parts.len() > 1)?;
    grid(&mut svg, &axis, columns.axis, rows.len())?;
    columns.titles(&mut svg)?;
    for (index, row) in rows.iter().enumerate() {
        bar(
            &mut svg,
            row,
            TOP + ROW * index,
            &axis,
            &columns,
            header.monotonic,
        )?;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// Writes the title, and what the colours and the dotted lines mean that are used.
fn heading(svg: &mut String, header: &Header, rows: &[Row<'_>], has_gaps: bool) -> fmt::Result {
    writeln!(
        svg,
        r#"<text class="title" x="{MARGIN}" y="28">Requests for kernel modules</text>
<text x="{MARGIN}" y="46">{} requests on {}, Linux {}, kmod_rs {}; times in seconds since boot</text>"#,
        rows.len(),
        Xml(&header.hostname, NAME),
        Xml(&header.release, NAME),
        Xml(&header.version, NAME),
    )?;
    let used = Class::ALL
        .into_iter()
        .filter(|class| rows.iter().any(|row| Class::of(row.record) == *class));
    let labels = [("url(#queue)", "waits in the queue or for another's helper")]
        .into_iter()
        .chain(used.map(|class| (class.colour(), class.label())));
    let mut x = MARGIN;
    for (fill, label) in labels {
        writeln!(
            svg,
            r#"<rect class="bar" x="{x}" y="58" width="12" height="12" fill="{fill}"/><text x="{}" y="68">{label}</text>"#,
            x + 18,
        )?;
        x += 18 + CHARACTER * label.len() + MARGIN;
    }
    if has_gaps {
        let (line, text) = (x + 6, x + 18);
        writeln!(
            svg,
            r#"<line class="gap" x1="{line}" y1="56" x2="{line}" y2="72"/><text x="{text}" y="68">an idle time is left out</text>"#,
        )?;
    }
    Ok(())
}

/// Writes the stripes behind the rows, and the axis.
fn grid(svg: &mut String, axis: &Axis, left: usize, rows: usize) -> fmt::Result {
    let bottom = TOP + ROW * rows;
    for row in (1..rows).step_by(2) {
        writeln!(
            svg,
            r#"<rect class="stripe" x="0" y="{}" width="100%" height="{ROW}"/>"#,
            TOP + ROW * row
        )?;
    }
    for two in axis.parts.windows(2) {
        let x = left as f64 + (two[0].right + two[1].left) / 2.0;
        writeln!(
            svg,
            r#"<line class="gap" x1="{x:.1}" y1="{}" x2="{x:.1}" y2="{bottom}"/>"#,
            TOP - 24
        )?;
    }
    for (x, label) in axis.marks() {
        let x = left as f64 + x;
        writeln!(
            svg,
            r#"<line class="mark" x1="{x:.1}" y1="{}" x2="{x:.1}" y2="{bottom}"/><text class="middle" x="{x:.1}" y="{}">{label}</text><text class="middle" x="{x:.1}" y="{}">{label}</text>"#,
            TOP - 4,
            TOP - 8,
            bottom + 14,
        )?;
    }
    Ok(())
}

/// Writes one request.
fn bar(
    svg: &mut String,
    row: &Row<'_>,
    top: usize,
    axis: &Axis,
    columns: &Columns,
    now: Duration,
) -> fmt::Result {
    let record = row.record;
    let class = Class::of(record);
    let text = top + 13;
    let x = |time| columns.axis as f64 + axis.x(time);
    let begin = x(seconds(record.time));
    let run = x(seconds(
        record.time.saturating_add(record.queue.unwrap_or_default()),
    ));
    let end = x(end(record, now)).max(run + BAR);
    let took = record
        .took()
        .map_or_else(String::new, |time| Took(time).to_string());

    writeln!(
        svg,
        "<g><title>{}</title>",
        Xml(String::from_utf8_lossy(&record.line), usize::MAX)
    )?;
    writeln!(
        svg,
        r#"<text class="name" x="{}" y="{text}">{}</text><text x="{}" y="{text}">{}</text><text x="{}" y="{text}">{}</text><text class="end" x="{}" y="{text}">{took}</text>"#,
        MARGIN + indent(row),
        Xml(&record.name, NAME),
        columns.requester,
        Xml(requester(record), REQUESTER),
        columns.outcome,
        Xml(ending(record), NAME),
        columns.time,
    )?;
    if run > begin {
        writeln!(
            svg,
            r#"<rect class="bar queue" x="{begin:.1}" y="{}" width="{:.1}" height="{}"/>"#,
            top + 3,
            run - begin,
            ROW - 6,
        )?;
    }
    writeln!(
        svg,
        r#"<rect class="bar" x="{run:.1}" y="{}" width="{:.1}" height="{}" fill="{}"{}/></g>"#,
        top + 3,
        end - run,
        ROW - 6,
        class.colour(),
        if class == Class::InFlight {
            r#" stroke-dasharray="3 2""#
        } else {
            ""
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::history::tests::history;
    use crate::model::timeline::rows;

    #[test]
    fn long_idle_times_are_cut_out() {
        let axis = Axis::new([(10.0, 12.0), (11.0, 20.0), (24.0, 30.0), (9000.0, 9020.0)]);
        let [first, second] = axis.parts[..] else {
            panic!("{axis:?}");
        };
        assert_eq!((first.begin, first.end), (10.0, 30.0));
        assert_eq!(axis.x(20.0), first.right / 2.0);
        assert_eq!(axis.x(5000.0), first.right);
        assert_eq!(axis.x(9000.0), first.right + GAP);
        assert_eq!(second.left, first.right + GAP);
    }

    #[test]
    fn a_second_is_as_long_everywhere() {
        let axis = Axis::new([(10.2, 10.7), (100.0, 150.0)]);
        let second = |from| axis.x(from + 0.5) - axis.x(from);
        assert!((second(10.2) - second(100.0)).abs() < 1e-9);
        assert_eq!(axis.parts[0].right, LEAST);
        assert_eq!(axis.marks()[0], (0.0, "10.2 s".into()));
    }

    #[test]
    fn of_many_idle_times_the_longest_are_cut_out() {
        let times = (1..=100).map(|i| (f64::from(i * i * 10), f64::from(i * i * 10 + 1)));
        assert_eq!(Axis::new(times).parts.len(), GAPS + 1);
    }

    #[test]
    fn marks_are_at_round_times() {
        let labels = |from, to| {
            let marks = Axis::new([(from, to)]).marks();
            marks
                .into_iter()
                .map(|(_, label)| label)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            labels(3.2, 7.0),
            ["3.5 s", "4.0 s", "4.5 s", "5.0 s", "5.5 s", "6.0 s", "6.5 s", "7.0 s"]
        );
        assert_eq!(labels(0.0, 40.0)[1], "5 s");
        assert_eq!(labels(5.0, 5.0)[0], "5.000 s");
    }

    #[test]
    fn nested_requests_are_below_and_indented() {
        let history = history();
        let picture = plot(&history.header, &rows(&history.requests())).unwrap();
        let at = |text: &str| picture.find(text).unwrap();
        let outer = at(r#"class="name" x="16" y="125">fs-xfs<"#);
        let inner = at(r#"class="name" x="28" y="143">fs-a<"#);
        assert!(outer < inner && inner < at(">fs-b<"));
    }

    proptest::proptest! {
        /// Whatever a record has, the picture is XML without control characters, and finite.
        #[test]
        fn nothing_in_a_record_is_markup(
            name in "\\PC*|[ -~]*",
            t in proptest::arbitrary::any::<u64>(),
            times in proptest::array::uniform2(proptest::option::of(proptest::arbitrary::any::<u64>())),
            outcome in "[a-z<>&\\x1b]{1,9}",
        ) {
            let shown = crate::view::Shown(name.as_bytes()).to_string().replace('"', "\\x22");
            let [queue, helper] = times.map(|time| time.map_or("-".into(), |us| us.to_string()));
            let line = format!(
                "seq=1 t={t}.000000 name=\"{shown}\" wait=1 pid=1 comm=\"{shown}\" uid=1 \
                 userns=initial queue_us={queue} helper_us={helper} outcome={outcome}"
            );
            let record = Record::parse(line.as_bytes()).unwrap();
            let picture = plot(&history().header, &rows(&[&record])).unwrap();
            proptest::prop_assert!(picture.chars().all(|c| c == '\n' || !c.is_control()));
            let bar = &picture[picture.find("<g>").unwrap()..];
            proptest::prop_assert_eq!(bar.matches('<').count(), bar.matches('>').count());
            proptest::prop_assert_eq!(bar.matches("<text").count(), 4);
            // What is between quotation marks is the value of an attribute. A name may be "NaN".
            let pieces: Vec<_> = picture.split('"').collect();
            for attribute in pieces.chunks_exact(2) {
                proptest::prop_assert!(attribute[0].ends_with('='));
                proptest::prop_assert!(!attribute[1].contains("NaN"));
                proptest::prop_assert!(!attribute[1].contains("inf"));
            }
        }
    }
}
