// SPDX-License-Identifier: GPL-2.0

//! Lists of patterns for names, as the administrator writes them.
//!
//! An entry of a list is a pattern for names, `NAME`, or `NAME@CGROUP` with a pattern for the cgroup
//! of the requester.
//!
//! A list is checked when it is written. A pattern that the kernel's `glob_match()` and fnmatch(3)
//! may read differently is refused, so the accepted ones mean the same to both.
//!
//! To modprobe, `-` and `_` are the same character. So they are here, in names and in patterns for
//! names: both are folded into `_` before they are compared. A class that has one of the two has
//! both. Paths of cgroups are taken literally.

use crate::wrappers::{
    glob,
    name::folded,
    requester::LazyCgroup, //
};
use core::iter;
use kernel::{
    prelude::*,
    str::CString, //
};

/// The largest number of bytes that a list may be written with, the newline included.
pub(crate) const MAX_WRITTEN: usize = 4096;

/// The size of the longest name that is compared with patterns, the final NUL included:
/// `KMOD_RS_WHOLE_LEN`.
const NAME_LEN: usize = 136;

/// A name as patterns are compared with it: with `_` for each `-`.
pub(crate) struct Folded([u8; NAME_LEN]);

impl Folded {
    /// Folds a name; its beginning if it has 136 bytes or more, which no name has.
    pub(crate) fn new(name: &CStr) -> Self {
        let mut bytes = [0; NAME_LEN];

        for (to, from) in bytes[..NAME_LEN - 1].iter_mut().zip(name.to_bytes()) {
            *to = folded(*from);
        }
        Self(bytes)
    }

    fn as_cstr(&self) -> &CStr {
        // This does not fail: the last byte is NUL.
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }

    /// Returns the bytes that it begins with; those behind its end are 0.
    fn beginning(&self) -> u64 {
        self.0
            .first_chunk()
            .map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    }
}

/// The bytes that a pattern begins with and that stand for themselves, at most eight.
///
/// A name that does not begin with them does not match the pattern. This is seen at once, which
/// matters for long lists.
struct Beginning {
    bytes: u64,
    /// Which bits of `bytes` count.
    mask: u64,
}

impl Beginning {
    /// Returns that of a folded pattern.
    fn of(pattern: &[u8]) -> Self {
        let mut bytes = [0; size_of::<u64>()];
        let mut mask = [0; size_of::<u64>()];
        let literal = pattern.iter().take_while(|byte| !b"*?[\\".contains(byte));

        for (i, byte) in literal.enumerate().take(bytes.len()) {
            (bytes[i], mask[i]) = (*byte, 0xff);
        }
        Self {
            bytes: u64::from_ne_bytes(bytes),
            mask: u64::from_ne_bytes(mask),
        }
    }

    /// Returns whether a name that begins like this may match the pattern.
    fn may_match(&self, beginning: u64) -> bool {
        (self.bytes ^ beginning) & self.mask == 0
    }
}

/// What a cgroup that is not known counts as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// It matches each pattern.
    Matches,
    /// It matches none.
    MatchesNone,
}

/// An entry of a list.
struct Entry {
    beginning: Beginning,
    /// The pattern for names, folded.
    name: CString,
    /// What was written.
    text: CString,
    /// The pattern for the cgroup of the requester, if it matters.
    cgroup: Option<CString>,
}

impl Entry {
    /// Parses an entry; see [`Patterns::parse`].
    fn parse(text: &[u8]) -> Result<Self> {
        let mut name = KVec::with_capacity(text.len() + 1, GFP_KERNEL)?;
        let mut cgroup = None;
        let mut rest = text;

        while !rest.is_empty() {
            let (token, behind) = Token::first(rest).ok_or(EINVAL)?;
            match token {
                // One that is meant literally has a backslash.
                Token::Plain(b'@') if cgroup.is_some() => return Err(EINVAL),
                Token::Plain(b'@') => cgroup = Some(behind),
                token if cgroup.is_none() => token.fold_into(&mut name)?,
                _ => (),
            }
            rest = behind;
        }
        // All paths begin with a slash. So nothing else is the path of a cgroup, and what stands
        // before the `@` is no part of a name.
        if cgroup.is_some_and(|path| name.is_empty() || !matches!(path, [b'/' | b'*', ..])) {
            return Err(EINVAL);
        }
        Ok(Self {
            beginning: Beginning::of(&name),
            name: string(&name)?,
            text: string(text)?,
            cgroup: cgroup.map(string).transpose()?,
        })
    }

