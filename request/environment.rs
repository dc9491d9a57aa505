// SPDX-License-Identifier: GPL-2.0

//! What a helper is told of the request that it runs for.
//!
//! Has no counterpart in the C code, where it cannot know. What comes from users is escaped, so
//! that a script may do with it what it likes.

use crate::{
    records::record::{
        self,
        Record, //
    },
    wrappers::log::Escaped, //
};
use core::ops::Deref;
use kernel::{
    prelude::*,
    str::CString, //
};

/// Strings for the environment of a helper.
///
/// Behind a pointer, as most helpers have none.
pub(crate) struct Environment(KBox<[CString; 6]>);

impl Environment {
    /// Describes a request.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new(record: &Record) -> Result<Self> {
        let requester = record.requester();
        let origin = record.origin();

        let strings = [
            CString::try_from_fmt(fmt!("KMOD_REQUEST={}", record.seq()))?,
            CString::try_from_fmt(fmt!("KMOD_REQUESTER_PID={}", requester.pid()))?,
            CString::try_from_fmt(fmt!("KMOD_REQUESTER_UID={}", requester.uid()))?,
            CString::try_from_fmt(fmt!("KMOD_REQUESTER_COMM={}", Escaped(requester.comm())))?,
            CString::try_from_fmt(fmt!(
                "KMOD_REQUESTER_USERNS={}",
                record::userns(origin.is_in_init_userns)
            ))?,
            CString::try_from_fmt(fmt!("KMOD_CALL_SITE={}", Escaped(origin.call_site())))?,
        ];
        Ok(Self(KBox::new(strings, GFP_KERNEL)?))
    }

    /// The strings.
    pub(crate) fn strings(&self) -> impl Iterator<Item = &CStr> {
        self.0.iter().map(Deref::deref)
    }
}
