// SPDX-License-Identifier: GPL-2.0

//! Lists of patterns for names, as the administrator writes them.
//!
//! A list is checked when it is written. A pattern that the kernel's `glob_match()` and fnmatch(3)
//! may read differently is refused, so the accepted ones mean the same to both.

use crate::wrappers::glob;
use kernel::{
    prelude::*,
    str::CString, //
};

/// The largest number of bytes that a list may be written with, the newline included.
pub(crate) const MAX_WRITTEN: usize = 4096;

/// A list of patterns, which does not change.
pub(crate) struct Patterns(KVVec<CString>);

impl Patterns {
    /// The list that matches nothing.
    pub(crate) const EMPTY: Self = Self(KVVec::new());

    /// Parses a list as it was written: patterns separated by spaces or tabs, with or without a
    /// newline at the end.
    ///
    /// Returns [`EINVAL`] if there are more than [`MAX_WRITTEN`] bytes, more than one line, a NUL,
    /// or a pattern that is not valid, and [`ENOMEM`] if there is no memory for the list.
    ///
    /// Context: may sleep.
    pub(crate) fn parse(written: &[u8]) -> Result<Self> {
        let line = written.strip_suffix(b"\n").unwrap_or(written);
        if written.len() > MAX_WRITTEN || line.contains(&b'\n') {
            return Err(EINVAL);
        }

        let mut patterns = KVVec::new();
        for pattern in line.split(|byte| matches!(byte, b' ' | b'\t')) {
            if !pattern.is_empty() {
                patterns.push(Self::pattern(pattern)?, GFP_KERNEL)?;
            }
        }
        Ok(Self(patterns))
    }

    fn pattern(pattern: &[u8]) -> Result<CString> {
        if !is_valid(pattern) {
            return Err(EINVAL);
        }
        let mut string = KVec::with_capacity(pattern.len() + 1, GFP_KERNEL)?;
        string.extend_from_slice(pattern, GFP_KERNEL)?;
        string.push(0, GFP_KERNEL)?;

        // This fails only if there is a NUL in the pattern.
        let string = CStr::from_bytes_with_nul(&string).map_err(|_| EINVAL)?;
        Ok(CString::try_from(string)?)
    }

    /// Returns whether the list has no pattern.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the first pattern that matches a name.
    ///
    /// Context: any. The time is proportional to the number of patterns.
    pub(crate) fn find(&self, name: &CStr) -> Option<&CStr> {
        self.0
            .iter()
            .map(|pattern| &**pattern)
            .find(|pattern| glob::matches(pattern, name))
    }

    /// Returns the list in a form in which it can be written: patterns separated by one space each.
    ///
    /// Returns [`ENOMEM`] if there is no memory for the text.
    ///
    /// Context: may sleep.
    pub(crate) fn text(&self) -> Result<CString> {
        let mut text = KVec::new();
        for (i, pattern) in self.0.iter().enumerate() {
            if i > 0 {
                text.push(b' ', GFP_KERNEL)?;
            }
            text.extend_from_slice(pattern.to_bytes(), GFP_KERNEL)?;
        }
        text.push(0, GFP_KERNEL)?;

        let text = CStr::from_bytes_with_nul(&text).map_err(|_| EINVAL)?;
        Ok(CString::try_from(text)?)
    }
}

/// Returns whether a pattern is valid: `glob_match()` and fnmatch(3) read it in the same way.
///
/// It must not end in a backslash that escapes nothing, and each class must be valid.
fn is_valid(pattern: &[u8]) -> bool {
    let mut rest = pattern;

    while let [first, others @ ..] = rest {
        let behind = match first {
            b'\\' => others.get(1..),
            b'[' => behind_class(others),
            _ => Some(others),
        };
        let Some(behind) = behind else {
            return false;
        };
        rest = behind;
    }
    true
}

