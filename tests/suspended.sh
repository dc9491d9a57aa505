#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# While the system is being suspended no program can be started: -EBUSY, and all
# is well again afterwards.

. "$(dirname "$0")/lib.sh"
plan 4

# suspend HOW: the kernel stops after freezing the tasks, waits a second and
# resumes. A kernel thread asks all the time.
suspend() {
	local fd answers
	exec {fd}<>/dev/kmod_ask
	printf 's%s exit-0' "$1" >&"$fd"
	echo freeze >/sys/power/state
	read -r answers <&"$fd"
	exec {fd}>&-
	echo "$answers"
}

waiting() {
	suspend w
}

not_waiting() {
	suspend n
}

echo 1 >/sys/module/suspend/parameters/pm_test_delay
echo freezer >/sys/power/pm_test

use_helper
same_as_c waiting "0 $EBUSY 0"
same_as_c not_waiting "0 $EBUSY 0"

echo none >/sys/power/pm_test
finish
