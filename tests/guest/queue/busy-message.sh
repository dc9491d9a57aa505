#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The line in the log for a request that gets no slot: it comes at once, and has the name, the
# requester and the helpers that run. A hostile name stays on its line, and many requests do not
# make many lines.
#
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 7

MESSAGE="runaway modprobe loop assumed and stopped"

# Prints the last message, from the name on.
last() {
	log | sed -n "s/^kmod_rs: $MESSAGE: //p" | tail -n 1
}

# are_counted: true if the messages in the log, and those that were left out, are 40.
are_counted() {
	log | awk -v sum="$in_log" -F= '
		/^kmod_rs: lines left out: kind=timeout account=0 lines=/ { sum += $NF }
		END { exit sum != 40 }'
}

use_helper
patch on
echo 1000 >"$KNOBS/busy_timeout_ms"
echo 6 >"$LIMIT"
# Requests for equal names are to have a helper each.
echo 0 >"$KNOBS/coalesce"

# The limit comes first, while no message counts against it yet. It is 10 in 5 s, and a slow machine
# takes longer than that for 40. What is left out is counted.
close_gate
hold 6
start=$SECONDS
answers=$(/kmod_rs/load --tasks=40 --rounds=1 "w many-% $ETIME" 2>&1)
most=$((10 * (1 + (SECONDS - start) / 5)))
in_log=$(log | grep -c "$MESSAGE: many-")
is "40 requests get no slot" "$(sort <<<"$answers" | xargs)" \
	"# asked 40 times, answered 40 times no other answers"
holds "$in_log of them are in the log, at most $most" [ "$in_log" -ge 10 -a "$in_log" -le "$most" ]
holds "those left out are counted" await are_counted
open_gate
await helpers_gone

# This comes 5 s later. So more messages may come now.
use_helper
close_gate
for name in hold-a hold-b hold-b hold-c hold-d hold-e; do
	ask_in_background w "$name"
	event start "$name"
done
echo 6000 >"$KNOBS/busy_timeout_ms"
/kmod_rs/ask -c 'a task' w some-name >/dev/null &
pid=$!
wait "$pid"
is "the message" "$(last)" "some-name (a\\x20task[$pid] uid 0) limit=6 busy_timeout_ms=6000 running=\"1 x hold-a, 2 x hold-b, 3 others\""

echo 200 >"$KNOBS/busy_timeout_ms"
setpriv --reuid=65534 --regid=65534 --clear-groups \
	/kmod_rs/ask -c $'x\nkmod_rs: \e[2J' w $'a\n<0>kmod_rs: b\e[31m\x7f\xff"\\' >/dev/null &
pid=$!
wait "$pid"
is "it is escaped" "$(last)" "a\\x0a<0>kmod_rs:\\x20b\\x1b[31m\\x7f\\xff\\x22\\x5c (x\\x0akmod_rs:\\x20\\x1b[2J[$pid] uid 65534) limit=6 busy_timeout_ms=200 running=\"1 x hold-a, 2 x hold-b, 3 others\""
is "on one line" "$(log | grep -c '\[31m')" 1
is "2 more messages in all" "$(log | grep -c "^kmod_rs: $MESSAGE: .*\"\$")" "$((in_log + 2))"

finish
