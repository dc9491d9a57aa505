// SPDX-License-Identifier: GPL-2.0

//! What a request is for: a name, the program that the helper runs, and the rules for it.

use crate::{
    firewall::policy::Services,
    wrappers::{
        modprobe_path::ModprobePath,
        name::Name, //
    }, //
};
use core::cmp::Ordering;
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// The target of a request.
///
/// Requests with the same target are equal. A clone shares the content, so it is cheap.
#[derive(Clone)]
pub(crate) struct Target(Arc<Parts>);

struct Parts {
    name: Name,
    /// The [`Name::hash`] of `name`.
    hash: u32,
    path: ModprobePath,
    /// Which rules are for the requester. They count for what the helper asks for, too.
    services: Services,
}

impl Target {
    /// Creates a target.
    ///
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new(name: Name, path: ModprobePath, services: Services) -> Result<Self> {
        let parts = Arc::init(
            init!(Parts {
                name,
                hash: name.hash(),
                path,
                services,
            }),
            GFP_KERNEL,
        )?;

        Ok(Self(parts))
    }

    /// Returns the name that the request is for.
    pub(crate) fn name(&self) -> &Name {
        &self.0.name
    }

    /// Returns the path of the program that the helper runs.
    pub(crate) fn path(&self) -> &CStr {
        self.0.path.as_cstr()
    }

    /// Returns the same path, to be kept.
    pub(crate) fn modprobe_path(&self) -> &ModprobePath {
        &self.0.path
    }

    /// Returns a number that is the same for equal targets, and usually another one for other
    /// names.
    pub(crate) fn hash(&self) -> u32 {
        self.0.hash
    }
}

impl Ord for Target {
    fn cmp(&self, other: &Self) -> Ordering {
        // The common case: a clone is looked for.
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        self.name()
            .cmp(other.name())
            .then_with(|| self.path().to_bytes().cmp(other.path().to_bytes()))
            .then_with(|| self.0.services.cmp(&other.0.services))
    }
}

impl PartialOrd for Target {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Target {}

#[kunit_tests(kmod_rs_target)]
mod tests {
    use super::*;
    use crate::wrappers::private_symbols::PrivateSymbols;

    #[test]
    fn what_has_other_rules_is_not_equal() -> Result {
        let target = |services| {
            let path = ModprobePath::read(PrivateSymbols::find()?)?;
            Target::new(Name::new(c"b"), path, services)
        };
        let other = Services::NONE.add(b'+', c"a@/x");
        assert!(target(other)? == target(other)?);
        assert!(target(other)? != target(Services::NONE)?);
        assert_eq!(target(other)?.hash(), target(Services::NONE)?.hash());
        Ok(())
    }
}
