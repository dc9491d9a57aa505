#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What the helper is told about its request (helper_env), and what the log is told (log_requests).
#
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 17

told() {
	sed -n 's/^envp\[[0-9]*\]=//p' /tmp/description
}

# Prints the lines about requests since the last call, without numbers.
logged_requests() {
	log | sed "1,/^env $MARKS\$/d" | sed -En 's/^kmod_rs: request (.*)\[[0-9]+\] uid ([0-9]+)\) (.*): seq=[0-9]+ result=(-?[0-9]+) helper=.*/\1 \2 \3 \4/p'
	MARKS=$((MARKS + 1))
	echo "env $MARKS" >/dev/kmsg
}

use_helper
patch on
ask w describe-x >/dev/null
C=$(told)
is "C's environment" "$(wc -l <<<"$C")" 3

echo 1 >"$KNOBS/helper_env"
setpriv --reuid=1234 --clear-groups /kmod_rs/ask -c "a task" w describe-x >/dev/null
is "seven more strings" "$(told)" "$C
KMOD_REQUEST=$(newest seq)
KMOD_REQUESTER_PID=$(newest pid)
KMOD_REQUESTER_UID=1234
KMOD_REQUESTER_COMM=a\\x20task
KMOD_REQUESTER_USERNS=initial
KMOD_REQUESTER_PRIVILEGE=none
KMOD_CALL_SITE=$(newest call_site | tr -d '"' | sed 's/ /\\x20/')"
unshare --user --map-root-user /kmod_rs/ask w describe-x >/dev/null
is "in another user namespace" "$(told | sed -n 's/^KMOD_REQUESTER_USERNS=//p')" other
events >/dev/null
ask n describe-x >/dev/null
event end describe-x
is "one that does not wait" "$(told | sed -n 's/^KMOD_REQUEST=//p')" "$(newest seq)"

close_gate
ask_in_background w hold-same
ask_in_background w hold-same
# A follower would run its own helper only after coalesce_timeout_ms.
holds "each has its own helper" started 2
is "and did not wait for the other's" "$(in_flight | field queue_us | awk '$1 > 4000000')" ""
open_gate
await helpers_gone

echo 0 >"$KNOBS/helper_env"
use_helper
ask w describe-x >/dev/null
is "off again" "$(told)" "$C"

# The log.
MARKS=0
logged_requests >/dev/null
MARKS=1
ask w exit-3 >/dev/null
is "log_requests 0" "$(logged_requests)" ""
MARKS=2
echo 1 >"$KNOBS/log_requests"
/kmod_rs/ask -c "a task" w exit-3 >/dev/null
/kmod_rs/ask w exit-0 >/dev/null
/kmod_rs/ask w "$(printf 'x%.0s' {1..60})" >/dev/null
is "1: failures that cost a helper" "$(logged_requests)" 'exit-3 (a\x20task 0 exit 768'
MARKS=3
timed /kmod_rs/load --tasks=60 --rounds=2 'w exit-1-% 256'
is "60 at once" "$(grep -v '^#' <<<"$OUTPUT")" "no other answers"
# The limit is 10 different lines in 5 s.
holds "not without a limit: 120 in $TOOK ms" [ "$(logged_requests | wc -l)" -le \
	$((10 * (TOOK / 5000 + 2))) ]
MARKS=4
echo 2 >"$KNOBS/log_requests"
/kmod_rs/ask w exit-0 >/dev/null
/kmod_rs/ask n exit-0 >/dev/null
/kmod_rs/ask w "$(printf 'x%.0s' {1..60})" >/dev/null
is "2: all" "$(logged_requests)" "exit-0 (ask 0 nothing 0
exit-0 (ask 0 started 0
$(printf 'x%.0s' {1..55}) (ask 0 toolong $ENAMETOOLONG"
MARKS=5
await helpers_gone
give_back

# Without records, both work as well, and the files exist.
insmod /kmod_rs/kmod-rs.ko records=0
await settled
echo 1 >"$KNOBS/helper_env"
echo 2 >"$KNOBS/log_requests"
ask w describe-x >/dev/null
is "records=0: told" "$(told | grep -c '^KMOD_')" 7
is "logged" "$(logged_requests)" "describe-x ($(cat /proc/$$/comm) 0 nothing 0"
is "not kept" "$(recent)" ""
is "but counted" "$(stat_of requests) $(stat_of nothing) $(stat_of records) $(stat_of records_bytes)" "1 1 0 0"
give_back
is "records=65537" "$(insmod /kmod_rs/kmod-rs.ko records=65537 2>&1 | grep -c 'Invalid parameters\|Invalid argument')" 1

finish
