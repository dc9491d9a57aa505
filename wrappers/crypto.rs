// SPDX-License-Identifier: GPL-2.0

//! Algorithms that the crypto API has a thread make of parts.
//!
//! A task that wants an algorithm which does not exist enters a *larval* for it, which stands for
//! the algorithm. A thread of the kernel, which makes the algorithm, refers to the same larval. So
//! what is written into the larval by a notifier, in the task that wants the algorithm, tells the
//! thread for whom it works. The `kernel` crate does not wrap this.
//!
//! C headers: `crypto/internal.h`, [`include/crypto/algapi.h`](srctree/include/crypto/algapi.h)

use super::{
    name::Name,
    notifier::Notified,
    private_symbols::PrivateSymbols, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    ffi::{
        c_char,
        c_int,
        c_ulong,
        c_void, //
    },
    prelude::*, //
};

extern "C" {
    /// See crypto.c.
    fn kmod_rs_larval(event: c_ulong, data: *mut c_void) -> *mut c_void;

    /// See crypto.c.
    fn kmod_rs_larval_name(larval: *const c_void) -> *const c_char;

    /// See crypto.c.
    fn kmod_rs_larval_set(larval: *mut c_void, verdict: u32, hide: bool);

    /// See crypto.c.
    fn kmod_rs_crypto_is_maker() -> bool;

    /// See crypto.c.
    fn kmod_rs_crypto_made(name: *mut c_char, size: usize) -> u32;

    /// See crypto.c.
    fn kmod_rs_crypto_disown();

    /// See crypto.c.
    fn kmod_rs_crypto_register(block: *mut bindings::notifier_block) -> c_int;

    /// See crypto.c.
    fn kmod_rs_crypto_unregister(block: *mut bindings::notifier_block) -> c_int;
}

/// The size of an algorithm's name with its final NUL: `CRYPTO_MAX_ALG_NAME`.
const ALGORITHM_LEN: usize = 128;

/// The prefix of the names that requests for the modules of algorithms have.
const PREFIX: &[u8] = b"crypto-";

/// The size of the name that such a request has, with its final NUL.
const MODULE_LEN: usize = PREFIX.len() + ALGORITHM_LEN;

/// What was decided about an algorithm that somebody wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Nothing was decided.
    Unknown,
    /// The requester may have it.
    Allowed,
    /// The requester may not have it.
    Denied,
}

impl Verdict {
    /// The number of each verdict that is decided, which no size of a context is.
    const ALLOWED: u32 = 0x6b6d_6f01;
    const DENIED: u32 = 0x6b6d_6f02;

    fn from_number(number: u32) -> Self {
        match number {
            Self::ALLOWED => Self::Allowed,
            Self::DENIED => Self::Denied,
            _ => Self::Unknown,
        }
    }

    fn number(self) -> u32 {
        match self {
            Self::Unknown => 0,
            Self::Allowed => Self::ALLOWED,
            Self::Denied => Self::DENIED,
        }
    }
}

/// The name of the module that the kernel asks for first when somebody wants an algorithm.
pub(crate) struct ModuleName([u8; MODULE_LEN]);

impl ModuleName {
    /// Makes the name for an algorithm, or as much of it as fits.
    fn new(algorithm: &CStr) -> Self {
        let mut bytes = [0; MODULE_LEN];
        let algorithm = algorithm.to_bytes();
        let length = algorithm.len().min(ALGORITHM_LEN - 1);

        bytes[..PREFIX.len()].copy_from_slice(PREFIX);
        bytes[PREFIX.len()..][..length].copy_from_slice(&algorithm[..length]);
        Self(bytes)
    }

    /// Returns the name as a C string.
    pub(crate) fn as_cstr(&self) -> &CStr {
        // This does not fail: the last byte is never written.
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}

/// An algorithm that the current task wants and no thread makes yet.
///
/// # Invariants
///
/// `larval` is valid, and the notifier that has it is called before that of the kernel.
pub(crate) struct Wanted<'a> {
    larval: NonNull<c_void>,
    _notifier: PhantomData<&'a ()>,
}

impl Wanted<'_> {
    /// Returns the name of the module that the task has asked for, or could have.
    pub(crate) fn module_name(&self) -> ModuleName {
        // SAFETY: By the type invariant the larval is valid. Its name is a C string and does not
        // change.
        let name = unsafe { CStr::from_char_ptr(kmod_rs_larval_name(self.larval.as_ptr())) };
        ModuleName::new(name)
    }

    /// Notes a verdict for the thread that is going to make the algorithm.
    ///
    /// If `hide`, other tasks that want the algorithm do not wait for this thread, but have their
    /// own.
    pub(crate) fn judge(&self, verdict: Verdict, hide: bool) {
        // SAFETY: By the type invariant.
        unsafe { kmod_rs_larval_set(self.larval.as_ptr(), verdict.number(), hide) };
    }
}

