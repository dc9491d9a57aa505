// SPDX-License-Identifier: GPL-2.0

//! A place in the code of the kernel, in words.
//!
//! The `kernel` crate cannot print `%pS` into a buffer.

use kernel::ffi::{
    c_char,
    c_ulong, //
};

extern "C" {
    /// See requester.c.
    fn kmod_rs_symbol(buffer: *mut c_char, size: usize, address: c_ulong);
}

/// How many bytes of the text are kept, the final NUL included.
const TEXT_LEN: usize = 80;

/// The place that a request comes from: `symbol+offset/size`, with the name of its module if it has
/// one.
///
/// # Invariants
///
/// There is a NUL in the text.
pub(crate) struct CallSite([u8; TEXT_LEN]);

impl CallSite {
    /// Puts an address in the kernel, or in a module that is loaded now, into words.
    ///
    /// Context: any. Takes thousands of instructions.
    #[inline(never)]
    pub(crate) fn new(address: usize) -> Self {
        let mut text = [0; TEXT_LEN];

        // SAFETY: The buffer is valid for writes of `TEXT_LEN` bytes.
        unsafe { kmod_rs_symbol(text.as_mut_ptr().cast(), TEXT_LEN, address) };
        // INVARIANT: kmod_rs_symbol() writes a NUL at the end.
        Self(text)
    }

    /// Returns the text.
    pub(crate) fn text(&self) -> &[u8] {
        self.0.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}
