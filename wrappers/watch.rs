// SPDX-License-Identifier: GPL-2.0

//! A watch over what modprobe reads: its program, its configuration and the indexes of modules.
//!
//! The `kernel` crate does not wrap fsnotify.
//!
//! C header: [`include/linux/fsnotify_backend.h`](srctree/include/linux/fsnotify_backend.h)

use super::module::{
    self,
    Reference, //
};
use core::{
    mem,
    ptr::NonNull, //
};
use kernel::{
    error::from_err_ptr,
    ffi::{
        c_char,
        c_int,
        c_void, //
    },
    prelude::*,
    uapi, //
};

extern "C" {
    /// See watch.c.
    fn kmod_rs_watch_set(program: *const c_char) -> *mut c_void;

    /// See watch.c.
    fn kmod_rs_watch_end(watch: *mut c_void);

    /// See watch.c.
    fn kmod_rs_watch_changed(watch: *const c_void) -> c_int;

    /// See watch.c.
    fn kmod_rs_watch_change(watch: *mut c_void, why: c_int);

    /// See watch.c.
    fn kmod_rs_watch_has_root(watch: *const c_void) -> bool;
}

/// What has changed since a watch was set. The first two are as in watch.c.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// A file, a directory, or a name in one.
    File = 1,
    /// A mount in the namespace of PID 1, or its root.
    Mount = 2,
    /// A module has come, or has been unloaded.
    Module = 3,
}

/// Why a watch cannot be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unwatchable {
    /// Something is on a file system whose changes may be made elsewhere, or is no file.
    FileSystem,
    /// A symbolic link leads to where nothing is watched, or PID 1 has another mount namespace.
    Elsewhere,
    /// There are too many files.
    TooMany,
    /// There is no memory, the module is being loaded or unloaded, or there is another error.
    Failed,
}

impl From<Error> for Unwatchable {
    fn from(error: Error) -> Self {
        // CAST: A small number.
        const EXDEV: c_int = -(uapi::EXDEV as c_int);
        const EOPNOTSUPP: c_int = -(uapi::EOPNOTSUPP as c_int);
        const ENOSPC: c_int = -(uapi::ENOSPC as c_int);

        match error.to_errno() {
            EOPNOTSUPP => Self::FileSystem,
            EXDEV => Self::Elsewhere,
            ENOSPC => Self::TooMany,
            _ => Self::Failed,
        }
    }
}

/// A watch, as long as this value lives.
///
/// It says once that something has changed, and cannot be set again. Its marks keep the module
/// loaded until they are gone, which may be a moment after this value is dropped.
///
/// # Invariants
///
/// The pointer is from `kmod_rs_watch_set()`, and `kmod_rs_watch_end()` was not called with it.
pub(crate) struct Watch(NonNull<c_void>);

// SAFETY: The functions of watch.c may be called by any task.
unsafe impl Send for Watch {}

// SAFETY: The functions of watch.c that the methods call may be called by several tasks at once.
unsafe impl Sync for Watch {}

impl Watch {
    /// Watches what modprobe reads, for the current task: a helper that is about to execute
    /// `program`. Another task may have another root.
    ///
    /// Context: may sleep.
    pub(crate) fn set(program: &CStr) -> Result<Self, Unwatchable> {
        // If the init of the module fails, the module is freed in spite of references.
        if !module::is_live() {
            return Err(Unwatchable::Failed);
        }
        let reference = Reference::try_get()?;
        // The watch puts it.
        mem::forget(reference);

        // SAFETY: `program` is a C string, which is used during the call only. A reference on the
        // module was taken for the watch.
        let watch = from_err_ptr(unsafe { kmod_rs_watch_set(program.as_char_ptr()) })?;

        // INVARIANT: By the call above.
        Ok(Self(NonNull::new(watch).ok_or(Unwatchable::Failed)?))
    }

    /// Returns whether nothing has changed since the watch was set.
    ///
    /// Context: any.
    pub(crate) fn is_intact(&self) -> bool {
        self.change().is_none()
    }

    /// Returns what has changed since the watch was set: the first change.
    ///
    /// Context: any.
    pub(crate) fn change(&self) -> Option<Change> {
        // SAFETY: By the type invariant the watch is valid.
        match unsafe { kmod_rs_watch_changed(self.0.as_ptr()) } {
            0 => None,
            why if why == Change::Mount as c_int => Some(Change::Mount),
            why if why == Change::Module as c_int => Some(Change::Module),
            _ => Some(Change::File),
        }
    }

    /// Notes a change that the kernel does not report to the watch.
    ///
    /// Context: any.
    pub(crate) fn note(&self, change: Change) {
        // SAFETY: By the type invariant the watch is valid.
        unsafe { kmod_rs_watch_change(self.0.as_ptr(), change as c_int) };
    }

    /// Returns whether PID 1 has the root that the watch was set with.
    ///
    /// Context: may sleep.
    pub(crate) fn has_root(&self) -> bool {
        // SAFETY: By the type invariant the watch is valid.
        unsafe { kmod_rs_watch_has_root(self.0.as_ptr()) }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the watch is valid. It is not used after this.
        unsafe { kmod_rs_watch_end(self.0.as_ptr()) };
    }
}

#[kunit_tests(kmod_rs_watch)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_for_each_errno() -> Result {
        for (errno, reason) in [
            (uapi::EOPNOTSUPP, Unwatchable::FileSystem),
            (uapi::EXDEV, Unwatchable::Elsewhere),
            (uapi::ENOSPC, Unwatchable::TooMany),
            (uapi::ENOMEM, Unwatchable::Failed),
        ] {
            // CAST: A small number.
            let error = Error::from_errno(-(errno as c_int));
            assert_eq!(Unwatchable::from(error), reason);
        }
        Ok(())
    }
}
