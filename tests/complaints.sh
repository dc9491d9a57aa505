# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What the kernel complains about. Sourced by run.sh, and by checkers.sh, which
# tests it.

# Lines of the log. The last ones are of checkers that give up.
SPLAT='\bBUG[: ]|WARNING:|Oops|Call Trace|blocked for more than|detected stall|self-detected|soft lockup|hard LOCKUP'
SPLAT+='|general protection|kernel panic|Unable to handle|refcount_t:|UBSAN|KASAN|kmemleak:|ODEBUG|corruption|panicked at'
SPLAT+='|non-static key|RCU used illegally|locking correctness validator|lockdep is turned off'

KMEMLEAK=/sys/kernel/debug/kmemleak

# Is it there, and on?
has_kmemleak() {
	[[ -e $KMEMLEAK ]] && ! grep -qw kmemleak=off /proc/cmdline
}

# What the kernel has said since MARK, a line of the log.
log_since() {
	dmesg --notime | sed "1,/^$1\$/d"
}

# lockdep_state: on, off, or nothing if the kernel has none. It turns itself off
# when it has found something or has no room left.
lockdep_state() {
	[[ ! -e /proc/lockdep_stats ]] || awk '/^ debug_locks:/ { print $2 ? "on" : "off" }' /proc/lockdep_stats
}

# leaks: what kmemleak holds for lost. It reports what was allocated 5 s before,
# and did not change since the last time that it looked.
leaks() {
	echo scan >"$KMEMLEAK" && sleep 5 && echo scan >"$KMEMLEAK" && cat "$KMEMLEAK"
}
