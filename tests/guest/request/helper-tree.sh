#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# When the time of a helper is over (kmod_rs/helper_timeout_ms), all that descends from it is
# killed, also if the request does not wait, and if it forks without end. Then, and only then, the
# slot comes back when the last of these processes has ended. A helper that ends by itself gives its
# slot back at once, and what it has left running runs on.
#
# Debug: --full

. "$(dirname "$0")/lib.sh"
BOMBS=$(often 2)
plan $((29 + 4 * BOMBS))

KNOB=$KNOBS/helper_timeout_ms
FROZEN=/tmp/frozen
# A helper that hangs has time to start what descends from it and to report that, one that ends by
# itself has time to do so. For one that forks without end, any time will do.
TIME=8000 FORKS=2000

# tree_of NAME: waits for the start of the helper for NAME, of its child and of its grandchild. Their
# ids are in $HELPER_PID, $CHILD and $GRANDCHILD.
tree_of() {
	event start "$1" && HELPER_PID=$EVENT_PID
	event child "$1" && CHILD=$EVENT_PID
	event grandchild "$1" && GRANDCHILD=$EVENT_PID
}

# all_die WHAT: three points.
all_die() {
	holds "$1 dies" await is_gone "$HELPER_PID"
	holds "$1: so does its child" await is_gone "$CHILD"
	holds "$1: and its grandchild" await is_gone "$GRANDCHILD"
}

# True if no helper runs, nor what it has started. What has exited may not have been reaped.
none_runs() {
	local pid state
	for pid in $(pids_of helper); do
		if read -r _ _ state _ <"/proc/$pid/stat" && [[ $state != [ZX] ]]; then
			return 1
		fi
	done 2>/dev/null
}

patch on
echo 1 >"$LIMIT"
use_helper
close_gate

# --- All that descends from it ---
echo "$TIME" >"$KNOB"
ask_in_background w tree-1
tree_of tree-1
is "who waits gets the wait status" "$(answer_of "$ASKER")" 9
all_die "helper"
is "the log says so, once" "$(log | grep 'tree-1')" \
	"kmod_rs: modprobe for tree-1 took too long, killed: pid=$HELPER_PID helper_timeout_ms=$TIME"
is "the slot is back" "$(ask w exit-3)" $((3 << 8))

# --- A request that does not wait ---
is "who does not wait" "$(ask n tree-2)" 0
tree_of tree-2
all_die "helper that nobody waits for"
is "the log says that, too" "$(log | grep 'tree-2')" \
	"kmod_rs: modprobe for tree-2 took too long, killed: pid=$HELPER_PID helper_timeout_ms=$TIME"

# --- The slot comes last ---
mkdir -p "$FROZEN"
# Loads them without a request, because loading may take more time than a helper has.
modprobe -a xfs virtio_pci virtio_blk
await test -b /dev/vda
mount -t xfs /dev/vda "$FROZEN" || fail "no file system to freeze"
exec 7< <(exec /kmod_rs/block write "$FROZEN")
blocker=$!
read -r -t "$TIMEOUT" <&7
ask_in_background w tree-stuck-1
tree_of tree-stuck-1
is "a grandchild that cannot die delays no answer" "$(answer_of "$ASKER")" 9
is "but the helper has died" "$(is_gone "$HELPER_PID" && await is_gone "$CHILD" && echo yes)" yes
ask_in_background w exit-5
holds "and its slot is taken" await in_queue 1
await logged 'has not exited'
is "the log says by whom" "$(log | grep 'has not exited')" \
	"kmod_rs: modprobe for tree-stuck-1 has not exited, its slot stays taken: pid=$GRANDCHILD killed_ms_ago=5000"
holds "it is taken still" in_queue 1
is "nothing of it is in flight" "$(in_flight | grep -c tree-stuck)" 0
kill "$blocker"
exec 7<&-
is "it is given on when that has died" "$(answer_of "$ASKER")" $((5 << 8))
holds "which it has" await is_gone "$GRANDCHILD"
umount "$FROZEN"

# --- A helper that ends by itself ---
echo 3600000 >"$KNOB"
is "one that leaves a child behind" "$(ask w leave-1)" 0
event child leave-1
ask_in_background w exit-6
is "gives its slot back at once" "$(answer_of "$ASKER")" $((6 << 8))
echo "$TIME" >"$KNOB"
is "one that does so, and has less time" "$(ask w leave-2)" 0
event child leave-2
left=$EVENT_PID
# When the time of this one is over, that of the other one would have been.
is "one that is killed later" "$(ask w hold-1)" 9
holds "and the child runs on" test -e "/proc/$left"

# --- The module ---
echo 3600000 >"$KNOB"
is "one that nobody waits for, and has time" "$(ask n hold-2)" 0
event start hold-2
echo 0 >"$LIVEPATCH/enabled"
await test ! -e "$LIVEPATCH"
holds "the module is in use as long as it runs" await references 1
open_gate
holds "but no longer" await released
patch off
patch on
echo "$FORKS" >"$KNOB"
is "one that forks without end, and nobody waits for" "$(ask n bomb-0)" 0
patch off
holds "does not keep the module either" none_runs

# --- It forks without end ---
patch on
echo 1 >"$LIMIT"
for ((i = 1; i <= BOMBS; i++)); do
	for how in bomb spawn; do
		echo "$FORKS" >"$KNOB"
		is "one that forks without end, $how-$i" "$(ask w "$how-$i")" 9
		echo 3600000 >"$KNOB"
		is "and the slot is back when all have ended, $how-$i" \
			"$(ask w exit-7) $(none_runs && echo "none left")" "$((7 << 8)) none left"
	done
done

finish
