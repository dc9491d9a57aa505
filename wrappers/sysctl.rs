// SPDX-License-Identifier: GPL-2.0

//! Files below `/proc/sys`.
//!
//! A [`File`] says who may write to it, and where its content is read from and written to. The
//! files of a directory exist exactly as long as their [`Registration`]. A number that is written
//! is checked by the kernel's own `proc_douintvec_minmax()`, so that it is accepted or refused as
//! every other number below `/proc/sys` is.
//!
//! The `kernel` crate does not offer them.
//!
//! C header: [`include/linux/sysctl.h`](srctree/include/linux/sysctl.h)

use core::{
    marker::PhantomPinned,
    mem::MaybeUninit,
    ptr,
    slice, //
};
use kernel::{
    bindings,
    error::to_result,
    ffi::{
        c_int,
        c_uint,
        c_void, //
    },
    prelude::*,
    str::CString,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// A file below `/proc/sys`, whose content is kept in a `T`.
pub(crate) struct File<T: 'static> {
    /// Its name.
    pub(crate) name: &'static CStr,
    /// Its permissions.
    pub(crate) mode: u16,
    /// Whether the current task may write to it, which its permissions allow. Asked before what is
    /// written is looked at. If there is no such function, nobody may.
    ///
    /// Context: may sleep.
    pub(crate) may_write: Option<fn(&T) -> Result>,
    /// Its content.
    pub(crate) content: Content<T>,
}

/// The content of a [`File`].
pub(crate) enum Content<T: 'static> {
    /// A number.
    Number {
        /// The least value that may be written.
        min: u32,
        /// The greatest value that may be written.
        max: u32,
        /// Where it is kept.
        number: Number<T>,
    },
    /// A line of text.
    ///
    /// It is written in one piece, in one call and from the beginning of the file, with a newline
    /// at its end. So a program that writes a long line in several pieces, as shells do, changes
    /// nothing: the first piece has no newline, and the others are not at the beginning.
    Text {
        /// How many bytes may be written, with the newline.
        max: usize,
        /// Returns the text, without the newline at its end.
        ///
        /// Context: may sleep.
        get: fn(&T) -> Result<CString>,
        /// Takes over a line that was written, with its newline: at most `max` bytes.
        ///
        /// Context: may sleep.
        set: fn(&T, &[u8]) -> Result,
        /// Called when a piece without a newline was written to the file of this name, and is
        /// refused.
        ///
        /// Context: may sleep.
        refused: fn(&T, &CStr),
    },
}

/// Where a number is kept.
pub(crate) enum Number<T: 'static> {
    /// In an atomic. A value that is written counts from then on.
    At(fn(&T) -> &Atomic<u32>),
    /// Behind two functions. The first returns the number, the second takes over a new value, which
    /// is in its range.
    ///
    /// Context: may sleep.
    Through(fn(&T) -> u32, fn(&T, u32) -> Result),
    /// The same, and the second one is called for each number that is written, also for the one
    /// that it is already.
    EachWrite(fn(&T) -> u32, fn(&T, u32) -> Result),
}

impl<T> Number<T> {
    /// Returns the number.
    ///
    /// Context: may sleep.
    pub(crate) fn get(&self, data: &T) -> u32 {
        match self {
            // ORDERING: The number stands alone.
            Self::At(place) => place(data).load(Relaxed),
            Self::Through(get, _) | Self::EachWrite(get, _) => get(data),
        }
    }

    /// Takes over a new value.
    ///
    /// Context: may sleep.
    pub(crate) fn set(&self, data: &T, value: u32) -> Result {
        match self {
            // ORDERING: The number stands alone.
            Self::At(place) => {
                place(data).store(value, Relaxed);
                Ok(())
            }
            Self::Through(_, set) | Self::EachWrite(_, set) => set(data, value),
        }
    }
}

