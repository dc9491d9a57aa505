// SPDX-License-Identifier: GPL-2.0

//! Files below `/proc/sys`.
//!
//! A file exists exactly as long as its [`Registration`]. What is written is checked by the
//! kernel's own `proc_douintvec_minmax()`, so that it accepts and refuses what every other
//! number below `/proc/sys` does.
//!
//! C header: [`include/linux/sysctl.h`](srctree/include/linux/sysctl.h)

use kernel::{
    bindings,
    ffi::{
        c_int,
        c_uint,
        c_void, //
    },
    prelude::*,
    str::CString,
    types::Opaque, //
};

/// A number that is read, and perhaps written, through a file below `/proc/sys`.
pub(crate) trait Uint: Send + Sync {
    /// The directory, relative to `/proc/sys`.
    const DIRECTORY: &'static CStr;

    /// The name of the file.
    const NAME: &'static CStr;

    /// The least value that may be written.
    const MIN: u32;

    /// The greatest value that may be written.
    const MAX: u32;

    /// The permissions of the file.
    const MODE: u16 = 0o644;

    /// Returns the value that the file shows.
    fn get(&self) -> u32;

    /// Whether the current task may write to the file, whose permissions allow it. Asked before what
    /// is written is looked at.
    ///
    /// Context: may sleep.
    fn may_write(&self) -> Result {
        Ok(())
    }

    /// Takes over a value between [`Self::MIN`] and [`Self::MAX`] that was written to the file.
    ///
    /// Context: may sleep.
    fn set(&self, _value: u32) -> Result {
        Ok(())
    }
}

/// A line of text that is read and written through a file below `/proc/sys`.
///
/// It is taken over in one piece: what is written in one call, from the beginning of the file.
pub(crate) trait Text: Send + Sync {
    /// The directory, relative to `/proc/sys`.
    const DIRECTORY: &'static CStr;

    /// The name of the file.
    const NAME: &'static CStr;

    /// How many bytes may be written.
    const MAX: usize;

    /// Returns the text that the file shows, without the newline at its end.
    ///
    /// Context: may sleep.
    fn get(&self) -> Result<CString>;

    /// Whether the current task may write to the file, whose permissions allow it. Asked before what
    /// is written is looked at.
    ///
    /// Context: may sleep.
    fn may_write(&self) -> Result;

    /// Takes over bytes, at least one and at most [`Self::MAX`], that were written to the file.
    ///
    /// Context: may sleep.
    fn set(&self, written: &[u8]) -> Result;
}

/// A function that reads or writes a file below `/proc/sys`.
type Handler = unsafe extern "C" fn(
    *const bindings::ctl_table,
    c_int,
    *mut c_void,
    *mut usize,
    *mut bindings::loff_t,
) -> c_int;

/// A file below `/proc/sys`, for as long as this value lives.
///
/// # Invariants
///
/// - `header` is what `register_sysctl_sz()` returned for `table`, and has not been unregistered.
/// - `table.data` points to `value`.
#[pin_data(PinnedDrop)]
pub(crate) struct Registration<T: Send + Sync> {
    value: T,
    #[pin]
    table: Opaque<bindings::ctl_table>,
    header: *mut bindings::ctl_table_header,
}

// SAFETY: The file may be unregistered by any task.
unsafe impl<T: Send + Sync> Send for Registration<T> {}

// SAFETY: There are no methods; the handler runs in any task and uses `T` by reference, which is
// `Sync`.
unsafe impl<T: Send + Sync> Sync for Registration<T> {}

impl<T: Send + Sync> Registration<T> {
    /// Makes the file.
    ///
    /// Returns [`ENOMEM`] when that fails, also, as the C function does not tell them apart, when
    /// there is such a file already.
    ///
    /// Context: may sleep.
    ///
    /// # Safety
    ///
    /// `handler` may be called by the sysctl code with the table of a `Registration<T>`.
    unsafe fn make(
        value: T,
        directory: &'static CStr,
        name: &'static CStr,
        mode: u16,
        handler: Handler,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(&this in Self {
            value,
            table <- Opaque::ffi_init(|slot: *mut bindings::ctl_table| {
                let table = bindings::ctl_table {
                    procname: kernel::str::as_char_ptr_in_const_context(name),
                    // SAFETY: `this` is where `Self` is being made; only the address is taken.
                    data: unsafe { &raw mut (*this.as_ptr()).value }.cast(),
                    // CAST: Small. Only looked at for numbers.
                    maxlen: size_of::<c_uint>() as c_int,
                    mode,
                    proc_handler: Some(handler),
                    ..Default::default()
                };
                // SAFETY: The initialiser may write to `slot`.
                unsafe { slot.write(table) };
            }),
            header: {
                // SAFETY: The directory is a C string. `table` was written above and is pinned
                // until it is unregistered, in `drop()`.
                let header = unsafe {
                    bindings::register_sysctl_sz(
                        kernel::str::as_char_ptr_in_const_context(directory),
                        Opaque::cast_into(&raw const (*this.as_ptr()).table),
                        1,
                    )
                };
                if header.is_null() {
                    return Err(ENOMEM);
                }
                header
            },
        })
    }
}

