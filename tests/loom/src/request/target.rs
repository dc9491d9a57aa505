// SPDX-License-Identifier: GPL-2.0

//! request/target.rs for loom: a number.

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target(pub(crate) u32);

impl Target {
    pub(crate) fn hash(&self) -> u32 {
        self.0
    }
}
