// SPDX-License-Identifier: GPL-2.0

//! The name that a request is for.
//!
//! Mirrors `char module_name[MODULE_NAME_LEN]` of `kernel/module/kmod.c`.

use crate::wrappers::log::Escaped;
use kernel::{
    fmt,
    prelude::*, //
};

/// The size of a name with its final NUL, `MODULE_NAME_LEN`; entry.c compares them.
pub(crate) const NAME_LEN: usize = 56;

/// A name as modprobe will get it: a module, or an alias such as `net-pf-10`.
///
/// Shown with everything unusual escaped: names come from unprivileged users.
///
/// # Invariants
///
/// The last byte is NUL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name([u8; NAME_LEN]);

impl Name {
    /// Copies as much of a name as fits.
    pub(crate) fn new(name: &CStr) -> Self {
        let mut bytes = [0; NAME_LEN];
        let name = name.to_bytes();
        let length = name.len().min(NAME_LEN - 1);

        bytes[..length].copy_from_slice(&name[..length]);

        // INVARIANT: The last byte was left alone.
        Self(bytes)
    }

    /// The name.
    pub(crate) fn as_cstr(&self) -> &CStr {
        // By the type invariant there is a NUL.
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }

    /// A number that is the same for equal names, and most often different for others: FNV-1a.
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
    fn what_is_unusual_is_escaped() -> Result {
        let name = Name::new(c"a\n\x1b\xff b");
        let shown = CString::try_from_fmt(fmt!("{name}"))?;
        assert_eq!(shown.to_bytes(), b"a\\x0a\\x1b\\xff\\x20b");
        Ok(())
    }
}
