// SPDX-License-Identifier: GPL-2.0

//! What a helper is told of its request, in its environment, if `helper_env` is set.
//!
//! Has no counterpart in the C code, where a helper is told the name only. Text that comes from
//! users is escaped: it is one word of printable ASCII characters, and all other bytes are shown as
//! `\xNN`.

use crate::{
    records::record::{
        self,
        Record, //
    },
    wrappers::{
        log::Escaped,
        private_symbols::PrivateSymbols,
        requester::Credentials, //
    }, //
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
    /// Describes the request that has this record, which the current task makes.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: in the task that makes the request; may sleep.
    pub(crate) fn new(record: &Record, symbols: PrivateSymbols) -> Result<Self> {
        let requester = record.requester();
        let origin = record.origin();
        let userns = record::userns(origin.is_in_init_userns);

        let mut it = Self(KVec::with_capacity(7, GFP_KERNEL)?);
        it.add(fmt!("KMOD_REQUEST={}", record.seq()))?;
        it.add(fmt!("KMOD_REQUESTER_PID={}", requester.pid()))?;
        it.add(fmt!("KMOD_REQUESTER_UID={}", requester.uid()))?;
        it.add(fmt!("KMOD_REQUESTER_COMM={}", Escaped(requester.comm())))?;
        it.add(fmt!("KMOD_REQUESTER_USERNS={userns}"))?;
        it.add(fmt!(
            "KMOD_REQUESTER_PRIVILEGE={}",
            privilege(Credentials::current(symbols)),
        ))?;
        it.add(fmt!("KMOD_CALL_SITE={}", Escaped(record.call_site())))?;
        Ok(it)
    }

    #[inline(never)]
    fn add(&mut self, string: fmt::Arguments<'_>) -> Result {
        self.0.push(CString::try_from_fmt(string)?, GFP_KERNEL)?;
        Ok(())
    }

    /// Returns the strings, each of the form `NAME=value`.
    pub(crate) fn strings(&self) -> impl Iterator<Item = &CStr> {
        self.0.iter().map(Deref::deref)
    }
}

/// Returns the word for what makes a requester privileged.
///
/// A program that looks the requester up by its process ID may find another process. So it is told.
fn privilege(credentials: Credentials) -> &'static str {
    if credentials.is_kernel_thread {
        "kernel-thread"
    } else if !credentials.may_load_modules {
        "none"
    } else if credentials.is_elevated {
        "setuid"
    } else {
        "capability"
    }
}

#[kunit_tests(kmod_rs_environment)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_a_privilege() {
        let credentials = Credentials {
            is_kernel_thread: false,
            may_load_modules: true,
            may_configure_network: true,
            euids: Some([0; 2]),
            is_elevated: false,
        };
        assert!(privilege(credentials) == "capability");
        assert!(
            privilege(Credentials {
                is_elevated: true,
                ..credentials
            }) == "setuid"
        );
        assert!(
            privilege(Credentials {
                may_load_modules: false,
                ..credentials
            }) == "none"
        );
        // A thread of the kernel has all capabilities, whoever it works for.
        assert!(
            privilege(Credentials {
                is_kernel_thread: true,
                ..credentials
            }) == "kernel-thread"
        );
    }
}
