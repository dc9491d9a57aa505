// SPDX-License-Identifier: GPL-2.0

//! Files in debugfs that are read item by item, and pin their module while they are open.
//!
//! The `kernel` crate has files for debugfs, but they name no owner: one that is open while its
//! module is unloaded crashes when it is closed. Here the owner is named, so that `rmmod` says
//! "in use". Also, they show one value in one piece; these show a sequence of any length, an item
//! at a time, so that no lock is held and no state kept for longer than that.
//!
//! C headers: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h),
//! [`include/linux/seq_file.h`](srctree/include/linux/seq_file.h)

use super::module;
use core::{
    marker::PhantomPinned,
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
    types::{
        ForeignOwnable,
        Opaque, //
    }, //
};

/// What a file shows.
pub(crate) trait Items: Send + Sync + 'static {
    /// One item, by reference or as a copy.
    type Item: ForeignOwnable;

    /// The name of the file.
    const NAME: &'static CStr;

    /// The first item that is at `position` or behind it, and where that is.
    ///
    /// Positions of a reader only grow. What they mean is up to the file.
    ///
    /// Context: may sleep.
    fn find(&self, position: u64) -> Result<Option<(u64, Self::Item)>>;

    /// Shows an item, in whole lines. May be called more than once for one that `find` returned.
    ///
    /// Context: may sleep.
    fn show(&self, item: <Self::Item as ForeignOwnable>::Borrowed<'_>, to: &SeqFile);
}

/// A directory at the top of debugfs, for as long as this value lives.
pub(crate) struct Directory(*mut bindings::dentry);

// SAFETY: A directory may be removed by any task.
unsafe impl Send for Directory {}

// SAFETY: It is only handed to C functions that any task may call.
unsafe impl Sync for Directory {}

impl Directory {
    /// Makes the directory. As always with debugfs, nobody is told if that fails.
    ///
    /// Context: may sleep.
    pub(crate) fn new(name: &CStr) -> Self {
        // SAFETY: `name` is a C string, which is copied.
        Self(unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), ptr::null_mut()) })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // SAFETY: From `debugfs_create_dir()`. Errors are accepted.
        unsafe { bindings::debugfs_remove(self.0) };
    }
}

/// A file in debugfs that only root can read, for as long as this value lives.
///
/// # Invariants
///
/// - The file's private data is `items`, and its operations are `operations`.
/// - The owner in `operations` is the module that this code is in.
#[pin_data(PinnedDrop)]
pub(crate) struct File<T: Items> {
    items: T,
    #[pin]
    operations: Opaque<bindings::file_operations>,
    file: *mut bindings::dentry,
    _directory: Arc<Directory>,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: The file may be removed by any task.
unsafe impl<T: Items> Send for File<T> {}

// SAFETY: There are no methods; readers use `T` by reference, which is `Sync`.
unsafe impl<T: Items> Sync for File<T> {}

impl<T: Items> File<T> {
    const SEQ_OPERATIONS: bindings::seq_operations = bindings::seq_operations {
        start: Some(Self::start),
        stop: Some(Self::stop),
        next: Some(Self::next),
        show: Some(Self::show),
    };

    /// Makes the file. As always with debugfs, nobody is told if that fails.
    ///
    /// It can be opened once the module's init has succeeded.
    ///
    /// Context: may sleep.
    pub(crate) fn new(directory: Arc<Directory>, items: T) -> impl PinInit<Self> {
        // INVARIANT: See below.
        pin_init!(&this in Self {
            items,
            operations <- Opaque::ffi_init(|slot: *mut bindings::file_operations| {
                let operations = bindings::file_operations {
                    owner: module::this(),
                    open: Some(Self::open),
                    read: Some(bindings::seq_read),
                    llseek: Some(bindings::seq_lseek),
                    release: Some(bindings::seq_release),
                    ..Default::default()
                };
                // SAFETY: The initialiser may write to `slot`.
                unsafe { slot.write(operations) };
            }),
            file: {
                // SAFETY: `items` and `operations` were written above and are pinned until the
                // file is removed, in `drop()`. The directory lives as long.
                unsafe {
                    bindings::debugfs_create_file_full(
                        T::NAME.as_char_ptr(),
                        0o400,
                        directory.0,
                        (&raw mut (*this.as_ptr()).items).cast(),
                        ptr::null(),
                        Opaque::cast_into(&raw const (*this.as_ptr()).operations),
                    )
                }
            },
            _directory: directory,
            _pin: PhantomPinned,
        })
    }

