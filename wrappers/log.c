// SPDX-License-Identifier: GPL-2.0
/*
 * The rate limit of the module's log lines.
 *
 * Why this is C: the `kernel` crate has no rate limit, and the initialiser of
 * struct ratelimit_state is a macro.
 */
#include <linux/ratelimit.h>

#include "kmod_rs.h"

/**
 * kmod_rs_log_allowed - may a line be written to the log now?
 *
 * At most 10 lines may be written in 5 seconds, as with pr_warn_ratelimited().
 * The kernel logs afterwards how many lines were left out.
 *
 * Context: any.
 * Return: true if the line may be written. It is counted then.
 */
bool kmod_rs_log_allowed(void)
{
	static DEFINE_RATELIMIT_STATE(limit, DEFAULT_RATELIMIT_INTERVAL,
				      DEFAULT_RATELIMIT_BURST);

	return ___ratelimit(&limit, KBUILD_MODNAME);
}
