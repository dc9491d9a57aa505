#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What nobody should do, while the patch is switched off and the module removed in the middle of it:
# names of hostile bytes, a thousand users at once, a pid namespace that dies with requests in
# flight, a helper that forks without end, a daemon that makes a helper's request for it. Each
# request has an answer, one that C could have given, and nothing is left over.
#
# Processors: parallel
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 18

STOP=/tmp/stop
export LC_ALL=C
# 48 bytes. With a number behind them, they make a name that is never the same.
# shellcheck disable=SC2016 # Nothing is to be expanded.
HOSTILE=$(printf '\001\033\177\200\377"\\/*?$`;\002\a\302%.0s' 1 2 3)

# ends WHAT: three points. The load in the background has ended as it should.
ends() {
	touch "$STOP"
	wait "$LOAD"
	is "$1: each request was answered" "$?" 0
	is "$1: as it should have been" "$(</tmp/load)" "no other answers"
	holds "$1: no helper is left" await helpers_gone
	rm -f "$STOP"
}

use_silent_helper

/kmod_rs/load --tasks=16 --until="$STOP" "w $HOSTILE% 0 $ETIME" "n $HOSTILE 0 $ETIME" \
	"w $HOSTILE 0 $ETIME" >/tmp/load 2>/dev/null &
LOAD=$!
switch_rounds 1 16
ends "hostile names"

# Each makes a few requests. C refuses some of them, after 5 s.
patch on
count_calls kmod_rs_request_module
/kmod_rs/load --tasks=1000 --uids=100000 --rounds=3 "w exit-0-% 0 $ETIME" >/tmp/load 2>/dev/null &
LOAD=$!
await served kmod_rs_request_module 100
forget_calls
holds "a thousand users: unloaded in the middle" give_back
ends "a thousand users"

# The helpers are not in the namespace. They keep the module until they have ended.
patch on
use_helper
close_gate
unshare --pid --fork --kill-child /kmod_rs/load --tasks=40 --rounds=1 'w hold-% 0' >/dev/null 2>&1 \
	8>&- 9>&- &
namespace=$!
started 40
echo 0 >"$LIVEPATCH/enabled"
pkill -KILL -P "$namespace"
wait "$namespace" 2>/dev/null
await test ! -e "$LIVEPATCH"
matches "a pid namespace has died: rmmod" "$(rmmod kmod_rs 2>&1)" "in use"
is "as many helpers run on" "$(pids_of helper | wc -l)" 40
open_gate
holds "when they have ended, it is unloaded" give_back
await helpers_gone

patch on
echo 2000 >"$KNOBS/helper_timeout_ms"
ask_in_background w bomb-1
event start bomb-1
echo 0 >"$LIVEPATCH/enabled"
is "a helper that forks without end, while the patch is switched off" "$(answer_of "$ASKER")" 9
holds "it is unloaded" give_back
await helpers_gone

patch on
use_helper
echo 6 >"$LIMIT"
echo 1000 >"$KNOBS/busy_timeout_ms"
echo 100 >"$KNOBS/coalesce_timeout_ms"
ask_in_background w again-daemon
event start again-daemon
event start again-daemon
holds "a loop through a daemon is unloaded in the middle" give_back
is "and ends" "$(answer_of "$ASKER")" 256
holds "with all its helpers" await helpers_gone
holds "nothing is loaded" eval '! is_loaded'

rm -f /tmp/load
finish
