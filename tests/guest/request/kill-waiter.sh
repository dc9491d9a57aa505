#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# SIGKILL of a requester that waits for modprobe: the request ends at once with
# -ERESTARTSYS, and modprobe runs on to its end. No other signal ends the wait.

. "$(dirname "$0")/lib.sh"
plan 10

is_pending() {
	(($((16#$(awk '$1 == "ShdPnd:" { print $2 }' "/proc/$1/status"))) & 1 << ($2 - 1)))
}

use_helper
for how in off on; do
	patch "$how"

	close_gate
	ask_in_background wv hold-killed
	event start hold-killed
	kill_asker "$ASKER"
	is "killed, patch $how" "$(result_of "$ASKER")" "$ERESTARTSYS"
	holds "its helper runs on" kill -0 "$EVENT_PID"
	open_gate
	holds "and comes to its end" event end hold-killed

	close_gate
	ask_in_background w hold-exit-5
	event start hold-exit-5
	kill -TERM "$ASKER"
	holds "SIGTERM waits for the request to end" is_pending "$ASKER" 15
	open_gate
	event end hold-exit-5
	is "which it does not end" "$(answer_of "$ASKER")" "$((5 << 8))"
done

finish
