// SPDX-License-Identifier: GPL-2.0

//! Patterns for names and cgroups, as the lists of the firewall have them.
//!
//! The admin guide says in "Lists of names" what a pattern means. What the module refuses is
//! refused here, too.

/// A pattern as in sh(1).
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    tokens: Vec<Token>,
    /// Makes one byte of those that the pattern takes for the same.
    fold: fn(u8) -> u8,
}

/// The smallest part of a pattern that means something.
#[derive(Clone, Debug)]
enum Token {
    /// Any number of bytes.
    Any,
    /// One byte.
    One,
    Byte(u8),
    /// One byte of these ranges or, negated, none of them.
    Class {
        is_negated: bool,
        ranges: Vec<(u8, u8)>,
    },
}

/// Returns a byte as modprobe compares it, to which `-` and `_` are the same.
pub(crate) fn folded(byte: u8) -> u8 {
    match byte {
        b'-' => b'_',
        _ => byte,
    }
}

impl Pattern {
    /// Returns a pattern for names, in which `-` and `_` are the same; `None` if it is not valid.
    pub(crate) fn for_names(text: &[u8]) -> Option<Self> {
        Self::parse(text, folded)
    }

    /// Returns a pattern for paths of cgroups, which is literal; `None` if it is not valid.
    pub(crate) fn for_cgroups(text: &[u8]) -> Option<Self> {
        Self::parse(text, |byte| byte)
    }

    fn parse(text: &[u8], fold: fn(u8) -> u8) -> Option<Self> {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let [first, others @ ..] = rest {
            rest = others;
            tokens.push(match first {
                b'*' => Token::Any,
                b'?' => Token::One,
                b'\\' => {
                    let (escaped, behind) = others.split_first()?;
                    rest = behind;
                    Token::Byte(fold(*escaped))
                }
                b'[' => {
                    let inside;
                    (inside, rest) = split_class(others)?;
                    Token::class(inside, fold)
                }
                byte => Token::Byte(fold(*byte)),
            });
        }
        Some(Self { tokens, fold })
    }

