#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Many tasks make equal requests again and again, and are killed at any moment.
# Each request is answered once, no failure is older than the request that gets
# it, and nobody is left waiting.
#
# Processors: parallel

. "$(dirname "$0")/lib.sh"
plan 11

patch on
references=$(</sys/module/kmod_rs/refcnt)
use_silent_helper
echo 4 >"$LIMIT"

# The helper reports when it was started, as the number of requests made until
# then.
count_calls call_usermodehelper_exec
is "each failure is younger than its question" \
	"$(/kmod_rs/load --tasks=16 --rounds="$(often 32)" 'w serial-x fresh' 2>/tmp/load)" \
	"no other answers"
matches "each question is answered" "$(</tmp/load)" \
	'^# asked ([0-9]+) times, answered ([0-9]+) times$'
is "once" "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
asked=${BASH_REMATCH[1]} helpers=$(calls call_usermodehelper_exec)
forget_calls
holds "$asked questions cost $helpers helpers: less than half as many" [ "$((2 * helpers))" -lt \
	"$asked" ]

is "also while leaders and followers are killed" \
	"$(/kmod_rs/load --tasks=16 --kills="$(often 300)" 'w serial-x fresh' 'n serial-x 0' 2>/dev/null)" "no other answers"
await helpers_gone
holds "nobody waits" in_queue 0

# Everything that can happen to a few targets, at once.
is "everything at once" "$(/kmod_rs/load --tasks=24 --kills="$(often 300)" \
	'w exit-3 768' 'w serial-y fresh' 'n exit-0 0' 'w sleep-5-exit-4 1024' 'w exit-0 0' \
	'w signal-9 9' \
	'w exit-3-% 768' 'n serial-y 0' 2>/dev/null)" "no other answers"
await helpers_gone

slots_are_there 4
holds "no reference is left" await references "$references"
holds "it can be unloaded" give_back

rm -f /tmp/load /tmp/serial
finish
