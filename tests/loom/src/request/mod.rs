// SPDX-License-Identifier: GPL-2.0

//! request for loom: lending.rs and sharing.rs, unchanged, and what they use.

#[path = "../../../../request/lending.rs"]
#[expect(dead_code, reason = "how many helpers there may be concerns the module only")]
pub(crate) mod lending;
pub(crate) mod target;
#[path = "../../../../request/sharing.rs"]
pub(crate) mod sharing;
