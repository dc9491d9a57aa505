#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Requests that wait for a slot are served in the order of their arrival.
# Requests that come while slots are handed over do not overtake them.

. "$(dirname "$0")/lib.sh"
plan 3

WAITERS=8 NEWCOMERS=30

use_helper
patch on
echo 1 >"$LIMIT"
close_gate
hold 1

askers=()
expected=""
for ((i = 1; i <= WAITERS; i++)); do
	ask_in_background w "sleep-50-exit-$i"
	askers+=("$ASKER")
	await in_queue "$i"
	expected+="start sleep-50-exit-$i"$'\n'
done

# Other requests come all the time while these are served.
open_gate
for ((i = 0; i < NEWCOMERS; i++)); do
	ask_in_background w "newcomer-$i"
done
answers=$(for id in "${askers[@]}"; do answer_of "$id"; done | xargs)
wait

order=$(events | grep '^start')
is "each got its answer" "$answers" \
	"$(for ((i = 1; i <= WAITERS; i++)); do echo $((i << 8)); done | xargs)"
is "first come, first served" "$(head -n "$WAITERS" <<<"$order")" "${expected%$'\n'}"
is "newcomers after them" \
	"$(tail -n "+$((WAITERS + 1))" <<<"$order" | grep -c '^start newcomer-')" "$NEWCOMERS"

finish
