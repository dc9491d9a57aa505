// SPDX-License-Identifier: GPL-2.0

//! A file in `/proc` that answers questions.
//!
//! A task writes a question to the file, in one piece, and reads the answer from the same open file.
//! Each open file has an answer of its own, which the next question replaces, and whoever has the
//! open file can write and read. A file below `/proc/sys` (sysctl.rs) keeps nothing for an open
//! file, and one in debugfs (debugfs.rs) cannot be written to while the kernel is locked down.
//!
//! An open file does not keep the module from being unloaded. When the file is removed, the kernel
//! releases those that are open, and answers their reads and writes with EIO. It waits for reads and
//! writes in progress. These wait for memory only. That may be a page of the caller's which a file
//! system in user space has to bring; then they end at the latest when the caller is killed.
//!
//! The `kernel` crate does not offer this.
//!
//! C header: [`include/linux/proc_fs.h`](srctree/include/linux/proc_fs.h)

use core::{
    marker::PhantomPinned,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    ffi::{
        c_char,
        c_int,
        c_void, //
    },
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        Arc,
        Mutex, //
    },
    types::ForeignOwnable,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

extern "C" {
    /// See proc_file.c.
    #[expect(improper_ctypes, reason = "as in `bindings`")]
    fn kmod_rs_proc_create(
        directory: *const c_char,
        name: *const c_char,
        open: OpenOrRelease,
        read: unsafe extern "C" fn(
            *mut bindings::file,
            *mut c_char,
            usize,
            *mut bindings::loff_t,
        ) -> isize,
        write: unsafe extern "C" fn(
            *mut bindings::file,
            *const c_char,
            usize,
            *mut bindings::loff_t,
        ) -> isize,
        release: OpenOrRelease,
        data: *mut c_void,
    ) -> *mut c_void;

    /// See proc_file.c.
    fn kmod_rs_proc_remove(file: *mut c_void);
}

type OpenOrRelease = unsafe extern "C" fn(*mut bindings::inode, *mut bindings::file) -> c_int;

/// Who answers what is written to a [`File`].
pub(crate) trait Answers: Send + Sync + 'static {
    /// The name of a directory at the top of `/proc`, for this file alone.
    const DIRECTORY: &'static CStr;

    /// The name of the file.
    const NAME: &'static CStr;

    /// How many bytes of a question are looked at.
    const MAX: usize;

    /// Checks whether the current task may open the file, which its permissions allow.
    ///
    /// Context: may sleep.
    fn may_open(&self) -> Result;

    /// Returns the answer to a question that the current task has written.
    ///
    /// If there are [`MAX`](Self::MAX) bytes, there may have been more. If this fails, so does the
    /// write.
    ///
    /// Context: may sleep.
    fn answer(&self, question: &[u8]) -> Result<CString>;
}

/// What can be read from an open file: the answer to what was written last, or nothing if nothing
/// was written, or if that had no answer.
type Answer = Mutex<Option<Arc<CString>>>;

/// A file in `/proc` that only root can open, and that exists as long as this value lives.
///
/// # Invariants
///
/// 1. `file` is what `kmod_rs_proc_create()` returned for the operations below and for `answers`,
///    and is removed once, in `drop()`.
/// 2. The private data of each open file is a pinned box with an [`Answer`], from when `open()` has
///    succeeded until `release()`.
#[pin_data(PinnedDrop)]
pub(crate) struct File<T: Answers> {
    answers: T,
    file: NonNull<c_void>,
    /// The file has the address of `answers`.
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: `kmod_rs_proc_remove()` may be called by any task, and `T` is `Send`.
unsafe impl<T: Answers> Send for File<T> {}

// SAFETY: No method takes a shared reference. The operations share `T`, which is `Sync`.
unsafe impl<T: Answers> Sync for File<T> {}

impl<T: Answers> File<T> {
    /// Makes the file and its directory.
    ///
    /// Returns [`ENOMEM`] when that fails, also when there is such a directory already.
    ///
    /// Context: may sleep.
    pub(crate) fn new(answers: T) -> impl PinInit<Self, Error> {
        // INVARIANT: 1. By the call below, after which nothing fails.
        try_pin_init!(&this in Self {
            answers,
            file: {
                // SAFETY: The names are C strings. The operations are what proc_file.c requires.
                // `answers` was initialised above, and stays where it is until the file is removed.
                let file = unsafe {
                    kmod_rs_proc_create(
                        T::DIRECTORY.as_char_ptr(),
                        T::NAME.as_char_ptr(),
                        Self::open,
                        Self::read,
                        Self::write,
                        Self::release,
                        (&raw mut (*this.as_ptr()).answers).cast(),
                    )
                };
                NonNull::new(file).ok_or(ENOMEM)?
            },
            _pin: PhantomPinned,
        }? Error)
    }

