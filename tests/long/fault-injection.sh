#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# On a kernel with fault injection: each allocation of a request fails in turn,
# then some at random, then each one of insmod: -ENOMEM or success; no slot or
# reference is lost, and an init that failed leaves nothing.

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"

SLAB=/sys/kernel/debug/failslab
if [[ ! -e $SLAB || ! -e /proc/self/fail-nth ]]; then
	plan 1
	ktap_test_skip "this kernel cannot have allocations fail"
	finish
fi
plan 9

OK=$((7 << 8))
COUNT=$((100 * ${SCALE:-1}))

# By default only those that may not sleep fail.
echo 0 >"$SLAB/verbose"
echo N >"$SLAB/ignore-gfp-wait"
[[ ! -e $SLAB/cache-filter ]] || echo N >"$SLAB/cache-filter"

use_silent_helper
patch on
references=$(</sys/module/kmod_rs/refcnt)
echo 1 >"$LIMIT"
echo 60000 >"$KNOBS/busy_timeout_ms"
echo 60000 >"$KNOBS/helper_timeout_ms"

# The last one is that of a request in which nothing has failed.
for how in w n; do
	answers=$(/kmod_rs/fail_nth ask "$how exit-7" | grep -v "^[0-9]* $ENOMEM\$" | cut -d' ' -f2 | uniq)
	is "each in turn, $how" "$answers" "$([[ $how == w ]] && echo "$OK" || echo 0)"
done

# A request that is queued.
use_helper
close_gate
hold 1
echo 300 >"$KNOBS/busy_timeout_ms"
answers=$(/kmod_rs/fail_nth ask "w exit-7")
matches "each in turn, in the queue" "$answers" "^[0-9]+ $ENOMEM
1 $ETIME\$"
open_gate
await helpers_gone

# At random, in this task and in its helpers' kernel parts.
use_silent_helper
echo Y >"$SLAB/task-filter"
echo 1 >"$SLAB/interval"
echo -1 >"$SLAB/times"
(
	exec 8>&- 9>&-
	exec 5<>/dev/kmod_ask
	echo 1 >"/proc/$BASHPID/make-it-fail"
	for ((i = 0; i < COUNT; i++)); do
		echo 5 >"$SLAB/probability"
		printf 'w exit-7' >&5
		echo 0 >"$SLAB/probability"
		read -r answer <&5
		echo "$answer"
	done
) >/tmp/answers.random 2>/tmp/errors.random
echo 0 >"$SLAB/probability"
echo N >"$SLAB/task-filter"
is "at random" "$(sort -u /tmp/answers.random | grep -vxE -- "$ENOMEM|$OK|")" ""
await helpers_gone

is "no slot is lost" "$(ask w exit-7)" "$OK"
is "nor a reference" "$(</sys/module/kmod_rs/refcnt)" "$references"
holds "it can be given back" give_back

# init: whatever fails, nothing is left; and if it was loaded nevertheless, it
# is there as a whole.
from=1 loaded=0 partly=""
while [[ $from != "done" ]]; do
	output=$(/kmod_rs/fail_nth load /kmod_rs/kmod-rs.ko "$from" 2>&1) || break
	from=$(tail -n 1 <<<"$output")
	loaded=$((loaded + 1))
	[[ -e $LIVEPATCH && -e $LIMIT && -e $KNOBS/active && $(ask w exit-7) == "$OK" ]] || partly+=" $from"
	give_back || break
done
is "insmod, each allocation in turn; loaded $loaded times" "$from" "done"
is "as a whole" "$partly" ""
[[ $from == "done" ]] || ktap_print_msg "$output"

rm -f /tmp/answers.random /tmp/errors.random
finish
