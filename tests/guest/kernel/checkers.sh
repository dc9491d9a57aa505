#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The debugging kernel notices mistakes, and what it says about each of them would fail the test
# that ran.
#
# Needs: CONFIG_KASAN CONFIG_UBSAN_SHIFT CONFIG_PROVE_LOCKING CONFIG_DEBUG_OBJECTS_TIMERS CONFIG_DEBUG_KMEMLEAK
# Boot: last
# Watch: kmemleak

NO_KMOD_ASK=1
. "$(dirname "$0")/lib.sh"

# The last two must be last: lockdep turns itself off after its first report, and after one of
# KASAN.
KINDS=(shift bounds sleep rcu timer list locks memory)
# This is a mistake with PREEMPT_RT only.
[[ $(uname -v) != *PREEMPT_RT* ]] || KINDS=("${KINDS[@]:0:3}" spin "${KINDS[@]:3}")
declare -A SAYS=(
	[shift]='^UBSAN: shift-out-of-bounds in .*mistake\.c'
	[bounds]='^UBSAN: array-index-out-of-bounds in .*mistake\.c'
	[sleep]='^BUG: sleeping function called from invalid context at .*mistake\.c'
	[spin]='^BUG: sleeping function called from invalid context at .*spinlock_rt\.c'
	[rcu]='^WARNING: suspicious RCU usage$'
	[timer]='^ODEBUG: free active .* timer_list'
	[list]='^list_add double add'
	[locks]='^WARNING: possible circular locking dependency detected$'
	[memory]='^BUG: KASAN: slab-use-after-free in make_memory'
)
plan $((2 * ${#KINDS[@]} + 3))

# Allows all messages, because each test point checks them itself.
announce '.'

# make KIND: makes this mistake, after a line in the log that marks where its messages begin.
make() {
	echo "mistake: $1" >/dev/kmsg
	echo "$1" >/sys/module/mistake/parameters/make
}

insmod /kmod_rs/mistake.ko
is "lockdep is on" "$(lockdep_state)" on
make leak
matches "leak: it is seen" "$(leaks)" 'make_leak'
for kind in "${KINDS[@]}"; do
	make "$kind"
	said=$(log_since "mistake: $kind")
	matches "$kind: it is seen" "$(grep -E "${SAYS[$kind]}" <<<"$said")" .
	matches "$kind: it fails a test" "$(grep -E "$SPLAT" <<<"$said")" .
done
is "lockdep is off" "$(lockdep_state)" off
rmmod mistake

finish
