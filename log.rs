// SPDX-License-Identifier: GPL-2.0

//! Log lines that a hostile requester can neither multiply nor forge.
//!
//! C header: [`include/linux/ratelimit.h`](srctree/include/linux/ratelimit.h)

use kernel::{
    fmt,
    fmt::Write as _,
    prelude::*, //
};

extern "C" {
    /// See log.c.
    fn kmod_rs_log_allowed() -> bool;
}

/// Whether a line may be written now: at most 10 in 5 seconds.
///
/// Context: any.
pub(crate) fn allowed() -> bool {
    // SAFETY: May be called from any context.
    unsafe { kmod_rs_log_allowed() }
}

/// Text that comes from users, as one word.
///
/// What could be taken for the end of the word, or of the line, or is not printable ASCII, is
/// shown as `\xNN`; so is the backslash.
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
