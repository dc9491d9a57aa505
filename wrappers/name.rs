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
/// It is shown as by [`Escaped`], because names come from unprivileged users.
///
/// # Invariants
///
/// The last byte is NUL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name([u8; NAME_LEN]);

impl Name {
    /// Copies a name, or as much of it as fits.
    pub(crate) fn new(name: &CStr) -> Self {
        let mut bytes = [0; NAME_LEN];
        let name = name.to_bytes();
        let length = name.len().min(NAME_LEN - 1);

        bytes[..length].copy_from_slice(&name[..length]);

        // INVARIANT: At most the first `NAME_LEN - 1` bytes were written; the last one is 0.
        Self(bytes)
    }

    /// Copies a name without a final NUL.
    ///
    /// Returns [`EINVAL`] if it is empty or has a NUL, or `ENAMETOOLONG` if it does not fit.
    pub(crate) fn from_bytes(name: &[u8]) -> Result<Self> {
        let mut bytes = [0; NAME_LEN];

        if name.is_empty() || name.contains(&0) {
            return Err(EINVAL);
        }
        if name.len() >= NAME_LEN {
            // CAST: A small number.
            return Err(Error::from_errno(-(uapi::ENAMETOOLONG as c_int)));
        }
        bytes[..name.len()].copy_from_slice(name);

        // INVARIANT: At most the first `NAME_LEN - 1` bytes were written; the last one is 0.
        Ok(Self(bytes))
    }

    /// Returns the name as a C string.
    pub(crate) fn as_cstr(&self) -> &CStr {
        // This does not fail: by the type invariant there is a NUL.
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }

    /// Returns the 32-bit FNV-1a hash of the name.
    pub(crate) fn hash(&self) -> u32 {
        self.0
            .iter()
            .take_while(|byte| **byte != 0)
            .fold(0x811c_9dc5, |hash: u32, byte| {
                (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
            })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(self.as_cstr().to_bytes()).fmt(f)
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
