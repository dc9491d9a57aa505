// SPDX-License-Identifier: GPL-2.0

//! Records of requests: who asked for what, from where, and what became of it.
//!
//! Has no counterpart in the C code.

pub(crate) mod autoloaded;
pub(crate) mod events;
pub(crate) mod record;
pub(crate) mod recorder;
