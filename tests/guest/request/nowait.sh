#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A request that does not wait returns 0 once modprobe has been started, and
# holds its slot only until then. So the limit does not bound how many such
# helpers run. But the request does need a slot to start one.

. "$(dirname "$0")/lib.sh"
plan 7

# Makes 60 requests at once, 10 more than there are slots.
many() {
	local i
	for ((i = 0; i < 60; i++)); do
		ask n hold-"$i"
	done | sort | uniq -c | xargs
	started 60 && echo "all started"
	pids_of helper | wc -l
}

use_helper
for how in off on; do
	patch "$how"
	close_gate
	is "60, patch $how" "$(many)" "60 0
all started
60"
	open_gate
	await helpers_gone
done

echo 3 >"$LIMIT"
close_gate
is "60, kmod-limit 3" "$(many)" "60 0
all started
60"
open_gate
await helpers_gone

echo 1 >"$LIMIT"
close_gate
hold 1
ask_in_background n exit-0
holds "waits while all slots are in use" await in_queue 1
is "and is not started" "$(events)" ""
open_gate
is "starts when one is free" "$(answer_of "$ASKER")" 0
holds "and runs to its end" event end exit-0

finish