    /// Returns whether the entry is for requesters in this cgroup.
    fn is_for(&self, cgroup: &LazyCgroup, unknown: Unknown) -> bool {
        let Some(pattern) = &self.cgroup else {
            return true;
        };
        match cgroup.path() {
            Some(path) => glob::matches(pattern, path),
            None => unknown == Unknown::Matches,
        }
    }
}

/// Copies bytes into a C string. Returns [`EINVAL`] if there is a NUL in them, and [`ENOMEM`].
fn string(bytes: &[u8]) -> Result<CString> {
    let mut string = KVec::with_capacity(bytes.len() + 1, GFP_KERNEL)?;
    string.extend_from_slice(bytes, GFP_KERNEL)?;
    string.push(0, GFP_KERNEL)?;

    let string = CStr::from_bytes_with_nul(&string).map_err(|_| EINVAL)?;
    Ok(CString::try_from(string)?)
}

/// A list of entries, which does not change.
pub(crate) struct Patterns(KVVec<Entry>);

impl Patterns {
    /// The list that matches nothing.
    pub(crate) const EMPTY: Self = Self(KVVec::new());

    /// Parses a list as it was written: entries separated by spaces or tabs, with or without a
    /// newline at the end.
    ///
    /// The first `@` that is neither in a class nor behind a backslash separates the pattern for
    /// names from the one for cgroups.
    ///
    /// Returns [`EINVAL`] if there are more than [`MAX_WRITTEN`] bytes, more than one line, a NUL,
    /// or a pattern that is not valid, and [`ENOMEM`] if there is no memory for the list. Entries
    /// with a second such `@`, with no pattern for names before it, or with a pattern for cgroups
    /// that does not begin with `/` or `*`, are not valid either.
    ///
    /// Context: may sleep.
    pub(crate) fn parse(written: &[u8]) -> Result<Self> {
        let line = written.strip_suffix(b"\n").unwrap_or(written);
        if written.len() > MAX_WRITTEN || line.contains(&b'\n') {
            return Err(EINVAL);
        }

        let mut entries = KVVec::new();
        for text in line.split(|byte| matches!(byte, b' ' | b'\t')) {
            if !text.is_empty() {
                entries.push(Entry::parse(text)?, GFP_KERNEL)?;
            }
        }
        Ok(Self(entries))
    }

    /// Returns whether the list has no entry.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the first entry that is for this name and for requesters in this cgroup, as it was
    /// written.
    ///
    /// The path of the cgroup is asked for only if the name matches an entry with a cgroup.
    ///
    /// Context: any that the path may be asked for in. The time is proportional to the number of
    /// entries.
    pub(crate) fn find(
        &self,
        name: &Folded,
        cgroup: &LazyCgroup,
        unknown: Unknown,
    ) -> Option<&CStr> {
        let beginning = name.beginning();
        let name = name.as_cstr();
        self.0
            .iter()
            .filter(|entry| entry.beginning.may_match(beginning))
            .find(|entry| glob::matches(&entry.name, name) && entry.is_for(cgroup, unknown))
            .map(|entry| &*entry.text)
    }

    /// Returns the entries with a cgroup that are for requesters in this one, whatever name they
    /// ask for, as they were written.
    ///
    /// Context: any that the path may be asked for in.
    pub(crate) fn for_cgroup<'a>(
        &'a self,
        cgroup: &'a LazyCgroup,
        unknown: Unknown,
    ) -> impl Iterator<Item = &'a CStr> {
        self.0
            .iter()
            .filter(move |entry| entry.cgroup.is_some() && entry.is_for(cgroup, unknown))
            .map(|entry| &*entry.text)
    }

    /// Returns the list in a form in which it can be written: entries separated by one space each.
    ///
    /// Returns [`ENOMEM`] if there is no memory for the text.
    ///
    /// Context: may sleep.
    pub(crate) fn text(&self) -> Result<CString> {
        let mut text = KVec::new();
        for (i, entry) in self.0.iter().enumerate() {
            if i > 0 {
                text.push(b' ', GFP_KERNEL)?;
            }
            text.extend_from_slice(entry.text.to_bytes(), GFP_KERNEL)?;
        }
        string(&text)
    }
}

