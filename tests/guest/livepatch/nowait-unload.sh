#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Helpers of requests that do not wait may hang: they do not keep the module from being unloaded. A
# request that is kept does, until its helper has been started, or modprobe's path is empty.

. "$(dirname "$0")/lib.sh"
plan 15

gone() {
	[[ ! -e $LIVEPATCH ]]
}

disable() {
	echo 0 >"$LIVEPATCH/enabled" && await gone
}

# occupy: two helpers hang, which is the limit, and a third request is kept.
occupy() {
	local i
	patch on
	echo 2 >"$LIMIT"
	use_helper
	close_gate
	HELPERS=()
	for i in 1 2; do
		ask n "hold-$i" >/dev/null
		event start "hold-$i"
		HELPERS+=("$EVENT_PID")
	done
	ask n hold-3 >/dev/null
}

occupy
is "helpers that run are no reference, what is kept is" \
	"$(</sys/module/kmod_rs/refcnt) $(stat_of kept_now)" "2 1"
holds "the patch is given back" disable
holds "what is kept stays" references 1
matches "rmmod is refused" "$(rmmod kmod_rs 2>&1)" 'Module kmod_rs is in use$'
kill -KILL "${HELPERS[0]}"
holds "it is started when a helper has ended" event start hold-3
holds "then there is no reference" await references 0
holds "rmmod" rmmod kmod_rs
is "while two of them hang" "$(pids_of helper | wc -l)" 2
open_gate
holds "they end after that" await helpers_gone

occupy
echo >"$MODPROBE"
holds "the path is empty: the patch is given back" disable
holds "nothing is kept" await references 0
holds "rmmod" rmmod kmod_rs
is "while helpers hang" "$(pids_of helper | wc -l)" 2
kill -KILL "${HELPERS[@]}"
open_gate
holds "they end after that" await helpers_gone
echo "$HELPER" >"$MODPROBE"
is "and were the last" "$(events | grep -c 'start hold-3')" 0

finish
