// SPDX-License-Identifier: GPL-2.0

//! request for loom: lending.rs, sharing.rs and unwaiting.rs, unchanged, and what they use.

#[path = "../../../../request/lending.rs"]
#[expect(dead_code, reason = "how many helpers there may be concerns the module only")]
pub(crate) mod lending;
#[path = "../../../../request/sharing.rs"]
#[expect(dead_code, reason = "the suspend is noticed by the module only")]
pub(crate) mod sharing;
pub(crate) mod target;
#[path = "../../../../request/unwaiting.rs"]
pub(crate) mod unwaiting;
