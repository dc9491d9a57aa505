#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# For SOAK_MINUTES (30) a random mixture of all that can be done to the module:
# many tasks ask and are killed, knobs change, the patch is given back and taken
# over. SEED, which is printed, repeats the choices. At the end memory, slots,
# references and processes are what they were at the start.

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
plan 7

SOAK_MINUTES=${SOAK_MINUTES:-30}
SEED=${SEED:-$((SRANDOM % 100000))}
RANDOM=$SEED
ktap_print_msg "SEED=$SEED SOAK_MINUTES=$SOAK_MINUTES"

STOP=/tmp/stop
QUESTIONS=(
	"w exit-0 0" "w exit-1-% 256" "w sleep-20-% 0" "w sleep-200-exit-1 256" "w signal-9 9"
	"w sleep-400 0" "n exit-5-% 0" "n sleep-100 0" "w real-zz-absent-% 256"
	"w 0123456789012345678901234567890123456789012345678901234567890 $ENAMETOOLONG"
)

# A quarter of them, and that there may be none.
some_questions() {
	local question
	for question in "${QUESTIONS[@]}"; do
		((RANDOM % 4)) || echo "$question $ETIME"
	done
	echo "w exit-3-% 768 $ETIME"
}

# Programs, that is, not kernel workers.
processes() {
	readlink /proc/[0-9]*/exe | wc -l
}

# As many as before, or fewer?
processes_gone() {
	(($(processes) <= PROCESSES))
}

memory() {
	local cache
	echo 3 >/proc/sys/vm/drop_caches
	for cache in /sys/kernel/slab/*/shrink; do
		echo 1 >"$cache"
	done 2>/dev/null
	awk -v key="$1:" '$1 == key { print $2 }' /proc/meminfo
}

# So many seconds of a load, and meanwhile what one does to the module.
round() {
	local questions load i tasks=$((1 + RANDOM % 64))
	mapfile -t questions < <(some_questions)
	rm -f "$STOP"
	if ((RANDOM % 2)); then
		/kmod_rs/load --tasks="$tasks" --kills=$((50 + RANDOM % 200)) "${questions[@]}" >>/tmp/load 2>/dev/null &
	else
		/kmod_rs/load --tasks="$tasks" --until="$STOP" "${questions[@]}" >>/tmp/load 2>/dev/null &
	fi
	load=$!
	for ((i = RANDOM % 6; i >= 0; i--)); do
		case $((RANDOM % 4)) in
		0) patch on ;;
		1) patch off ;;
		2) ! is_loaded || echo $((1 + RANDOM % 100)) >"$LIMIT" ;;
		3) ! is_loaded || echo $((1000 + RANDOM % 9000)) >"$KNOBS/busy_timeout_ms" ;;
		esac
		sleep "0.$((RANDOM % 10))"
	done
	touch "$STOP"
	wait "$load"
	await helpers_gone
}

use_silent_helper
: >/tmp/load
round
patch off
PROCESSES=$(processes) slab=$(memory Slab)

end=$((SECONDS + 60 * SOAK_MINUTES)) rounds=0
while ((SECONDS < end)); do
	round
	rounds=$((rounds + 1))
	((rounds % 20)) || ktap_print_msg "$rounds rounds, Slab $(memory Slab) kB, $(processes) processes, $((end - SECONDS)) s to go"
done

is "each answer was right, in $rounds rounds" "$(sort -u /tmp/load)" "no other answers"
patch on
echo 3 >"$LIMIT"
echo 60000 >"$KNOBS/busy_timeout_ms"
use_helper
close_gate
hold 3
ask_in_background w exit-6
holds "all slots are there, and no more" await in_queue 1
open_gate
is "and are given on" "$(answer_of "$ASKER")" $((6 << 8))
await helpers_gone
holds "no reference is left: it can be unloaded" give_back
holds "no helper is left" helpers_gone
if await processes_gone; then pass "nor another process"; else fail "nor another process" "$(ps ax)"; fi
more=$(($(memory Slab) - slab))
holds "Slab: $more kB more" [ "$more" -lt 8192 ]

rm -f "$STOP" /tmp/load
finish
