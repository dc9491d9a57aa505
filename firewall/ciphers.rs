// SPDX-License-Identifier: GPL-2.0

//! Decisions on algorithms, remembered for the threads that put the algorithms together.
//!
//! Has no counterpart in the C code. A task that needs `cbc(serpent)` makes a request for
//! `crypto-cbc(serpent)`. If there is no such module, the kernel starts the thread
//! `cryptomgr_probe`, which makes requests for the parts: `crypto-cbc`, `crypto-serpent`. Nothing
//! tells which task this thread works for. But that task made its own request shortly before, and
//! the name of the part tells which request it was. See `crypto_larval_lookup()` of `crypto/api.c`
//! and `cryptomgr_schedule_probe()` of `crypto/algboss.c`.
//!
//! The table of decisions is bounded, and users can fill it. They must not be able to get round the
//! firewall in this way. So decisions that denied do not push out decisions that allowed, and the
//! other way round. If a decision that denied was pushed out, a thread about which the table says
//! nothing is denied until that decision would have expired.

use crate::{
    firewall::policy::{
        Decision,
        Rule, //
    },
    wrappers::name::Name, //
};
use kernel::prelude::*;

/// The prefix of the names that requests for algorithms have.
const PREFIX: &[u8] = b"crypto-";

/// The suffix of the second name that the kernel asks for: `crypto-NAME-all` after `crypto-NAME`.
const ALL: &[u8] = b"-all";

/// The size of an algorithm's name with its final NUL: `CRYPTO_MAX_ALG_NAME`.
const ALGORITHM_LEN: usize = 128;

/// How many decisions that allowed are remembered, and how many that denied.
const MAX_DECISIONS: usize = 64;

/// How long a decision is remembered, in nanoseconds.
const LIFETIME: i64 = 60 * 1_000_000_000;

/// Returns the algorithm that a request for `name` is for; `None` if it is for something else.
pub(crate) fn algorithm(name: &CStr) -> Option<&[u8]> {
    name.to_bytes().strip_prefix(PREFIX)
}

/// The name of an algorithm, or its beginning if it is too long, filled up with NULs.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Algorithm([u8; ALGORITHM_LEN]);

impl Algorithm {
    fn new(name: &[u8]) -> Self {
        let mut bytes = [0; ALGORITHM_LEN];
        let length = name.len().min(ALGORITHM_LEN - 1);

        bytes[..length].copy_from_slice(&name[..length]);
        Self(bytes)
    }

    fn as_cstr(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }

    fn bytes(&self) -> &[u8] {
        self.as_cstr().to_bytes()
    }
}

/// A decision on an algorithm; the [`Table`] tells whether it allowed or denied.
struct PastDecision {
    algorithm: Algorithm,
    /// Whether the decision was inherited by a thread, and not made on a request of a task.
    is_derived: bool,
    /// When it was made, in nanoseconds. If it is derived: when the inherited one was made.
    time: i64,
}

impl PastDecision {
    fn is_fresh(&self, now: i64) -> bool {
        now - self.time < LIFETIME
    }

    /// Returns whether this decision takes the place of `old`.
    fn replaces(&self, old: &Self) -> bool {
        self.algorithm == old.algorithm && self.is_derived == old.is_derived
    }
}

/// The decisions that allowed, or those that denied; has room for [`MAX_DECISIONS`].
struct Table(KVVec<PastDecision>);

impl Table {
    fn new() -> Result<Self> {
        Ok(Self(KVVec::with_capacity(MAX_DECISIONS, GFP_KERNEL)?))
    }

    /// Adds a decision, and removes those that it replaces or that have expired.
    ///
    /// Returns the oldest decision if it had to be pushed out. That one has not expired.
    fn add(&mut self, past: PastDecision, now: i64) -> Option<PastDecision> {
        self.0
            .retain(|old| old.is_fresh(now) && !past.replaces(old));

        let oldest = self.0.iter().enumerate().min_by_key(|(_, old)| old.time);
        let lost = match oldest {
            Some((i, _)) if self.0.len() >= MAX_DECISIONS => self.0.remove(i).ok(),
            _ => None,
        };
        // There is room: `new()` has made it, and if it was used up, the oldest was removed.
        let _ = self.0.push_within_capacity(past);
        lost
    }

