// SPDX-License-Identifier: GPL-2.0

//! request for loom: sharing.rs, unchanged, and what it uses.

pub(crate) mod target;
#[path = "../../../../request/sharing.rs"]
pub(crate) mod sharing;
