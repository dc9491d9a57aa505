#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# 16 tasks make requests without a pause while request_module() is taken over and given back several
# times. Each request is answered once, as C would have answered it.
#
# Processors: parallel

. "$(dirname "$0")/lib.sh"
ROUNDS=$(often 3)
plan $((2 * ROUNDS + 4))

STOP=/tmp/stop

rm -f "$STOP"
use_silent_helper
/kmod_rs/load --tasks=16 --until="$STOP" \
	'w exit-0 0' 'w sleep-200-exit-1 256' 'w signal-9 9' 'w sleep-400 0' \
	'w sleep-300-exit-4 1024' \
	'n exit-5 0' 'n sleep-300 0' 'w sleep-500 0' \
	"w 0123456789012345678901234567890123456789012345678901234567890 $ENAMETOOLONG" \
	>/tmp/load &
load=$!

switch_rounds "$ROUNDS" 100

touch "$STOP"
wait "$load"
is "each request was answered, once" "$?" 0
is "each answer was right" "$(</tmp/load)" "no other answers"
holds "no helper is left over" await helpers_gone
holds "no module is" eval '! is_loaded'

rm -f "$STOP" /tmp/load
finish
