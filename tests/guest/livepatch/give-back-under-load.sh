#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# 64 tasks make requests without a pause, for equal and for different names,
# absent, present, slow and failing ones, waiting and not. Meanwhile the module
# is loaded, its patch is switched off and the module is removed, again and
# again. Each request is answered once, as C could have answered it, and nothing
# is left over.
#
# Processors: parallel

. "$(dirname "$0")/lib.sh"

ROUNDS=$(often 2)
[[ ! ${FULL:-} ]] || ROUNDS=50
plan $((2 * ROUNDS + 5))

STOP=/tmp/stop

rm -f "$STOP"
use_silent_helper
# Some of the requests have the real modprobe load dummy.
/sbin/modprobe -q -r dummy
PROCESSES=$(processes)

# C has 50 slots for 64 tasks, so it may refuse some requests. It does so after
# 5 s, and by then Rust may have taken over.
/kmod_rs/load --tasks=64 --until="$STOP" \
	"w exit-0 0 $ETIME" "w exit-0-% 0 $ETIME" "w exit-1-% 256 $ETIME" \
	"w sleep-200-exit-1 256 $ETIME" \
	"w signal-9 9 $ETIME" "w sleep-400-% 0 $ETIME" "w sleep-300-exit-4 1024 $ETIME" \
	"n exit-5-% 0 $ETIME" "n sleep-300 0 $ETIME" "w real-dummy 0 $ETIME" \
	"w real-zz-absent-% 256 $ETIME" \
	"w 0123456789012345678901234567890123456789012345678901234567890 $ENAMETOOLONG" \
	>/tmp/load &
load=$!
# Otherwise this shell would get its turn only after 64 tasks and as many
# helpers.
chrt --rr -p 1 $$

switch_rounds "$ROUNDS" 64

touch "$STOP"
wait "$load"
is "each request was answered, once" "$?" 0
is "each answer was right" "$(</tmp/load)" "no other answers"
holds "no helper is left over" await helpers_gone
holds "no module is" eval '! is_loaded'
if await processes_gone "$PROCESSES"; then \
	pass "nor any process"; else fail "nor any process" "$(ps ax)"; fi

rm -f "$STOP" /tmp/load
finish
