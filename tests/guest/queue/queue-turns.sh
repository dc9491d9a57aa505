#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# While several users wait for slots, the slots go to them in turn, so that a user who makes many
# requests does not keep the others waiting. All ids of a person count as one user, and so do all
# users of a container. Root's turn comes after each turn of another account. Requests of helpers go
# first.
#
# Processors: parallel
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 11

# Takes both of two slots. $SECOND is the helper that has the second one.
take_both() {
	echo 2 >"$LIMIT"
	close_gate
	ask_in_background w hold-first
	event start hold-first
	ask_in_background w hold-second
	event start hold-second
	SECOND=$EVENT_PID
	QUEUED=0
}

# Prints the names whose helpers were started, in order.
order() {
	events | sed -n 's/^start //p' | xargs
}

# Waits for the next start of a helper, and prints its name.
next_start() {
	local what name
	while read -r -t "$TIMEOUT" what _ name <&8; do
		[[ $what == start ]] && break
	done
	echo "$name"
}

use_helper
patch on

# queue_in NAMESPACE NAME COMMAND...: makes a request in that namespace, by way of the
# command.
queue_in() {
	nsenter "$1" "${@:3}" /kmod_rs/ask w "$2" >/dev/null 8>&- 9>&- &
	QUEUED=$((QUEUED + 1))
	await in_queue "$QUEUED"
}

# One user makes many requests, then other users come.
take_one
for i in 1 2 3 4; do queue_as 1000 "a-$i"; done
for i in 1 2; do queue_as 2000 "b-$i"; done
for i in 1 2; do queue_as 0 "root-$i"; done
open_gate
wait
is "users take turns, and root after each of them" "$(order)" \
	"a-1 root-1 b-1 root-2 a-2 b-2 a-3 a-4"

# A user who makes many requests, and one who makes a single request.
take_one
/kmod_rs/load --tasks=100 --rounds=1 'w sleep-20-% 0' >/tmp/load 2>&1 8>&- 9>&- &
load=$!
await in_queue 100
QUEUED=100
queue_as 1000 once
open_gate
wait "$load"
is "the many are served" "$(grep -v '^#' /tmp/load)" "no other answers"
await helpers_gone
matches "the one after the first of them, or before" "$(order | tr ' ' '\n' | grep -n once)" \
	'^[12]:'

# The subordinate ids of a person are one account. User 1000 had the last turn but for root's; after
# it comes the other user, then the person again. With an account each, all ids came first.
use_helper
take_one
setpriv --reuid=1000 --regid=1000 --clear-groups unshare --user sleep 10000 8>&- 9>&- &
person=$!
await has_own_userns "$person"
echo "0 100000 100" | tee "/proc/$person/uid_map" >"/proc/$person/gid_map"
for i in 1 2 3 4; do
	queue_in --user="/proc/$person/ns/user" "s-$i" setpriv --reuid="$i" --keep-groups
done
queue_as 200000 other
open_gate
kill "$person"
wait
is "a person's subordinate ids have one turn" "$(order)" "other s-1 s-2 s-3 s-4"

# Kernel threads are not root. With root's account, root's request came last.
use_helper
take_one
for i in 1 2 3; do
	ask_in_background wk "k-$i"
	QUEUED=$((QUEUED + 1))
	await in_queue "$QUEUED"
done
queue_as 0 root
open_gate
wait
is "kernel threads have one turn" "$(order)" "root k-1 k-2 k-3"

# A container without a user namespace is one account, whatever users it has. The kernel had the last
# turn; accounts of containers come next. With an account each, the other user came last.
use_helper
take_one
unshare --pid --fork sleep 10000 8>&- 9>&- &
await pgrep -P $!
container=$(pgrep -P $!)
disown # It ends when all others have.
for i in 1 2 3; do
	queue_in --pid="/proc/$container/ns/pid" "p-$i" setpriv --reuid="$((1000 * i))" --clear-groups
done
queue_as 200000 other
open_gate
wait
kill -9 "$container"
is "a container has one turn" "$(order)" "p-1 other p-2 p-3"

# A helper that asks goes ahead of who waits for a slot, also of its own user. Of two requests at
# once, one runs on the slot of the helper, which is held until the other one is in the queue.
take_both
queue_as 0 children-2-hold-n
for i in 1 2; do queue_as 0 "c-$i"; done
# The queue moves by one: the helper gets the second slot, and makes its requests.
kill "$SECOND"
started 1 "hold-n-[12]"
await in_queue 3
QUEUED=3
queue_as 3000 d-1
pkill -f -- '-- hold-first$'
matches "nested requests go first" "$(next_start)" "^hold-n-[12]\$"
open_gate
wait
is "then the others" "$(order | tr ' ' '\n' | sort | xargs)" "c-1 c-2 d-1"

# A nested request counts for the user who made the outermost request: user 4000 has had his turn
# when his helper has made its request.
use_helper
take_both
queue_as 4000 children-2-hold-n
kill "$SECOND"
started 1 "hold-n-[12]"
QUEUED=1
await in_queue 1
queue_as 4000 e-1
queue_as 5000 f-1
# The other nested request gets this slot. Both end, and so does their parent. Then it is the turn of
# user 5000. From now on there is one slot, so that one helper starts after the other.
pkill -f -- '-- hold-first$'
started 1 "hold-n-[12]"
echo 1 >"$LIMIT"
pkill -f -- '-- hold-n-[12]$'
wait
is "on the account of the outermost user" "$(order)" "f-1 e-1"

# A burst: 300 names at once for 50 slots. C refuses a third of them. Where everything is slower,
# half as many take that long.
BURST=$((SLOWER > 1 ? 150 : 300))
patch off
use_silent_helper
patch on
# Shorter than the whole burst takes, longer than a queue stands still on any machine.
echo 15000 >"$KNOBS/busy_timeout_ms"
is "$BURST names at once, each for 4 s" "$(/kmod_rs/load --tasks="$BURST" --rounds=1 'w sleep-4000-% 0' 2>/dev/null)" "no other answers"
holds "it can be unloaded" give_back

rm -f /tmp/load
finish
