#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Each allocation of a request fails in turn. Then many allocations fail at random, first those of
# the requester, then those of all tasks, its helper included. Then the allocations of insmod fail in
# turn: each eighth one, from another one on each time; with FULL=1 each. The answers are -ENOMEM, or
# those without a failure. No slot and no reference is lost, and a failed init leaves nothing behind.
#
# Needs: CONFIG_FAILSLAB CONFIG_FAULT_INJECTION_DEBUG_FS
# Watch: kmemleak

. "$(dirname "$0")/lib.sh"
plan 18

SLAB=/sys/kernel/debug/failslab
OK=$((7 << 8))
# What else execve(2) returns then (EIO, E2BIG, ENOEXEC, EFAULT), or the wait status of a program
# that could not begin (SIGKILL, SIGSEGV, 127 of the C library).
DIED="-5|-7|-8|-14|9|11|$((127 << 8))"
# A fourth of this is done, because the test needs the debugging kernel.
TIMES=$(often 160)
# failslab counts down how many allocations it may still fail.
MANY=1000000

# Prints how many allocations have failed since the last call.
failed() {
	echo $((MANY - $(<"$SLAB/times")))
	echo "$MANY" >"$SLAB/times"
}

# others REGEX LINES: prints the answers ("TIMES ANSWER") that are not expected.
others() {
	grep -vxE -- "[0-9]+ ($1)" <<<"$2"
}

# Leaves out the allocations that kmemleak and the like make for themselves. They can do without
# these, and each would take a step.
set_up() {
	local cache
	for cache in /sys/kernel/slab/*; do
		[[ $cache == */kmemleak_* || $cache == */debug_objects_cache ]] ||
			echo 1 >"$cache/failslab"
	done
	echo Y >"$SLAB/cache-filter"
	# By default only allocations that may not sleep fail.
	echo N >"$SLAB/ignore-gfp-wait"
	echo 0 >"$SLAB/verbose"
	echo "$MANY" >"$SLAB/times"
}

# expected HOW: prints the answer if nothing fails.
expected() {
	if [[ $1 == w ]]; then echo "$OK"; else echo 0; fi
}

# at_random WHAT PERCENT REGEX: the answers are -ENOMEM, the right one, or match REGEX.
at_random() {
	local how answers
	for how in w n; do
		answers=$(/kmod_rs/fail_nth random "$2" "$TIMES" "$how exit-7" 2>&1)
		echo 0 >"$SLAB/probability"
		is "$1, $how" "$(others "$ENOMEM|$(expected "$how")|$3" "$answers")" ""
		ktap_print_msg "$(failed) failed; answers: $(xargs <<<"$answers")"
		await helpers_gone
	done
}

# True if everything is there although something failed during insmod that can be done without.
is_whole() {
	[[ -e $LIVEPATCH && -e $LIMIT && -e $KNOBS/active && -e $KNOBS/busy_timeout_ms &&
		-e $KNOBS/helper_timeout_ms && $(ask w exit-7) == "$OK" ]]
}

set_up
use_silent_helper

# C, to compare with.
echo N >"$SLAB/task-filter"
at_random "anywhere, patch off" 1 "$DIED"

patch on
references=$(</sys/module/kmod_rs/refcnt)
# With one slot and a short timeout, a lost slot shows in the next answer.
echo 1 >"$LIMIT"
echo 300 >"$KNOBS/busy_timeout_ms"
echo 3600000 >"$KNOBS/helper_timeout_ms"

# in_turn WHAT HOW ANSWER: each allocation fails in turn. The answer is -ENOMEM. It is ANSWER if the
# request can do without what failed, for example its record, and in the end, when nothing fails.
in_turn() {
	local answers
	answers=$(/kmod_rs/fail_nth ask "$2 exit-7" 2>&1)
	is "each in turn, $1" "$(others "$ENOMEM|$3" "$answers")" ""
	matches "several are needed, $1" "$answers" "(^|
)([3-9]|[1-9][0-9]+) $ENOMEM"
	ktap_print_msg "$(failed) failed; answers: $(xargs <<<"$answers")"
}

in_turn "waiting" w "$OK"
in_turn "not waiting" n 0

# A request in the queue.
use_helper
close_gate
hold 1
in_turn "in the queue" w "$ETIME"
open_gate
await helpers_gone

use_silent_helper
echo Y >"$SLAB/task-filter"
at_random "in the task that asks" 20 "$ENOMEM"
echo N >"$SLAB/task-filter"
at_random "anywhere, patch on" 1 "$DIED"

is "no slot is lost" "$(ask w exit-7)" "$OK"
holds "nor a reference" await references "$references"
holds "it can be given back" give_back

# The allocations of init.
failed >/dev/null
if [[ ${FULL:-} ]]; then step=1; else step=8; fi
first=$((RANDOM % step + 1))
from=$first loaded=0 partly=""
while [[ $from != "done" ]]; do
	output=$(/kmod_rs/fail_nth load /kmod_rs/kmod-rs.ko "$from" "$step" 2>&1) || break
	from=$(tail -n 1 <<<"$output")
	loaded=$((loaded + 1))
	is_whole || partly+=" $from"
	give_back || break
done
is "insmod, in turn" "$output" "done"
ktap_print_msg "each of $step from number $first on, $(failed) failed; it was loaded $loaded times"
is "loaded as a whole, if at all" "$partly" ""
is "and left nothing" "$(ls -d /sys/module/kmod_rs "$LIVEPATCH" "$LIMIT" "$KNOBS" 2>/dev/null)" ""

finish