/// The smallest part of a pattern that means something.
enum Token<'a> {
    /// A byte that stands for itself, or `*` or `?`.
    Plain(u8),
    /// A byte behind a backslash, which stands for itself.
    Escaped(u8),
    /// What is between the brackets of a class of characters.
    Class(&'a [u8]),
}

impl<'a> Token<'a> {
    /// Returns the first token of a pattern that is not empty, and what follows it; [`None`] if the
    /// pattern does not begin with one that is valid: that `glob_match()` and fnmatch(3) read in
    /// the same way.
    ///
    /// A backslash must not stand at the end, and each class must be valid.
    fn first(pattern: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (first, others) = pattern.split_first()?;
        match first {
            b'\\' => {
                let (escaped, behind) = others.split_first()?;
                Some((Self::Escaped(*escaped), behind))
            }
            b'[' => {
                let behind = behind_class(others)?;
                let inside = &others[..others.len() - behind.len() - 1];
                Some((Self::Class(inside), behind))
            }
            byte => Some((Self::Plain(*byte), others)),
        }
    }

    /// Appends the token to a pattern that is compared with folded names.
    fn fold_into(self, pattern: &mut KVec<u8>) -> Result {
        match self {
            Self::Plain(byte) => pattern.push(folded(byte), GFP_KERNEL)?,
            Self::Escaped(byte) => {
                pattern.extend_from_slice(&[b'\\', folded(byte)], GFP_KERNEL)?;
            }
            Self::Class(inside) => fold_class(inside, pattern)?,
        }
        Ok(())
    }
}

/// Returns the members of a class of characters: bytes, or the first and the last one of a range.
fn members(mut rest: &[u8]) -> impl Iterator<Item = (u8, Option<u8>)> + '_ {
    iter::from_fn(move || {
        let member;
        (member, rest) = match rest {
            [first, b'-', last, behind @ ..] => ((*first, Some(*last)), behind),
            [byte, behind @ ..] => ((*byte, None), behind),
            [] => return None,
        };
        Some(member)
    })
}

