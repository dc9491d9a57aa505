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
 * At most 10 lines in 5 seconds, as pr_warn_ratelimited(); the kernel says
 * afterwards how many were left out.
 *
 * Context: any.
 */
bool kmod_rs_log_allowed(void)
{
	static DEFINE_RATELIMIT_STATE(limit, DEFAULT_RATELIMIT_INTERVAL,
				      DEFAULT_RATELIMIT_BURST);

	return ___ratelimit(&limit, KBUILD_MODNAME);
}
