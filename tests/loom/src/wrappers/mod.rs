// SPDX-License-Identifier: GPL-2.0

//! wrappers for loom: the ones that concurrency.rs and sharing.rs use.

pub(crate) mod wait;
