// SPDX-License-Identifier: GPL-2.0

//! Numbers in the text format of Prometheus, without timestamps: what the textfile collector of
//! node_exporter reads.

use crate::model::counters::Counters;
use crate::model::history::{Header, History};
use crate::model::latency::Bucket;
use crate::model::record::{Policy, Record};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Write};

/// What a file does not have, and the machine has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) is_active: bool,
    /// `kmod-limit`.
    pub(crate) slots: Option<u64>,
}

/// Shows the value of a label: printable ASCII characters as the format demands, and other bytes as
/// `\xNN`.
struct Label<'a>(&'a [u8]);

impl Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.0 {
            match byte {
                b'\\' | b'"' => write!(f, "\\{}", char::from(byte))?,
                b' '..=b'~' => f.write_char(char::from(byte))?,
                _ => write!(f, "\\\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

/// Metrics, family by family.
#[derive(Default)]
struct Metrics(String);

impl Metrics {
    /// Writes a family: for each sample its labels, such as `{outcome="loaded"}`, and its number. A
    /// family without samples is left out.
    fn family<L: Display>(
        &mut self,
        kind: &str,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        for (index, (labels, number)) in samples.into_iter().enumerate() {
            if index == 0 {
                self.begin(kind, name, help)?;
            }
            writeln!(self.0, "{name}{labels} {number}")?;
        }
        Ok(())
    }

    /// Writes a family of one number, if it is known.
    fn number(&mut self, kind: &str, name: &str, help: &str, number: Option<u64>) -> fmt::Result {
        self.family(kind, name, help, number.map(|number| ("", number)))
    }

    /// Writes a histogram. Its sum is not known, and left out.
    fn histogram(
        &mut self,
        name: &str,
        help: &str,
        buckets: &[Bucket],
        count: impl Fn(&Bucket) -> u64,
    ) -> fmt::Result {
        if buckets.is_empty() {
            return Ok(());
        }
        self.begin("histogram", name, help)?;
        let mut total = 0;
        for bucket in buckets {
            total += count(bucket);
            if let Some(us) = bucket.us_below {
                // CAST: The numbers are powers of two.
                let seconds = us as f64 / 1e6;
                writeln!(self.0, "{name}_bucket{{le=\"{seconds}\"}} {total}")?;
            }
        }
        writeln!(self.0, "{name}_bucket{{le=\"+Inf\"}} {total}")?;
        writeln!(self.0, "{name}_count {total}")
    }

    fn begin(&mut self, kind: &str, name: &str, help: &str) -> fmt::Result {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}")
    }
}

/// Returns the metrics when the module is not loaded.
pub(crate) fn not_loaded() -> Result<String, fmt::Error> {
    let mut metrics = Metrics::default();
    active(&mut metrics, false)?;
    Ok(metrics.0)
}

fn active(metrics: &mut Metrics, is_active: bool) -> fmt::Result {
    let help = "Whether kmod_rs serves requests for modules.";
    metrics.number("gauge", "kmod_rs_active", help, Some(is_active.into()))
}

/// Returns the metrics.
pub(crate) fn metrics(history: &History, now: Option<Now>) -> Result<String, fmt::Error> {
    let mut metrics = Metrics::default();
    let counters = &history.counters;
    info(&mut metrics, &history.header)?;
    if let Some(now) = now {
        active(&mut metrics, now.is_active)?;
        let help = "How many requests that wait can each have a helper at the same time.";
        metrics.number("gauge", "kmod_rs_slots", help, now.slots)?;
    }
    requests(&mut metrics, history)?;
    denials(&mut metrics, history)?;
    for (name, help, count) in [
        (
            "kmod_rs_queue_seconds",
            "How long requests waited for a slot or for the helper of another one.",
            (|bucket| bucket.queue) as fn(&Bucket) -> u64,
        ),
        (
            "kmod_rs_helper_seconds",
            "How long helpers ran.",
            |bucket| bucket.helper,
        ),
    ] {
        metrics.histogram(name, help, &history.latency, count)?;
    }
    records(&mut metrics, counters)?;
    Ok(metrics.0)
}

fn info(metrics: &mut Metrics, header: &Header) -> fmt::Result {
    let labels = format!(
        "{{version=\"{}\",release=\"{}\"}}",
        Label(header.version.as_bytes()),
        Label(header.release.as_bytes()),
    );
    let help = "The version of kmod_rs and the release of the kernel.";
    metrics.family("gauge", "kmod_rs_info", help, [(labels, 1)])
}

fn requests(metrics: &mut Metrics, history: &History) -> fmt::Result {
    let counters = &history.counters;
    let outcomes = counters
        .outcomes()
        .map(|(_, word, number)| (format!("{{outcome=\"{word}\"}}"), number));
    let help = "Requests that have returned.";
    metrics.family("counter", "kmod_rs_requests_total", help, outcomes)?;

    let in_flight = &history.in_flight;
    let with_helper = in_flight.iter().filter(|r| r.helper.is_some()).count();
    let help = "Requests that have not returned, or whose helper has not ended.";
    metrics.family(
        "gauge",
        "kmod_rs_requests_in_flight",
        help,
        [
            ("{helper=\"yes\"}", with_helper as u64),
            ("{helper=\"no\"}", (in_flight.len() - with_helper) as u64),
        ],
    )?;
    let help = "Requests that do not wait and whose helper is to be started later.";
    metrics.number(
        "gauge",
        "kmod_rs_requests_kept",
        help,
        counters.number("kept_now"),
    )?;

    let help = "Modules that appeared because of requests.";
    metrics.number(
        "counter",
        "kmod_rs_modules_total",
        help,
        counters.number("modules"),
    )?;
    let help = "Modules that came from a request and are still there.";
    let there = history.autoloaded.len() as u64;
    metrics.number("gauge", "kmod_rs_autoloaded_modules", help, Some(there))
}

fn denials(metrics: &mut Metrics, history: &History) -> fmt::Result {
    let of = |policy: &str, keys: [&str; 2]| {
        let labels = ["request", "module"].map(|of| format!("{{of=\"{of}\",policy=\"{policy}\"}}"));
        let numbers = keys.map(|key| history.counters.number(key));
        labels.into_iter().zip(numbers).collect::<Vec<_>>()
    };
    let samples = [
        of("denied", ["denied_by_policy", "modules_denied"]),
        of(
            "would-be-denied",
            ["would_be_denied", "modules_would_be_denied"],
        ),
    ];
    let help = "Requests, and modules of helpers, that the firewall denied or would have denied.";
    metrics.family(
        "counter",
        "kmod_rs_denials_total",
        help,
        samples
            .into_iter()
            .flatten()
            .filter_map(|(labels, number)| Some((labels, number?))),
    )?;

    let mut rules: BTreeMap<(&'static str, &[u8]), u64> = BTreeMap::new();
    for record in &history.recent {
        if let Some(rule) = denial(record) {
            *rules.entry(rule).or_default() += 1;
        }
    }
    let samples = rules.into_iter().map(|((policy, rule), number)| {
        (
            format!("{{policy=\"{policy}\",rule=\"{}\"}}", Label(rule)),
            number,
        )
    });
    let help = "Denials in the records that are kept now, by rule. Older ones are not counted.";
    metrics.family("gauge", "kmod_rs_recorded_denials", help, samples)
}

/// Returns the word and the rule by which a request, or a module of its helper, was denied or would
/// have been.
///
/// Users choose the names of ciphers, so these are not told apart: the number of rules is that of
/// the entries that administrators have written.
fn denial(record: &Record) -> Option<(&'static str, &[u8])> {
    let module = record.denied_module.as_ref().map(|(_, verdict)| verdict);
    let verdict = [record.verdict.as_ref(), module]
        .into_iter()
        .flatten()
        .find(|verdict| verdict.policy != Policy::Allowed)?;
    let word = match verdict.policy {
        Policy::WouldBeDenied => "would-be-denied",
        _ => "denied",
    };
    let rule = verdict.rule.as_bytes();
    Some((
        word,
        if rule.starts_with(b"crypto ") {
            b"crypto"
        } else {
            rule
        },
    ))
}

fn records(metrics: &mut Metrics, counters: &Counters) -> fmt::Result {
    let pushed_out = [
        ("{of=\"denials\"}", counters.number("denials_pushed_out")),
        ("{of=\"others\"}", counters.number("records_pushed_out")),
    ];
    let help = "Records that are not kept any more, as there was no room.";
    let samples = pushed_out
        .into_iter()
        .filter_map(|(labels, number)| Some((labels, number?)));
    metrics.family("counter", "kmod_rs_records_pushed_out_total", help, samples)?;
    let help = "Requests without a record, as there was no memory.";
    let lost = counters.number("records_lost");
    metrics.number("counter", "kmod_rs_records_lost_total", help, lost)?;
    let help = "The memory that the records take.";
    let bytes = counters.number("records_bytes");
    metrics.number("gauge", "kmod_rs_records_bytes", help, bytes)
}
