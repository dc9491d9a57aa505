// SPDX-License-Identifier: GPL-2.0

//! What was decided on algorithms that tasks have asked for, for the threads that put them together.
//!
//! Has no counterpart in the C code. Who wants `cbc(serpent)` asks for `crypto-cbc(serpent)`. There
//! is no such module, so the kernel starts a thread, `cryptomgr_probe`, which asks for the parts:
//! `crypto-cbc`, `crypto-serpent`. That thread says nothing of who is behind it. But the one who is
//! has asked a moment ago, and the name tells which one it was.
//!
//! The table is bounded, and whoever may ask can fill it. So that this is of no use, those who were
//! allowed and those who were denied do not take each other's places, and for as long as a denial
//! counts that there was no room for, a thread of which nothing is known is denied.

use crate::{
    firewall::policy::{
        Decision,
        Rule, //
    },
    wrappers::name::Name, //
};
use kernel::prelude::*;

/// What the names begin with that algorithms are asked for with.
const PREFIX: &[u8] = b"crypto-";

/// What ends the name that is asked for next, if the first was of no avail.
const ALL: &[u8] = b"-all";

/// How long an algorithm's name may be: `CRYPTO_MAX_ALG_NAME`, where its final NUL counts.
const ALGORITHM_LEN: usize = 128;

/// How many decisions are remembered, of those that allowed and of those that denied.
const MAX_DECISIONS: usize = 64;

/// How long, in nanoseconds.
const LIFETIME: i64 = 60 * 1_000_000_000;

/// The algorithm that a request is for, if it is for one.
pub(crate) fn algorithm(name: &CStr) -> Option<&[u8]> {
    name.to_bytes().strip_prefix(PREFIX)
}

/// An algorithm's name, or its beginning, ended by NULs.
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

/// A decision on an algorithm.
struct PastDecision {
    algorithm: Algorithm,
    /// Whether nobody but a thread has asked for it, for the sake of another.
    is_derived: bool,
    /// When it was made, in nanoseconds.
    time: i64,
}

impl PastDecision {
    fn is_fresh(&self, now: i64) -> bool {
        now - self.time < LIFETIME
    }

    /// Whether it takes the place of another.
    fn replaces(&self, old: &Self) -> bool {
        self.algorithm == old.algorithm && self.is_derived == old.is_derived
    }
}

/// Those of one kind. Has room for [`MAX_DECISIONS`].
struct Table(KVVec<PastDecision>);

impl Table {
    fn new() -> Result<Self> {
        Ok(Self(KVVec::with_capacity(MAX_DECISIONS, GFP_KERNEL)?))
    }

    /// Adds a decision. Returns one that is still fresh and had to go for it, if there is one.
    fn add(&mut self, past: PastDecision, now: i64) -> Option<PastDecision> {
        self.0
            .retain(|old| old.is_fresh(now) && !past.replaces(old));

        let oldest = self.0.iter().enumerate().min_by_key(|(_, old)| old.time);
        let lost = match oldest {
            Some((i, _)) if self.0.len() >= MAX_DECISIONS => self.0.remove(i).ok(),
            _ => None,
        };
        // There is room: the vector was made for so many.
        let _ = self.0.push_within_capacity(past);
        lost
    }

    /// The newest decision that is fresh and of such an algorithm, among those that are derived or
    /// those that are not.
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

/// The decisions of the last minute. Times are in nanoseconds, of a clock that does not go back.
pub(crate) struct Decisions {
    allowed: Table,
    denied: Table,
    /// Until when one counts that denied, and that there was no room for.
    forgotten_until: i64,
}

impl Decisions {
    /// There are none yet.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            allowed: Table::new()?,
            denied: Table::new()?,
            forgotten_until: 0,
        })
    }

    /// A task has asked for an algorithm.
    ///
    /// After `NAME` it asks for `NAME-all`; what was decided on the first stands for both.
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

    /// What counts for a thread that asks for an algorithm as a part of another.
    ///
    /// That is what was decided last on one that has it as a word. If there is none, it may be that
    /// a template has it made of its own parts, `ecb(serpent)` for the sake of `xts(serpent)`: then
    /// what was decided last on one that has a part of it, which then counts for what it is made
    /// of, `ecb`, as well.
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
            // Its own parts come next.
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

    /// The newest decision on such an algorithm, and when it was made. Of two at the same time, the
    /// one that denied.
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

/// Whether a character may be part of the name of an algorithm that has no parts, as the kernel
/// takes them apart.
fn is_of_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Whether `word` stands in `name` and is not part of a longer word there. It may consist of several.
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

/// The words in the brackets of an algorithm.
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

    /// Whether a thread may have this part; none if nothing is known.
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
        // Who calls an algorithm so asks for it first.
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
        // Not for another who may.
        decisions.note(b"lrw(serpent)", true, 4);
        assert_eq!(part(&mut decisions, b"ecb(serpent)", 5), Some(true));
        assert_eq!(part(&mut decisions, b"ecb", 6), Some(true));
        // For no longer than what it comes from.
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
            // CAST: Small.
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
            // CAST: Small.
            decisions.note(b"cbc(aes)", false, 1 + i as i64);
        }
        assert_eq!(decisions.denied.0.len(), 2);
        assert_eq!(decisions.forgotten_until, 0);
        Ok(())
    }
}
