#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# While helpers run whose requesters were killed, the module cannot be unloaded.
# rmmod says so and waits for none of them. refcnt is the number of these
# helpers, and goes down by one with each that ends. After the last one, rmmod
# succeeds.

. "$(dirname "$0")/lib.sh"
plan 13

N=4

gone() {
	[[ ! -e $LIVEPATCH ]]
}

use_helper
patch on
before=$(</sys/module/kmod_rs/refcnt)
close_gate
helpers=()
for ((i = 0; i < N; i++)); do
	ask_in_background wv "hold-$i"
	askers[i]=$ASKER
	event start "hold-$i"
	helpers+=("$EVENT_PID")
done
for asker in "${askers[@]}"; do
	kill_asker "$asker"
done
is "the waiters are killed" "$(for asker in "${askers[@]}"; do result_of "$asker"; done | uniq -c | xargs)" "$N $ERESTARTSYS"
is "their helpers are not, and count" "$(pids_of helper | wc -l) $(</sys/module/kmod_rs/refcnt)" \
	"$N $((before + N))"

disable() {
	echo 0 >"$LIVEPATCH/enabled" && await gone
}
holds "the patch is given back nevertheless" disable
holds "refcnt is the number of helpers" await references "$N"

matches "rmmod is refused" "$(rmmod kmod_rs 2>&1)" 'Module kmod_rs is in use$'
is "while all of them run" "$(pids_of helper | wc -l)" "$N"

for ((left = N - 1; left > 0; left--)); do
	kill -KILL "${helpers[left]}"
	holds "$left left" await references "$left"
done
matches "rmmod is still refused" "$(rmmod kmod_rs 2>&1)" 'Module kmod_rs is in use$'
open_gate
holds "none left" await references 0
holds "rmmod" rmmod kmod_rs
is "nothing is left" "$(ls -d /sys/module/kmod_rs "$LIMIT" "$KNOBS" 2>/dev/null)" ""

finish
