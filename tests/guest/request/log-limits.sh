#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Nobody can keep the lines of others out of the log. Each account has a limit of its own for each
# kind of line, all of them together have one that leaves room for the kernel, and root's lines do
# not count in that. What is left out is counted, and the counts come to the log.
#
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 25

# as_uid UID COMMAND...: runs the command as this user, without any capability.
as_uid() {
	setpriv --reuid="$1" --clear-groups --bounding-set=-all --inh-caps=-all "${@:2}"
}

# begin_part: loads the module again, so that nothing counts against a limit, and begins another
# part of the log.
begin_part() {
	patch off
	PART=$((${PART:-0} + 1))
	echo "part $PART" >/dev/kmsg
	patch on
}

# Prints this part of the log.
part() {
	log | awk -v mark="part $PART" 'begun; $0 == mark { begun = 1 }'
}

# denied NAME: how many lines say that a request was denied for a name that matches the regular
# expression.
denied() {
	part | grep -cE "^kmod_rs: autoload denied: $1 "
}

# left_out KIND ACCOUNT: prints how many lines were left out, by the reports in the log. Both are
# regular expressions.
left_out() {
	part | sed -nE "s|^kmod_rs: lines left out: kind=$1 account=$2 lines=([0-9]+)\$|\1|p" |
		awk '{ sum += $1 } END { print sum + 0 }'
}

# are_counted N NAME KIND ACCOUNT: true if the lines about these names that were written, and those
# that were left out, are N.
are_counted() {
	(($(part | grep -cE "^kmod_rs: .*[ :] $2 ") + $(left_out "$3" "$4") == $1))
}

# start_load ARGUMENT...: makes requests in the background (see load.c), and waits until N of them
# have been denied.
start_load() {
	local least=$1
	START=$SECONDS
	/kmod_rs/load "${@:2}" >/tmp/load 2>&1 &
	LOAD=$!
	await eval "((\$(stat_of denied) >= $least))"
}

# end_load: waits for the end. In $ASKED is how many requests there were, in $INTERVALS how many
# times 5 s at most.
end_load() {
	wait "$LOAD"
	ASKED=$(sed -n 's/^# asked \([0-9]*\) times.*/\1/p' /tmp/load)
	INTERVALS=$((1 + (SECONDS + 1 - START) / 5))
}

# Prints the largest number of lines that users caused in any 2 s, by the kernel's own times. The
# limit is 100 in 5 s, but a line may come to the log some time after it was counted.
most_at_once() {
	dmesg | awk -F'[][]' -v mark=" part $PART" '
		$3 == mark { begun = 1 }
		begun && /kmod_rs: (autoload denied: many-|lines left out: .*account=[^0])/ {
			times[++n] = $2
			while (times[n] - times[first + 1] >= 2) first++
			if (n - first > most) most = n - first
		}
		END { print most + 0 }'
}

use_helper

# --- A flood of different names ---
begin_part
set_rule autoload_mode 1
set_rule autoload_deny 'never-*'
start_load 100 --tasks=2 --uids=65533 --until=/tmp/stop "w flood-% $NOT_FOUND"
for i in 1 2 3; do ask w "again-child-$i" >/dev/null; done
ask w never-1 >/dev/null
as_uid 1000 /kmod_rs/ask w other-user >/dev/null
ask wk never-2 >/dev/null
: >/tmp/stop
end_load
for i in 1 2 3; do
	holds "a loop of root's is in the log, $i" logged \
		"^kmod_rs: runaway modprobe loop .*: again-child-$i -> again-child-$i -> again-child-$i "
done
is "so is a denial of root's" "$(denied never-1)" 1
is "and one of another user's" "$(denied other-user)" 1
is "and one of the kernel's" "$(denied never-2)" 1
is "all of the flood were denied" "$(grep -v '^#' /tmp/load)" "no other answers"
written=$(denied 'flood-[0-9]+')
holds "$written of its $ASKED lines are in the log: ten in 5 s for each of two users" \
	[ "$written" -ge 20 -a "$written" -le $((20 * INTERVALS)) ]
holds "the others are counted" await are_counted "$ASKED" 'flood-[0-9]+' denied '6553[34]'
is "nobody else's are" "$(left_out '[^ ]+' '[^ ]+')" $((ASKED - written))

# --- Equal lines ---
begin_part
set_rule autoload_mode 1
start_load 200 --tasks=4 --rounds=50 --uids=65534,0 "w equal $NOT_FOUND"
end_load
is "$ASKED equal requests were denied" "$(grep -v '^#' /tmp/load)" "no other answers"
is "one is in the log" "$(denied equal)" 1
is "there is room for others" "$(nobody_asks not-equal) $(denied not-equal)" "$NOT_FOUND 1"
is "an equal one of another user's is another one" \
	"$(as_uid 1000 /kmod_rs/ask w equal) $(denied equal)" "$NOT_FOUND 2"
patch off
is "the others are counted, when the module goes at the latest" "$(left_out denied 65534)" 199

# --- Who is named ---
begin_part
set_rule autoload_deny 'box-* kern-* crypto-*'
DOZEN=(/kmod_rs/load --tasks=1 --rounds=12)
# shellcheck disable=SC2016 # For the other shell.
unshare --pid --fork bash -c 'readlink /proc/self/ns/pid >/tmp/namespace; "$@"' - \
	"${DOZEN[@]}" "w box-% $NOT_FOUND" >/dev/null 2>&1
namespace=$(sed 's/[][]/\\&/g' /tmp/namespace)
holds "a container" await are_counted 12 'box-[0-9]+' denied "$namespace"
"${DOZEN[@]}" "wk kern-% $NOT_FOUND" >/dev/null 2>&1
holds "the kernel" await are_counted 12 'kern-[0-9]+' denied kernel
"${DOZEN[@]}" "wk crypto-% $NOT_FOUND" >/dev/null 2>&1
holds "and the ciphers that it makes requests for" \
	await are_counted 12 'crypto-[0-9]+' denied kernel/chosen
as_uid 1234 /kmod_rs/load --tasks=12 --rounds=1 "w again-self-% 256" >/dev/null 2>&1
holds "the user whose request leads to a loop" \
	await are_counted 12 'again-self-[0-9]+ -> again-self-[0-9]+' loop 1234

# --- Many users ---
begin_part
set_rule autoload_mode 1
set_rule autoload_deny 'never-*'
start_load 600 --tasks=100 --uids=2001 --rounds=12 "w many-% $NOT_FOUND"
for i in {1..10}; do ask w "never-root-$i" >/dev/null; done
ask wk never-kernel >/dev/null
end_load
is "$ASKED requests of 100 users were denied" "$(grep -v '^#' /tmp/load)" "no other answers"
is "each of root's ten lines is in the log" "$(denied 'never-root-[0-9]+')" 10
is "and the kernel's" "$(denied never-kernel)" 1
patch off
written=$(denied 'many-[0-9]+') most=$(most_at_once)
holds "$written of the users' lines are, as many as can be" [ "$written" -ge 80 ]
holds "never more than 100 at once: $most" [ "$most" -le 100 ]
holds "all others are counted" are_counted "$ASKED" 'many-[0-9]+' '[^ ]+' '[^ ]+'

rm -f /tmp/load /tmp/stop /tmp/namespace
finish
