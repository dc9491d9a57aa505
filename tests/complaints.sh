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

# What lockdep says of the kernel itself on PREEMPT_RT when a livepatch is enabled, whatever is in
# that: the task that does so looks at its own stack with preemption enabled, as tasklist_lock does not
# disable it there (klp_check_stack() in Linux 7.3).
KNOWN=""
[[ $(uname -v) != *PREEMPT_RT* ]] ||
	KNOWN='^WARNING: kernel/livepatch/transition[.]c:[0-9]+ at klp_check_and_switch_task[+]'

# What the kernel has said since MARK, a line of the log, but for what is known.
log_since() {
	dmesg --notime | sed "1,/^$1\$/d" | awk -v known="$KNOWN" '
		known && $0 ~ known { skip_trace = 1; next }
		skip_trace && /^Call Trace:$/ { skip_trace = 0; next }
		{ print }'
}

# Has the kernel said it?
has_known() {
	[[ $KNOWN ]] && dmesg --notime | grep -Eq "$KNOWN"
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
