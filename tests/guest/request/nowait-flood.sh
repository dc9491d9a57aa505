#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Thousands of requests that do not wait. Each is answered with 0, or with -ETIME if too many are
# kept. When the last helper has ended, slots, references, processes and memory are what they were.
# No cache of the kernel has more than a few objects more, let alone one for each request.
#
# Processors: parallel

. "$(dirname "$0")/lib.sh"
plan 13

# All tasks make the same number of requests.
TASKS=8 CALLS=$(often 2048)

flood() {
	/kmod_rs/load --tasks="$TASKS" --rounds=$(($1 / TASKS / 2)) "n exit-0-% 0 $ETIME" 'n exit-3 0'
}

use_silent_helper
patch on
# Lets things grow that grow only once.
flood 400 >/dev/null 2>&1
await helpers_gone
remember_objects
slab=$(memory Slab) available=$(memory MemAvailable) references=$(</sys/module/kmod_rs/refcnt)
PROCESSES=$(processes)

is "all were answered" "$(flood "$CALLS" 2>/tmp/load)" "no other answers"
is "and asked for" "$(</tmp/load)" "# asked $CALLS times, answered $CALLS times"
holds "no helper is left over" await helpers_gone
if await processes_gone "$PROCESSES"; then \
	pass "nor any other process"; else fail "nor any other process" "$(ps ax)"; fi
is "nor a reference" "$(</sys/module/kmod_rs/refcnt)" "$references"
if has_kmemleak; then
	for what in "objects in caches" Slab MemAvailable; do
		ktap_test_skip \
			"$what: kmemleak, which looks for what is lost, has memory of its own"
	done
else
	await nothing_grown $((CALLS / 2))
	is "nor objects in caches" "$(grown $((CALLS / 2)))" ""
	# Half a kilobyte for each call, in addition to what is usual.
	more=$(($(memory Slab) - slab))
	holds "Slab: $more kB more" [ "$more" -lt $((CALLS / 2 + 4096)) ]
	less=$((available - $(memory MemAvailable)))
	holds "MemAvailable: $less kB less" [ "$less" -lt $((CALLS / 2 + 16384)) ]
fi

use_helper
echo 3 >"$LIMIT"
close_gate
hold 3
pass "all slots are there"
ask_in_background w exit-6
holds "and no more than that" await in_queue 1
for i in 1 2 3 4; do ask n "hold-n$i"; done >/dev/null
holds "all permits are there" started 3 'hold-n*'
is "and no more than that" "$(stat_of kept_now)" 1
open_gate
holds "the last one is given on" started 1 'hold-n*'
answer_of "$ASKER" >/dev/null

rm -f /tmp/load
finish
