// SPDX-License-Identifier: GPL-2.0

//! Bytes that somebody else chose: names, commands, cgroups.

use std::fmt;

/// Bytes that somebody else chose.
///
/// `Display` shows them so that they can do no harm in a terminal, a table or a log: see
/// [`crate::view::Shown`].
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Text(Box<[u8]>);

impl Text {
    /// Returns the text that the module shows like this: `\xNN` stands for a byte.
    ///
    /// What is not a whole escape stands for itself.
    pub(crate) fn unescape(shown: &[u8]) -> Self {
        if !shown.contains(&b'\\') {
            return shown.into();
        }
        let mut bytes = Vec::with_capacity(shown.len());
        let mut rest = shown;
        while let [first, after @ ..] = rest {
            match rest {
                [b'\\', b'x', high, low, after @ ..] if is_hex(*high) && is_hex(*low) => {
                    bytes.push((hex(*high) << 4) | hex(*low));
                    rest = after;
                }
                _ => {
                    bytes.push(*first);
                    rest = after;
                }
            }
        }
        Self(bytes.into())
    }

    /// Returns the bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

/// Returns the value of a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::view::Shown(&self.0).fmt(f)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}
