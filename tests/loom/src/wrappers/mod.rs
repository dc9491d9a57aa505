// SPDX-License-Identifier: GPL-2.0

//! wrappers for loom: the ones that concurrency.rs, lending.rs and sharing.rs use.

pub(crate) mod wait;
pub(crate) mod workqueue;
