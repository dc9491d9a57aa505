#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A request is killed while it waits for a slot, while its helper is about to be executed, while the
# helper runs, and at hundreds of random moments. It gets -ERESTARTSYS at once, and a helper that
# exists keeps the slot (or, if the request does not wait, the permit) until it has exited.
# Afterwards all slots and permits are there, and the module can be unloaded.
#
# Processors: parallel

. "$(dirname "$0")/lib.sh"
plan 26

KILLS=$(often 400)
SLOW=/tmp/slow-helper

# A task that executes $SLOW waits before that, at most for lease-break-time, which is set below.
block_exec() {
	exec 7< <(exec /kmod_rs/block exec "$SLOW")
	BLOCKER=$!
	read -r -t "$TIMEOUT" <&7
}

unblock_exec() {
	kill "$BLOCKER"
	exec 7<&-
}

# about_to_execute N: true if that many helpers sleep there. The stack of a sleeping task begins
# where it called the scheduler. A task that is still on its way there may be running when it is
# looked at again, and then shows no stack.
about_to_execute() {
	(($(/usr/bin/grep -lzP '\A\[<0>\] __break_lease\+' /proc/[0-9]*/stack 2>/dev/null | wc -l) == $1))
}

# killed_at_once WHAT: kills the last requester, which returns at once.
killed_at_once() {
	local start took
	start=$(now)
	kill_asker "$ASKER"
	took=$(($(now) - start))
	is "killed $1" "$(result_of "$ASKER")" "$ERESTARTSYS"
	# What the requester waits for stays until the test lets it go.
	((took < 1000 * TIMEOUT)) || fail "killed $1, but after $took ms"
}

slot_is_taken() {
	ask_in_background w exit-5
	next=$ASKER
	holds "$1" await in_queue 1
}

slot_comes_back() {
	is "$1" "$(answer_of "$next")" $((5 << 8))
	await helpers_gone
}

permit_is_taken() {
	is "$1" "$(ask n exit-5) $(stat_of kept_now)" "0 1"
}

permit_comes_back() {
	holds "$1" event end exit-5
	await helpers_gone
}

echo 600 >/proc/sys/fs/lease-break-time
cp "$HELPER" "$SLOW"
chmod +x "$SLOW"
use_helper
patch on
references=$(</sys/module/kmod_rs/refcnt)
echo 1 >"$LIMIT"

# The request waits for a slot.
close_gate
hold 1
ask_in_background wv exit-1
await in_queue 1
killed_at_once "in the queue"
holds "its place is gone" await in_queue 0
open_gate
await helpers_gone

# The helper has been started and is about to be executed.
for how in w n; do
	use_helper
	echo "$SLOW" >"$MODPROBE"
	block_exec
	ask_in_background "${how}v" exit-2
	holds "its helper is about to be executed, $how" await about_to_execute 1
	killed_at_once "before exec, $how"
	is "the helper is not" "$(about_to_execute 1 && echo there)" there
	is "and counts" "$(</sys/module/kmod_rs/refcnt)" $((references + 1))
	echo "$HELPER" >"$MODPROBE"
	what=slot
	[[ $how == w ]] || what=permit
	"${what}_is_taken" "and has its $what"
	unblock_exec
	holds "then it is executed" event start exit-2
	"${what}_comes_back" "and the $what comes back"
done

# The helper runs.
use_helper
close_gate
ask_in_background wv hold-3
event start hold-3
killed_at_once "while its helper runs"
slot_is_taken "that has its slot"
open_gate
slot_comes_back "until it ends"

# Many requests are killed at any moment, also while they begin and end.
use_silent_helper
echo 5 >"$LIMIT"
is "killed $KILLS times" \
	"$(/kmod_rs/load --tasks=16 --kills="$KILLS" 'w exit-3-% 768' 'n exit-0 0' 'w sleep-1-% 0' 'w sleep-20-exit-4 1024')" \
	"no other answers"
await helpers_gone
slots_are_there 5
close_gate
for i in 1 2 3 4 5 6; do ask n "hold-n$i"; done >/dev/null
holds "so are all permits" started 5 'hold-n*'
is "and no more" "$(stat_of kept_now)" 1
open_gate
await helpers_gone
holds "no reference is held" await references "$references"
holds "it can be unloaded" give_back

rm -f "$SLOW"
finish