impl<T: Uint> Registration<T> {
    /// Makes the file of a number.
    ///
    /// Returns [`ENOMEM`] when that fails, or when there is such a file already.
    ///
    /// Context: may sleep.
    pub(crate) fn new(number: T) -> impl PinInit<Self, Error> {
        // SAFETY: It is for tables of this type.
        unsafe { Self::make(number, T::DIRECTORY, T::NAME, T::MODE, Self::handler) }
    }

    /// Reads or writes the file.
    ///
    /// # Safety
    ///
    /// To be called by the sysctl code only, with the table of a `Registration<T>`.
    unsafe extern "C" fn handler(
        table: *const bindings::ctl_table,
        write: c_int,
        buffer: *mut c_void,
        lenp: *mut usize,
        ppos: *mut bindings::loff_t,
    ) -> c_int {
        // SAFETY: By the requirement, and the type invariants: `data` points to a `T`, which lives
        // until `unregister_sysctl_table()` has waited for the end of this function.
        let number = unsafe { &*(*table).data.cast::<T>() };

        if write != 0 {
            if let Err(error) = number.may_write() {
                return error.to_errno();
            }
        }

        let before: c_uint = number.get();
        let mut value = before;
        let mut min: c_uint = T::MIN;
        let mut max: c_uint = T::MAX;
        let copy = bindings::ctl_table {
            data: (&raw mut value).cast(),
            extra1: (&raw mut min).cast(),
            extra2: (&raw mut max).cast(),
            // SAFETY: The table is valid by the requirement.
            ..unsafe { *table }
        };

        // SAFETY: The pointers are those that the sysctl code gave, or to local variables of the
        // type that the function expects.
        let ret = unsafe { bindings::proc_douintvec_minmax(&copy, write, buffer, lenp, ppos) };

        // A write that is ignored (one that does not start at the beginning) leaves the value.
        if write != 0 && ret == 0 && value != before {
            if let Err(error) = number.set(value) {
                return error.to_errno();
            }
        }
        ret
    }
}

impl<T: Text> Registration<T> {
    /// Makes the file of a text.
    ///
    /// Returns [`ENOMEM`] when that fails, or when there is such a file already.
    ///
    /// Context: may sleep.
    pub(crate) fn text(text: T) -> impl PinInit<Self, Error> {
        // SAFETY: It is for tables of this type.
        unsafe { Self::make(text, T::DIRECTORY, T::NAME, 0o644, Self::text_handler) }
    }

    /// Reads or writes the file.
    ///
    /// # Safety
    ///
    /// To be called by the sysctl code only, with the table of a `Registration<T>`.
    unsafe extern "C" fn text_handler(
        table: *const bindings::ctl_table,
        write: c_int,
        buffer: *mut c_void,
        lenp: *mut usize,
        ppos: *mut bindings::loff_t,
    ) -> c_int {
        // SAFETY: By the requirement, and the type invariants: `data` points to a `T`, which lives
        // until `unregister_sysctl_table()` has waited for the end of this function.
        let text = unsafe { &*(*table).data.cast::<T>() };

        if write == 0 {
            let shown = match text.get() {
                Ok(shown) => shown,
                Err(error) => return error.to_errno(),
            };
            let copy = bindings::ctl_table {
                // Only read.
                data: shown.as_char_ptr().cast_mut().cast(),
                // CAST: At most about `T::MAX`.
                maxlen: shown.to_bytes_with_nul().len() as c_int,
                // SAFETY: The table is valid by the requirement.
                ..unsafe { *table }
            };
            // SAFETY: The pointers are those that the sysctl code gave, or to a C string of the
            // length that is given with it.
            return unsafe { bindings::proc_dostring(&copy, write, buffer, lenp, ppos) };
        }

        // SAFETY: The sysctl code gives the position in the file, and a buffer of this length, which
        // nobody else uses.
        let (position, written) = unsafe {
            (
                &mut *ppos,
                core::slice::from_raw_parts(buffer.cast::<u8>(), *lenp),
            )
        };
        let result = text.may_write().and_then(|()| {
            if *position != 0 || written.len() > T::MAX {
                return Err(EINVAL);
            }
            // As with other files, writing nothing changes nothing.
            if written.is_empty() {
                return Ok(());
            }
            text.set(written)
        });
        match result {
            Ok(()) => {
                // CAST: At most `T::MAX`.
                *position += written.len() as bindings::loff_t;
                0
            }
            Err(error) => error.to_errno(),
        }
    }
}

#[pinned_drop]
impl<T: Send + Sync> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Registered, by the type invariants. Returns when no handler runs any more.
        unsafe { bindings::unregister_sysctl_table(self.header) };
    }
}
