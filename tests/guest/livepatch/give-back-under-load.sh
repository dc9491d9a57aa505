#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# 64 tasks ask without a pause, for equal and for different names, absent,
# present, slow and failing, waiting and not, while the module is loaded, its
# patch switched off and the module removed, again and again. Each request is
# answered once, as C could have answered it, and nothing is left over.

. "$(dirname "$0")/lib.sh"

ROUNDS=$(often 2)
[[ ! ${FULL:-} ]] || ROUNDS=50
plan $((2 * ROUNDS + 5))

STOP=/tmp/stop

rm -f "$STOP"
use_silent_helper
# The real one has to be there for some of them.
/sbin/modprobe -q -r dummy
PROCESSES=$(processes)

# With 64 tasks for 50 slots, C may refuse some; and may say so after 5 s, in
# which Rust may have taken over.
/kmod_rs/load --tasks=64 --until="$STOP" \
	"w exit-0 0 $ETIME" "w exit-0-% 0 $ETIME" "w exit-1-% 256 $ETIME" "w sleep-200-exit-1 256 $ETIME" \
	"w signal-9 9 $ETIME" "w sleep-400-% 0 $ETIME" "w sleep-300-exit-4 1024 $ETIME" \
	"n exit-5-% 0 $ETIME" "n sleep-300 0 $ETIME" "w real-dummy 0 $ETIME" "w real-zz-absent-% 256 $ETIME" \
	"w 0123456789012345678901234567890123456789012345678901234567890 $ENAMETOOLONG" \
	>/tmp/load &
load=$!
# Else all that is done here has its turn after 64 tasks and as many helpers.
chrt --rr -p 1 $$

switch_rounds "$ROUNDS" 64

touch "$STOP"
wait "$load"
is "each request was answered, once" "$?" 0
is "each answer was right" "$(</tmp/load)" "no other answers"
holds "no helper is left over" await helpers_gone
holds "no module is" eval '! is_loaded'
if await processes_gone "$PROCESSES"; then pass "nor any process"; else fail "nor any process" "$(ps ax)"; fi

rm -f "$STOP" /tmp/load
finish
