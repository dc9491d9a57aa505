#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# An empty name is a name: modprobe is run with an empty argument, and finds
# nothing.

. "$(dirname "$0")/lib.sh"
plan 4

real_modprobe() {
	ask w ""
}

arguments() {
	ask w ""
	grep '^argv' /tmp/description
}

same_as_c real_modprobe "$NOT_FOUND"

use_helper
same_as_c arguments "0
argv[0]=$HELPER
argv[1]=-q
argv[2]=--
argv[3]="

finish
