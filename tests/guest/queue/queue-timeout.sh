#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A request gets -ETIME when it has itself waited for busy_timeout_ms and no slot was given back for
# as long. A queue that moves refuses nobody, however long it takes. C refuses after 5 s, whatever
# happens meanwhile.

# shellcheck disable=SC2034 # For lib.sh.
DEFAULTS=1
. "$(dirname "$0")/lib.sh"
plan 8

# timed HOW NAME: makes a request. The answer is in $ANSWER, the milliseconds that it took are in
# $TOOK.
timed() {
	local start
	start=$(now)
	ANSWER=$(ask "$1" "$2")
	TOOK=$(($(now) - start))
}

# waited: how many milliseconds the newest request waited for a slot, as the kernel measured it.
# How long the rest of a request takes depends on the machine. So does how late a request notices
# that its time is over: there is no upper bound.
waited() {
	echo $(($(newest queue_us) / 1000))
}

use_helper

patch off
close_gate
hold 50
timed w exit-0
is "patch off: -ETIME" "$ANSWER" "$ETIME"
holds "patch off: after 5 s, here $TOOK ms" [ "$TOOK" -ge 5000 ]
open_gate
await helpers_gone

patch on
is "the default is that of C" "$(<"$KNOBS/busy_timeout_ms")" 5000
echo 6000 >"$KNOBS/busy_timeout_ms"
echo 1 >"$LIMIT"
close_gate
hold 1
timed w exit-0
is "patch on: -ETIME" "$ANSWER" "$ETIME"
WAITED=$(waited)
holds "after 6000 ms, and not the usual 5000: $WAITED ms" [ "$WAITED" -ge 6000 ]
is "one that does not wait needs no slot" "$(ask n exit-0)" 0
open_gate
await helpers_gone

# 40 helpers of 800 ms each, two at a time. Even where a helper takes ten times as long, one of them
# ends before the queue has stood still for 15 s.
echo 2 >"$LIMIT"
echo 15000 >"$KNOBS/busy_timeout_ms"
use_silent_helper
askers=()
start=$(now)
for ((i = 0; i < 40; i++)); do
	ask_in_background w "sleep-800-$i"
	askers+=("$ASKER")
done
answers=$(for id in "${askers[@]}"; do answer_of "$id"; done | sort | uniq -c | xargs)
TOOK=$(($(now) - start))
holds "a queue that moves takes $TOOK ms, more than one may wait" [ "$TOOK" -ge 16000 ]
is "and refuses nobody" "$answers" "40 0"

finish