/// Appends a class to a pattern that is compared with folded names.
///
/// Those have no `-`. So the class needs a `_` if it has one of the two, as a member of its own or
/// in a range, and its `-` can be left out. A negated class is the negation of what this makes of
/// its members: `[!-]` is `[!_]`.
///
/// `inside` is what is between the brackets of a valid class. `glob_match()` alone reads what is
/// appended.
fn fold_class(inside: &[u8], pattern: &mut KVec<u8>) -> Result {
    let bare = inside.strip_prefix(b"!").unwrap_or(inside);
    let has = |wanted| {
        members(bare).any(|(first, last)| (first..=last.unwrap_or(first)).contains(&wanted))
    };
    let has_either = has(b'-') || has(b'_');

    pattern.push(b'[', GFP_KERNEL)?;
    if inside.len() > bare.len() {
        pattern.push(b'!', GFP_KERNEL)?;
    }
    for (i, (first, last)) in members(bare).enumerate() {
        match (first, last) {
            // After this no member begins with `-`, so none is taken for a range with the one
            // before it.
            (first, None) => pattern.push(folded(first), GFP_KERNEL)?,
            // What follows `-` is `.`.
            (b'-', Some(last)) => pattern.extend_from_slice(&[b'.', b'-', last], GFP_KERNEL)?,
            (first, Some(last)) => pattern.extend_from_slice(&[first, b'-', last], GFP_KERNEL)?,
        }
        // Not before the first member: if that is a closing bracket, it must stay the first.
        if i == 0 && has_either {
            pattern.push(b'_', GFP_KERNEL)?;
        }
    }
    pattern.push(b']', GFP_KERNEL)?;
    Ok(())
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
    use crate::wrappers::requester::CgroupPath;

    /// A cgroup that must not be asked for its path.
    fn no_cgroup() -> LazyCgroup {
        LazyCgroup::of_current()
    }

    fn cgroup(path: &CStr) -> LazyCgroup {
        LazyCgroup::known(CgroupPath::new(path))
    }

    /// Finds a name in a list without cgroups.
    fn find<'a>(patterns: &'a Patterns, name: &CStr) -> Option<&'a CStr> {
        patterns.find(&Folded::new(name), &no_cgroup(), Unknown::Matches)
    }

    /// Returns whether a list that has this pattern only matches a name.
    fn matches(pattern: &str, name: &CStr) -> Result<bool> {
        Ok(find(&Patterns::parse(pattern.as_bytes())?, name).is_some())
    }

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
        assert!(find(&patterns, c"fs-ext4") == Some(c"fs-ext?"));
        assert!(find(&patterns, c"fs-ext44") == Some(c"fs-*"));
        assert!(find(&patterns, c"net-pf-21") == Some(c"net-pf-[!1]*"));
        assert!(find(&patterns, c"net-pf-10").is_none());
        assert!(find(&patterns, c"").is_none());
        assert!(find(&Patterns::EMPTY, c"fs-ext4").is_none());
        Ok(())
    }

    #[test]
    fn names_are_told_apart_by_how_they_begin() -> Result {
        for (pattern, name, expected) in [
            ("abcdefgh", "abcdefgh", true),
            ("abcdefgh", "abcdefgi", false),
            ("abcdefgh", "abcdefg", false),
            // Only the first eight bytes are looked at, and those before a special one.
            ("abcdefgh", "abcdefghi", true),
            ("abcdefghi", "abcdefghx", true),
            ("abc*", "abcx", true),
            ("abc", "abx", false),
            ("a?c", "axx", true),
            ("a[b]c", "axx", true),
            ("a\\bc", "axx", true),
            ("*", "", true),
            ("a", "", false),
        ] {
            let name = CString::try_from_fmt(fmt!("{name}"))?;
            let beginning = Folded::new(&name).beginning();
            assert_eq!(
                Beginning::of(pattern.as_bytes()).may_match(beginning),
                expected
            );
        }
        Ok(())
    }

    #[test]
    fn dash_and_underscore_are_the_same() -> Result {
        for (pattern, name, expected) in [
            ("a-b_c", c"a_b-c", true),
            ("a\\-b", c"a_b", true),
            ("a\\_b", c"a-b", true),
            ("a-*", c"a_", true),
            ("a?b", c"a-b", true),
            ("A-b", c"a_b", false),
            // A class that has one of the two has both.
            ("a[-]b", c"a_b", true),
            ("a[_]b", c"a-b", true),
            ("a[x-]b", c"a_b", true),
            ("a[-x]b", c"a_b", true),
            ("a[x-]b", c"axb", true),
            ("a[x_]b", c"a-b", true),
            ("a[x]b", c"a-b", false),
            ("a[!-]b", c"a_b", false),
            ("a[!_]b", c"a-b", false),
            ("a[!-]b", c"axb", true),
            ("a[!x]b", c"a-b", true),
            // So has a range.
            ("a[+-/]b", c"a_b", true),
            ("a[A-z]b", c"a-b", true),
            ("a[!A-z]b", c"a-b", false),
            ("a[--/]b", c"a_b", true),
            ("a[--/]b", c"a.b", true),
            ("a[--/]b", c"a0b", false),
            ("a[---]b", c"a_b", true),
            ("a[---]b", c"a.b", false),
            ("a[a-z]b", c"a-b", false),
            ("a[z-a]b", c"a_b", false),
            ("a[a-c-e]b", c"a_b", true),
            ("a[a-c-e]b", c"adb", false),
            ("a[a-c-e]b", c"aeb", true),
            ("a[a-c--0]b", c"a/b", true),
            ("a[+-0--9]b", c"a9b", true),
            ("a[+-0--9]b", c"a_b", true),
            ("a[--+]b", c"a+b", false),
            // A closing bracket stays the first.
            ("a[]-]b", c"a]b", true),
            ("a[]-]b", c"a_b", true),
            ("a[]_]b", c"a-b", true),
            ("a[]x]b", c"a-b", false),
            ("a[]-a]b", c"a-b", true),
            ("a[!]-]b", c"a_b", false),
            ("a[!]x]b", c"a-b", true),
        ] {
            assert!(matches(pattern, name)? == expected);
        }
        Ok(())
    }

    #[test]
    fn a_list_is_shown_as_it_was_written() -> Result {
        assert_eq!(shown(b"a-b [x-] c@/d-e\n")?.to_bytes(), b"a-b [x-] c@/d-e");
        Ok(())
    }

    #[test]
    fn an_entry_may_be_for_a_cgroup() -> Result {
        let patterns = Patterns::parse(b"net-pf-38@/system.slice/iwd.service fs-*")?;
        let name = Folded::new(c"net_pf_38");
        let find = |path: &CStr| patterns.find(&name, &cgroup(path), Unknown::Matches);

        assert!(find(c"/system.slice/iwd.service") == Some(c"net-pf-38@/system.slice/iwd.service"));
        for other in [
            c"/",
            c"/system.slice",
            c"/system.slice/iwd.service/x",
            c"/user.slice/system.slice/iwd.service",
            c"/system-slice/iwd.service",
            c"",
        ] {
            assert!(find(other).is_none());
        }
        Ok(())
    }

    #[test]
    fn a_cgroup_that_is_not_known_is_any_or_none() -> Result {
        let patterns = Patterns::parse(b"a@/x")?;
        let unknown = LazyCgroup::known(None);
        let find = |it| patterns.find(&Folded::new(c"a"), &unknown, it).is_some();
        assert!(find(Unknown::Matches));
        assert!(!find(Unknown::MatchesNone));
        assert_eq!(patterns.for_cgroup(&unknown, Unknown::Matches).count(), 1);
        assert_eq!(
            patterns.for_cgroup(&unknown, Unknown::MatchesNone).count(),
            0
        );
        Ok(())
    }

    #[test]
    fn a_path_is_looked_up_only_if_a_name_matches() -> Result {
        let patterns = Patterns::parse(b"b a@*")?;
        let cgroup = LazyCgroup::of_current();
        for name in [c"b", c"c"] {
            patterns.find(&Folded::new(name), &cgroup, Unknown::Matches);
            assert!(cgroup.looked_up().is_none());
        }
        patterns.find(&Folded::new(c"a"), &cgroup, Unknown::Matches);
        assert!(cgroup.looked_up().is_some());
        Ok(())
    }

    #[test]
    fn paths_are_literal() -> Result {
        for (pattern, path, expected) in [
            ("a@/x-y", c"/x-y", true),
            ("a@/x-y", c"/x_y", false),
            ("a@/[-]", c"/_", false),
            ("a@/x/*", c"/x/y/z", true),
            ("a@/x/*", c"/x", false),
            ("a@/x/?", c"/x/y", true),
            ("a@/x?y", c"/x/y", true),
            ("a@*", c"/", true),
            ("a@/", c"/", true),
            ("a@/", c"/x", false),
            ("a@/getty\\@*", c"/getty@tty1", true),
            ("a@/getty[@]*", c"/getty@tty1", true),
            ("a@/x\\\\x2dy", c"/x\\x2dy", true),
        ] {
            let patterns = Patterns::parse(pattern.as_bytes())?;
            let found = patterns.find(&Folded::new(c"a"), &cgroup(path), Unknown::Matches);
            assert!(found.is_some() == expected);
        }
        Ok(())
    }

    #[test]
    fn an_at_sign_may_be_a_part_of_a_name() -> Result {
        for pattern in ["a\\@b", "a[@]b", "a[x@-]b", "a?b", "a*"] {
            assert!(matches(pattern, c"a@b")?);
        }
        for bad in [
            "a@", "@", "@/x", "a@b", "a@x/y", "a@/b@c", "a@@/b", "a@/[", "a@/x\\", "[@/x",
            "a@/[^x]",
        ] {
            assert!(is_refused(bad.as_bytes()));
        }
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
