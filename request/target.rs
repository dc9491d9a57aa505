// SPDX-License-Identifier: GPL-2.0

//! What a request asks, and whom.

use crate::wrappers::{
    modprobe_path::ModprobePath,
    name::Name, //
};
use core::cmp::Ordering;
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// A name, and the program that is asked for it.
///
/// Two requests are equal if both are. Cheap to copy.
#[derive(Clone)]
pub(crate) struct Target(Arc<Content>);

struct Content {
    name: Name,
    /// [`Name::hash`].
    hash: u32,
    path: ModprobePath,
}

impl Target {
    /// Returns [`ENOMEM`].
    ///
    /// Context: may sleep.
    pub(crate) fn new(name: Name, path: ModprobePath) -> Result<Self> {
        let hash = name.hash();

        Ok(Self(Arc::new(Content { name, hash, path }, GFP_KERNEL)?))
    }

    /// The name that is asked for.
    pub(crate) fn name(&self) -> &Name {
        &self.0.name
    }

    /// The program that is asked.
    pub(crate) fn path(&self) -> &CStr {
        self.0.path.as_cstr()
    }

    /// A number that is the same for equal questions, and most often different for others.
    pub(crate) fn hash(&self) -> u32 {
        self.0.hash
    }
}

impl Ord for Target {
    fn cmp(&self, other: &Self) -> Ordering {
        // Most often it is a copy that is looked for.
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        self.name()
            .cmp(other.name())
            .then_with(|| self.path().to_bytes().cmp(other.path().to_bytes()))
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
