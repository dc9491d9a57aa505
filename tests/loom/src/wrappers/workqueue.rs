// SPDX-License-Identifier: GPL-2.0

//! wrappers/workqueue.rs for loom: one node.

pub(crate) fn places_per_node() -> u32 {
    2048
}
