#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# request_module() is given back through the livepatch's own switch, the module
# is unloaded, and all that can be repeated. A request that waits delays it. A
# helper that runs on after its requester was killed keeps the module loaded,
# and rmmod says so at once.

. "$(dirname "$0")/lib.sh"
plan 34

gone() {
	[[ ! -e $LIVEPATCH ]]
}

unused() {
	[[ $(</sys/module/kmod_rs/refcnt) == 0 ]]
}

is_back() {
	! is_patched $$
}

switch_off() {
	echo 0 >"$LIVEPATCH/enabled"
}

# alone PID: true if this is the only task that is still in transition.
alone() {
	[[ $(grep -lx 1 /proc/[0-9]*/task/*/patch_state 2>/dev/null) == \
		"/proc/$1/task/$1/patch_state" ]]
}

use_helper

for round in first second; do
	holds "insmod, $round time" insmod /kmod_rs/kmod-rs.ko
	holds "the transition ends" await settled
	echo 1 >"$LIMIT"
	echo 300 >"$KNOBS/busy_timeout_ms"

	timed rmmod kmod_rs
	matches "rmmod is refused while it is enabled" "$OUTPUT" 'Module kmod_rs is in use$'

	holds "echo 0 >enabled" switch_off
	holds "the directory goes" await gone
	holds "the module is unused" await unused
	is "and not active" "$(<"$KNOBS/active")" 0
	matches "echo 1 >enabled is refused" "$( { echo 1 >"$LIVEPATCH/enabled"; } 2>&1)" \
		'No such file or directory$'

	# These are more helpers than Rust would let run.
	close_gate
	hold 2
	is "C serves" "$(ask w exit-3)" $((3 << 8))
	open_gate
	await helpers_gone

	holds "rmmod" rmmod kmod_rs
	is "nothing is left" \
		"$(ls -d /sys/module/kmod_rs "$LIVEPATCH" "$LIMIT" "$KNOBS" 2>/dev/null)" ""
done

# A request that waits delays giving back, and can be found.
patch on
close_gate
ask_in_background wv hold-killed
event start hold-killed
echo 0 >"$LIVEPATCH/enabled"
holds "others go back to C" await is_back
holds "the request that waits does not" await alone "$ASKER"
is "it is still active" "$(<"$KNOBS/active") $(<"$LIVEPATCH/transition")" "1 1"
is "which others need not wait for" "$(ask w exit-3)" $((3 << 8))

# When the requester is killed, it does not delay that any more. But its helper
# still has to call back.
kill_asker "$ASKER"
is "it is killed" "$(result_of "$ASKER")" "$ERESTARTSYS"
holds "the directory goes" await gone
matches "rmmod is refused while its helper runs" "$(rmmod kmod_rs 2>&1)" 'Module kmod_rs is in use$'
is "which it does not wait for" "$(pids_of helper | wc -l)" 1
open_gate
event end hold-killed
holds "the module is unused when that has ended" await unused
holds "rmmod" rmmod kmod_rs

# The transition can be turned round while it lasts.
patch on
close_gate
ask_in_background w hold-exit-6
event start hold-exit-6
echo 0 >"$LIVEPATCH/enabled"
await is_back
echo 1 >"$LIVEPATCH/enabled"
holds "echo 1 >enabled turns a transition round" await settled
open_gate
is "and the request knows nothing of it" "$(answer_of "$ASKER") $(<"$KNOBS/active")" "$((6 << 8)) 1"

finish
