#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# While the system is being suspended, no program can be started: requests get -EBUSY. Afterwards
# they work again. A request that waits for the helper of another one, or for a slot, gets no false
# success, and does not hold the suspend up. One that does not wait and is kept has its helper
# afterwards.
#
# Needs: CONFIG_PM_DEBUG

. "$(dirname "$0")/lib.sh"
plan 19

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

none_kept() {
	[[ $(stat_of kept_now) == 0 ]]
}

echo 1 >/sys/module/suspend/parameters/pm_test_delay
echo freezer >/sys/power/pm_test

use_helper
same_as_c waiting "0 $EBUSY 0"
patch off
is "not_waiting, patch off" "$(not_waiting)" "0 $EBUSY 0"
# If the helper of the first request was still there, the next one is kept.
patch on
matches "not_waiting, patch on" "$(not_waiting)" "^0( $EBUSY 0)?$"
same_as_c equal "1792 $EBUSY 1792"
same_as_c queued "1792 $EBUSY 1792"

# --- Requests that would wait for an hour ---

patch on
be_patient
echo 1 >"$LIMIT"
close_gate
ask_in_background wv hold-suspend
event start hold-suspend
# The helper keeps the slot, and its followers.
kill_asker "$ASKER"
ask_in_background w hold-suspend
follower=$ASKER
ask_in_background w exit-7
queued=$ASKER
await in_queue 2
is "they do not hold the suspend up" "$(write_to /sys/power/state freeze)" ""
is "a follower is answered" "$(answer_of "$follower")" "$ETIME"
is "and one in the queue" "$(answer_of "$queued")" "$ETIME"
ask_in_background w exit-7
holds "afterwards requests wait again" await in_queue 1
open_gate
is "and are answered" "$(answer_of "$ASKER")" 1792
await helpers_gone

# --- Requests that do not wait, and are kept ---

echo 1 >"$LIMIT"
use_helper
close_gate
ask n hold-frozen >/dev/null
event start hold-frozen
is "while the only permit is taken, they are told 0" "$(suspend n exit-7-a)" 0
is "and kept" "$(stat_of kept_now)" 1
open_gate
holds "afterwards the helper is started" event end exit-7-a
await helpers_gone

# Of several that ask at once, one has the permit and gets -EBUSY. When it gives the permit back, the
# others cannot be started, either.
use_helper
suspend n exit-7-a exit-7-b exit-7-c exit-7-d >/tmp/suspended
is "they are told 0 or -EBUSY" "$(tr ' ' '\n' </tmp/suspended | sort -u | grep -vxe 0 -e "$EBUSY")" ""
holds "none is left" await none_kept
await helpers_gone
is "a permit is there" "$(ask n exit-7-e) $(stat_of kept_now)" "0 0"
rm -f /tmp/suspended

echo none >/sys/power/pm_test
finish
