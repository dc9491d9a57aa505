// SPDX-License-Identifier: GPL-2.0

//! How a request ends: what its caller gets, and the outcome in its record.
//!
//! Mirrors what `__request_module()` of `kernel/module/kmod.c` returns.

use super::chain::Loop;
use crate::{
    concurrency::NoSlot,
    records::record::Outcome,
    usermode_helper::WaitStatus, //
};
use kernel::{
    ffi::c_int,
    prelude::*,
    uapi, //
};

/// The answer to a request that was not refused.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// How its helper ended.
    Helper(WaitStatus),
    /// Its helper was started, and it does not wait for more.
    Started,
    /// How the leader's helper ended.
    Shared(Result<WaitStatus>),
}

impl Answer {
    /// What the caller gets: 0, a wait status, or a negative errno.
    pub(crate) fn to_raw(self) -> c_int {
        match self {
            Self::Helper(status) | Self::Shared(Ok(status)) => status.into_raw(),
            Self::Started => 0,
            Self::Shared(Err(error)) => error.to_errno(),
        }
    }
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Helper(status) => Self::of_helper(Ok(status)),
            Answer::Started => Self::Started,
            Answer::Shared(_) => Self::Shared,
        }
    }
}

/// Why a request ended before a helper had run to the end that it waits for.
#[derive(Clone, Copy)]
pub(crate) enum Refusal {
    /// `/proc/sys/kernel/modprobe` is empty: -ENOENT.
    SwitchedOff,
    /// -ENAMETOOLONG.
    NameTooLong,
    /// A security module denied it, with its errno; or the firewall, with -EPERM.
    Denied(Error),
    /// It is part of a loop: -ELOOP.
    Loop,
    /// All slots are in use: -ETIME.
    Busy,
    /// The requester was killed while it waited in the queue or for a leader: -ERESTARTSYS.
    Killed,
    /// The helper could not be run or waited for, or there was no memory.
    Failed(Error),
}

impl Refusal {
    /// The negative errno that the caller gets.
    pub(crate) fn to_errno(self) -> c_int {
        match self {
            Self::SwitchedOff => ENOENT.to_errno(),
            // CAST: Small numbers.
            Self::NameTooLong => -(uapi::ENAMETOOLONG as c_int),
            Self::Loop => -(uapi::ELOOP as c_int),
            Self::Busy => -(uapi::ETIME as c_int),
            Self::Killed => ERESTARTSYS.to_errno(),
            Self::Denied(error) | Self::Failed(error) => error.to_errno(),
        }
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::SwitchedOff => Self::Off,
            Refusal::NameTooLong => Self::TooLong,
            Refusal::Denied(_) => Self::Denied,
            Refusal::Loop => Self::Loop,
            Refusal::Busy => Self::Timeout,
            Refusal::Killed | Refusal::Failed(ERESTARTSYS) => Self::Killed,
            Refusal::Failed(_) => Self::Errno,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Loop> for Refusal {
    fn from(_: Loop) -> Self {
        Self::Loop
    }
}

impl From<NoSlot> for Refusal {
    fn from(reason: NoSlot) -> Self {
        match reason {
            NoSlot::Busy => Self::Busy,
            NoSlot::Killed => Self::Killed,
            NoSlot::NoMemory => Self::Failed(ENOMEM),
        }
    }
}

#[kunit_tests(kmod_rs_answer)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_errno() -> Result {
        assert_eq!(Refusal::SwitchedOff.to_errno(), -2);
        assert_eq!(Refusal::NameTooLong.to_errno(), -36);
        assert_eq!(Refusal::Denied(EPERM).to_errno(), -1);
        assert_eq!(Refusal::from(Loop).to_errno(), -40);
        assert_eq!(Refusal::from(NoSlot::Busy).to_errno(), -62);
        assert_eq!(Refusal::from(NoSlot::Killed).to_errno(), -512);
        assert_eq!(Refusal::from(NoSlot::NoMemory).to_errno(), -12);
        assert_eq!(Refusal::from(EACCES).to_errno(), -13);
        Ok(())
    }
}
