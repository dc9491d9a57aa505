// SPDX-License-Identifier: GPL-2.0

//! How a request ends: its result, and the outcome in its record.
//!
//! Mirrors the return values of `__request_module()` of `kernel/module/kmod.c`.

use super::{
    chain::Loop,
    unwaiting::NotEntered, //
};
use crate::{
    concurrency::NoSlot,
    records::outcome::Outcome,
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
    /// How the helper of the request ended.
    Helper(WaitStatus),
    /// The helper was started, and the request does not wait for it to exit.
    Started,
    /// The helper will be started later, and the request does not wait for that.
    Kept,
    /// What the leader's helper gave. If the request does not wait: success, as a helper will be
    /// started for an equal request.
    Shared(Result<WaitStatus>),
    /// What the helper of an equal request gave, and another one would give now.
    Remembered(WaitStatus),
}

impl Answer {
    /// Returns the result: 0, a wait status, or a negative errno.
    pub(crate) fn to_raw(self) -> c_int {
        match self {
            Self::Helper(status) | Self::Shared(Ok(status)) | Self::Remembered(status) => {
                status.into_raw()
            }
            Self::Started | Self::Kept => 0,
            Self::Shared(Err(error)) => error.to_errno(),
        }
    }
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Helper(status) => Self::of_helper(Ok(status)),
            Answer::Started => Self::Started,
            Answer::Kept => Self::Kept,
            Answer::Shared(_) => Self::Shared,
            Answer::Remembered(_) => Self::Remembered,
        }
    }
}

/// Why a request has no answer from a helper.
#[derive(Clone, Copy)]
pub(crate) enum Refusal {
    /// `/proc/sys/kernel/modprobe` is empty: -ENOENT.
    SwitchedOff,
    /// The name is too long: -ENAMETOOLONG.
    NameTooLong,
    /// A security module denied the request, with this errno.
    Denied(Error),
    /// The firewall denied the request. The answer is that of a machine without the module, because
    /// callers can deal with that; some take an errno for a reason to give up.
    NotAllowed,
    /// The request is part of a loop: -ELOOP.
    Loop,
    /// All slots are in use, and none was given back for as long as the request waits; or there are
    /// too many helpers for a nested request to have another one; or, if the request does not wait,
    /// too many of those are kept: -ETIME.
    Busy,
    /// The requester was killed while it waited for a slot or for a leader: -ERESTARTSYS.
    Killed,
    /// The helper could not be run or waited for, or there was no memory.
    Failed(Error),
}

impl Refusal {
    /// Returns the result: a negative errno, or [`WaitStatus::NOT_FOUND`].
    pub(crate) fn to_raw(self) -> c_int {
        match self {
            Self::NotAllowed => WaitStatus::NOT_FOUND.into_raw(),
            Self::SwitchedOff => ENOENT.to_errno(),
            // CAST: An errno is small.
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
            Refusal::Denied(_) | Refusal::NotAllowed => Self::Denied,
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

impl From<NotEntered> for Refusal {
    fn from(reason: NotEntered) -> Self {
        match reason {
            NotEntered::Full => Self::Busy,
            NotEntered::NoMemory => Self::Failed(ENOMEM),
        }
    }
}

#[kunit_tests(kmod_rs_answer)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_result() -> Result {
        assert_eq!(Refusal::SwitchedOff.to_raw(), -2);
        assert_eq!(Refusal::NameTooLong.to_raw(), -36);
        assert_eq!(Refusal::Denied(EPERM).to_raw(), -1);
        assert_eq!(Refusal::NotAllowed.to_raw(), 256);
        assert_eq!(Refusal::from(Loop).to_raw(), -40);
        assert_eq!(Refusal::from(NoSlot::Busy).to_raw(), -62);
        assert_eq!(Refusal::from(NoSlot::Killed).to_raw(), -512);
        assert_eq!(Refusal::from(NoSlot::NoMemory).to_raw(), -12);
        assert_eq!(Refusal::from(NotEntered::Full).to_raw(), -62);
        assert_eq!(Refusal::from(EACCES).to_raw(), -13);
        Ok(())
    }
}
