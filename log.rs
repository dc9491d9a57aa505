// SPDX-License-Identifier: GPL-2.0

//! Log lines that a hostile requester cannot multiply.
//!
//! C header: [`include/linux/ratelimit.h`](srctree/include/linux/ratelimit.h)

extern "C" {
    /// See log.c.
    fn kmod_rs_log_allowed() -> bool;
}

/// Whether a line may be written now: at most 10 in 5 seconds.
///
/// Context: any.
pub(crate) fn allowed() -> bool {
    // SAFETY: May be called from any context.
    unsafe { kmod_rs_log_allowed() }
}
