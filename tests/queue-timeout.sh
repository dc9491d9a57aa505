#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A request gets -ETIME when it has itself waited for busy_timeout_ms while no
# slot was given back for as long. A queue that moves refuses nobody, however
# long it takes. C refuses after 5 s, whatever happens meanwhile.

. "$(dirname "$0")/lib.sh"
plan 9

# timed HOW NAME: the answer in $ANSWER, the milliseconds it took in $TOOK.
timed() {
	local start
	start=$(now)
	ANSWER=$(ask "$1" "$2")
	TOOK=$(($(now) - start))
}

between() {
	(($1 <= TOOK && TOOK < $2))
}

use_helper

patch off
close_gate
hold 50
timed w exit-0
is "patch off: -ETIME" "$ANSWER" "$ETIME"
holds "patch off: after 5 s, not $TOOK ms" between 5000 $((20000 * SLOWER))
open_gate
await helpers_gone

patch on
is "the default is that of C" "$(<"$KNOBS/busy_timeout_ms")" 5000
echo 1500 >"$KNOBS/busy_timeout_ms"
echo 1 >"$LIMIT"
close_gate
hold 1
timed w exit-0
is "patch on: -ETIME" "$ANSWER" "$ETIME"
holds "after 1500 ms, not $TOOK ms" between 1500 $((5000 * SLOWER))
# The queue has stood still for that long already.
timed n exit-0
is "also for one that does not wait for modprobe" "$ANSWER" "$ETIME"
holds "whose own wait counts: 1500 ms, not $TOOK ms" between 1500 $((5000 * SLOWER))
open_gate
await helpers_gone

# 20 helpers of 400 ms each, two at a time.
echo 2 >"$LIMIT"
use_silent_helper
askers=()
start=$(now)
for ((i = 0; i < 20; i++)); do
	ask_in_background w "sleep-400-$i"
	askers+=("$ASKER")
done
answers=$(for id in "${askers[@]}"; do answer_of "$id"; done | sort | uniq -c | xargs)
TOOK=$(($(now) - start))
holds "a queue that moves takes $TOOK ms" between 4000 $((60000 * SLOWER))
is "and refuses nobody" "$answers" "20 0"

finish
