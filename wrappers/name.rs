// SPDX-License-Identifier: GPL-2.0

//! The name that a request is for.
//!
//! Mirrors `char module_name[MODULE_NAME_LEN]` of `kernel/module/kmod.c`.

use crate::wrappers::log::Escaped;
use kernel::{
    bindings,
    ffi::{
        c_char,
        c_int, //
    },
    fmt,
    prelude::*,
    uapi, //
};

/// Returns `_` for `-`, and any other byte as it is: modprobe takes the two for the same.
///
/// Context: any.
pub(crate) fn folded(byte: u8) -> u8 {
    match byte {
        b'-' => b'_',
        other => other,
    }
}

/// The size of a name with its final NUL.
///
/// `MODULE_NAME_LEN` of the C code, which `bindings` does not have.
pub(crate) const NAME_LEN: usize = 56;

// The name in a `struct module` has this size, or this does not compile.
const _: fn(&bindings::module) -> &[c_char; NAME_LEN] = |module| &module.name;

/// A name as the helper gets it: that of a module, or an alias such as `net-pf-10`.
///
/// It is shown as by [`Escaped`], because names come from unprivileged users. It is measured once,
/// when it is made.
///
/// # Invariants
///
/// The last byte says how many bytes before it are not used: 0, which is the final NUL, if all are.
/// Those that are used are not NUL, and come first. The others are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name([u8; NAME_LEN]);

impl Name {
    /// Copies a name, or as much of it as fits.
    pub(crate) fn new(name: &CStr) -> Self {
        Self::copy(name.to_bytes().iter().copied())
    }

    /// Copies a name without a final NUL.
    ///
    /// Returns [`EINVAL`] if it is empty or has a NUL, or `ENAMETOOLONG` if it does not fit.
    pub(crate) fn from_bytes(name: &[u8]) -> Result<Self> {
        if name.is_empty() || name.contains(&0) {
            return Err(EINVAL);
        }
        if name.len() >= NAME_LEN {
            // CAST: A small number.
            return Err(Error::from_errno(-(uapi::ENAMETOOLONG as c_int)));
        }
        Ok(Self::copy(name.iter().copied()))
    }

    /// Copies a name, or as much of it as fits.
    ///
    /// # Safety
    ///
    /// `name` points to a C string that does not change during the call.
    pub(crate) unsafe fn from_ptr(name: *const c_char) -> Self {
        // SAFETY: By the requirement. `copy()` takes nothing that is behind the NUL.
        Self::copy((0..).map(|i| unsafe { *name.add(i) }))
    }

    /// Copies what comes before the first NUL, or as much of it as fits.
    fn copy(name: impl Iterator<Item = u8>) -> Self {
        let mut bytes = [0; NAME_LEN];
        // CAST: A small number.
        let mut unused = (NAME_LEN - 1) as u8;

        for (to, byte) in bytes[..NAME_LEN - 1].iter_mut().zip(name) {
            if byte == 0 {
                break;
            }
            *to = byte;
            unused -= 1;
        }
        bytes[NAME_LEN - 1] = unused;

        // INVARIANT: What was written before the last byte is not NUL, and has been counted.
        Self(bytes)
    }

    fn length(&self) -> usize {
        NAME_LEN - 1 - usize::from(self.0[NAME_LEN - 1])
    }

    /// Returns the name without its final NUL.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0[..self.length()]
    }

    /// Returns the name as a C string.
    pub(crate) fn as_cstr(&self) -> &CStr {
        // SAFETY: By the type invariant the last one of these bytes is NUL, and none before it is:
        // it is one that is not used, or the last one of all, which then is 0.
        unsafe { CStr::from_bytes_with_nul_unchecked(&self.0[..=self.length()]) }
    }

    /// Returns the 32-bit FNV-1a hash of the name.
    pub(crate) fn hash(&self) -> u32 {
        self.as_bytes().iter().fold(0x811c_9dc5, |hash: u32, byte| {
            (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(self.as_bytes()).fmt(f)
    }
}

#[kunit_tests(kmod_rs_name)]
mod tests {
    use super::*;
    use kernel::str::CString;

    #[test]
    fn the_longest_name_that_fits() -> Result {
        let name = c"1234567890123456789012345678901234567890123456789012345";
        assert_eq!(name.to_bytes_with_nul().len(), NAME_LEN);
        assert!(Name::new(name).as_cstr() == name);
        Ok(())
    }

    #[test]
    fn a_name_that_is_too_long_is_cut() -> Result {
        let name = c"12345678901234567890123456789012345678901234567890123456";
        assert_eq!(name.to_bytes_with_nul().len(), NAME_LEN + 1);
        assert_eq!(Name::new(name).as_cstr().to_bytes(), &name.to_bytes()[..55]);
        Ok(())
    }

    #[test]
    fn what_is_behind_the_nul_does_not_count() -> Result {
        let buffer = b"a-b\0x\0";
        // SAFETY: It is a C string.
        let name = unsafe { Name::from_ptr(buffer.as_ptr()) };
        assert!(name == Name::new(c"a-b") && name.hash() == Name::new(c"a-b").hash());
        assert!(name.as_cstr() == c"a-b");
        // The hash of "foobar" is one of the test vectors of FNV-1a.
        assert_eq!(Name::new(c"foobar").hash(), 0xbf9c_f968);
        assert!(Name::new(c"").as_cstr() == c"");
        Ok(())
    }

    #[test]
    fn bytes_are_a_name_if_they_can_be_one() -> Result {
        let name = c"1234567890123456789012345678901234567890123456789012345";
        assert!(Name::from_bytes(name.to_bytes())? == Name::new(name));
        assert!(Name::from_bytes(b"a\n")? == Name::new(c"a\n"));
        for (bytes, errno) in [
            (&b""[..], uapi::EINVAL),
            (b"a\0", uapi::EINVAL),
            (&[b'a'; NAME_LEN], uapi::ENAMETOOLONG),
        ] {
            let error = Name::from_bytes(bytes).err();
            // CAST: A small number.
            assert_eq!(error.map(Error::to_errno), Some(-(errno as c_int)));
        }
        Ok(())
    }

    #[test]
    fn what_is_unusual_is_escaped() -> Result {
        let name = Name::new(c"a\n\x1b\xff b");
        let shown = CString::try_from_fmt(fmt!("{name}"))?;
        assert_eq!(shown.to_bytes(), b"a\\x0a\\x1b\\xff\\x20b");
        Ok(())
    }
}
