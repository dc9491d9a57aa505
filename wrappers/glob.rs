// SPDX-License-Identifier: GPL-2.0

//! Matching with shell patterns.
//!
//! The `kernel` crate does not wrap `glob_match()`.
//!
//! C header: [`include/linux/glob.h`](srctree/include/linux/glob.h)

use kernel::{
    ffi::c_char,
    prelude::*, //
};

extern "C" {
    /// See `lib/glob.c`; `bindings` does not have it.
    fn glob_match(pattern: *const c_char, text: *const c_char) -> bool;
}

/// Returns whether `pattern` matches the whole of `text`.
///
/// In a pattern, `*` stands for any text, also an empty one, `?` for any byte, `[a-z]` for a byte
/// that is in the class, and `[!a-z]` for one that is not. A byte that follows a backslash stands
/// for itself. Slashes are not special.
///
/// Context: any. The time is at most proportional to the product of both lengths.
pub(crate) fn matches(pattern: &CStr, text: &CStr) -> bool {
    // SAFETY: Both arguments are C strings, and `glob_match()` only reads them.
    unsafe { glob_match(pattern.as_char_ptr(), text.as_char_ptr()) }
}
