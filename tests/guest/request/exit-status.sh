#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# When modprobe has run, a requester that waits gets its wait status as it is.
#
# Watch: kmemleak

. "$(dirname "$0")/lib.sh"
plan 4

statuses() {
	ask w exit-0
	ask w exit-1
	ask w exit-3
	ask w exit-255
	ask w signal-9
	ask w signal-15
}

real_modprobe() {
	ask w no-such-module
	ask w dummy
	modprobe -r dummy
}

same_as_c real_modprobe "$NOT_FOUND
0"

use_helper
same_as_c statuses "0
$((1 << 8))
$((3 << 8))
$((255 << 8))
9
15"

finish
