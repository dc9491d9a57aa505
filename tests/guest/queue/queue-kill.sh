#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A request in the queue can be killed: it gets -ERESTARTSYS at once, its place
# is gone, and the others are served. If it is killed just when it has been
# given a slot, it passes the slot on. If its time is over just then, it takes
# the slot. After hundreds of kills, all slots are there.
#
# Processors: parallel

. "$(dirname "$0")/lib.sh"
plan 13

# is_late PID: true if the wait of this task is over, but kmod_ask holds it back
# until there is a slot.
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

# "l": the task does not see that it was killed until it has been given a slot.
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

# The same for a request whose time is over.
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

# 12 tasks for 3 slots. Tasks are killed all the time.
use_silent_helper
echo 3 >"$LIMIT"
is "asked and killed" "$(/kmod_rs/load --tasks=12 --kills="$(often 500)" 'w sleep-1-% 0' 'n sleep-1-% 0 '"$ETIME")" "no other answers"
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