/// Returns what follows a class of characters; `None` if the class is not closed or not valid.
///
/// `inside` is the pattern from behind the opening bracket of the class.
///
/// To fnmatch(3), a `^` at the beginning of a class means the same as `!`, a backslash escapes the
/// next character in a class too, and `[:`, `[.` and `[=` begin the name of a set of characters. To
/// `glob_match()`, all these are ordinary characters. So a class is not valid if it begins with `^`
/// or `:`, or if it contains a backslash, `[^`, `[:`, `[.` or `[=`.
fn behind_class(inside: &[u8]) -> Option<&[u8]> {
    let members = inside.strip_prefix(b"!").unwrap_or(inside);
    // The first member may be a closing bracket.
    let length = 1 + members.get(1..)?.iter().position(|byte| *byte == b']')?;
    let (members, behind) = members.split_at_checked(length)?;

    let is_special = matches!(inside.first(), Some(b'^' | b':'))
        || members.contains(&b'\\')
        || members
            .windows(2)
            .any(|pair| matches!(pair, b"[^" | b"[:" | b"[." | b"[="));
    if is_special {
        return None;
    }
    behind.strip_prefix(b"]")
}

#[kunit_tests(kmod_rs_patterns)]
mod tests {
    use super::*;

    /// Returns a list in the form in which it is shown.
    fn shown(written: &[u8]) -> Result<CString> {
        Patterns::parse(written)?.text()
    }

    fn is_refused(written: &[u8]) -> bool {
        matches!(Patterns::parse(written), Err(EINVAL))
    }

    #[test]
    fn patterns_are_separated_by_blanks() -> Result {
        assert_eq!(shown(b"net-pf-10 fs-*\n")?.to_bytes(), b"net-pf-10 fs-*");
        assert_eq!(shown(b" \ta\t b  ")?.to_bytes(), b"a b");
        assert_eq!(shown(b"\n")?.to_bytes(), b"");
        assert!(Patterns::parse(b" \n")?.is_empty());
        assert!(!Patterns::parse(b"a")?.is_empty());
        Ok(())
    }

    #[test]
    fn the_first_that_matches_is_found() -> Result {
        let patterns = Patterns::parse(b"fs-ext? fs-* net-pf-[!1]*")?;
        assert!(patterns.find(c"fs-ext4") == Some(c"fs-ext?"));
        assert!(patterns.find(c"fs-ext44") == Some(c"fs-*"));
        assert!(patterns.find(c"net-pf-21") == Some(c"net-pf-[!1]*"));
        assert!(patterns.find(c"net-pf-10").is_none());
        assert!(patterns.find(c"").is_none());
        assert!(Patterns::EMPTY.find(c"fs-ext4").is_none());
        Ok(())
    }

    #[test]
    fn what_two_functions_take_for_two_things_is_refused() -> Result {
        for bad in [
            "[^a]",
            "a[^",
            "[:alpha:]",
            "[[:alpha:]]",
            "[a[:x]",
            "[[.a.]]",
            "[[=a=]]",
            "[\\]]",
            "[a",
            "[",
            "[]",
            "[!]",
            "[!",
            "a\\",
            "x [",
            "[a-",
        ] {
            assert!(is_refused(bad.as_bytes()));
        }
        for good in [
            "[]]", "[!]]", "[a-]", "[]-a]", "[!^]", "[a^]", "[a:]", "[[]", "\\[^", "\\[:", "\\\\",
            "]", "^", "a\\]", "[z-a]", "[.a]", "[*]", "[ab]\\*?",
        ] {
            assert!(Patterns::parse(good.as_bytes()).is_ok());
        }
        Ok(())
    }

    #[test]
    fn one_line_of_text_is_taken() -> Result {
        assert!(is_refused(b"a\nb"));
        assert!(is_refused(b"a\n\n"));
        assert!(is_refused(b"a\0b"));
        assert!(is_refused(b"a\0"));
        Ok(())
    }

    #[test]
    fn so_long_and_no_longer() -> Result {
        let mut written = KVec::from_elem(b'a', MAX_WRITTEN, GFP_KERNEL)?;
        assert!(Patterns::parse(&written).is_ok());
        written.push(b'\n', GFP_KERNEL)?;
        assert!(is_refused(&written));
        Ok(())
    }
}