    /// Returns whether the pattern matches all of a text.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        let (mut token, mut byte) = (0, 0);
        // Behind the last `*`: its token, and the byte up to which it reaches.
        let mut last_any = None;
        loop {
            match (self.tokens.get(token), text.get(byte)) {
                (Some(Token::Any), _) => {
                    token += 1;
                    last_any = Some((token, byte));
                    continue;
                }
                (Some(one), Some(&b)) if one.matches((self.fold)(b)) => {
                    token += 1;
                    byte += 1;
                    continue;
                }
                (None, None) => return true,
                _ => (),
            }
            match last_any {
                Some((behind, end)) if end < text.len() => {
                    last_any = Some((behind, end + 1));
                    (token, byte) = (behind, end + 1);
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    /// Makes a class of what is between its brackets. If it has one of several bytes that are the
    /// same, it has all.
    fn class(inside: &[u8], fold: fn(u8) -> u8) -> Self {
        let mut rest = inside.strip_prefix(b"!").unwrap_or(inside);
        let is_negated = rest.len() < inside.len();
        let mut ranges = Vec::new();
        while let [first, behind @ ..] = rest {
            let mut last = first;
            rest = behind;
            if let [b'-', end, behind @ ..] = rest {
                last = end;
                rest = behind;
            }
            ranges.push((*first, *last));
            if (*first..=*last).contains(&b'-') {
                ranges.push((fold(b'-'), fold(b'-')));
            }
        }
        Self::Class { is_negated, ranges }
    }

    fn matches(&self, byte: u8) -> bool {
        match self {
            Self::Any | Self::One => true,
            Self::Byte(own) => *own == byte,
            Self::Class { is_negated, ranges } => {
                ranges
                    .iter()
                    .any(|(first, last)| (first..=last).contains(&&byte))
                    != *is_negated
            }
        }
    }
}

/// Returns what is inside a class, and what follows it; `None` if it is not closed or not valid.
///
/// `rest` is the pattern from behind the opening bracket. Not valid is what `glob_match()` of the
/// kernel and fnmatch(3) read differently.
fn split_class(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let negation = usize::from(rest.starts_with(b"!"));
    // The first member may be a closing bracket.
    let end = negation + 1 + rest.get(negation + 1..)?.iter().position(|b| *b == b']')?;
    let inside = &rest[..end];
    let is_special = matches!(inside.first(), Some(b'^' | b':'))
        || inside.contains(&b'\\')
        || (inside[negation..].windows(2)).any(|two| matches!(two, b"[^" | b"[:" | b"[." | b"[="));
    (!is_special).then_some((inside, &rest[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases of firewall/patterns.rs.
    #[test]
    fn dash_and_underscore_are_the_same() {
        for (pattern, name, expected) in [
            ("a-b_c", "a_b-c", true),
            ("a\\-b", "a_b", true),
            ("a\\_b", "a-b", true),
            ("a-*", "a_", true),
            ("a?b", "a-b", true),
            ("A-b", "a_b", false),
            ("a[-]b", "a_b", true),
            ("a[_]b", "a-b", true),
            ("a[x-]b", "a_b", true),
            ("a[-x]b", "a_b", true),
            ("a[x-]b", "axb", true),
            ("a[x_]b", "a-b", true),
            ("a[x]b", "a-b", false),
            ("a[!-]b", "a_b", false),
            ("a[!_]b", "a-b", false),
            ("a[!-]b", "axb", true),
            ("a[!x]b", "a-b", true),
            ("a[+-/]b", "a_b", true),
            ("a[A-z]b", "a-b", true),
            ("a[!A-z]b", "a-b", false),
            ("a[--/]b", "a_b", true),
            ("a[--/]b", "a.b", true),
            ("a[--/]b", "a0b", false),
            ("a[---]b", "a_b", true),
            ("a[---]b", "a.b", false),
            ("a[a-z]b", "a-b", false),
            ("a[z-a]b", "a_b", false),
            ("a[a-c-e]b", "a_b", true),
            ("a[a-c-e]b", "adb", false),
            ("a[a-c-e]b", "aeb", true),
            ("a[a-c--0]b", "a/b", true),
            ("a[+-0--9]b", "a9b", true),
            ("a[+-0--9]b", "a_b", true),
            ("a[--+]b", "a+b", false),
            ("a[]-]b", "a]b", true),
            ("a[]-]b", "a_b", true),
            ("a[]_]b", "a-b", true),
            ("a[]x]b", "a-b", false),
            ("a[]-a]b", "a-b", true),
            ("a[!]-]b", "a_b", false),
            ("a[!]x]b", "a-b", true),
        ] {
            let pattern_of_names = Pattern::for_names(pattern.as_bytes()).unwrap();
            let found = pattern_of_names.matches(name.as_bytes());
            assert_eq!(found, expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_star_reaches_as_far_as_needed() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("", "a", false),
            ("*a", "aaba", true),
            ("*ab*c", "xabyabzc", true),
            ("*ab*c", "xabyabz", false),
            ("a*?", "a", false),
            ("**", "abc", true),
        ] {
            let matches = Pattern::for_names(pattern.as_bytes())
                .unwrap()
                .matches(text.as_bytes());
            assert_eq!(matches, expected, "{pattern} {text}");
        }
    }

    #[test]
    fn cgroups_are_literal() {
        for (pattern, path, expected) in [
            ("/x-y", "/x-y", true),
            ("/x-y", "/x_y", false),
            ("/[-]", "/_", false),
            ("/x/*", "/x/y/z", true),
            ("/x?y", "/x/y", true),
            ("/x\\\\x2dy", "/x\\x2dy", true),
        ] {
            let pattern_of_cgroups = Pattern::for_cgroups(pattern.as_bytes()).unwrap();
            let found = pattern_of_cgroups.matches(path.as_bytes());
            assert_eq!(found, expected, "{pattern} {path}");
        }
    }

    #[test]
    fn what_the_module_refuses_is_refused() {
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
            assert!(Pattern::for_names(bad.as_bytes()).is_none(), "{bad}");
        }
        for good in [
            "[]]", "[!]]", "[a-]", "[]-a]", "[!^]", "[a^]", "[a:]", "[[]", "\\[^", "\\[:", "\\\\",
            "]", "^", "a\\]", "[z-a]", "[.a]", "[*]", "[ab]\\*?",
        ] {
            assert!(Pattern::for_names(good.as_bytes()).is_some(), "{good}");
        }
    }
}