impl<T> File<T> {
    /// Reads the content from `position` on, as much as fits into `buffer`.
    ///
    /// Returns how many bytes that are, and moves `position` behind them.
    ///
    /// Context: may sleep.
    fn read(
        &self,
        data: &T,
        buffer: &mut [MaybeUninit<u8>],
        position: &mut bindings::loff_t,
    ) -> Result<usize> {
        let mut length = buffer.len();
        let buffer = buffer.as_mut_ptr().cast();

        match &self.content {
            Content::Number { number, .. } => {
                let mut value: c_uint = number.get(data);
                let table = bindings::ctl_table {
                    data: (&raw mut value).cast(),
                    ..self.table()
                };
                // SAFETY: `data` points to a number of the size in `maxlen`. `length` bytes of
                // `buffer` may be written to. All of it is borrowed until the function returns.
                to_result(unsafe {
                    bindings::proc_douintvec_minmax(&table, 0, buffer, &mut length, position)
                })?;
            }
            Content::Text { get, .. } => {
                let text = get(data)?;
                let table = bindings::ctl_table {
                    // The function only reads it.
                    data: text.as_char_ptr().cast_mut().cast(),
                    // CAST: Not much more than may be written.
                    maxlen: text.to_bytes_with_nul().len() as c_int,
                    ..self.table()
                };
                // SAFETY: `data` points to a C string of the length in `maxlen`. `length` bytes of
                // `buffer` may be written to. All of it is borrowed until the function returns.
                to_result(unsafe {
                    bindings::proc_dostring(&table, 0, buffer, &mut length, position)
                })?;
            }
        }
        Ok(length)
    }

    /// Writes to the file at `position`.
    ///
    /// Returns how many bytes were taken, and moves `position` behind them; or [`EPERM`] if the
    /// current task may not write, [`EINVAL`] if that may not be written, and what the setter says.
    ///
    /// Context: may sleep.
    fn write(&self, data: &T, written: &[u8], position: &mut bindings::loff_t) -> Result<usize> {
        let may_write = self.may_write.ok_or(EPERM)?;
        may_write(data)?;

        match &self.content {
            Content::Number { min, max, number } => {
                let before: c_uint = number.get(data);
                let mut value = before;
                let mut min: c_uint = *min;
                let mut max: c_uint = *max;
                let mut length = written.len();
                let is_beginning = *position == 0;
                let table = bindings::ctl_table {
                    data: (&raw mut value).cast(),
                    extra1: (&raw mut min).cast(),
                    extra2: (&raw mut max).cast(),
                    ..self.table()
                };
                // The function only reads it.
                let buffer = written.as_ptr().cast_mut().cast();
                // SAFETY: `data` points to a number of the size in `maxlen`, `extra1` and `extra2`
                // to others. `length` bytes of `buffer` may be read. All of it is borrowed until
                // the function returns.
                to_result(unsafe {
                    bindings::proc_douintvec_minmax(&table, 1, buffer, &mut length, position)
                })?;

                // A write that does not start at the beginning is ignored, and leaves the value.
                let is_event = matches!(number, Number::EachWrite(..)) && is_beginning;
                if value != before || is_event {
                    number.set(data, value)?;
                }
                Ok(length)
            }
            Content::Text {
                max, set, refused, ..
            } => {
                if *position != 0 {
                    return Err(EINVAL);
                }
                let taken = match written.split_last() {
                    // As with other files, writing nothing changes nothing.
                    None => 0,
                    Some((b'\n', _)) if written.len() > *max => return Err(EINVAL),
                    Some((b'\n', _)) => {
                        set(data, written)?;
                        written.len()
                    }
                    // The position stays where it is if a write fails, and the writer may go on
                    // with another piece. That has a newline if it is the last one, and would be
                    // taken for a line. So all but the last byte are taken, and go nowhere. What
                    // the writer writes next is not at the beginning, and fails.
                    Some((_, others)) => {
                        refused(data, self.name);
                        if others.is_empty() {
                            return Err(EINVAL);
                        }
                        others.len()
                    }
                };
                // CAST: Less than can be allocated.
                *position += taken as bindings::loff_t;
                Ok(taken)
            }
        }
    }