    /// Returns the newest decision that has not expired, is derived or not, as `is_derived` says,
    /// and is on an algorithm that `is_meant` accepts.
    fn newest(
        &self,
        now: i64,
        is_derived: bool,
        is_meant: impl Fn(&[u8]) -> bool,
    ) -> Option<&PastDecision> {
        self.0
            .iter()
            .filter(|past| {
                past.is_derived == is_derived
                    && past.is_fresh(now)
                    && is_meant(past.algorithm.bytes())
            })
            .max_by_key(|past| past.time)
    }
}

/// The decisions of the last minute.
///
/// All times are in nanoseconds, from one clock that does not go back.
pub(crate) struct Decisions {
    allowed: Table,
    denied: Table,
    /// When the last of the decisions that denied and were pushed out would have expired.
    forgotten_until: i64,
}

impl Decisions {
    /// Creates an empty table.
    ///
    /// Returns [`ENOMEM`] if there is no memory for it.
    ///
    /// Context: may sleep.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            allowed: Table::new()?,
            denied: Table::new()?,
            forgotten_until: 0,
        })
    }

    /// Remembers a decision on a request of a task for an algorithm.
    ///
    /// A decision on `NAME-all` is not remembered if there is one on `NAME`: the kernel asks for
    /// `NAME-all` after `NAME`, and what was decided on `NAME` counts.
    ///
    /// Context: any. Does not allocate.
    #[inline(never)]
    pub(crate) fn note(&mut self, algorithm: &[u8], is_allowed: bool, now: i64) {
        if let Some(first) = algorithm.strip_suffix(ALL) {
            let first = &first[..first.len().min(ALGORITHM_LEN - 1)];
            let is_first = |name: &[u8]| name == first;
            if self.newest(now, false, is_first).is_some() {
                return;
            }
        }
        let past = PastDecision {
            algorithm: Algorithm::new(algorithm),
            is_derived: false,
            time: now,
        };
        self.add(past, is_allowed, now);
    }

    /// Returns the decision that counts for a thread that asks for an algorithm as a part of
    /// another one; `None` if nothing was decided.
    ///
    /// It is the first of these that exists:
    ///
    /// 1. the newest decision on an algorithm in whose name this part is a word;
    /// 2. the newest decision on an algorithm in whose name a part of this part is a word: a
    ///    template may ask for something that is made of its own parts, as `xts(serpent)` asks for
    ///    `ecb(serpent)`. The decision is also remembered as a derived one on this part, because
    ///    the thread asks for the parts of it (`ecb`) next;
    /// 3. the newest derived decision on an algorithm in whose name this part is a word;
    /// 4. a denial, if a decision that denied was pushed out and would not have expired yet.
    ///
    /// A part whose name ends in `-all` is looked for with and without this suffix.
    ///
    /// Context: any. Does not allocate.
    pub(crate) fn inherited(&mut self, algorithm: &[u8], now: i64) -> Option<Decision> {
        let first = algorithm.strip_suffix(ALL).unwrap_or(algorithm);
        let has_it = |name: &[u8]| has_word(name, algorithm) || has_word(name, first);
        let has_part = |name: &[u8]| parts(first).any(|part| has_word(name, part));

        if let Some((_, decision)) = self.newest(now, false, has_it) {
            return Some(decision);
        }
        if let Some((time, decision)) = self.newest(now, false, has_part) {
            // The parts of `first` are asked for next.
            let past = PastDecision {
                algorithm: Algorithm::new(first),
                is_derived: true,
                time,
            };
            self.add(past, decision.is_allowed, now);
            return Some(decision);
        }
        if let Some((_, decision)) = self.newest(now, true, has_it) {
            return Some(decision);
        }
        (now < self.forgotten_until).then_some(Decision {
            is_allowed: false,
            rule: Rule::CryptoForgotten,
        })
    }

    #[inline(never)]
    fn add(&mut self, past: PastDecision, is_allowed: bool, now: i64) {
        if is_allowed {
            self.allowed.add(past, now);
        } else if let Some(lost) = self.denied.add(past, now) {
            self.forgotten_until = self.forgotten_until.max(lost.time + LIFETIME);
        }
    }

    /// Does the same as [`Table::newest`] in both tables, and also returns when the decision was
    /// made.
    ///
    /// Of two decisions that were made at the same time, the one that denied counts.
    fn newest(
        &self,
        now: i64,
        is_derived: bool,
        is_meant: impl Fn(&[u8]) -> bool,
    ) -> Option<(i64, Decision)> {
        let allowed = self.allowed.newest(now, is_derived, &is_meant);
        let denied = self.denied.newest(now, is_derived, &is_meant);
        let is_allowed = match (allowed, denied) {
            (Some(allowed), Some(denied)) => allowed.time > denied.time,
            (allowed, _) => allowed.is_some(),
        };
        let past = if is_allowed { allowed } else { denied }?;

        Some((
            past.time,
            Decision {
                is_allowed,
                rule: Rule::Crypto(Name::new(past.algorithm.as_cstr())),
            },
        ))
    }
}

