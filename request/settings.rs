// SPDX-License-Identifier: GPL-2.0

//! What the administrator can set about requests.

use crate::request::chain;
use kernel::sync::atomic::Atomic;

/// What the administrator can set about requests, besides their slots and the firewall.
pub(crate) struct Settings {
    /// How long a helper may run before it is killed, in milliseconds; 0 is for ever.
    pub(crate) helper_timeout_ms: Atomic<u32>,
    /// Whether equal requests share one helper: 0 or 1.
    pub(crate) coalesce: Atomic<u32>,
    /// How long a follower waits for the leader's helper before it runs its own, in milliseconds.
    pub(crate) coalesce_timeout_ms: Atomic<u32>,
    /// Whether the helper is told of its request, in its environment: 0 or 1.
    pub(crate) helper_env: Atomic<u32>,
    /// What is written to the log: 0 nothing, 1 failures that cost a helper, 2 all requests.
    pub(crate) log_requests: Atomic<u32>,
    /// What counts as a loop.
    pub(crate) limits: chain::Limits,
}

impl Settings {
    /// What holds until the administrator says otherwise.
    pub(crate) fn new() -> Self {
        Self {
            helper_timeout_ms: Atomic::new(0),
            coalesce: Atomic::new(1),
            coalesce_timeout_ms: Atomic::new(5000),
            helper_env: Atomic::new(0),
            log_requests: Atomic::new(0),
            limits: chain::Limits::new(),
        }
    }
}
