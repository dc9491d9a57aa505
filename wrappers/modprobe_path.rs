// SPDX-License-Identifier: GPL-2.0

//! The path in `/proc/sys/kernel/modprobe`.
//!
//! The file and its buffer are the kernel's own; [`ModprobePath::read`] copies the buffer. The
//! kernel does not export it: see private_symbols.rs.

use super::private_symbols::PrivateSymbols;
use core::ptr;
use kernel::{
    bindings,
    new_spinlock,
    prelude::*,
    sync::{
        Arc,
        SpinLock, //
    }, //
};

/// The size of a path with its final NUL: `KMOD_PATH_LEN` of `kernel/module/internal.h`.
const PATH_LEN: usize = 256;

/// How often a path that changes while it is read is read, at most.
const PATH_TRIES: usize = 4;

/// How many bytes of a path are compared at once.
const WORD: usize = size_of::<u64>();

/// The bytes of a path, in words.
///
/// # Invariants
///
/// - The byte at `length` is NUL, and none before it is.
/// - `mask` is for the word that this byte is in: bytes behind it are 0, the others are not.
struct Copied {
    words: [[u8; WORD]; PATH_LEN / WORD],
    length: usize,
    mask: [u8; WORD],
}

/// A copy of the path in `/proc/sys/kernel/modprobe`, taken at one time.
///
/// A clone shares the copy, so it is cheap.
#[derive(Clone)]
pub(crate) struct ModprobePath(Arc<Copied>);

impl ModprobePath {
    /// Copies the path.
    ///
    /// The kernel writes the buffer in place and has no lock, so the copy can have a part of the
    /// old and a part of the new path. To make that unlikely, the buffer is read until two copies
    /// are the same.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    #[inline(never)]
    pub(crate) fn read(symbols: PrivateSymbols) -> Result<Self> {
        let buffer = symbols.modprobe_path();

        Self::copy(|i| {
            // SAFETY: `i` is not beyond the first NUL. The last byte of the buffer is always NUL,
            // and the buffer is never freed. Writers write single bytes; a volatile load reads one
            // byte once.
            unsafe { ptr::read_volatile(buffer.add(i)) }
        })
    }

    /// Copies what `source` returns for each index, up to the first NUL.
    fn copy(source: impl Fn(usize) -> u8) -> Result<Self> {
        let mut words = [[0; WORD]; PATH_LEN / WORD];
        let bytes = words.as_flattened_mut();
        copy_stable(bytes, source);

        // The last byte is NUL, see `copy_stable()`.
        let length = bytes.iter().position(|byte| *byte == 0).ok_or(EINVAL)?;

        let mut mask = [0; WORD];
        mask[..=length % WORD].fill(0xff);

        // INVARIANT: It is the position of the first NUL.
        let copied = Copied {
            words,
            length,
            mask,
        };
        Ok(Self(Arc::new(copied, GFP_KERNEL)?))
    }

    /// Returns whether this is the path now, in two readings in succession.
    fn is_current(&self, symbols: PrivateSymbols) -> bool {
        let buffer = symbols.modprobe_path().cast::<u64>();
        let Copied {
            words,
            length,
            mask,
        } = &*self.0;
        let Some((last, whole)) = words[..=length / WORD].split_last() else {
            return false;
        };
        // Returns the bits in which a word of the buffer differs.
        //
        // SAFETY: The buffer is as long as `words`, is never freed, and was found to be aligned.
        // Writers write single bytes, so no byte is read in part.
        let differs = |i, word: &[u8; WORD]| unsafe { ptr::read_volatile(buffer.add(i)) }
            ^ u64::from_ne_bytes(*word);
        let is_same = || {
            let mut all = whole.iter().enumerate();
            all.all(|(i, word)| differs(i, word) == 0)
                && differs(whole.len(), last) & u64::from_ne_bytes(*mask) == 0
        };
        // Compilers align large arrays. If this one were not, a copy would be taken each time.
        buffer.is_aligned() && is_same() && is_same()
    }

    /// Returns the path, which is empty if automatic loading is switched off.
    pub(crate) fn as_cstr(&self) -> &CStr {
        let bytes = self.0.words.as_flattened();

        // SAFETY: By the type invariant the last one of these bytes is NUL, and none before it is.
        unsafe { CStr::from_bytes_with_nul_unchecked(&bytes[..=self.0.length]) }
    }

    /// Returns whether this is the path that the kernel was built with, or `/usr/sbin/modprobe`, and
    /// the kernel runs what it says.
    pub(crate) fn is_usual(&self) -> bool {
        let path = self.as_cstr().to_bytes_with_nul();
        // With the option, the kernel runs another program.
        !cfg!(CONFIG_STATIC_USERMODEHELPER)
            && (path == bindings::CONFIG_MODPROBE_PATH || path == b"/usr/sbin/modprobe\0")
    }
}

/// The path, of which a new copy is taken only if it has changed.
#[pin_data]
pub(crate) struct SharedPath {
    symbols: PrivateSymbols,
    #[pin]
    last: SpinLock<Option<ModprobePath>>,
}

impl SharedPath {
    /// Creates a value that has no copy yet.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new(symbols: PrivateSymbols) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                symbols,
                last <- new_spinlock!(None, "kmod_rs::SharedPath::last"),
            }),
            GFP_KERNEL,
        )
    }

    /// Reads the path, as [`ModprobePath::read`] does.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    #[inline(never)]
    pub(crate) fn read(&self) -> Result<ModprobePath> {
        let last = self.last.lock().clone();
        match last {
            Some(path) if path.is_current(self.symbols) => Ok(path),
            last => {
                let path = ModprobePath::read(self.symbols)?;
                let before = self.last.lock().replace(path.clone());
                drop((last, before));
                Ok(path)
            }
        }
    }
}

/// Returns whether the path is empty now, so that automatic loading is switched off.
///
/// Context: any.
pub(crate) fn is_empty(symbols: PrivateSymbols) -> bool {
    // SAFETY: The buffer is never freed. Writers write single bytes; a volatile load reads one byte
    // once.
    unsafe { ptr::read_volatile(symbols.modprobe_path()) == 0 }
}

/// Copies a string that others may be writing, until two copies in succession are the same, or
/// [`PATH_TRIES`] times.
///
/// `source` returns the byte at an index. All bytes of `copy` must be 0. Afterwards those behind the
/// string are 0, and the last byte always is.
fn copy_stable(copy: &mut [u8], source: impl Fn(usize) -> u8) {
    let last = copy.len() - 1;
    let mut length_before = 0;

    for _ in 0..PATH_TRIES {
        let mut changed = false;
        let mut length = 0;

        for (i, byte) in copy[..last].iter_mut().enumerate() {
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

#[kunit_tests(kmod_rs_modprobe_path)]
mod tests {
    use super::*;
    use core::cell::Cell;

    #[test]
    fn a_copy_is_shared_as_long_as_the_path_is_the_same() -> Result {
        let symbols = PrivateSymbols::find()?;
        let paths = SharedPath::new(symbols)?;
        let first = paths.read()?;
        assert!(Arc::ptr_eq(&first.0, &paths.read()?.0));

        // A copy of another path is not, also if one is the beginning of the other.
        for other in [c"/other", c"/sbin/modprobe-2", c"/sbin", c""] {
            let bytes = other.to_bytes_with_nul();
            let other = ModprobePath::copy(|i| bytes[i])?;
            let before = paths.last.lock().replace(other);
            drop(before);
            assert!(paths.read()?.as_cstr() == first.as_cstr());
        }
        Ok(())
    }

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
