#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A helper that hangs costs each name coalesce_timeout_ms once, and not each request: when the first
# follower has waited long enough, the name is closed to sharing until none of its helpers runs. So
# a loop that hides behind a daemon, where each level waits for the one before, is over when the
# slots are used up, as in C.

# shellcheck disable=SC2034 # For lib.sh.
DEFAULTS=1
. "$(dirname "$0")/lib.sh"
plan 20

# A follower that waits that long makes the test fail.
FOR_EVER=3600000

patch_time() {
	echo "$1" >"$KNOBS/coalesce_timeout_ms"
}

# ask_too HOW NAME: makes the request in the background. Its id is added to $ASKERS.
ask_too() {
	ask_in_background "$1" "$2"
	ASKERS+=("$ASKER")
}

answers() {
	local id
	for id in "${ASKERS[@]}"; do answer_of "$id"; done | sort | uniq -c | xargs
}

patch on
be_patient
use_helper
close_gate

# --- The first follower pays, nobody else ---

ASKERS=()
ask_too w hold-stuck
event start hold-stuck
patch_time 100
ask_too w hold-stuck
holds "a follower that has waited long enough runs its own helper" event start hold-stuck
patch_time "$FOR_EVER"
for i in 1 2 3; do
	ask_too w hold-stuck
	holds "request $i after it does so at once" event start hold-stuck
done
ask_too n hold-stuck
holds "also one that does not wait" event start hold-stuck
ask_too w hold-other
event start hold-other
ask_too w hold-other
holds "another name is still shared" await in_queue 1
open_gate
is "all are answered" "$(answers)" "8 0"
await helpers_gone

# --- It is open again when all of its helpers have ended ---

close_gate
events >/dev/null
ASKERS=()
ask_too w hold-stuck
event start hold-stuck
ask_too w hold-stuck
holds "then it is shared again" await in_queue 1
open_gate
is "both are answered" "$(answers)" "2 0"
await helpers_gone
is "by one helper" "$(events | grep -c '^start')" 0

# --- Others that follow meanwhile are let go, too ---

close_gate
ASKERS=()
ask_too w hold-stuck
event start hold-stuck
for i in 1 2 3; do ask_too w hold-stuck; done
await in_queue 3
patch_time 100
ask_too w hold-stuck
holds "when one leaves, all followers run their own" started 4 hold-stuck
patch_time "$FOR_EVER"

# One of the helpers is left, and its requester is killed.
kill_asker "${ASKERS[0]}"
ASKERS=("${ASKERS[@]:1}")
open_gate
is "they are answered" "$(answers)" "4 0"
await helpers_gone

# --- The helper of a killed requester still counts ---

close_gate
ASKERS=()
ask_in_background wv hold-stuck
event start hold-stuck
leader=$ASKER
patch_time 100
ask_in_background wv hold-stuck
event start hold-stuck
patch_time "$FOR_EVER"
kill_asker "$leader"
kill_asker "$ASKER"
ask_too w hold-stuck
holds "helpers of killed requesters keep it closed" event start hold-stuck
open_gate
is "the request is answered" "$(answers)" "1 0"
await helpers_gone

# --- A loop of which nothing tells that it is one: each level hangs, the next one asks ---

echo 4 >"$LIMIT"
echo 1000 >"$KNOBS/busy_timeout_ms"
close_gate
ASKERS=()
ask_too w hold-loop
event start hold-loop
patch_time 100
for level in 2 3 4; do
	ask_too w hold-loop
	holds "level $level of a loop" event start hold-loop
	patch_time "$FOR_EVER"
done
is "the next one gets no slot" "$(ask w hold-loop)" "$ETIME"
open_gate
is "and the loop is over" "$(answers)" "4 0"
await helpers_gone
holds "it can be unloaded" give_back

finish
