#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Equal requests share one helper. Success is for all of them. Failure is for those that came before
# the helper was executed, and the others share a second helper. The leader may leave and a follower
# may be killed: the rest are served.
#
# Processors: parallel

# shellcheck disable=SC2034 # For lib.sh.
DEFAULTS=1
. "$(dirname "$0")/lib.sh"
plan 55

# lead HOW NAME: makes a request whose helper waits at the gate.
lead() {
	ask_in_background "$1" "$2"
	LEADER=$ASKER
	event start "$2"
}

# follow N HOW NAME: makes that many requests and awaits that they wait. They are in $FOLLOWERS. No
# other request may wait meanwhile.
follow() {
	local i
	FOLLOWERS=()
	for ((i = 0; i < $1; i++)); do
		ask_in_background "$2" "$3"
		FOLLOWERS+=("$ASKER")
	done
	await in_queue "$1"
}

answers_of() {
	local id
	for id; do answer_of "$id"; done | xargs
}

# starts NAME: prints how many helpers have been started for it since the events were last read.
starts() {
	events | grep -cx "start $1"
}

# traced NAME: prints how often the kernel's trace event has fired for it.
traced() {
	grep -c "module_request: $1 " "$TRACING/trace"
}

# Takes the only slot, so that a leader must queue.
queue_up() {
	use_helper
	close_gate
	hold 1
}

patch on
references=$(</sys/module/kmod_rs/refcnt)
is "a follower waits for 2 s, if nothing else is said" "$(<"$KNOBS/coalesce_timeout_ms")" 2000
be_patient
echo >"$TRACING/trace"
echo 1 >"$TRACING/events/module/module_request/enable"

# --- Requests that come while the helper runs ---

use_helper
close_gate
lead w hold-good
follow 3 w hold-good
open_gate
is "success is for all" "$(answers_of "$LEADER" "${FOLLOWERS[@]}")" "0 0 0 0"
is "and cost no other helper" "$(starts hold-good)" 0
is "all four were traced" "$(traced hold-good)" 4

use_helper
close_gate
lead w hold-bad-exit-3
follow 3 w hold-bad-exit-3
open_gate
is "failure comes to all" "$(answers_of "$LEADER" "${FOLLOWERS[@]}")" "768 768 768 768"
is "of a second helper, for those who came late" "$(starts hold-bad-exit-3)" 1
is "all four were traced, once" "$(traced hold-bad-exit-3)" 4

use_helper
close_gate
lead w hold-signal
follow 1 w hold-signal
kill -9 "$EVENT_PID"
open_gate
is "a helper that is killed fails" "$(answers_of "$LEADER" "${FOLLOWERS[@]}")" "9 0"

# --- Requests that come before the helper is executed ---

echo 1 >"$LIMIT"
queue_up
follow 4 w exit-3
open_gate
is "one failure for all who asked before" "$(answers_of "${FOLLOWERS[@]}")" "768 768 768 768"
is "of one helper" "$(starts exit-3)" 1

# --- A helper that is killed: that says nothing about what it was to load ---

queue_up
follow 4 w hold-killed
pkill -f -- '-- hold-0$'
event start hold-killed
kill -9 "$EVENT_PID"
event start hold-killed
open_gate
is "the death of a helper is the answer of one request" \
	"$(answers_of "${FOLLOWERS[@]}" | tr ' ' '\n' | sort | xargs)" "0 0 0 9"
is "the others had one helper" "$(starts hold-killed)" 0

# --- Programs that cannot be executed ---

queue_up
echo /nonexistent >"$MODPROBE"
follow 3 w a
open_gate
is "the errno of exec is shared" "$(answers_of "${FOLLOWERS[@]}")" "$ENOENT $ENOENT $ENOENT"
echo "$HELPER" >"$MODPROBE"

# --- A leader that leaves ---

queue_up
follow 1 wv exit-4
LEADER=$ASKER
ask_in_background w exit-4
first=$ASKER
await in_queue 2
ask_in_background w exit-4
second=$ASKER
await in_queue 3
kill_asker "$LEADER"
is "the leader is killed in the queue" "$(result_of "$LEADER")" "$ERESTARTSYS"
await in_queue 2
open_gate
is "the next leads" "$(answers_of "$first" "$second")" "1024 1024"
is "with one helper" "$(starts exit-4)" 1

echo 1000 >"$KNOBS/busy_timeout_ms"
queue_up
FOLLOWERS=()
for i in 1 2 3; do
	ask_in_background w exit-5
	FOLLOWERS+=("$ASKER")
done
is "those who stand in the queue give up, each when it has waited" "$(answers_of "${FOLLOWERS[@]}")" \
	"$ETIME $ETIME $ETIME"
open_gate
await helpers_gone
is "and no helper ran" "$(starts exit-5)" 0
be_patient
echo 50 >"$LIMIT"

use_helper
close_gate
lead wv hold-left
follow 2 w hold-left
kill_asker "$LEADER"
is "the leader is killed while its helper runs" "$(result_of "$LEADER")" "$ERESTARTSYS"
open_gate
is "which answers the others nevertheless" "$(answers_of "${FOLLOWERS[@]}")" "0 0"
is "alone" "$(starts hold-left)" 0