    /// Opens the file.
    ///
    /// # Safety
    ///
    /// Must only be called by procfs, as an operation of a `File<T>`.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: By the requirement `inode` is valid, and by invariant 1 its private data is a
        // `T`. That lives until `drop()` goes on, which waits for the end of this function.
        let answers = unsafe { &*(*inode).i_private.cast::<T>() };

        let answer: Result<Pin<KBox<Answer>>> = answers.may_open().and_then(|()| {
            KBox::pin_init(new_mutex!(None, "kmod_rs::proc_file::Answer"), GFP_KERNEL)
        });
        match answer {
            Ok(answer) => {
                // INVARIANT: 2. By this line.
                // SAFETY: By the requirement `file` is being opened, so nobody else uses it.
                unsafe { (*file).private_data = answer.into_foreign() };
                0
            }
            Err(error) => error.to_errno(),
        }
    }

    /// Reads the answer from `position` on.
    ///
    /// # Safety
    ///
    /// Must only be called by procfs, as an operation of a `File<T>`.
    unsafe extern "C" fn read(
        file: *mut bindings::file,
        buffer: *mut c_char,
        length: usize,
        position: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: By the requirement `file` is open. By invariant 2 this is an `Answer`, which lives
        // until `release()`: procfs does not call that before this function has returned.
        let answer = unsafe { &*(*file).private_data.cast::<Answer>() };
        // SAFETY: By the requirement this is a variable of the caller, for us to change.
        let position = unsafe { &mut *position };

        // The lock is not held while the answer is copied, which may take long.
        let Some(answer) = answer.lock().clone() else {
            return 0;
        };
        let mut to = UserSlice::new(UserPtr::from_ptr(buffer.cast()), length).writer();
        match to.write_slice_file(answer.to_bytes(), position) {
            // CAST: No longer than the answer.
            Ok(read) => read as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// Takes a question. The answer is read from its beginning.
    ///
    /// # Safety
    ///
    /// Must only be called by procfs, as an operation of a `File<T>`.
    unsafe extern "C" fn write(
        file: *mut bindings::file,
        buffer: *const c_char,
        length: usize,
        position: *mut bindings::loff_t,
    ) -> isize {
        // SAFETY: As in `open()` and in `read()`. The inode of an open file is valid.
        let (answers, answer) = unsafe {
            (
                &*(*(*file).f_inode).i_private.cast::<T>(),
                &*(*file).private_data.cast::<Answer>(),
            )
        };
        let question = UserPtr::from_ptr(buffer.cast_mut().cast());
        let question = UserSlice::new(question, length.min(T::MAX));

        match Self::ask(answers, answer, question) {
            Ok(()) => {
                // SAFETY: By the requirement this is a variable of the caller, for us to change.
                unsafe { *position = 0 };
                // CAST: No write is longer than `isize::MAX`.
                length as isize
            }
            Err(error) => error.to_errno() as isize,
        }
    }

    /// Has a question answered. If that fails, there is no answer, so that nobody takes the one to
    /// an earlier question for it.
    fn ask(answers: &T, answer: &Answer, question: UserSlice) -> Result {
        let mut bytes = KVec::new();

        *answer.lock() = None;
        question.read_all(&mut bytes, GFP_KERNEL)?;
        let text = Arc::new(answers.answer(&bytes)?, GFP_KERNEL)?;
        *answer.lock() = Some(text);
        Ok(())
    }

    /// Frees what an open file has.
    ///
    /// # Safety
    ///
    /// Must only be called by procfs, as an operation of a `File<T>`, once for each open file.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: By invariant 2 it is from `into_foreign()`. No other operation of this open file
        // runs, or is called later: this is the last one, or the file has been removed.
        drop(unsafe { Pin::<KBox<Answer>>::from_foreign((*file).private_data) });
        0
    }
}

#[pinned_drop]
impl<T: Answers> PinnedDrop for File<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By invariant 1 it is from `kmod_rs_proc_create()`, and this is the only call. When
        // it returns, no operation uses `answers` any more, and none is called later.
        unsafe { kmod_rs_proc_remove(self.file.as_ptr()) };
    }
}
