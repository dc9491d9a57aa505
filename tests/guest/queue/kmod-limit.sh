#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# /proc/sys/kernel/kmod-limit bounds the number of helpers exactly, and a new
# limit is honoured at once. A value that is not a number is refused, by another
# file of the module too. The files are gone when the module is. knobs.sh tests
# the range.
#
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 38

helpers() {
	(($(pids_of helper | wc -l) == $1))
}

# refused FILE VALUE: the write gets -EINVAL, and the file keeps its value.
refused() {
	local before
	before=$(<"$1")
	is "${1##*/} refuses $(printf %q "${2:0:21}")" "$(write_to "$1" "$2") $(<"$1")" \
		"Invalid argument $before"
}

use_helper
patch on

close_gate
for ((i = 0; i < 60; i++)); do
	ask_in_background w "hold-$i"
done
started 50
holds "of 60, 10 wait" await in_queue 10
holds "and 50 run" helpers 50

echo 54 >"$LIMIT"
started 4
holds "raised by 4, 6 wait" await in_queue 6
holds "and 54 run" helpers 54

echo 7 >"$LIMIT"
is "lowered, none starts" "$(events)" ""
open_gate
started 6
await helpers_gone

close_gate
hold 7
ask_in_background w exit-5
holds "for new requests: 7 run, one waits" await in_queue 1
# When four of the seven have ended, three run, which is the limit. The next
# slot that is given back lets the request start.
echo 3 >"$LIMIT"
pids_of helper | head -n 4 | xargs kill
holds "lowered to 3: four end, one waits" await eval 'helpers 3 && in_queue 1'
pids_of helper | head -n 1 | xargs kill
is "the next end lets it start" "$(answer_of "$ASKER")" $((5 << 8))
open_gate
await helpers_gone

# What is written to the file.
is "white space around it is no matter" "$(write_to "$LIMIT" $' \t9\n')$(<"$LIMIT")" 9

printf -v long '%05000d' 7
for file in "$LIMIT" "$KNOBS/busy_timeout_ms"; do
	for value in 0 -1 abc 5x 0x 3600001 4294967296 18446744073709551617 -18446744073709551615 \
		123456789012345678901234567890 1.5 $'\n' ' ' "$long"; do
		refused "$file" "$value"
	done
done

patch off
is "all are gone with the module" "$(ls -d "$LIMIT" "$KNOBS" 2>/dev/null)" ""

finish
