#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A request in the queue can be killed: -ERESTARTSYS at once, its place is gone,
# and the others are served. One that is killed when it has just been given a
# slot passes that on; one that gives up just then takes it. After hundreds of
# kills the slots are all there.

. "$(dirname "$0")/lib.sh"
plan 13

# is_late PID: has its wait ended, and it waits for the slot nevertheless?
is_late() {
	grep -q 'msleep+' "/proc/$1/stack" && grep -q 'late_wait+' "/proc/$1/stack"
}

use_helper
patch on
echo 1 >"$LIMIT"

close_gate
hold 1
for i in 1 2 3; do
	ask_in_background wv "exit-$i"
	askers[i]=$ASKER
	await in_queue "$i"
done
kill_asker "${askers[2]}"
is "killed in the queue" "$(result_of "${askers[2]}")" "$ERESTARTSYS"
holds "its place is gone" in_queue 2
open_gate
is "the first is served" "$(answer_of "${askers[1]}")" $((1 << 8))
is "the last is served" "$(answer_of "${askers[3]}")" $((3 << 8))
is "the killed one is not" "$(events | grep -c 'start exit-2$')" 0
await helpers_gone

# "l": it does not see that it was killed before it has been given a slot.
use_helper
close_gate
hold 1
ask_in_background wvl exit-2
killed=$ASKER
await in_queue 1
ask_in_background w exit-3
await in_queue 2
disown "$killed"
kill -KILL "$killed"
await is_late "$killed"
open_gate
is "killed as it gets a slot" "$(result_of "$killed")" "$ERESTARTSYS"
is "the slot goes to the next" "$(answer_of "$ASKER")" $((3 << 8))
await helpers_gone

# The same, of one whose time is over.
echo 300 >"$KNOBS/busy_timeout_ms"
close_gate
hold 1
ask_in_background wl exit-4
await is_late "$ASKER"
open_gate
is "gives up as it gets a slot" "$(answer_of "$ASKER")" $((4 << 8))
is "the slot is not lost" "$(ask w exit-5)" $((5 << 8))
be_patient
await helpers_gone

# 12 tasks for 3 slots, which are killed all the time.
use_silent_helper
echo 3 >"$LIMIT"
is "asked and killed" "$(/kmod_rs/load --tasks=12 --kills="$(often 500)" 'w sleep-1-% 0' 'n sleep-1-% 0')" "no other answers"
await helpers_gone

use_helper
close_gate
hold 3
pass "all slots are there"
ask_in_background w exit-6
holds "and no more than that" await in_queue 1
open_gate
is "and they are given on" "$(answer_of "$ASKER")" $((6 << 8))

finish
