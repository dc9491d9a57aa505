// SPDX-License-Identifier: GPL-2.0

//! Files below `/proc/sys`: those of this module, and the kernel's `kernel.modprobe`.
//!
//! A file exists exactly as long as its [`Registration`]. What is written is checked by the
//! kernel's own `proc_douintvec_minmax()`, so that it accepts and refuses what every other
//! number below `/proc/sys` does.
//!
//! `/proc/sys/kernel/modprobe` is not ours: the file and its buffer stay the kernel's, and
//! [`ModprobePath::read`] takes a copy of it.
//!
//! C header: [`include/linux/sysctl.h`](srctree/include/linux/sysctl.h)

use core::ptr;
use kernel::{
    bindings,
    ffi::{
        c_char,
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

/// The size of a path with its final NUL: `KMOD_PATH_LEN` of `kernel/module/internal.h`.
const PATH_LEN: usize = 256;

/// How often a path that changes while it is read is read again.
const PATH_TRIES: usize = 4;

extern "C" {
    /// The address of the kernel's `modprobe_path`; null without `objtool klp post-link`.
    ///
    /// See ksyms.S.
    static kmod_rs_modprobe_path: *const c_char;
}

/// A copy of the path in `/proc/sys/kernel/modprobe`, taken at one time.
pub(crate) struct ModprobePath(CString);

impl ModprobePath {
    /// Whether the kernel's buffer can be reached.
    pub(crate) fn is_reachable() -> bool {
        // SAFETY: Written by the module loader, before any code of the module runs.
        !unsafe { kmod_rs_modprobe_path }.is_null()
    }

    /// Reads the path.
    ///
    /// A write to the file that is under way may be seen in parts: the kernel writes in place and
    /// has no lock. Reading until two copies agree makes that unlikely.
    ///
    /// Returns [`ENOMEM`] if there is no memory for the copy.
    ///
    /// Context: may sleep.
    #[inline(never)]
    pub(crate) fn read() -> Result<Self> {
        let mut bytes = [0; PATH_LEN];

        copy_stable(&mut bytes, |i| {
            // SAFETY: `i` is not beyond the first NUL, and the last byte of the kernel's buffer,
            // which is never freed, always is one. Writers write single bytes, as this reads them;
            // a volatile load reads one once.
            unsafe { ptr::read_volatile(kmod_rs_modprobe_path.add(i)) }
        });

        // The last byte is NUL.
        let path = CStr::from_bytes_until_nul(&bytes).unwrap_or_default();
        Ok(Self(path.to_cstring()?))
    }

    /// The path, empty if automatic loading is switched off.
    pub(crate) fn as_cstr(&self) -> &CStr {
        &self.0
    }
}

/// Copies a string that others may be writing, until two copies in succession are the same.
///
/// `source` gives the byte at an index. The bytes of `copy` are 0 before, and those from the NUL on
/// afterwards; the last always is.
fn copy_stable(copy: &mut [u8; PATH_LEN], source: impl Fn(usize) -> u8) {
    let mut length_before = 0;

    for _ in 0..PATH_TRIES {
        let mut changed = false;
        let mut length = 0;

        for (i, byte) in copy[..PATH_LEN - 1].iter_mut().enumerate() {
            let now = source(i);
            changed |= *byte != now;
            *byte = now;
            if now == 0 {
                break;
            }
            length = i + 1;
        }
        if !changed {
            return;
        }
        if length < length_before {
            copy[length..length_before].fill(0);
        }
        length_before = length;
    }
}

#[kunit_tests(kmod_rs_sysctl)]
mod tests {
    use super::*;
    use core::cell::Cell;

    /// A buffer that is written to while it is read: what each reading of its start finds.
    fn copy_of(readings: &[&[u8]]) -> [u8; PATH_LEN] {
        let tries = Cell::new(0);
        let mut copy = [0; PATH_LEN];

        copy_stable(&mut copy, |i| {
            if i == 0 {
                tries.set(tries.get() + 1);
            }
            let reading = readings[(tries.get() - 1).min(readings.len() - 1)];
            reading.get(i).copied().unwrap_or(b'x')
        });
        copy
    }

    fn path_in(copy: &[u8; PATH_LEN]) -> &[u8] {
        copy.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    #[test]
    fn a_path_that_does_not_change() -> Result {
        assert_eq!(path_in(&copy_of(&[b"/sbin/modprobe\0"])), b"/sbin/modprobe");
        assert_eq!(path_in(&copy_of(&[b"\0"])), b"");
        Ok(())
    }

    #[test]
    fn a_path_that_changes_once() -> Result {
        let copy = copy_of(&[b"/sbin/modprobe\0", b"/a\0"]);
        assert_eq!(path_in(&copy), b"/a");
        // Nothing is left of the longer one behind the NUL.
        assert!(copy[2..].iter().all(|byte| *byte == 0));
        Ok(())
    }

    #[test]
    fn a_path_that_changes_all_the_time() -> Result {
        let readings: [&[u8]; 6] = [b"/1\0", b"/2\0", b"/3\0", b"/4\0", b"/5\0", b"/6\0"];
        assert_eq!(path_in(&copy_of(&readings)), b"/4");
        Ok(())
    }

    #[test]
    fn a_path_without_an_end() -> Result {
        let copy = copy_of(&[b""]);
        assert_eq!(path_in(&copy).len(), PATH_LEN - 1);
        assert_eq!(copy[PATH_LEN - 1], 0);
        Ok(())
    }
}
