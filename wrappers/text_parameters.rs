// SPDX-License-Identifier: GPL-2.0

//! The parameters of the module that are texts.
//!
//! `module!` of the `kernel` crate has none. They are defined in text_parameters.c.
//!
//! C header: [`include/linux/moduleparam.h`](srctree/include/linux/moduleparam.h)

use kernel::{
    ffi::c_char,
    prelude::*,
    str::CString, //
};

extern "C" {
    /// See text_parameters.c.
    fn kmod_rs_autoload_allow() -> *const c_char;

    /// See text_parameters.c.
    fn kmod_rs_autoload_deny() -> *const c_char;
}

/// Returns the text that was given as `autoload_allow` when the module was loaded, if one was.
///
/// Returns [`ENOMEM`].
///
/// Context: in the init of the module; may sleep.
pub(crate) fn autoload_allow() -> Result<Option<CString>> {
    // SAFETY: Has no requirement. The string is valid until after the exit of the module.
    unsafe { copy(kmod_rs_autoload_allow()) }
}

/// Returns the text that was given as `autoload_deny` when the module was loaded, if one was.
///
/// Returns [`ENOMEM`].
///
/// Context: in the init of the module; may sleep.
pub(crate) fn autoload_deny() -> Result<Option<CString>> {
    // SAFETY: As above.
    unsafe { copy(kmod_rs_autoload_deny()) }
}

/// Copies a text, if there is one.
///
/// # Safety
///
/// `text` is null or a C string.
unsafe fn copy(text: *const c_char) -> Result<Option<CString>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: By the requirement, as it is not null.
    Ok(Some(unsafe { CStr::from_char_ptr(text) }.to_cstring()?))
}
