#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A path in /proc/sys/kernel/modprobe that does not begin with a slash counts
# from the working directory of PID 1, not from that of the caller.

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
