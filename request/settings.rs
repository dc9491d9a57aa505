// SPDX-License-Identifier: GPL-2.0

//! The settings of requests.

use crate::request::chain;
use kernel::sync::atomic::Atomic;

/// The settings of requests, except those of the slots and of the firewall.
///
/// Each is a knob in `/proc/sys/kernel/kmod_rs`, which keeps it in its range. Settings are read one
/// by one, when they are needed, so [`Relaxed`](kernel::sync::atomic::Relaxed) accesses are enough.
pub(crate) struct Settings {
    /// How long the helper of a request that waits may run before it is killed, in milliseconds; 0
    /// is for ever.
    pub(crate) helper_timeout_ms: Atomic<u32>,
    /// Whether equal requests share a helper: 0 or 1.
    pub(crate) coalesce: Atomic<u32>,
    /// How long a follower waits for its leaders before it runs its own helper, in milliseconds; at
    /// least 1.
    pub(crate) coalesce_timeout_ms: Atomic<u32>,
    /// Whether helpers are told of their requests in their environment: 0 or 1.
    pub(crate) helper_env: Atomic<u32>,
    /// Which requests are logged: 0 none, 1 those that had a helper and failed, 2 all.
    pub(crate) log_requests: Atomic<u32>,
    /// What counts as a loop.
    pub(crate) limits: chain::Limits,
}

impl Settings {
    /// Returns the defaults.
    pub(crate) fn new() -> Self {
        Self {
            helper_timeout_ms: Atomic::new(0),
            coalesce: Atomic::new(1),
            coalesce_timeout_ms: Atomic::new(2000),
            helper_env: Atomic::new(0),
            log_requests: Atomic::new(0),
            limits: chain::Limits::new(),
        }
    }
}
