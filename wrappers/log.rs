// SPDX-License-Identifier: GPL-2.0

//! Text in log lines that a hostile requester cannot forge.

use kernel::{
    fmt,
    fmt::Write as _,
    prelude::*, //
};

/// Text that comes from users, shown as one word.
///
/// Blanks, double quotes, backslashes and all bytes that are not printable ASCII are shown as
/// `\xNN`.
pub(crate) struct Escaped<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.0 {
            match byte {
                b'!'..=b'~' if byte != b'"' && byte != b'\\' => f.write_char(char::from(byte))?,
                _ => f.write_fmt(fmt!("\\x{byte:02x}"))?,
            }
        }
        Ok(())
    }
}

/// Text that comes from users, shown in double quotes.
///
/// Spaces are shown as they are, everything else as by [`Escaped`]. So nothing in the text can be
/// taken for the closing quote.
pub(crate) struct Quoted<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for (i, word) in self.0.split(|byte| *byte == b' ').enumerate() {
            if i > 0 {
                f.write_char(' ')?;
            }
            Escaped(word).fmt(f)?;
        }
        f.write_char('"')
    }
}

/// A value, shown as `-` if it is not known.
pub(crate) struct Known<T>(pub(crate) Option<T>);

impl<T: fmt::Display> fmt::Display for Known<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}

#[kunit_tests(kmod_rs_log)]
mod tests {
    use super::*;
    use kernel::str::CString;

    #[test]
    fn quotes_hold_whatever_is_in_them() -> Result {
        let shown = CString::try_from_fmt(fmt!("{}", Quoted(b" a\" uid=0\n\\x\x7f ")))?;
        assert_eq!(shown.to_bytes(), b"\" a\\x22 uid=0\\x0a\\x5cx\\x7f \"");
        let shown = CString::try_from_fmt(fmt!("{}", Quoted(b"")))?;
        assert_eq!(shown.to_bytes(), b"\"\"");
        Ok(())
    }
}
