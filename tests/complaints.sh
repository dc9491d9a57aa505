# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What counts as a complaint of the kernel. Sourced by run.sh, and by checkers.sh, which tests it.

# Lines of the log. The last patterns are for checkers that give up.
SPLAT='\bBUG[: ]|WARNING:|Oops|Call Trace|blocked for more than|detected stall|self-detected|soft lockup|hard LOCKUP'
SPLAT+='|general protection|kernel panic|Unable to handle|refcount_t:|UBSAN|KASAN|kmemleak:|ODEBUG|corruption|panicked at'
SPLAT+='|non-static key|RCU used illegally|locking correctness validator|lockdep is turned off'

KMEMLEAK=/sys/kernel/debug/kmemleak

# has_kmemleak: true if the kernel has kmemleak and it is on.
has_kmemleak() {
	[[ -e $KMEMLEAK ]] && ! grep -qw kmemleak=off /proc/cmdline
}

# A warning of the kernel about itself on PREEMPT_RT (Linux 7.3), as WHERE<-CALLER. When a livepatch
# is enabled, whatever it contains, the task that enables it looks at its own stack with preemption
# enabled, because tasklist_lock does not disable preemption there.
KNOWN=""
[[ $(uname -v) != *PREEMPT_RT* ]] ||
	KNOWN="klp_check_and_switch_task<-klp_try_complete_transition"

# Leaves this warning out of a log: the lines that say that there is a warning, and its trace. Such
# lines are held back until the first function in the trace that is certain.
without_known() {
	awk -v known="$KNOWN" '
		/^WARNING: .* at / { printf "%s", held; held = $0 "\n"; at = $0; sub(/.* at /, "", at); sub(/[+].*/, "", at); next }
		held && /^Call Trace:$/ { held = held $0 "\n"; next }
		held && /^ [a-z]/ {
			caller = $1
			sub(/[+].*/, "", caller)
			if (at "<-" caller != known)
				printf "%s", held
			held = ""
		}
		{ print }
		END { printf "%s", held }'
}

# has_known: true if this warning has come.
has_known() {
	[[ $KNOWN ]] && dmesg --notime | grep -q "^WARNING: .* at ${KNOWN%<-*}[+]"
}

# log_since MARK: prints what the kernel has logged since MARK, a line of the log, without the known
# warning.
log_since() {
	dmesg --notime | sed "1,/^$1\$/d" | if [[ $KNOWN ]]; then without_known; else cat; fi
}

# lockdep_state: prints on, off, or nothing if the kernel has no lockdep. It turns itself off when
# it has found something or has no room left.
lockdep_state() {
	[[ ! -e /proc/lockdep_stats ]] ||
		awk '/^ debug_locks:/ { print $2 ? "on" : "off" }' /proc/lockdep_stats
}

# leaks: prints what kmemleak takes for lost. kmemleak reports memory that was allocated at least
# 5 s ago and has not changed since its last scan.
leaks() {
	echo scan >"$KMEMLEAK" && sleep 5 && echo scan >"$KMEMLEAK" && cat "$KMEMLEAK"
}
