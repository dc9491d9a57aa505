#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A security module refuses a request: the requester gets its errno. This also
# works while all slots are in use, because the request takes none. Nothing is
# run and no event is traced.
#
# Needs: CONFIG_BPF_LSM

. "$(dirname "$0")/lib.sh"
plan 9

EVENT=$TRACING/events/module/module_request/enable

denied() {
	count_calls call_usermodehelper_exec
	: >"$TRACING/trace"
	ask w deny-p
	ask n deny-p
	ask w deny-a
	ask n deny-a
	sed -n 's/.*: module_request: //p' "$TRACING/trace"
	calls call_usermodehelper_exec
}

allowed() {
	ask w exit-3
	ask w deny
	ask w deny-x
}

coproc /kmod_rs/lsm_deny
read -r -t "$TIMEOUT" ready <&"${COPROC[0]}"
is "a program refuses" "$ready" ready

use_helper
echo 1 >"$EVENT"
same_as_c denied "$EPERM
$EPERM
$EACCES
$EACCES
0"
same_as_c allowed "768
0
0"
echo 0 >"$EVENT"

: >"$TRACING/trace"
echo 1 >"$TRACING/events/kmod_rs/request_denied/enable"
ask w deny-a >/dev/null
is "its record" "$(newest name) $(newest outcome) $(newest result) $(newest helper)" \
	"\"deny-a\" denied $EACCES -"
is "its event" "$(sed -n 's/.* request_denied: //p' "$TRACING/trace")" \
	"seq=$(newest seq) name=\"deny-a\" result=$EACCES rule=-"
echo 0 >"$TRACING/events/kmod_rs/request_denied/enable"

for how in off on; do
	patch "$how"
	close_gate
	if [[ $how == on ]]; then
		echo 1 >"$LIMIT"
		hold 1
	else
		hold 50
	fi
	start=$(now)
	answer=$(ask w deny-p)
	# A request that needs a slot now would wait for 5 s.
	is "no slot, patch $how" "$answer $((($(now) - start) / 4000))" "$EPERM 0"
	open_gate
	await helpers_gone
done

kill "$COPROC_PID"
wait "$COPROC_PID" 2>/dev/null
finish
