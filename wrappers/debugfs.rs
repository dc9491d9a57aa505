// SPDX-License-Identifier: GPL-2.0

//! Files in debugfs that show a sequence of items, and pin the module while they are open.
//!
//! The files of the `kernel` crate have no owner: if one is open while its module is unloaded, the
//! kernel calls code that is gone when the file is closed. These files have an owner, so `rmmod`
//! says "in use". The files of the `kernel` crate show one value in one piece. These files show a
//! sequence of any length, one item at a time, so no lock is held and no state is kept for longer
//! than one item takes.
//!
//! C headers: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h),
//! [`include/linux/seq_file.h`](srctree/include/linux/seq_file.h)

use super::module;
use core::{
    marker::PhantomPinned,
    mem::MaybeUninit,
    ptr, //
};
use kernel::{
    bindings,
    error::from_err_ptr,
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    seq_file::SeqFile,
    sync::Arc,
    types::ForeignOwnable, //
};

/// The items that a file shows.
pub(crate) trait Items: Send + Sync + 'static {
    /// A reference on an item, or a copy of one.
    type Item: ForeignOwnable;

    /// The name of the file.
    const NAME: &'static CStr;

    /// Returns the first item whose position is at least `position`, and its position; `None` if
    /// there is none.
    ///
    /// The implementation gives each item a position. A file is read from position 0 up.
    ///
    /// Context: may sleep.
    fn find(&self, position: u64) -> Result<Option<(u64, Self::Item)>>;

    /// Shows an item that [`find`](Self::find) returned, in whole lines.
    ///
    /// An item may be found and shown several times before the reader gets it: if it does not fit
    /// into the buffer, it is shown again into a larger one.
    ///
    /// Context: may sleep.
    fn show(&self, item: <Self::Item as ForeignOwnable>::Borrowed<'_>, to: &SeqFile);
}

/// A directory at the top of debugfs, which exists as long as this value lives.
///
/// # Invariants
///
/// The pointer is what `debugfs_create_dir()` returned: an error, or a directory that nobody else
/// removes.
pub(crate) struct Directory(*mut bindings::dentry);

// SAFETY: `debugfs_remove()` may be called by any task.
unsafe impl Send for Directory {}

// SAFETY: The pointer is only passed to `debugfs_create_file_full()`, which several tasks may call
// at once.
unsafe impl Sync for Directory {}

impl Directory {
    /// Creates the directory.
    ///
    /// As usual with debugfs, a failure is not reported: the directory is missing, and so are the
    /// files in it.
    ///
    /// Context: may sleep.
    pub(crate) fn new(name: &CStr) -> Self {
        // INVARIANT: By this call.
        // SAFETY: `name` is a C string, which is copied. A null pointer stands for the top of
        // debugfs.
        Self(unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), ptr::null_mut()) })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the pointer is from `debugfs_create_dir()`, and the
        // directory has not been removed. `debugfs_remove()` accepts errors.
        unsafe { bindings::debugfs_remove(self.0) };
    }
}

/// A file in debugfs that only root can read, and that exists as long as this value lives.
///
/// # Invariants
///
/// - `file` is what `debugfs_create_file_full()` returned: an error, or a file that nobody else
///   removes. Its private data is `items`, and its operations are [`Self::OPERATIONS`].
#[pin_data(PinnedDrop)]
pub(crate) struct File<T: Items> {
    items: T,
    file: *mut bindings::dentry,
    _directory: Arc<Directory>,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: `debugfs_remove()` may be called by any task, and `T` is `Send`.
unsafe impl<T: Items> Send for File<T> {}

// SAFETY: No method takes a shared reference. Readers share `T`, which is `Sync`.
unsafe impl<T: Items> Sync for File<T> {}

impl<T: Items> File<T> {
    const SEQ_OPERATIONS: bindings::seq_operations = bindings::seq_operations {
        start: Some(Self::start),
        stop: Some(Self::stop),
        next: Some(Self::next),
        show: Some(Self::show),
    };

    /// What debugfs keeps for as long as the file is open, also when it has been removed: so it is
    /// part of the module and not of this value.
    const OPERATIONS: &'static bindings::file_operations = &bindings::file_operations {
        owner: module::this(),
        open: Some(Self::open),
        read: Some(bindings::seq_read),
        llseek: Some(bindings::seq_lseek),
        release: Some(bindings::seq_release),
        // SAFETY: Null pointers and zeroes stand for operations that the file does not have.
        ..unsafe { MaybeUninit::zeroed().assume_init() }
    };

    /// Creates the file.
    ///
    /// As usual with debugfs, a failure is not reported: the file is missing. It cannot be opened
    /// before the init of the module has succeeded.
    ///
    /// Context: may sleep.
    pub(crate) fn new(directory: Arc<Directory>, items: T) -> impl PinInit<Self> {
        // INVARIANT: `file` is made of `items` and `OPERATIONS` below.
        pin_init!(&this in Self {
            items,
            file: {
                // SAFETY: The name is a C string. `items` was initialised above, and stays where it
                // is until the file is removed, in `drop()`. The reference in `_directory` keeps
                // the directory for as long.
                unsafe {
                    bindings::debugfs_create_file_full(
                        T::NAME.as_char_ptr(),
                        0o400,
                        directory.0,
                        (&raw mut (*this.as_ptr()).items).cast(),
                        ptr::null(),
                        Self::OPERATIONS,
                    )
                }
            },
            _directory: directory,
            _pin: PhantomPinned,
        })
    }

