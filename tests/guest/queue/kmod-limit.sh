#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# /proc/sys/kernel/kmod-limit bounds the helpers that run, exactly, and is
# honoured at once. What is not a number in the range is refused, in the other
# files of the module too, which are gone when it is.

. "$(dirname "$0")/lib.sh"
plan 65

helpers() {
	(($(pids_of helper | wc -l) == $1))
}

# refused FILE VALUE: -EINVAL, and the file has the value that it had.
refused() {
	local before
	before=$(<"$1")
	is "${1##*/} refuses $(printf %q "${2:0:21}")" "$(write_to "$1" "$2") $(<"$1")" "Invalid argument $before"
}

use_helper
patch on

is "default" "$(<"$LIMIT")" 50
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
# Four of the seven end; only then may the one start.
echo 3 >"$LIMIT"
pids_of helper | head -n 4 | xargs kill
holds "lowered to 3: four end, one waits" await eval 'helpers 3 && in_queue 1'
pids_of helper | head -n 1 | xargs kill
is "the next end lets it start" "$(answer_of "$ASKER")" $((5 << 8))
open_gate
await helpers_gone

# Limits of the range.
for value in 1 1000 7; do
	is "kmod-limit takes $value" "$(write_to "$LIMIT" "$value")$(<"$LIMIT")" "$value"
done
TIMEOUT_FILE=$KNOBS/busy_timeout_ms
for value in 1 3600000 5000; do
	is "busy_timeout_ms takes $value" "$(write_to "$TIMEOUT_FILE" "$value")$(<"$TIMEOUT_FILE")" "$value"
done
for value in loop_repeats=1 loop_repeats=1000 chain_limit=1 chain_limit=32 coalesce=0 coalesce=1 \
	coalesce_timeout_ms=1 coalesce_timeout_ms=3600000; do
	file=$KNOBS/${value%=*}
	is "$value is taken" "$(write_to "$file" "${value#*=}")$(<"$file")" "${value#*=}"
done
is "white space around it is no matter" "$(write_to "$LIMIT" $' \t9\n')$(<"$LIMIT")" 9

printf -v long '%05000d' 7
for file in "$LIMIT" "$TIMEOUT_FILE"; do
	for value in 0 -1 abc 5x 0x 3600001 4294967296 18446744073709551617 -18446744073709551615 \
		123456789012345678901234567890 1.5 $'\n' ' ' "$long"; do
		refused "$file" "$value"
	done
done
refused "$LIMIT" 1001
for value in loop_repeats=0 loop_repeats=1001 chain_limit=0 chain_limit=33 coalesce=2 coalesce_timeout_ms=0 coalesce_timeout_ms=3600001; do
	refused "$KNOBS/${value%=*}" "${value#*=}"
done

is "an ordinary user may read" "$(setpriv --reuid=65534 cat "$LIMIT")" 9
matches "and not write" "$(setpriv --reuid=65534 bash -c "echo 8 >$LIMIT" 2>&1)" 'Permission denied$'

is "active" "$(stat -c %a "$KNOBS/active") $(<"$KNOBS/active")" "444 1"
is "takes nothing" "$(write_to "$KNOBS/active" 0) $(<"$KNOBS/active")" "Permission denied 1"

patch off
is "all are gone with the module" "$(ls -d "$LIMIT" "$KNOBS" 2>/dev/null)" ""

finish