    /// An entry of a table of files, which lacks what differs from use to use.
    fn table(&self) -> bindings::ctl_table {
        bindings::ctl_table {
            procname: self.name.as_char_ptr(),
            // CAST: Small. Only looked at for numbers.
            maxlen: size_of::<c_uint>() as c_int,
            mode: self.mode,
            ..Default::default()
        }
    }
}

/// Files of a directory below `/proc/sys`, for as long as this value lives.
///
/// # Invariants
///
/// 1. In each entry of `table`, `proc_handler` is [`Self::handler`], `data` points to the field
///    `data` and `extra1` to a [`File<T>`] that lives for ever.
/// 2. `header` is what `register_sysctl_sz()` returned for `table`, and is no null pointer. It is
///    unregistered once, in `drop()`.
/// 3. Between these two calls, `table` does not change.
#[pin_data(PinnedDrop)]
pub(crate) struct Registration<T: Send + Sync + 'static> {
    data: T,
    table: KVec<bindings::ctl_table>,
    header: *mut bindings::ctl_table_header,
    /// `table` has the address of `data`.
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: `unregister_sysctl_table()` may be called by any task, and `T` be dropped by any. What
// `table` points to goes with the value, or is a `File<T>`, which is functions and constants.
unsafe impl<T: Send + Sync + 'static> Send for Registration<T> {}

// SAFETY: There are no methods. The handler runs in any task and uses `T` by reference, which is
// `Sync`, and a `File<T>`, which is functions and constants.
unsafe impl<T: Send + Sync + 'static> Sync for Registration<T> {}

impl<T: Send + Sync + 'static> Registration<T> {
    /// Makes files in `directory`, a path relative to `/proc/sys`, whose content is kept in `data`.
    ///
    /// Returns [`ENOMEM`] when that fails, also, as the C function does not tell them apart, when
    /// there is such a file already.
    ///
    /// Context: may sleep.
    pub(crate) fn new(
        directory: &'static CStr,
        files: impl Iterator<Item = &'static File<T>>,
        data: T,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(&this in Self {
            data,
            table: {
                let mut table = KVec::new();

                for file in files {
                    // INVARIANT: 1. The field does not move, as `Self` is pinned.
                    table.push(
                        bindings::ctl_table {
                            // SAFETY: `this` is where `Self` is being made. Only the address is
                            // taken.
                            data: unsafe { &raw mut (*this.as_ptr()).data }.cast(),
                            extra1: ptr::from_ref(file).cast_mut().cast(),
                            proc_handler: Some(Self::handler),
                            ..file.table()
                        },
                        GFP_KERNEL,
                    )?;
                }
                table
            },
            header: {
                // SAFETY: `this` is where `Self` is being made. Its `table` is there, and borrowed
                // for this statement alone.
                let table = unsafe { &(*this.as_ptr()).table };

                // SAFETY: The directory is a C string. The entries are complete, by invariant 1, so
                // the handler may be called from now on. They stay as they are until they are
                // unregistered, by invariants 2 and 3.
                let header = unsafe {
                    bindings::register_sysctl_sz(
                        directory.as_char_ptr(),
                        table.as_ptr(),
                        table.len(),
                    )
                };
                // INVARIANT: 2. and 3. If it is no null pointer, nothing can fail any more, and
                // nothing but `drop()` has access to the fields.
                if header.is_null() {
                    return Err(ENOMEM);
                }
                header
            },
            _pin: PhantomPinned,
        })
    }

    /// Reads or writes a file.
    ///
    /// # Safety
    ///
    /// May be called by the sysctl code only, with an entry of the table of a `Registration<T>`
    /// whose fields are complete, and with the buffer and the position of a read or a write.
    unsafe extern "C" fn handler(
        table: *const bindings::ctl_table,
        write: c_int,
        buffer: *mut c_void,
        lenp: *mut usize,
        ppos: *mut bindings::loff_t,
    ) -> c_int {
        // SAFETY: By invariant 1 these are a `T` and a `File<T>`. The first lives until `drop()`
        // goes on, and that waits for the end of this function; the second for ever.
        let (data, file) = unsafe {
            (
                &*(*table).data.cast::<T>(),
                &*(*table).extra1.cast::<File<T>>(),
            )
        };
        // SAFETY: By the requirement these are variables of the caller, for us to change.
        let (length, position) = unsafe { (&mut *lenp, &mut *ppos) };

        let result = if write == 0 {
            // SAFETY: By the requirement `buffer` has so many bytes, which are for us to write.
            let buffer = unsafe { slice::from_raw_parts_mut(buffer.cast(), *length) };
            file.read(data, buffer, position)
        } else {
            // SAFETY: By the requirement `buffer` has so many bytes, all of them initialised, which
            // nobody changes meanwhile.
            let written = unsafe { slice::from_raw_parts(buffer.cast(), *length) };
            file.write(data, written, position)
        };
        match result {
            Ok(moved) => {
                *length = moved;
                0
            }
            Err(error) => error.to_errno(),
        }
    }
}

