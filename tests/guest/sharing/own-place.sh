#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A request never waits longer because it shares: each of several equal requests waits for a slot at
# its own place in the queue, and the first of them to get one runs the helper for all.

. "$(dirname "$0")/lib.sh"
plan 8

# Opens the gate and waits until all are answered.
let_go() {
	open_gate
	wait
	await helpers_gone
}

# Prints the names whose helpers were started, in order.
order() {
	events | sed -n 's/^start //p' | xargs
}

answers() {
	sort /tmp/answered | uniq -c | xargs
}

patch on
be_patient
use_helper

# A user's request for the name is behind his others, root's is not.
take_one
for i in 1 2 3; do queue_as 1000 "a-$i"; done
queue_as 1000 exit-3-shared
queue_as 0 exit-3-shared
let_go
is "root does not wait for a user's turns" "$(order)" "a-1 exit-3-shared a-2 a-3"
is "and the user has the same answer" "$(answers)" "3 0 2 768"

# The other way round.
take_one
for i in 1 2 3; do queue_as 0 "r-$i"; done
queue_as 0 exit-3-shared
queue_as 1000 exit-3-shared
let_go
is "nor a user for root's requests" "$(order)" "r-1 exit-3-shared r-2 r-3"
is "and root has the same answer" "$(answers)" "3 0 2 768"

# Who follows has left the queue, and takes nobody's turn.
take_one
queue_as 3000 hold-shared
queue_as 4000 hold-shared
for i in 1 2; do queue_as 5000 "b-$i"; done
pkill -f -- '-- hold-0$'
event start hold-shared
let_go
is "the others come next" "$(order)" "b-1 b-2"
is "all are answered" "$(answers)" "4 0"

# If the helper says nothing about the name, those who followed come back to their old places. They
# may miss the slot that their leader gives back.
take_one
queue_as 1000 hold-shared
queue_as 0 hold-shared
for i in 1 2 3; do queue_as 0 "r-$i"; done
pkill -f -- '-- hold-0$'
event start hold-shared
kill -9 "$EVENT_PID"
let_go
matches "a follower comes back to its old place" "$(order)" \
	'^(hold-shared r-1|r-1 hold-shared) r-2 r-3$'
is "and only one request has the death for an answer" "$(answers)" "4 0 1 9"

finish