/// Returns whether a byte can be part of a word in the name of an algorithm.
///
/// Mirrors `cryptomgr_schedule_probe()` of `crypto/algboss.c`, which splits names.
fn is_of_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Returns whether `word` occurs in `name` and is not part of a longer word there.
///
/// `word` may also consist of several words: `cbc(aes)`.
fn has_word(name: &[u8], word: &[u8]) -> bool {
    if word.is_empty() {
        return false;
    }
    name.windows(word.len()).enumerate().any(|(i, window)| {
        let before = name[..i].last();
        let behind = name.get(i + word.len());
        window == word && !before.is_some_and(is_of_word) && !behind.is_some_and(is_of_word)
    })
}

/// Returns the words in the name of an algorithm without the first, which stands before the
/// brackets.
fn parts(algorithm: &[u8]) -> impl Iterator<Item = &[u8]> {
    algorithm
        .split(|byte| !is_of_word(byte))
        .skip(1)
        .filter(|word| !word.is_empty())
}

#[kunit_tests(kmod_rs_ciphers)]
mod tests {
    use super::*;
    use kernel::str::CString;

    const SECOND: i64 = 1_000_000_000;

    /// Returns whether a thread is allowed to have this part loaded; `None` if nothing was decided.
    fn part(decisions: &mut Decisions, algorithm: &[u8], now: i64) -> Option<bool> {
        decisions
            .inherited(algorithm, now)
            .map(|decision| decision.is_allowed)
    }

    #[test]
    fn only_names_of_algorithms_count() -> Result {
        assert_eq!(algorithm(c"crypto-cbc(aes)"), Some(&b"cbc(aes)"[..]));
        assert_eq!(algorithm(c"fs-crypto-x"), None);
        Ok(())
    }

    #[test]
    fn parts_are_words_of_the_whole() -> Result {
        let name = b"authencesn(hmac(sha256),cbc(aes))";
        for word in [
            &b"authencesn"[..],
            b"hmac",
            b"hmac(sha256)",
            b"sha256",
            b"cbc(aes)",
            b"aes",
            name,
        ] {
            assert!(has_word(name, word));
        }
        for other in [
            &b"sha25"[..],
            b"ha256",
            b"authenc",
            b"mac(sha256)",
            b"cb",
            b"",
            b"des",
        ] {
            assert!(!has_word(name, other));
        }
        assert!(has_word(b"aes-generic(aes)", b"aes"));
        assert!(!has_word(b"aes-generic", b"aes"));
        Ok(())
    }