    /// # Safety
    ///
    /// To be called by debugfs only, for the file of a `File<T>`.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // A module whose init fails is freed even if somebody has a file of it open.
        if !module::is_live() {
            return ENODEV.to_errno();
        }
        // SAFETY: By the requirement both are valid, and `file` is being opened.
        let ret = unsafe { bindings::seq_open(file, &Self::SEQ_OPERATIONS) };
        if ret == 0 {
            // SAFETY: `seq_open()` has made a `struct seq_file` the private data of `file`; by the
            // invariants that of `inode` is a `T`.
            unsafe {
                let seq = (*file).private_data.cast::<bindings::seq_file>();
                (*seq).private = (*inode).i_private;
            }
        }
        ret
    }

    /// The item at `*position` or behind it, and `*position` where it is.
    ///
    /// # Safety
    ///
    /// Both are what seq_file gives to an operation of a `File<T>`.
    unsafe fn find(seq: *mut bindings::seq_file, position: *mut bindings::loff_t) -> *mut c_void {
        // SAFETY: `open()` has put a `T` there. It lives until the file is removed, which waits
        // for the end of this function.
        let items = unsafe { &*(*seq).private.cast::<T>() };

        // SAFETY: By the requirement.
        // CAST: Positions are not negative, and fit.
        match items.find(unsafe { *position } as u64) {
            Ok(Some((found, item))) => {
                // SAFETY: As above.
                unsafe { *position = found as bindings::loff_t };
                item.into_foreign()
            }
            Ok(None) => ptr::null_mut(),
            Err(error) => error.to_ptr(),
        }
    }

    /// # Safety
    ///
    /// `item` is what [`Self::find`] returned, and is not used again.
    unsafe fn put(item: *mut c_void) {
        if !item.is_null() && from_err_ptr(item).is_ok() {
            // SAFETY: By the requirement, and it is no error.
            drop(unsafe { T::Item::from_foreign(item) });
        }
    }

    /// # Safety
    ///
    /// To be called by seq_file only.
    unsafe extern "C" fn start(
        seq: *mut bindings::seq_file,
        position: *mut bindings::loff_t,
    ) -> *mut c_void {
        // SAFETY: By the requirement.
        unsafe { Self::find(seq, position) }
    }

    /// # Safety
    ///
    /// To be called by seq_file only.
    unsafe extern "C" fn next(
        seq: *mut bindings::seq_file,
        item: *mut c_void,
        position: *mut bindings::loff_t,
    ) -> *mut c_void {
        // SAFETY: By the requirement: `item` was found before, and is replaced.
        unsafe {
            Self::put(item);
            *position += 1;
            Self::find(seq, position)
        }
    }

    /// # Safety
    ///
    /// To be called by seq_file only.
    unsafe extern "C" fn stop(_seq: *mut bindings::seq_file, item: *mut c_void) {
        // SAFETY: By the requirement: `item` was found before, and is not used again.
        unsafe { Self::put(item) };
    }

    /// # Safety
    ///
    /// To be called by seq_file only.
    unsafe extern "C" fn show(seq: *mut bindings::seq_file, item: *mut c_void) -> c_int {
        // SAFETY: As in `find()`. The item was found before, and lives until `next()` or `stop()`.
        // The reader holds the lock of `seq`.
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
        // SAFETY: From `debugfs_create_file_full()`; errors are accepted. Returns when no operation
        // of the file runs any more. Nobody has it open: that would pin the module.
        unsafe { bindings::debugfs_remove(self.file) };
    }
}
