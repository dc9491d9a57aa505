#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A request that does not wait returns 0 once modprobe has been started. At most kmod-limit such
# helpers run at the same time, whoever asks. If there are as many, the request returns 0 as well,
# and its helper is started when another one has ended. These helpers take no slot from a request
# that waits.

. "$(dirname "$0")/lib.sh"
plan 23

# Makes 60 requests, one after the other.
many() {
	local i
	for ((i = 0; i < 60; i++)); do
		ask n hold-"$i"
	done | sort | uniq -c | xargs
}

# most LEFT RUNNING: waits until that many helpers have ended, and prints how many ran at once at
# most. Those that end say so before they do.
most() {
	local what left=$1 running=$2 most=$2
	while ((left > 0)) && read -r -t "$TIMEOUT" what _ <&8; do
		case $what in
		start) running=$((running + 1)) ;;
		end) running=$((running - 1)) left=$((left - 1)) ;;
		esac
		((most >= running)) || most=$running
	done
	echo "$most, $left left"
}

kept() {
	[[ $(stat_of kept_now) == "$1" ]]
}

# with OUTCOME: prints how many records have this outcome.
with() {
	recent | grep -c " outcome=$1 "
}

running() {
	pids_of helper | wc -l
}

use_helper
patch off
close_gate
is "60 in C" "$(many)" "60 0"
holds "all are started" started 60
is "and run at once" "$(running)" 60
open_gate
await helpers_gone

patch on
use_helper
echo 10 >"$LIMIT"
close_gate
is "60 here" "$(many)" "60 0"
holds "as many are started as the limit says" started 10
is "one that waits has a slot" "$(ask w exit-3)" 768
is "no others were started" "$(events | xargs)" "start exit-3 end exit-3"
is "nor do they run" "$(running)" 10
is "they are kept" "$(stat_of kept_now) $(stat_of kept)" "50 50"
is "the records say so" "$(with kept) $(with started)" "50 10"
is "and that they are in flight" "$(in_flight | grep -c ' outcome=kept ')" 50
open_gate
is "each is started when another one has ended" "$(most 60 10)" "10, 0 left"
await helpers_gone
is "the records say that, too" "$(with kept) $(with started)" "0 60"
holds "and how long they waited" [ "$(recent | field queue_us | grep -c '[0-9]')" = 61 ]
holds "none is in flight" await nothing_in_flight

# The limit is raised.
echo 2 >"$LIMIT"
close_gate
for i in 1 2 3 4 5; do ask n "hold-$i" >/dev/null; done
started 2
echo 4 >"$LIMIT"
holds "a higher limit counts at once" started 2
is "for as many as it says" "$(stat_of kept_now) $(running)" "1 4"
open_gate
await helpers_gone

# The errno of execve(2).
echo 1 >"$LIMIT"
close_gate
ask n hold-1 >/dev/null
started 1
echo /nonexistent >"$MODPROBE"
is "what is kept does not learn that there is no program" "$(ask n x)" 0
open_gate
holds "it is run" await kept 0
await nothing_in_flight
is "the record does" "$(newest outcome) $(newest result)" "errno 0"
is "who has not to wait for another one learns it" "$(ask n x)" "$ENOENT"
echo "$HELPER" >"$MODPROBE"

# Slots are something else.
close_gate
hold 1
is "no slot is needed" "$(ask n exit-4)" 0
holds "to run at once" event end exit-4
open_gate

finish
