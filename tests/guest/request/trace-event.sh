#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel's trace event module:module_request has the name, wait and the call
# site. It fires for each request that gets a slot, when it gets it, and for no
# other request.

. "$(dirname "$0")/lib.sh"
plan 14

EVENT=$TRACING/events/module/module_request/enable

# Prints the events since the last call.
traced() {
	sed -n 's/.*: module_request: //p' "$TRACING/trace"
	: >"$TRACING/trace"
}

waiting() {
	ask w exit-3
	traced
}

not_waiting() {
	ask n exit-3
	traced
}

# The requester is get_fs_type().
file_system() {
	echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
	mount -t zzfs none /mnt 2>/dev/null
	echo "$HELPER" >"$MODPROBE"
	traced
}

too_long() {
	ask w 0123456789012345678901234567890123456789012345678901234567890
	traced
}

switched_off() {
	echo >"$MODPROBE"
	ask w exit-0
	echo "$HELPER" >"$MODPROBE"
	traced
}

absent_program() {
	echo /absent >"$MODPROBE"
	ask w exit-0
	echo "$HELPER" >"$MODPROBE"
	traced
}

: >"$TRACING/trace"
echo 1 >"$EVENT"
use_helper
same_as_c waiting "768
exit-3 wait=1 call_site=ask [kmod_ask]"
same_as_c not_waiting "0
exit-3 wait=0 call_site=ask [kmod_ask]"
same_as_c file_system "fs-zzfs wait=1 call_site=get_fs_type"
same_as_c too_long "$ENAMETOOLONG"
same_as_c switched_off "$ENOENT"
same_as_c absent_program "$ENOENT
exit-0 wait=1 call_site=ask [kmod_ask]"

# A request in the queue has no event yet, and gets one only if it gets a slot.
patch on
echo 1 >"$LIMIT"
close_gate
hold 1
ask_in_background w exit-4
await in_queue 1
echo 100 >"$KNOBS/busy_timeout_ms"
ask w exit-5 >/dev/null
is "none for those in the queue, nor for who gives up" "$(traced)" \
	"hold-0 wait=1 call_site=ask [kmod_ask]"
open_gate
answer_of "$ASKER" >/dev/null
is "when it gets its slot" "$(traced)" "exit-4 wait=1 call_site=ask [kmod_ask]"

echo 0 >"$EVENT"
finish
