#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# While the system is being suspended, no program can be started: requests get -EBUSY. Afterwards
# they work again. A request that waits for the helper of another one, or for a slot, gets no false
# success.
#
# Needs: CONFIG_PM_DEBUG

. "$(dirname "$0")/lib.sh"
plan 8

# suspend HOW NAME...: the kernel stops after freezing the tasks, waits a second and resumes.
# Meanwhile one kernel thread for each name makes requests all the time. Prints which answers there
# were.
suspend() {
	local how=$1 name fd fds=() answers
	shift
	for name; do
		exec {fd}<>/dev/kmod_ask
		printf 's%s %s' "$how" "$name" >&"$fd"
		fds+=("$fd")
	done
	echo freeze >/sys/power/state
	for fd in "${fds[@]}"; do
		read -r answers <&"$fd"
		echo "$answers"
		exec {fd}>&-
	done | sort -u
}

waiting() {
	suspend w exit-0
}

not_waiting() {
	suspend n exit-0
}

equal() {
	suspend w exit-7 exit-7 exit-7 exit-7 exit-7 exit-7
}

# More requests than there are slots.
queued() {
	[[ ! -e $LIMIT ]] || echo 1 >"$LIMIT"
	suspend w exit-7-a exit-7-b exit-7-c exit-7-d
}

echo 1 >/sys/module/suspend/parameters/pm_test_delay
echo freezer >/sys/power/pm_test

use_helper
same_as_c waiting "0 $EBUSY 0"
same_as_c not_waiting "0 $EBUSY 0"
same_as_c equal "1792 $EBUSY 1792"
same_as_c queued "1792 $EBUSY 1792"

echo none >/sys/power/pm_test
finish
