#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel can wait for a limited number of helpers at once, which depends on the number of NUMA
# nodes. A nested request is refused at once if half of them run. With 16 nodes these are 64.
#
# Needs: CONFIG_NUMA_EMU
# Boot: numa=fake=16

. "$(dirname "$0")/lib.sh"
plan 8

MESSAGE="runaway modprobe loop assumed and stopped"

# Prints the last message, from the names on, without process ids.
last() {
	log | sed -n "s/^kmod_rs: $MESSAGE: //p" | tail -n 1 | sed 's/\[[0-9]*\]/[]/'
}

patch on
is "16 nodes have processors" "$(</sys/devices/system/node/has_cpu)" 0-15
echo 100 >"$LIMIT"
use_helper
close_gate
hold 62
is "63 helpers, and a nested request" "$(ask w child-exit-0)" 0
hold 1 last-
# Nothing limits the time of a request in the queue, so this one was refused at once.
is "64 helpers, and a nested request" "$(ask w child-exit-0)" 256
is "it gets $ETIME" "$(events | grep '^got')" "got exit-0 $ETIME"
is "the log says it" "$(last)" "child-exit-0 -> exit-0 (helper[] uid 0) helpers=64"
is "so does its record" "$(recent | field outcome '/name="exit-0"/' | tail -n 1)" timeout
is "others are bounded by the slots alone" "$(ask w exit-5)" $((5 << 8))
open_gate
await helpers_gone
is "when helpers have ended, it is served" "$(ask w child-exit-0)" 0

finish
