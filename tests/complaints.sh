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

# A warning of the kernel about itself on PREEMPT_RT (Linux 7.3), as WHERE<-CALLER: when a livepatch
# is enabled, whatever is in that, the task that does so looks at its own stack with preemption
# enabled, as tasklist_lock does not disable it there.
KNOWN=""
[[ $(uname -v) != *PREEMPT_RT* ]] ||
	KNOWN="klp_check_and_switch_task<-klp_try_complete_transition"

# A log without that: the lines that say that there is a warning, and a trace, are left out. They are
# held back until the first function in the trace that is certain.
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

# Has there been one?
has_known() {
	[[ $KNOWN ]] && dmesg --notime | grep -q "^WARNING: .* at ${KNOWN%<-*}[+]"
}

# What the kernel has said since MARK, a line of the log, but for what is known.
log_since() {
	dmesg --notime | sed "1,/^$1\$/d" | if [[ $KNOWN ]]; then without_known; else cat; fi
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
