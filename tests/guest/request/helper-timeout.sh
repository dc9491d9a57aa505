#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# modprobe hangs for one name. Other names are served until it has all slots, and then requests get
# -ETIME after the usual time. With kmod_rs/helper_timeout_ms, a modprobe that hangs is killed,
# once, and the log says so. One that cannot die keeps its slot, and the log says that too.

. "$(dirname "$0")/lib.sh"
plan 28

KNOB=$KNOBS/helper_timeout_ms
FROZEN=/tmp/frozen

# etime_after WHAT LEAST: a request gets -ETIME, after at least LEAST milliseconds.
etime_after() {
	local start took answer
	start=$(now)
	answer=$(ask w exit-3)
	took=$(($(now) - start))
	is "$1: refused" "$answer" "$ETIME"
	holds "after $took ms" [ "$took" -ge "$2" ]
}

hang() {
	use_helper
	close_gate
	hold "$1"
}

lines() {
	log | grep -cE "$1"
}

# --- modprobe hangs ---
for how in off on; do
	patch "$how"
	[[ $how == off ]] || echo 5000 >"$KNOBS/busy_timeout_ms"
	hang 10
	is "10 hang, others are served, patch $how" "$(ask w exit-3)" $((3 << 8))
	hold 40 more-
	etime_after "50 hang, patch $how" 5000
	open_gate
	await helpers_gone
	is "and they are served again" "$(ask w exit-3)" $((3 << 8))
done
echo 10 >"$LIMIT"
echo 300 >"$KNOBS/busy_timeout_ms"
hang 10
etime_after "as many as the limit hang" 300
open_gate
await helpers_gone

# --- Killed ---
echo 1 >"$LIMIT"
be_patient
# A helper that hangs has HANGS, so it has time to report its start. A helper that ends by itself
# has ENDS, which is enough on any machine, and this time is over as well before the test ends.
HANGS=3000 ENDS=5000
echo "$HANGS" >"$KNOB"
use_helper
close_gate
start=$(now)
ask_in_background w hold-1
hanging=$ASKER
event start hold-1
pid=$EVENT_PID
echo "$ENDS" >"$KNOB"
ask_in_background w exit-4
next=$ASKER
is "who waits gets the wait status" "$(answer_of "$hanging")" 9
took=$(($(now) - start))
holds "not too early: after $took ms" [ "$took" -ge "$HANGS" ]
is "the slot goes on" "$(answer_of "$next")" $((4 << 8))
is "the log says so, once" "$(log | grep 'took too long')" \
	"kmod_rs: modprobe for hold-1 took too long, killed: pid=$pid helper_timeout_ms=$HANGS"
is "one that does not hang is left alone" "$(ask w sleep-1-exit-5)" $((5 << 8))
is "one that nobody waits for" "$(ask n hold-2)" 0
event start hold-2
holds "is killed as well" await logged 'modprobe for hold-2 took too long, killed'
open_gate
await helpers_gone

# The requester of the helper is killed.
use_helper
close_gate
echo "$HANGS" >"$KNOB"
ask_in_background wv hold-3
event start hold-3
echo "$ENDS" >"$KNOB"
kill_asker "$ASKER"
is "killed waiter" "$(result_of "$ASKER")" "$ERESTARTSYS"
is "its helper's slot comes back" "$(ask w exit-6)" $((6 << 8))
is "it was killed" "$(lines 'modprobe for hold-3 took too long, killed')" 1
open_gate
await helpers_gone

# --- Cannot be killed ---
mkdir -p "$FROZEN"
# Loads them without a request, because loading may take more time than a helper has.
modprobe -a xfs virtio_pci virtio_blk
await test -b /dev/vda
mount -t xfs /dev/vda "$FROZEN" || fail "no file system to freeze"
use_helper
exec 7< <(exec /kmod_rs/block write "$FROZEN")
blocker=$!
read -r -t "$TIMEOUT" <&7
is "killed while it cannot be" "$(lines 'has not exited')" 0
echo "$HANGS" >"$KNOB"
ask_in_background w stuck-1
stuck=$ASKER
event start stuck-1
pid=$EVENT_PID
echo "$ENDS" >"$KNOB"
ask_in_background w exit-7
next=$ASKER
await logged 'has not exited'
is "the log says that" "$(log | grep 'has not exited')" \
	"kmod_rs: modprobe for stuck-1 has not exited, its slot stays taken: pid=$pid killed_ms_ago=5000"
holds "its slot is taken" in_queue 1
is "and nobody has an answer" "$(cat "/tmp/answers/$stuck" "/tmp/answers/$next" 2>/dev/null)" ""
kill "$blocker"
exec 7<&-
is "when it can, it dies" "$(answer_of "$stuck")" 9
is "and its slot goes on" "$(answer_of "$next")" $((7 << 8))
is "nothing more is said of it" "$(lines 'stuck-1') $(lines 'has not exited')" "2 1"
# The time of the helpers that ended by themselves was over before that.
is "nor of any that ended in time" "$(log | sed -n 's/.*modprobe for \(.*\) took too long.*/\1/p' | xargs)" "hold-1 hold-2 hold-3 stuck-1"
umount "$FROZEN"

finish
