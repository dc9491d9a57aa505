// SPDX-License-Identifier: GPL-2.0

//! How things are shown.

pub(crate) mod clock;
pub(crate) mod json;
pub(crate) mod prometheus;
pub(crate) mod svg;
pub(crate) mod table;
pub(crate) mod top;

use crate::model::record::{Outcome, Record, Verdict};
use crate::model::text::Text;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use std::borrow::Cow;
use std::fmt;
use std::fmt::Write;
use std::io;
use std::time::Duration;

/// What standard output is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    /// The number of columns, if it is a terminal.
    pub(crate) width: Option<usize>,
    /// Whether it is a terminal with colours, and the user has not set NO_COLOR.
    pub(crate) has_colours: bool,
}

impl Screen {
    /// Returns what standard output is.
    pub(crate) fn get() -> Self {
        let out = io::stdout();
        Self {
            has_colours: AutoStream::choice(&out) != ColorChoice::Never,
            width: terminal_size::terminal_size_of(&out).map(|(width, _)| width.0.into()),
        }
    }
}

/// Writes a line with a label, as a part of what is said of one thing.
///
/// The text must have no bytes that somebody else chose: see [`Shown`].
pub(crate) fn labelled(
    out: &mut impl io::Write,
    label: &str,
    text: impl fmt::Display,
) -> io::Result<()> {
    writeln!(out, "  {label:10}  {text}")
}

/// Shows bytes that somebody else chose so that they do no harm: what is not a printable ASCII
/// character, and a backslash, as `\xNN`, as the module itself does.
///
/// So no escape of a terminal, no mark that turns the direction of writing, and nothing that looks
/// like another character gets through. Keeps to the width of the formatter, like a string.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (true, Ok(text)) = (self.is_harmless(), std::str::from_utf8(self.0)) {
            return f.pad(text);
        }
        let mut shown = String::with_capacity(self.0.len() + 3);
        for &byte in self.0 {
            match byte {
                b'\\' => shown.push_str("\\x5c"),
                b' '..=b'~' => shown.push(char::from(byte)),
                _ => write!(shown, "\\x{byte:02x}")?,
            }
        }
        f.pad(&shown)
    }
}

impl Shown<'_> {
    fn is_harmless(&self) -> bool {
        self.0
            .iter()
            .all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\')
    }
}

/// Returns bytes as one word of a log line, as the module writes it: a blank and a double quote, too,
/// are `\xNN`.
pub(crate) fn word(bytes: &[u8]) -> String {
    let shown = Shown(bytes).to_string();
    shown.replace('"', "\\x22").replace(' ', "\\x20")
}

/// Shows how long something took, with three digits: `334us`, `12.3ms`, `2.27s`, `1000s`.
pub(crate) struct Took(pub(crate) Duration);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.width().is_some() {
            return f.pad(&Self(self.0).to_string());
        }
        let micros = self.0.as_micros();
        let (value, unit) = match micros {
            0..1_000 => return write!(f, "{micros}us"),
            // From here on, three digits would be rounded up to the next unit.
            1_000..999_500 => (self.0.as_secs_f64() * 1e3, "ms"),
            _ => (self.0.as_secs_f64(), "s"),
        };
        let decimals = match value {
            ..9.995 => 2,
            ..99.95 => 1,
            _ => 0,
        };
        write!(f, "{value:.decimals$}{unit}")
    }
}

/// Shows what is known, and `-` if it is not.
pub(crate) struct OrDash<T>(pub(crate) Option<T>);

impl<T: fmt::Display> fmt::Display for OrDash<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(known) => known.fmt(f),
            None => f.pad("-"),
        }
    }
}

/// Returns the style of an outcome: green if a module came, red if the request was refused or
/// failed by itself, yellow if its helper failed, bold while it is in flight.
pub(crate) fn style(outcome: Option<&Outcome>) -> Style {
    use Outcome::*;
    match outcome {
        None => Style::new().bold(),
        Some(Loaded) => AnsiColor::Green.on_default(),
        Some(Denied | Refused | Loop | Timeout | Errno | TooLong) => AnsiColor::Red.on_default(),
        Some(Exit | Signal | Killed | Off) => AnsiColor::Yellow.on_default(),
        Some(Shared | Started | Kept | Nothing | Remembered | Other(_)) => Style::new(),
    }
}

/// Returns what a person wants to know of a record beside its outcome: the modules that came, the
/// rule that denies it, the loop that it is part of, or how its helper ended.
pub(crate) fn detail(record: &Record) -> String {
    let mut detail = String::new();
    let mut add = |part: fmt::Arguments<'_>| {
        if !detail.is_empty() {
            detail.push_str(", ");
        }
        // Writing to a string does not fail.
        let _ = detail.write_fmt(part);
    };
    if !record.modules.is_empty() {
        let modules = Joined(&record.modules, " ");
        match record.more_modules {
            0 => add(format_args!("{modules}")),
            more => add(format_args!("{modules} and {more} more")),
        }
    }
    if let Some((module, verdict)) = &record.denied_module {
        let Verdict { policy, rule } = verdict;
        add(format_args!("{module}: {policy} by {rule}"));
    } else if let Some(verdict) = record.verdict.as_ref().filter(|_| record.is_denial()) {
        add(format_args!("{} by {}", verdict.policy, verdict.rule));
    }
    match (&record.outcome, record.result) {
        (Some(Outcome::Loop), _) => add(format_args!("{}", Joined(&record.chain, " -> "))),
        (Some(Outcome::Exit), Some(status)) => add(format_args!("status {}", status / 256)),
        (Some(Outcome::Signal), Some(status)) => add(format_args!("signal {}", status & 0x7f)),
        (Some(Outcome::Errno), Some(errno)) => add(format_args!("errno {}", errno.unsigned_abs())),
        (None, _) => {
            if let Some(pid) = record.helper {
                add(format_args!("helper {pid}"));
            }
        }
        _ => (),
    }
    detail
}

/// Shows texts with a separator between them.
struct Joined<'a>(&'a [Text], &'static str);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, text) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(self.1)?;
            }
            text.fmt(f)?;
        }
        Ok(())
    }
}

/// What is shown in place of an outcome while there is none.
pub(crate) const IN_FLIGHT: &str = "in-flight";

/// Returns the word for how a request ended, or [`IN_FLIGHT`].
pub(crate) fn ending(record: &Record) -> Cow<'static, str> {
    match &record.outcome {
        Some(outcome) => outcome.word(),
        None => IN_FLIGHT.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits() {
        for (micros, shown) in [
            (0, "0us"),
            (999, "999us"),
            (1_000, "1.00ms"),
            (9_994, "9.99ms"),
            (9_995, "10.0ms"),
            (99_949, "99.9ms"),
            (99_950, "100ms"),
            (999_499, "999ms"),
            (999_500, "1.00s"),
            (2_266_372, "2.27s"),
            (1_000_000_000, "1000s"),
        ] {
            assert_eq!(Took(Duration::from_micros(micros)).to_string(), shown);
        }
    }

    #[test]
    fn nothing_reaches_the_terminal_raw() {
        let hostile = "\x1b[2J\u{202e}é\\ \u{9b}".as_bytes();
        assert_eq!(
            Shown(hostile).to_string(),
            r"\x1b[2J\xe2\x80\xae\xc3\xa9\x5c \xc2\x9b"
        );
        assert_eq!(word(b"a \"b\"\\"), r"a\x20\x22b\x22\x5c");
    }
}