#[pinned_drop]
impl<T: Send + Sync + 'static> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By invariant 2 it is registered, and this is the only call. It returns when no
        // handler runs any more, and none is called after that.
        unsafe { bindings::unregister_sysctl_table(self.header) };
    }
}

#[kunit_tests(kmod_rs_sysctl)]
mod tests {
    use super::*;
    use core::cell::Cell;

    /// What the files below are kept in.
    struct Data {
        value: Cell<u32>,
        /// How often something was set.
        writes: Cell<u32>,
        /// How many pieces without a newline there were.
        refusals: Cell<u32>,
        may_write: Result,
    }

    impl Data {
        fn new(value: u32, may_write: Result) -> Self {
            Self {
                value: Cell::new(value),
                writes: Cell::new(0),
                refusals: Cell::new(0),
                may_write,
            }
        }

        fn set(&self, value: u32) -> Result {
            self.value.set(value);
            self.writes.set(self.writes.get() + 1);
            Ok(())
        }
    }

    const NUMBER: File<Data> = File {
        name: c"number",
        mode: 0o644,
        may_write: Some(|data| data.may_write),
        content: Content::Number {
            min: 2,
            max: 70,
            number: Number::Through(|data| data.value.get(), Data::set),
        },
    };

    /// Shows a text of its own, and keeps the length of what is written.
    const TEXT: File<Data> = File {
        name: c"text",
        content: Content::Text {
            max: 3,
            get: |_| Ok(c"abc".to_cstring()?),
            // CAST: At most 3.
            set: |data, written| data.set(written.len() as u32),
            refused: |data, _| data.refusals.set(data.refusals.get() + 1),
        },
        ..NUMBER
    };

    fn read(file: &File<Data>, data: &Data, position: &mut i64) -> Result<KVec<u8>> {
        let mut buffer = [MaybeUninit::new(0); 3];
        let length = file.read(data, &mut buffer, position)?;
        let mut shown = KVec::new();

        for byte in &buffer[..length] {
            // SAFETY: All of them are initialised.
            shown.push(unsafe { byte.assume_init() }, GFP_KERNEL)?;
        }
        Ok(shown)
    }

    /// What writing at this position says; the value afterwards; how often it was set.
    fn write_at(file: &File<Data>, written: &[u8], position: i64) -> (Result<usize>, u32, u32) {
        let data = Data::new(50, Ok(()));
        let result = file.write(&data, written, &mut { position });
        (result, data.value.get(), data.writes.get())
    }

    fn write(file: &File<Data>, written: &[u8]) -> (Result<usize>, u32, u32) {
        write_at(file, written, 0)
    }

    #[test]
    fn a_number_is_shown_as_a_line() -> Result {
        let (data, mut position) = (Data::new(50, Ok(())), 0);
        assert_eq!(&*read(&NUMBER, &data, &mut position)?, b"50\n");
        assert_eq!(position, 3);
        assert_eq!(&*read(&NUMBER, &data, &mut position)?, b"");
        Ok(())
    }