    #[test]
    fn the_newest_counts() -> Result {
        let mut decisions = Decisions::new()?;
        assert_eq!(part(&mut decisions, b"serpent", 0), None);
        decisions.note(b"cbc(serpent)", false, 1);
        assert_eq!(part(&mut decisions, b"serpent", 2), Some(false));
        assert_eq!(part(&mut decisions, b"cbc", 2), Some(false));
        assert_eq!(part(&mut decisions, b"cbc-all", 2), Some(false));
        assert_eq!(part(&mut decisions, b"aes", 2), None);
        decisions.note(b"ctr(serpent)", true, 3);
        assert_eq!(part(&mut decisions, b"serpent", 4), Some(true));
        assert_eq!(part(&mut decisions, b"cbc", 4), Some(false));
        decisions.note(b"ctr(serpent)", false, 5);
        assert_eq!(part(&mut decisions, b"serpent", 6), Some(false));
        Ok(())
    }

    #[test]
    fn all_is_another_word_for_the_same() -> Result {
        let mut decisions = Decisions::new()?;
        decisions.note(b"cbc(serpent)", true, 1);
        decisions.note(b"cbc(serpent)-all", false, 2);
        assert_eq!(part(&mut decisions, b"serpent", 3), Some(true));
        // There is no decision on the name without `-all`, so this one counts.
        decisions.note(b"lrw(serpent)-all", false, 4);
        assert_eq!(part(&mut decisions, b"serpent", 5), Some(false));
        Ok(())
    }

    #[test]
    fn what_is_made_of_parts_is_as_these() -> Result {
        let mut decisions = Decisions::new()?;
        decisions.note(b"xts(serpent)", false, 1);
        assert_eq!(part(&mut decisions, b"ecb(serpent)", 2), Some(false));
        assert_eq!(part(&mut decisions, b"ecb", 3), Some(false));
        // A newer decision on an algorithm with the same part counts instead.
        decisions.note(b"lrw(serpent)", true, 4);
        assert_eq!(part(&mut decisions, b"ecb(serpent)", 5), Some(true));
        assert_eq!(part(&mut decisions, b"ecb", 6), Some(true));
        // A derived decision expires with the one that was inherited.
        assert_eq!(part(&mut decisions, b"ecb", 4 + LIFETIME), None);
        Ok(())
    }

    #[test]
    fn a_minute_and_no_longer() -> Result {
        let mut decisions = Decisions::new()?;
        decisions.note(b"cbc(serpent)", false, SECOND);
        assert_eq!(part(&mut decisions, b"serpent", 60 * SECOND), Some(false));
        assert_eq!(part(&mut decisions, b"serpent", 61 * SECOND), None);
        Ok(())
    }

    #[test]
    fn many_do_not_make_one_be_forgotten() -> Result {
        let mut decisions = Decisions::new()?;
        decisions.note(b"cbc(aes)", true, 0);
        decisions.note(b"cbc(serpent)", false, 1);
        for i in 0..10 * MAX_DECISIONS {
            let name = CString::try_from_fmt(fmt!("x{i}"))?;
            // CAST: A small number.
            decisions.note(name.to_bytes(), false, 2 + i as i64);
        }
        assert_eq!(decisions.denied.0.len(), MAX_DECISIONS);
        let now = 2 * SECOND;
        assert_eq!(part(&mut decisions, b"serpent", now), Some(false));
        assert_eq!(part(&mut decisions, b"aes", now), Some(true));
        assert_eq!(part(&mut decisions, b"serpent", now + LIFETIME), None);
        Ok(())
    }

    #[test]
    fn the_same_takes_one_place() -> Result {
        let mut decisions = Decisions::new()?;
        decisions.note(b"cbc(serpent)", false, 0);
        for i in 0..2 * MAX_DECISIONS {
            // CAST: A small number.
            decisions.note(b"cbc(aes)", false, 1 + i as i64);
        }
        assert_eq!(decisions.denied.0.len(), 2);
        assert_eq!(decisions.forgotten_until, 0);
        Ok(())
    }
}
