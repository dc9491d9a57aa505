// SPDX-License-Identifier: GPL-2.0

//! wrappers for loom: those that concurrency.rs and sharing.rs use.

pub(crate) mod wait;
