// SPDX-License-Identifier: GPL-2.0

//! The words for how a request ended.
//!
//! Has no counterpart in the C code. Documentation/admin-guide.rst explains them to users.

use crate::{
    usermode_helper::WaitStatus,
    wrappers::log::Escaped, //
};
use kernel::{
    fmt,
    prelude::*, //
};

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The helper succeeded, and a module has appeared. If the request does not wait: a module has
    /// appeared.
    Loaded,
    /// The helper exited with a status other than 0.
    Exit,
    /// The helper was killed by a signal.
    Signal,
    /// The helper could not be run.
    Errno,
    /// A security module or the firewall denied the request.
    Denied,
    /// The request got the answer of its leader. If it does not wait: the helper of an equal
    /// request serves it.
    Shared,
    /// The request is part of a loop.
    Loop,
    /// The request got no slot in time. If it does not wait: too many of those are kept.
    Timeout,
    /// The requester was killed, and the helper, if there is one, has not ended.
    Killed,
    /// The helper was started, and the request does not wait.
    Started,
    /// `/proc/sys/kernel/modprobe` is empty.
    Off,
    /// The name is too long.
    TooLong,
    /// The helper succeeded, and no module has appeared.
    Nothing,
    /// The request does not wait, and its helper will be started later.
    Kept,
    /// The helper exited with a status other than 0, and the firewall had refused it a module.
    Refused,
    /// The request got the answer of an earlier one, and no helper was run.
    Remembered,
}

impl Outcome {
    /// The number of outcomes.
    pub(crate) const COUNT: usize = Self::ALL.len();

    /// All outcomes; the index of each is its number (`as usize`).
    pub(crate) const ALL: [Self; 16] = [
        Self::Loaded,
        Self::Exit,
        Self::Signal,
        Self::Errno,
        Self::Denied,
        Self::Shared,
        Self::Loop,
        Self::Timeout,
        Self::Killed,
        Self::Started,
        Self::Off,
        Self::TooLong,
        Self::Nothing,
        Self::Kept,
        Self::Refused,
        Self::Remembered,
    ];

    /// Returns the outcome of a request whose helper has ended, or could not be run, with `result`.
    ///
    /// What is known of modules is not in it: see [`with_modules`](Self::with_modules).
    pub(crate) fn of_helper(result: Result<WaitStatus>) -> Self {
        match result {
            Ok(WaitStatus::SUCCESS) => Self::Loaded,
            Ok(status) if status.is_signal() => Self::Signal,
            Ok(_) => Self::Exit,
            Err(_) => Self::Errno,
        }
    }

    /// Returns the outcome if it is known how many modules have appeared because of the request.
    pub(crate) fn with_modules(self, modules: usize) -> Self {
        match (self, modules) {
            (Self::Loaded, 0) => Self::Nothing,
            (Self::Nothing | Self::Started, 1..) => Self::Loaded,
            (outcome, _) => outcome,
        }
    }

    /// Returns the outcome if the firewall has refused the helper a module.
    pub(crate) fn with_refusal(self) -> Self {
        match self {
            Self::Exit => Self::Refused,
            outcome => outcome,
        }
    }

    /// Returns the word that the outcome is shown as.
    pub(crate) fn word(self) -> &'static CStr {
        match self {
            Self::Loaded => c"loaded",
            Self::Exit => c"exit",
            Self::Signal => c"signal",
            Self::Errno => c"errno",
            Self::Denied => c"denied",
            Self::Shared => c"shared",
            Self::Loop => c"loop",
            Self::Timeout => c"timeout",
            Self::Killed => c"killed",
            Self::Started => c"started",
            Self::Off => c"off",
            Self::TooLong => c"toolong",
            Self::Nothing => c"nothing",
            Self::Kept => c"kept",
            Self::Refused => c"refused",
            Self::Remembered => c"remembered",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(self.word().to_bytes()).fmt(f)
    }
}

#[kunit_tests(kmod_rs_outcome)]
mod tests {
    use super::*;

    #[test]
    fn only_a_success_depends_on_modules() -> Result {
        for outcome in Outcome::ALL {
            let (none, some) = match outcome {
                Outcome::Loaded | Outcome::Nothing => (Outcome::Nothing, Outcome::Loaded),
                Outcome::Started => (Outcome::Started, Outcome::Loaded),
                other => (other, other),
            };
            assert_eq!(outcome.with_modules(0), none);
            assert_eq!(outcome.with_modules(1), some);
            assert_eq!(outcome.with_modules(20), some);
        }
        Ok(())
    }

    #[test]
    fn only_a_failure_is_a_refusal() -> Result {
        for outcome in Outcome::ALL {
            let is_exit = outcome == Outcome::Exit;
            let expected = if is_exit { Outcome::Refused } else { outcome };
            assert_eq!(outcome.with_refusal(), expected);
        }
        Ok(())
    }

    #[test]
    fn outcomes_stand_at_their_numbers() -> Result {
        for (i, outcome) in Outcome::ALL.iter().enumerate() {
            assert_eq!(*outcome as usize, i);
        }
        Ok(())
    }
}