    /// Opens the file.
    ///
    /// # Safety
    ///
    /// Must only be called by debugfs, as the `open` operation of a `File<T>`.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // If the init of a module fails, the module is freed even if one of its files is open.
        if !module::is_live() {
            return ENODEV.to_errno();
        }
        // SAFETY: By the requirement `file` is valid and being opened. `SEQ_OPERATIONS` is a
        // constant.
        let ret = unsafe { bindings::seq_open(file, &Self::SEQ_OPERATIONS) };
        if ret == 0 {
            // SAFETY: `seq_open()` has made a `struct seq_file` the private data of `file`. By the
            // requirement `inode` is valid; by the type invariants its private data is a `T`.
            unsafe {
                let seq = (*file).private_data.cast::<bindings::seq_file>();
                (*seq).private = (*inode).i_private;
            }
        }
        ret
    }

    /// Returns the first item whose position is at least `*position`, and writes its position to
    /// `*position`. Returns null if there is none, or an error pointer.
    ///
    /// # Safety
    ///
    /// The arguments must be those that seq_file passed to an operation of a `File<T>`.
    unsafe fn find(seq: *mut bindings::seq_file, position: *mut bindings::loff_t) -> *mut c_void {
        // SAFETY: By the requirement `seq` is valid, and `open()` has made its private data a `T`.
        // That lives until the file is removed: debugfs calls operations only before that, and
        // `debugfs_remove()` waits for those that run.
        let items = unsafe { &*(*seq).private.cast::<T>() };

        // SAFETY: By the requirement `position` is valid.
        // CAST: Positions begin with 0 and only grow.
        match items.find(unsafe { *position } as u64) {
            Ok(Some((found, item))) => {
                // SAFETY: By the requirement `position` is valid, and nobody else uses it.
                // CAST: No file counts as far as 2^63.
                unsafe { *position = found as bindings::loff_t };
                item.into_foreign()
            }
            Ok(None) => ptr::null_mut(),
            Err(error) => error.to_ptr(),
        }
    }

    /// Drops an item, if there is one.
    ///
    /// # Safety
    ///
    /// `item` must have been returned by [`Self::find`], and must not be used again.
    unsafe fn put(item: *mut c_void) {
        if !item.is_null() && from_err_ptr(item).is_ok() {
            // SAFETY: By the requirement it is from `find()`; as it is neither null nor an error,
            // from `into_foreign()`. It is not used again.
            drop(unsafe { T::Item::from_foreign(item) });
        }
    }

    /// Begins to read at a position.
    ///
    /// # Safety
    ///
    /// Must only be called by seq_file, as the `start` operation of a `File<T>`.
    unsafe extern "C" fn start(
        seq: *mut bindings::seq_file,
        position: *mut bindings::loff_t,
    ) -> *mut c_void {
        // SAFETY: By the requirement the arguments are those of seq_file.
        unsafe { Self::find(seq, position) }
    }

    /// Goes on to the next item.
    ///
    /// # Safety
    ///
    /// Must only be called by seq_file, as the `next` operation of a `File<T>`.
    unsafe extern "C" fn next(
        seq: *mut bindings::seq_file,
        item: *mut c_void,
        position: *mut bindings::loff_t,
    ) -> *mut c_void {
        // SAFETY: By the requirement the arguments are those of seq_file. `item` is what `start()`
        // or `next()` returned last; seq_file uses what this call returns in its place.
        unsafe {
            Self::put(item);
            *position += 1;
            Self::find(seq, position)
        }
    }

    /// Ends reading.
    ///
    /// # Safety
    ///
    /// Must only be called by seq_file, as the `stop` operation of a `File<T>`.
    unsafe extern "C" fn stop(_seq: *mut bindings::seq_file, item: *mut c_void) {
        // SAFETY: By the requirement `item` is what `start()` or `next()` returned last. seq_file
        // does not use it again.
        unsafe { Self::put(item) };
    }

    /// Shows an item.
    ///
    /// # Safety
    ///
    /// Must only be called by seq_file, as the `show` operation of a `File<T>`.
    unsafe extern "C" fn show(seq: *mut bindings::seq_file, item: *mut c_void) -> c_int {
        // SAFETY: By the requirement `seq` is valid; its private data is a `T` that lives for this
        // call, as in `find()`. `item` is what `start()` or `next()` returned last, and not null
        // nor an error; it lives until `next()` or `stop()`. The task that reads holds the lock of
        // `seq`, so no other task uses it.
        unsafe {
            let items = &*(*seq).private.cast::<T>();
            items.show(T::Item::borrow(item), SeqFile::from_raw(seq));
        }
        0
    }
}

#[pinned_drop]
impl<T: Items> PinnedDrop for File<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants the pointer is from `debugfs_create_file_full()`, and the
        // file has not been removed. `debugfs_remove()` accepts errors, and returns when none of
        // the operations that use `items` runs any more. If the file is open, closing it uses
        // `OPERATIONS`, which the open file keeps, as it pins the module.
        unsafe { bindings::debugfs_remove(self.file) };
    }
}
