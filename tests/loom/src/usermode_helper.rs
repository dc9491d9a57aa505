// SPDX-License-Identifier: GPL-2.0

//! usermode_helper.rs for loom: how a helper ended.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaitStatus(pub(crate) u32);

impl WaitStatus {
    pub(crate) const SUCCESS: Self = Self(0);
}