    #[test]
    fn numbers_in_the_range_are_taken() -> Result {
        assert_eq!(write(&NUMBER, b"2\n"), (Ok(2), 2, 1));
        assert_eq!(write(&NUMBER, b"70"), (Ok(2), 70, 1));
        for refused in ["1", "71", "-2", "4294967298", "x", "5x", "\n"] {
            assert_eq!(write(&NUMBER, refused.as_bytes()), (Err(EINVAL), 50, 0));
        }
        Ok(())
    }

    #[test]
    fn only_a_new_number_is_set() -> Result {
        assert_eq!(write(&NUMBER, b"50"), (Ok(2), 50, 0));
        assert_eq!(write(&NUMBER, b""), (Ok(0), 50, 0));
        assert_eq!(write_at(&NUMBER, b"7", 1), (Ok(1), 50, 0));
        Ok(())
    }

    #[test]
    fn each_write_may_count() -> Result {
        let each = File {
            content: Content::Number {
                min: 2,
                max: 70,
                number: Number::EachWrite(|data| data.value.get(), Data::set),
            },
            ..NUMBER
        };
        assert_eq!(write(&NUMBER, b"50\n"), (Ok(3), 50, 0));
        assert_eq!(write(&each, b"50\n"), (Ok(3), 50, 1));
        assert_eq!(write_at(&each, b"50\n", 1).1, 50);
        assert_eq!(write_at(&each, b"50\n", 1).2, 0);
        Ok(())
    }

    #[test]
    fn a_text_is_shown_in_pieces() -> Result {
        let (data, mut position) = (Data::new(0, Ok(())), 0);
        assert_eq!(&*read(&TEXT, &data, &mut position)?, b"abc");
        assert_eq!(&*read(&TEXT, &data, &mut position)?, b"\n");
        assert_eq!(&*read(&TEXT, &data, &mut position)?, b"");
        Ok(())
    }

    #[test]
    fn a_text_is_written_in_one_piece() -> Result {
        assert_eq!(write(&TEXT, b"ab\n"), (Ok(3), 3, 1));
        assert_eq!(write(&TEXT, b"\n"), (Ok(1), 1, 1));
        assert_eq!(write(&TEXT, b"abc\n"), (Err(EINVAL), 50, 0));
        assert_eq!(write(&TEXT, b""), (Ok(0), 50, 0));
        assert_eq!(write_at(&TEXT, b"a\n", 1), (Err(EINVAL), 50, 0));
        Ok(())
    }

    #[test]
    fn a_piece_without_a_newline_changes_nothing() -> Result {
        assert_eq!(write(&TEXT, b"a"), (Err(EINVAL), 50, 0));
        // Whoever writes on is not at the beginning any more.
        for piece in [&b"ab"[..], b"a\nb", b"longer"] {
            let (data, mut position) = (Data::new(50, Ok(())), 0);
            assert_eq!(TEXT.write(&data, piece, &mut position), Ok(piece.len() - 1));
            for next in [&b"b"[..], b"\n", b"c\n"] {
                assert_eq!(TEXT.write(&data, next, &mut position), Err(EINVAL));
            }
            assert_eq!((data.writes.get(), data.refusals.get()), (0, 1));
        }
        Ok(())
    }

    #[test]
    fn who_may_write_is_looked_at_first() -> Result {
        let nobody = File {
            may_write: None,
            ..NUMBER
        };
        let data = Data::new(50, Err(EACCES));
        for written in [&b"7"[..], b"x", b""] {
            assert_eq!(NUMBER.write(&data, written, &mut 0), Err(EACCES));
            assert_eq!(TEXT.write(&data, written, &mut 0), Err(EACCES));
            assert_eq!(nobody.write(&data, written, &mut 0), Err(EPERM));
        }
        assert_eq!(data.writes.get(), 0);
        Ok(())
    }
}
