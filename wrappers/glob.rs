// SPDX-License-Identifier: GPL-2.0

//! Matching with patterns as those of a shell.
//!
//! The `kernel` crate does not wrap it.
//!
//! C header: [`include/linux/glob.h`](srctree/include/linux/glob.h)

use kernel::{
    ffi::c_char,
    prelude::*, //
};

extern "C" {
    /// Of the kernel; `bindings` does not have it.
    fn glob_match(pattern: *const c_char, text: *const c_char) -> bool;
}

/// Whether the pattern matches the whole text.
///
/// `*` stands for any text, `?` for any character, `[a-z]` and `[!a-z]` for one that is in the class
/// or is not, and a backslash takes the meaning from what follows it. Not even a slash is special.
///
/// Context: any. Takes time in proportion to the product of both lengths at most.
pub(crate) fn matches(pattern: &CStr, text: &CStr) -> bool {
    // SAFETY: Both are C strings, which are only read.
    unsafe { glob_match(pattern.as_char_ptr(), text.as_char_ptr()) }
}