echo 1 >"$LIMIT"
queue_up
follow 1 wv hold-left-exit-6
LEADER=$ASKER
ask_in_background w hold-left-exit-6
first=$ASKER
await in_queue 2
open_gate
event start hold-left-exit-6
close_gate
kill_asker "$LEADER"
open_gate
is "also if it fails" "$(answer_of "$first")" 1536
await helpers_gone
is "alone" "$(starts hold-left-exit-6)" 0
echo 50 >"$LIMIT"

# --- A follower that leaves ---

use_helper
close_gate
lead w hold-on
follow 2 wv hold-on
kill_asker "${FOLLOWERS[0]}"
is "a follower is killed" "$(result_of "${FOLLOWERS[0]}")" "$ERESTARTSYS"
holds "it alone leaves" await in_queue 1
open_gate
is "the others are served" "$(answers_of "$LEADER" "${FOLLOWERS[1]}")" "0 0"

use_helper
close_gate
lead w hold-long
echo 7000 >"$KNOBS/coalesce_timeout_ms"
start=$(now)
ask_in_background w hold-long
FOLLOWERS=("$ASKER")
event start hold-long
took=$(($(now) - start))
holds "a follower waits as long as the knob says, and runs its own: $took ms" [ "$took" -ge 7000 ]
be_patient
open_gate
is "both are answered" "$(answers_of "$LEADER" "${FOLLOWERS[@]}")" "0 0"

# --- Requests that do not wait ---

use_helper
close_gate
lead w hold-now
is "who does not wait is served by a helper that runs" "$(ask n hold-now)" 0
open_gate
is "it is not asked for again" "$(answer_of "$LEADER") $(starts hold-now)" "0 0"
is "it was traced" "$(traced hold-now)" 2

echo 1 >"$LIMIT"
queue_up
follow 1 w exit-7
first=$ASKER
is "but not by one that waits for a slot" "$(ask n exit-7)" 0
event end exit-7
open_gate
is "which has its own" "$(answer_of "$first") $(starts exit-7)" "1792 1"
await helpers_gone
echo 50 >"$LIMIT"

# --- Requests that are not equal ---

use_helper
close_gate
lead w hold-other
cp "$HELPER" /tmp/other-helper
echo /tmp/other-helper >"$MODPROBE"
ask_in_background w hold-other
holds "another program is another question" event start hold-other
open_gate
is "both are answered" "$(answers_of "$LEADER" "$ASKER")" "0 0"
echo "$HELPER" >"$MODPROBE"
rm -f /tmp/other-helper
await helpers_gone

echo 0 >"$KNOBS/coalesce"
use_helper
close_gate
lead w hold-apart
ask_in_background w hold-apart
holds "coalesce is 0: each has its own" event start hold-apart
open_gate
is "both are answered" "$(answers_of "$LEADER" "$ASKER")" "0 0"
echo 1 >"$KNOBS/coalesce"
await helpers_gone

# A nested request follows nobody, so that no request can wait for itself.
use_helper
close_gate
lead w hold-nested
ask_in_background w child-hold-nested
event start child-hold-nested
holds "a nested request has its own helper" event start hold-nested
ask_in_background w hold-nested
await in_queue 1
open_gate
is "all are answered" "$(answers_of "$LEADER" "$ASKER")" "0 0"
await helpers_gone

# Answers are not kept.
is "the next request searches anew" "$(ask w exit-3) $(ask w exit-3) $(starts exit-3)" "768 768 2"

# --- Many ---

# many NAME ANSWER: 48 tasks make the request at once, all of them before the first helper ends.
# Their answers are in /tmp/many, and the number of helpers is in $HELPERS.
many() {
	use_helper
	close_gate
	count_calls call_usermodehelper_exec
	/kmod_rs/load --tasks=48 --rounds=1 "w $1 $2" >/tmp/many 2>/dev/null 8>&- 9>&- &
	if is_loaded; then
		await in_queue 47
	else
		started 48
	fi
	open_gate
	wait "$!"
	HELPERS=$(calls call_usermodehelper_exec)
	forget_calls
	await helpers_gone
}

declare -A absent present
for how in on off; do
	patch "$how"
	is_loaded && be_patient
	many hold-exit-1 256
	is "48 ask for what is absent, patch $how" "$(</tmp/many)" "no other answers"
	absent[$how]=$HELPERS
	many hold-many 0
	is "48 ask for what is present, patch $how" "$(</tmp/many)" "no other answers"
	present[$how]=$HELPERS
done
rm -f /tmp/many
is "absent: helpers, in C" "${absent[off]}" 48
holds "here ${absent[on]}" [ "${absent[on]}" -le 2 ]
is "present: helpers, in C" "${present[off]}" 48
is "here" "${present[on]}" 1

# --- Killed at any moment ---

patch on
be_patient
use_silent_helper
echo 4 >"$LIMIT"
is "asked and killed" "$(/kmod_rs/load --tasks=16 --kills="$(often 400)" \
	'w exit-3 768' 'n exit-0 0' 'w sleep-5-exit-4 1024' 'w exit-0 0' 'w signal-9 9' \
	'n exit-3 0')" "no other answers"
await helpers_gone
holds "nobody waits" in_queue 0
slots_are_there 4
is "who asks leads" "$(ask w exit-3)" 768
holds "no reference is left" await references "$references"
echo 0 >"$TRACING/events/module/module_request/enable"
holds "it can be unloaded" give_back

finish
