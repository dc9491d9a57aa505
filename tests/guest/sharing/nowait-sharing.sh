#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Equal requests that do not wait share a helper: while one runs, all that come get another one,
# when it has ended. If the helper of an equal request that waits runs, they are told 0, and are
# served by it if it succeeds, and by one of their own if not. A request that waits never follows
# one that does not.

. "$(dirname "$0")/lib.sh"
plan 27

kept() {
	[[ $(stat_of kept_now) == "$1" ]]
}

# ask_often N NAME: makes that many requests, one after the other, and prints the answers.
ask_often() {
	local i
	for ((i = 0; i < $1; i++)); do ask n "$2"; done | sort | uniq -c | xargs
}

# starts NAME: prints how many helpers have been started for it since the events were last read.
starts() {
	events | grep -cx "start $1"
}

# lead NAME: makes a request that waits, and whose helper waits at the gate.
lead() {
	use_helper
	close_gate
	ask_in_background w "$1"
	LEADER=$ASKER
	event start "$1"
}

patch on
echo /kmod_rs/helper >"$MODPROBE"

# --- Among themselves ---

use_helper
close_gate
is "the first one has a helper" "$(ask n hold-equal)" 0
event start hold-equal
is "so have the others" "$(ask_often 200 hold-equal)" "200 0"
is "one for all of them, which is kept" "$(stat_of kept_now) $(stat_of shared)" "1 199"
ask_in_background w hold-equal
holds "who waits has one at once" event start hold-equal
open_gate
is "and gets its answer" "$(answer_of "$ASKER")" 0
await kept 0
await helpers_gone
is "200 requests, one helper" "$(starts hold-equal)" 1

use_helper
close_gate
echo 0 >"$KNOBS/coalesce"
is "coalesce is 0" "$(ask_often 3 hold-apart)" "3 0"
holds "each has its own" started 3
echo 1 >"$KNOBS/coalesce"
open_gate
await helpers_gone

# --- With one that waits ---

lead hold-good
is "a helper succeeds" "$(ask_often 3 hold-good)" "3 0"
is "until then, they are kept" "$(stat_of kept_now)" 1
open_gate
is "its leader" "$(answer_of "$LEADER")" 0
holds "serves them, too" await kept 0
await helpers_gone
is "so there is no other" "$(starts hold-good)" 0
is "the record says so" "$(recent | field outcome '/ wait=0 /' | tail -n 3 | xargs)" "shared shared shared"

lead hold-bad-exit-3
is "a helper fails" "$(ask_often 3 hold-bad-exit-3)" "3 0"
open_gate
is "which is the answer of its leader" "$(answer_of "$LEADER")" 768
holds "the others have another one" event start hold-bad-exit-3
await kept 0
await helpers_gone
is "one for all of them" "$(starts hold-bad-exit-3)" 0

lead hold-killed
ask n hold-killed >/dev/null
kill -9 "$EVENT_PID"
is "a helper is killed" "$(answer_of "$LEADER")" 9
holds "the other request has its own" event start hold-killed
open_gate
await helpers_gone

lead hold-long
ask n hold-long >/dev/null
echo 1 >"$KNOBS/coalesce_timeout_ms"
ask_in_background w hold-long
holds "a helper takes long: each runs its own" started 2 hold-long
be_patient
open_gate
is "all are answered" "$(answer_of "$LEADER") $(answer_of "$ASKER")" "0 0"
await helpers_gone

# The leader's requester leaves, the helper stays.
use_helper
close_gate
ask_in_background wv hold-left
event start hold-left
LEADER=$ASKER
ask n hold-left >/dev/null
kill_asker "$LEADER"
is "the leader is killed" "$(stat_of kept_now)" 1
open_gate
holds "its helper serves the other one" await kept 0
await helpers_gone
is "alone" "$(starts hold-left)" 0

# --- Nothing is left ---

holds "none is in flight" await nothing_in_flight
holds "it can be unloaded" give_back

finish
