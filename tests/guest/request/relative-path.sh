#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A path in /proc/sys/kernel/modprobe that does not begin with a slash starts at
# the working directory of PID 1, not at that of the requester.
#
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 2

from_elsewhere() {
	(cd /tmp && ask w describe-x)
	grep -E '^(argv\[0\]|exe|cwd)=' /tmp/description
}

use_helper
echo "${HELPER#/}" >"$MODPROBE"
same_as_c from_elsewhere "0
argv[0]=${HELPER#/}
exe=$HELPER
cwd=/"

finish
