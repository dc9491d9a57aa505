#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A nested request that waits runs on the slot of the helper that waits for it, so helpers that make
# requests never take all slots from these requests. A helper lends its slot to one request at a
# time, in the order of their arrival. The slot is free when no helper runs on it any more.
#
# Processors: parallel

. "$(dirname "$0")/lib.sh"
plan 30

MESSAGE="runaway modprobe loop assumed and stopped"

# run_chains N NAME: makes N requests for names that begin like this and end with a different number
# each, and whose helpers make requests down to hold-*. Waits until the N last helpers of the chains
# hold. $RUNNING is how many helpers run then. The answers come to /tmp/load.
run_chains() {
	use_helper
	close_gate
	/kmod_rs/load --tasks="$1" --rounds=1 "w $2-% 0" >/tmp/load 2>/dev/null 8>&- 9>&- &
	LOAD=$!
	started "$1" "hold-*"
	RUNNING=$(in_flight | wc -l)
	open_gate
	wait "$LOAD"
	await helpers_gone
}

# Prints the answers that were not expected, and how many requests got no slot.
refused() {
	echo "$(</tmp/load), $(log | grep -c "$MESSAGE") lines, $(stat_of timeout) timeouts"
}

NONE_REFUSED="no other answers, 0 lines, 0 timeouts"

patch on
# Nobody who needs a slot gets one before a helper has ended, and none ends before all hold.
echo 5000 >"$KNOBS/busy_timeout_ms"
run_chains 50 child-hold
is "50 helpers make a nested request each: 100 run" "$RUNNING" 100
is "none is refused" "$(refused)" "$NONE_REFUSED"
run_chains 50 child-child-hold
is "three deep: 150 run" "$RUNNING" 150
is "none is refused" "$(refused)" "$NONE_REFUSED"

# One slot is enough for a chain of any depth.
use_helper
echo 1 >"$LIMIT"
is "one slot, three deep" "$(ask w child-child-exit-0)" 0
is "all of them ran" "$(events | grep -c '^start ')" 3
echo 9 >"$KNOBS/chain_limit"
is "one slot, nine deep" "$(ask w child-child-child-child-child-child-child-child-exit-0)" 0
is "all of them ran" "$(events | grep -c '^start ')" 9
echo 8 >"$KNOBS/chain_limit"
is "one request after the other" "$(ask w child-exit-3) $(ask w child-exit-0)" "256 0"

# One slot is enough for helpers whose children make several requests at the same time, too.
echo 60000 >"$KNOBS/busy_timeout_ms"
use_helper
is "one slot, 20 requests at once" "$(ask w children-20-exit-0)" 0
is "all of them ran" "$(events | grep -c '^start exit-')" 20
is "two deep" "$(ask w children-3-children-3-exit-0)" 0
is "all of them ran" "$(events | grep -c '^start exit-')" 9
be_patient

# The limit is lowered while a helper that will make a request has one of two slots.
use_helper
echo 2 >"$LIMIT"
close_gate
ask_in_background w hold-first
event start hold-first
ask_in_background w child-child-hold-last
event start hold-last
echo 1 >"$LIMIT"
open_gate
is "lowered with helpers on a slot" "$(answer_of "$ASKER")" 0
await helpers_gone
slots_are_there 1

# One helper whose children make many requests: its own slot serves one of them at a time, and the
# others take the slots that are free.
CHILDREN=$((SLOWER > 1 ? 50 : 200))
use_helper
echo 5 >"$LIMIT"
close_gate
ask_in_background w "children-$CHILDREN-hold-c"
started 5 "hold-c-*"
holds "$CHILDREN children make requests: the others wait" await in_queue $((CHILDREN - 5))
is "one helper more than there are slots runs" "$(pids_of helper | wc -l)" $((CHILDREN + 1 + 5))
is "of requests" "$(in_flight | grep -vc ' helper=- ')" 6
open_gate
is "all are served" "$(answer_of "$ASKER")" 0
is "by as many helpers" "$(events | grep -c '^start hold-c-')" $((CHILDREN - 5))
await helpers_gone
slots_are_there 5

# The helper that has lent its slot is killed. Its slot is free when the other helper has ended.
use_helper
echo 1 >"$LIMIT"
close_gate
ask_in_background w child-hold-nested
asker=$ASKER
event start child-hold-nested
lender=$EVENT_PID
event start hold-nested
kill -KILL "$lender"
is "who has lent the slot is killed" "$(answer_of "$asker")" 9
ask_in_background w exit-5
holds "the slot is not free" await in_queue 1
open_gate
is "before the nested request's helper has ended" "$(answer_of "$ASKER")" $((5 << 8))
await helpers_gone

# Requesters are killed at every stage of their chains. Helpers end all the time.
echo 60000 >"$KNOBS/busy_timeout_ms"
use_silent_helper
echo 3 >"$LIMIT"
is "asked and killed" "$(/kmod_rs/load --tasks=12 --kills="$(often 200)" 'w child-child-sleep-1-% 0' \
	'w children-3-sleep-1-% 0' 2>/dev/null)" "no other answers"
await helpers_gone
be_patient
slots_are_there 3
holds "it can be unloaded" give_back

rm -f /tmp/load
finish
