// SPDX-License-Identifier: GPL-2.0

//! How things are shown.

use std::fmt;
use std::fmt::Write;

/// Shows bytes that somebody else chose so that they do no harm: what is not a printable ASCII
/// character, and a backslash, as `\xNN`, as the module itself does.
///
/// So no escape of a terminal, no mark that turns the direction of writing, and nothing that looks
/// like another character gets through. Keeps to the width of the formatter, like a string.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = String::with_capacity(self.0.len());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_raw() {
        let hostile = "\x1b[2J\u{202e}é\\ \u{9b}".as_bytes();
        assert_eq!(
            Shown(hostile).to_string(),
            r"\x1b[2J\xe2\x80\xae\xc3\xa9\x5c \xc2\x9b"
        );
    }
}
