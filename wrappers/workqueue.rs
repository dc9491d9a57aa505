// SPDX-License-Identifier: GPL-2.0

//! How much can be in progress at once on an unbound workqueue.
//!
//! The `kernel` crate enqueues works, but does not say when a workqueue is full.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use core::{
    cmp,
    ptr, //
};
use kernel::{
    bindings,
    prelude::*, //
};

/// Returns how many works each NUMA node can have in progress, on average, on an unbound workqueue
/// that has WQ_MAX_ACTIVE places, such as `system_dfl_wq`.
///
/// The kernel gives each node a share of the places in proportion to its processors, and counts the
/// works of each node by themselves (`wq_update_node_max_active()`). A work is on the node of the
/// processor that it was enqueued on.
///
/// Context: any. Processors may come and go meanwhile.
pub(crate) fn places_per_node() -> u32 {
    bindings::wq_consts_WQ_MAX_ACTIVE / cmp::max(nodes_with_processors(), 1)
}

/// Returns how many NUMA nodes have processors, as `num_node_state(N_CPU)` does, which is inline.
fn nodes_with_processors() -> u32 {
    let nodes = &raw const bindings::node_states;

    // SAFETY: The kernel's array is always valid. It changes while processors come and go, one bit
    // at a time, so each word of it is read as what it was at one moment.
    let bits = unsafe {
        ptr::read_volatile(&raw const (*nodes)[bindings::node_states_N_CPU as usize].bits)
    };
    bits.iter().map(|word| word.count_ones()).sum()
}

#[kunit_tests(kmod_rs_workqueue)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_a_share_of_the_places() {
        assert!(nodes_with_processors() >= 1);
        assert!(places_per_node() <= bindings::wq_consts_WQ_MAX_ACTIVE);
        assert!(places_per_node() >= 1);
    }
}
