#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Give request_module() back to the kernel, and unload the module. This waits for the requests in
# flight, and says which tasks it waits for.
#
# usage: give-back.sh

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PATCH=/sys/kernel/livepatch/kmod_rs
MODULE=/sys/module/kmod_rs
SECONDS_UNTIL_SAID=5

# wait_for WHAT CONDITION: wait until the condition holds. Livepatch has no event for it, so it is
# polled.
wait_for() {
	local what=$1 since=$SECONDS said=""
	shift
	until "$@"; do
		if [[ ! $said ]] && ((SECONDS - since >= SECONDS_UNTIL_SAID)); then
			said=1
			say "waiting for $what"
			! waiters ||
				say "a request ends when its modprobe ends, or when its task is killed"
		fi
		sleep 0.1
	done
}

# Print the tasks that are still in the patched state. Fail if there are none.
waiters() {
	local state task found=1
	while read -r state; do
		task=${state%/patch_state}
		say "  $(cat "$task/comm" 2>/dev/null)[${task##*/}]"
		found=0
	done < <(grep -lx 1 /proc/[0-9]*/task/[0-9]*/patch_state 2>/dev/null)
	return "$found"
}

settled() {
	[[ $(<"$PATCH/transition") == 0 ]]
}

gone() {
	[[ ! -e $PATCH ]]
}

unused() {
	[[ $(<"$MODULE/refcnt") == 0 ]]
}

main() {
	[[ -e $MODULE ]] || die "kmod_rs is not loaded: there is nothing to give back"
	((EUID == 0)) || die "only root can give request_module() back"
	if [[ -e $PATCH ]]; then
		wait_for "livepatch to finish its transition" settled
		echo 0 >"$PATCH/enabled"
	fi
	wait_for "these tasks to leave request_module()" gone
	wait_for "$(<"$MODULE/refcnt") helpers whose requesters have returned, or requests that are kept" unused
	rmmod kmod_rs
	say "request_module() is the kernel's C code again"
}

main
