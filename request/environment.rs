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
    fmt,
    prelude::*,
    str::CString, //
};

/// Strings for the environment of a helper.
pub(crate) struct Environment(KVec<CString>);

impl Environment {
    /// Describes a request.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new(record: &Record) -> Result<Self> {
        let requester = record.requester();
        let origin = record.origin();
        let userns = record::userns(origin.is_in_init_userns);

        let mut it = Self(KVec::with_capacity(6, GFP_KERNEL)?);
        it.add(fmt!("KMOD_REQUEST={}", record.seq()))?;
        it.add(fmt!("KMOD_REQUESTER_PID={}", requester.pid()))?;
        it.add(fmt!("KMOD_REQUESTER_UID={}", requester.uid()))?;
        it.add(fmt!("KMOD_REQUESTER_COMM={}", Escaped(requester.comm())))?;
        it.add(fmt!("KMOD_REQUESTER_USERNS={userns}"))?;
        it.add(fmt!("KMOD_CALL_SITE={}", Escaped(origin.call_site())))?;
        Ok(it)
    }

    #[inline(never)]
    fn add(&mut self, string: fmt::Arguments<'_>) -> Result {
        self.0.push(CString::try_from_fmt(string)?, GFP_KERNEL)?;
        Ok(())
    }

    /// The strings.
    pub(crate) fn strings(&self) -> impl Iterator<Item = &CStr> {
        self.0.iter().map(Deref::deref)
    }
}