/// The callback of a watcher of algorithms.
pub(crate) trait WatchAlgorithms: Send + Sync + 'static {
    /// Called when the current task wants an algorithm that may be made of parts.
    ///
    /// Context: may sleep. The kernel holds the rwsem of its notifier list for reading. A task may
    /// wait for this rwsem with `crypto_alg_sem` held, so this must not take `crypto_alg_sem`.
    fn wanted(&self, algorithm: &Wanted<'_>);
}

/// Notifies a watcher of algorithms.
pub(crate) struct Algorithms<T>(pub(crate) T);

// SAFETY: The two functions do what those of the list of the crypto API's notifiers do.
// `unregister` takes the rwsem of the list for writing.
unsafe impl<T: WatchAlgorithms> Notified for Algorithms<T> {
    const REGISTER: unsafe extern "C" fn(*mut bindings::notifier_block) -> c_int =
        kmod_rs_crypto_register;
    const UNREGISTER: unsafe extern "C" fn(*mut bindings::notifier_block) -> c_int =
        kmod_rs_crypto_unregister;
    // The kernel's own has 0.
    const PRIORITY: c_int = c_int::MAX;

    unsafe fn notify(&self, event: c_ulong, data: *mut c_void) -> Result {
        // SAFETY: By the requirement these are the arguments of a notification.
        let larval = unsafe { kmod_rs_larval(event, data) };

        if let Some(larval) = NonNull::new(larval) {
            // INVARIANT: It is valid as long as this notifier runs, which has a higher priority
            // than that of the kernel.
            self.0.wanted(&Wanted {
                larval,
                _notifier: PhantomData,
            });
        }
        Ok(())
    }
}

/// The algorithm that the current task makes.
#[derive(Clone, Copy)]
pub(crate) struct Making {
    /// Its name, or the beginning of it.
    pub(crate) algorithm: Name,
    /// What was decided about it.
    pub(crate) verdict: Verdict,
}

impl Making {
    /// Describes the algorithm that the current task makes; [`None`] if it is not a thread that the
    /// crypto API has started for this.
    ///
    /// Context: any with a task.
    pub(crate) fn current(_symbols: PrivateSymbols) -> Option<Self> {
        // SAFETY: May be called wherever there is a task. By the type invariant of `PrivateSymbols`
        // the function that it compares with is known.
        if !unsafe { kmod_rs_crypto_is_maker() } {
            return None;
        }
        let mut name = [0; ALGORITHM_LEN];

        // SAFETY: The buffer is valid for writes of its size, and the task is such a thread.
        let verdict = unsafe { kmod_rs_crypto_made(name.as_mut_ptr().cast(), ALGORITHM_LEN) };

        Some(Self {
            algorithm: Name::new(CStr::from_bytes_until_nul(&name).unwrap_or_default()),
            verdict: Verdict::from_number(verdict),
        })
    }

    /// Tells others not to wait for this algorithm, but to look again, and to have it made for
    /// themselves.
    ///
    /// To be called when the current task is denied what others may be allowed.
    ///
    /// Context: in the same task, in a request for a module; may sleep. Takes `crypto_alg_sem`.
    pub(crate) fn disown(&self) {
        // SAFETY: May be called wherever there is a task, and uses the larval only if it is such a
        // thread.
        unsafe {
            if kmod_rs_crypto_is_maker() {
                kmod_rs_crypto_disown();
            }
        }
    }
}

#[kunit_tests(kmod_rs_crypto)]
mod tests {
    use super::*;
    use kernel::str::CString;

    #[test]
    fn a_verdict_is_as_it_was_written() -> Result {
        for verdict in [Verdict::Unknown, Verdict::Allowed, Verdict::Denied] {
            assert_eq!(Verdict::from_number(verdict.number()), verdict);
        }
        Ok(())
    }

    #[test]
    fn what_nobody_has_written_is_no_verdict() -> Result {
        for number in [0, 1, 2, 16, 0x6b6d_6f00, 0x6b6d_6f03, u32::MAX] {
            assert_eq!(Verdict::from_number(number), Verdict::Unknown);
        }
        assert_eq!(Verdict::Unknown.number(), 0);
        Ok(())
    }

    #[test]
    fn the_name_of_a_module_is_that_of_the_first_request() -> Result {
        assert!(ModuleName::new(c"cbc(aes)").as_cstr() == c"crypto-cbc(aes)");
        assert!(ModuleName::new(c"").as_cstr() == c"crypto-");
        Ok(())
    }

    #[test]
    fn the_longest_name_fits_and_a_longer_one_is_cut() -> Result {
        for length in [ALGORITHM_LEN - 1, ALGORITHM_LEN, 2 * ALGORITHM_LEN] {
            let algorithm = CString::try_from_fmt(fmt!("{:x<length$}", ""))?;
            let name = ModuleName::new(&algorithm);
            let name = name.as_cstr().to_bytes();
            assert_eq!(name.len(), MODULE_LEN - 1);
            assert!(name.starts_with(b"crypto-xxx") && name.ends_with(b"xxx"));
        }
        Ok(())
    }

    #[test]
    fn this_thread_makes_no_algorithm() -> Result {
        assert!(Making::current(PrivateSymbols::find()?).is_none());
        Ok(())
    }
}
