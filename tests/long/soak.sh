#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# For SOAK_MINUTES, a random mixture of everything that can be done to the module: many tasks make
# requests and are killed, knobs change, slow helpers are killed, idle modules are unloaded, and the
# patch is given back and taken over. SEED repeats the choices, but not the moments. At the end
# memory, slots, references and processes are what they were at the beginning.
#
# Processors: parallel
# Watch: kmemleak
# Uses: kmod-rs

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
plan 10

SOAK_MINUTES=${SOAK_MINUTES:-30}
SEED=${SEED:-$((SRANDOM % 32768))}
RANDOM=$SEED
ktap_print_msg "SOAK_MINUTES=$SOAK_MINUTES SEED=$SEED"

STOP=/tmp/stop
WAITING=("exit-0 0" "exit-1-% 256" "exit-3-% 768" "signal-6 6" "sleep-20-% 0" "sleep-200-exit-1 256"
	"sleep-400 0" "sleep-700-% 0" "real-zz-absent-% 256" "real-dummy 0" "crypto-real-serpent_generic 0"
	"crypto-real-echainiv 0")
NOT_WAITING=("exit-5-% 0" "sleep-100 0" "sleep-900-% 0")
TOO_LONG="w 0123456789012345678901234567890123456789012345678901234567890 $ENAMETOOLONG"

# Chooses a quarter of the requests into $QUESTIONS, besides two that are always there. Any of them
# may get no slot, and a helper may be killed by helper_timeout_ms. This must not run in a subshell,
# which would have random numbers of its own.
choose_questions() {
	local question
	QUESTIONS=("$TOO_LONG" "w crypto-real-lrw 0 $ETIME 9")
	for question in "${WAITING[@]}"; do
		((RANDOM % 4)) || QUESTIONS+=("w $question $ETIME 9")
	done
	for question in "${NOT_WAITING[@]}"; do
		((RANDOM % 4)) || QUESTIONS+=("n $question $ETIME")
	done
}

set_knob() {
	! is_loaded || echo "$2" >"$1"
}

disturb() {
	case $((RANDOM % 10)) in
	0 | 1) patch on ;;
	2 | 3) patch off ;;
	4) set_knob "$LIMIT" $((1 + RANDOM % 100)) ;;
	5) set_knob "$KNOBS/busy_timeout_ms" $((1000 + RANDOM % 9000)) ;;
	6) set_knob "$KNOBS/helper_timeout_ms" $((RANDOM % 2 * (300 + RANDOM % 2000))) ;;
	7) set_knob "$KNOBS/track_use" $((RANDOM % 2)) ;;
	8 | 9) clean ;;
	esac
}

# Unloads what a request has brought and nobody uses. The kernel may refuse, or modprobe find that
# another one was faster.
clean() {
	! is_loaded || kmod-rs autoclean --yes --idle 0 --gap 0 >>/tmp/unloaded 2>&1
}

# Many tasks make requests for some seconds. Everything else is done meanwhile.
round() {
	local how load i
	choose_questions
	rm -f "$STOP"
	how=("--tasks=$((1 + RANDOM % (64 / SLOWER)))")
	if ((RANDOM % 2)); then
		how+=("--kills=$((50 + RANDOM % 500))" "--seed=$RANDOM")
	else
		how+=("--until=$STOP")
	fi
	chrt --other 0 /kmod_rs/load "${how[@]}" "${QUESTIONS[@]}" >>/tmp/answers.all \
		2>>/tmp/asked &
	load=$!
	for ((i = RANDOM % 6; i >= 0; i--)); do
		disturb
		sleep "0.$((RANDOM % 10))"
	done
	clean
	touch "$STOP"
	wait "$load" || failed=$((failed + 1))
	await helpers_gone
	await modprobes_gone
	# Now nobody asks for them, and the next round brings them again.
	clean
	# No pass takes away what came while C served, or before the module was loaded anew.
	modprobe -qr lrw echainiv serpent_generic
}

modprobes_gone() {
	[[ ! $(pids_of modprobe) ]]
}

# sum_of WORD: prints the sum over the lines of the loads, "# asked 3 times, answered 2 times".
sum_of() {
	awk -v word="$1" '{ for (i = 1; i < NF; i++) if ($i == word) sum += $(i + 1) } END { print sum + 0 }' /tmp/asked
}

# memory_at_rest KEY: like memory(), with caches as small as they can be.
memory_at_rest() {
	shrink_caches
	memory "$1"
}

# Otherwise this shell would get its turn only after the tasks and their helpers, and there would be
# few rounds.
chrt --rr -p 1 $$
use_silent_helper
: >/tmp/answers.all
: >/tmp/asked
: >/tmp/unloaded
failed=0
# Lets things grow that grow only once.
patch on
round
patch off
PROCESSES=$(processes) slab=$(memory_at_rest Slab) available=$(memory_at_rest MemAvailable)

end=$((SECONDS + 60 * SOAK_MINUTES)) rounds=0
while ((SECONDS < end)); do
	round
	rounds=$((rounds + 1))
	((rounds % 5)) ||
		ktap_print_msg "$rounds rounds, Slab $(memory_at_rest Slab) kB, $(processes) processes, $((end - SECONDS)) s to go"
done
ktap_print_msg "$rounds rounds, asked $(sum_of asked) times, answered $(sum_of answered) times"

is "each answer was right" "$(sort -u /tmp/answers.all)" "no other answers"
is "and came" "$failed" 0
patch on
echo 3 >"$LIMIT"
echo 60000 >"$KNOBS/busy_timeout_ms"
echo 0 >"$KNOBS/helper_timeout_ms"
ask w crypto-real-lrw >/dev/null
clean
unloaded=$(grep -c '^unloaded ' /tmp/unloaded)
holds "idle modules were unloaded, $unloaded times" [ "$unloaded" -gt 0 ]
use_helper
close_gate
hold 3
ask_in_background w exit-6
holds "all slots are there, and no more" await in_queue 1
open_gate
is "and are given on" "$(answer_of "$ASKER")" $((6 << 8))
await helpers_gone
holds "no reference is left: it can be unloaded" give_back
holds "no helper is left" await helpers_gone
if await processes_gone "$PROCESSES"; then \
	pass "nor another process"; else fail "nor another process" "$(ps ax)"; fi
more=$(($(memory_at_rest Slab) - slab))
holds "Slab: $more kB more" [ "$more" -lt 8192 ]
less=$((available - $(memory_at_rest MemAvailable)))
holds "MemAvailable: $less kB less" [ "$less" -lt 32768 ]

rm -rf "$STOP" /tmp/answers.all /tmp/asked /tmp/unloaded /run/kmod-rs
finish
