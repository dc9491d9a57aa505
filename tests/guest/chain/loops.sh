#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A loop of requests ends at once: the third request for a name in a chain gets -ELOOP, and the log
# shows the chain. C runs as many helpers as there are slots, and gives up after 5 s.
#
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 40

ELOOP=-40
MESSAGE="runaway modprobe loop assumed and stopped"
CONFIG=/etc/modprobe.d/kmod_rs-loop.conf

LOOPS=0

# Writes a mark to the log. What follows it belongs to this loop.
mark() {
	LOOPS=$((LOOPS + 1))
	echo "loop $LOOPS" >/dev/kmsg
}

# Prints the chain of each line about a loop since the mark, without the task. A line that is equal
# to an earlier one does not come again, so each loop needs another name.
reported() {
	log | sed "1,/^loop $LOOPS\$/d" |
		sed -n "s/^kmod_rs: $MESSAGE: \(.*\) ([^ ]*\[[0-9]*\] uid 0)\$/\1/p"
}

# helpers prints how many helpers were started, got prints the results that their requests got, in
# order.
helpers() {
	grep -c '^start ' <<<"$EVENTS"
}

got() {
	sed -n 's/^got //p' <<<"$EVENTS" | xargs
}

# is_stopped: true if the log has a line about a loop since the mark.
is_stopped() {
	log | sed "1,/^loop $LOOPS\$/d" | grep -q "^kmod_rs: $MESSAGE: "
}

# run_loop NAME: makes a request and waits until its loop has ended. The answer is in $ANSWER, the
# reports of the helpers are in $EVENTS. If nobody waits for the helpers, the request returns before
# the loop has been stopped.
run_loop() {
	mark
	use_helper
	ANSWER=$(/kmod_rs/ask w "$1")
	await is_stopped
	await helpers_gone
	EVENTS=$(events)
}

# 10 different lines come to the log in 5 s.
let_the_limit_pass() {
	sleep 5.1
}

patch on
references=$(</sys/module/kmod_rs/refcnt)

run_loop again-child
is "a helper asks for its own name: $ELOOP for the third" "$(got)" \
	"again-child $ELOOP again-child 256"
is "the first is told that its helper failed" "$ANSWER" 256
is "two helpers ran" "$(helpers)" 2
is "and the log says it" "$(reported)" "again-child -> again-child -> again-child"

run_loop again-self
is "a helper that asks itself is stopped at once" "$(got)" "again-self $ELOOP"
is "one helper ran" "$(helpers)" 1
is "and the log says it" "$(reported)" "again-self -> again-self"

run_loop pair-a
is "a asks for b, b for a" "$(got)" "pair-a $ELOOP pair-b 256 pair-a 256 pair-b 256"
is "two helpers of each ran" "$(helpers)" 4
is "and the log says it" "$(reported)" "pair-a -> pair-b -> pair-a -> pair-b -> pair-a"

run_loop count-1
is "ever new names: the ninth is refused" "$(got | cut -d' ' -f1-4)" "count-9 $ELOOP count-8 256"
is "eight helpers ran" "$(helpers)" 8
is "and the log says it" "$(reported)" "$(printf 'count-%d -> ' 1 2 3 4 5 6 7 8)count-9"
echo 3 >"$KNOBS/chain_limit"
run_loop count-1
is "chain_limit counts" "$(got)" "count-4 $ELOOP count-3 256 count-2 256"
is "and the log says it" "$(reported)" "count-1 -> count-2 -> count-3 -> count-4"
echo 8 >"$KNOBS/chain_limit"

run_loop again-nowait
is "who does not wait is stopped when the chain is too long" \
	"$(got | tr ' ' '\n' | sort | uniq -c | xargs)" \
	"1 $ELOOP 7 0 8 again-nowait"
is "eight helpers ran" "$(helpers)" 8
is "and the log says it" "$(reported | sed 's/ -> / /g' | xargs -n1 | uniq -c | xargs)" \
	"9 again-nowait"

echo 3 >"$KNOBS/loop_repeats"
run_loop again-child-3
is "loop_repeats counts" "$(got)" "again-child-3 $ELOOP again-child-3 256 again-child-3 256"
is "three helpers ran" "$(helpers)" 3
is "and the log says it" "$(reported)" \
	"again-child-3 -> again-child-3 -> again-child-3 -> again-child-3"
echo 1 >"$KNOBS/loop_repeats"
run_loop pair-a1
is "and may be 1" "$(got) $(reported)" "pair-a1 $ELOOP pair-b1 256 pair-a1 -> pair-b1 -> pair-a1"
echo 2 >"$KNOBS/loop_repeats"

# The module of a socket family that does not exist: the kernel requests it again when its helper
# opens such a socket. (Debian has never had a module for family 9.)
mark
use_helper
"$HELPER" -q -- net-pf-9
is "a socket cannot be opened" "$?" 1
await helpers_gone
EVENTS=$(events)
# The first start is that of the program itself, which was run without a request.
is "two helpers ran for its family" "$(helpers)" 3
is "and the log says it" "$(reported)" "net-pf-9 -> net-pf-9 -> net-pf-9"

# Requests for the same name one after the other are no loop.
mark
use_helper
is "once more is no loop" "$(ask w exit-1) $(ask w exit-1) $(ask w exit-1) $(reported)" \
	"256 256 256 "

# The real modprobe with a loop in its configuration, compared with C.
let_the_limit_pass
mkdir -p /etc/modprobe.d /tmp/mnt
echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
echo "install fs-zzfs /bin/mount -t zzfs none /tmp/mnt" >"$CONFIG"
declare -A took helpers
for how in off on; do
	patch "$how"
	count_calls call_usermodehelper_exec
	start=$(now)
	mount -t zzfs none /tmp/mnt 2>/dev/null
	took[$how]=$(($(now) - start)) helpers[$how]=$(calls call_usermodehelper_exec)
	forget_calls
done
is "a loop of modprobe.d: helpers" "${helpers[on]}" 2
is "of C" "${helpers[off]}" 50
# C runs 50 helpers and then waits for 5 s, Rust runs 2. How much longer C takes depends on how busy
# the machine is.
holds "it takes ${took[on]} ms, in C ${took[off]} ms" [ "${took[on]}" -lt "${took[off]}" ]
is "the log says it, with the task" "$(log | grep -cE "^kmod_rs: $MESSAGE: fs-zzfs -> fs-zzfs -> fs-zzfs \(mount\[[0-9]+\] uid 0\)\$")" 1

printf '%s\n' "install looped-a /sbin/modprobe -q looped-b; /sbin/modprobe fs-looped-b" \
	"install fs-looped-a /bin/mount -t looped-b none /tmp/mnt" \
	"install fs-looped-b /bin/mount -t looped-a none /tmp/mnt" >"$CONFIG"
count_calls call_usermodehelper_exec
mount -t looped-a none /tmp/mnt 2>/dev/null
is "a loop of two install lines: helpers" "$(calls call_usermodehelper_exec)" 4
forget_calls
is "and the log says it" "$(log | grep -c "$MESSAGE: fs-looped-a -> fs-looped-b -> fs-looped-a -> fs-looped-b -> fs-looped-a ")" 1
rm -f "$CONFIG"

# A helper that hides its descent: only the slots stop the loop.
let_the_limit_pass
echo 6 >"$LIMIT"
echo 1000 >"$KNOBS/busy_timeout_ms"
echo 100 >"$KNOBS/coalesce_timeout_ms"
run_loop again-daemon
is "a daemon that asks: all slots are taken" "$(helpers)" 6
matches "then it ends" "$(got)" "^again-daemon $ETIME( again-daemon 256){5}\$"
matches "and the log says it" "$(log | grep "$MESSAGE" | tail -n 1)" \
	" again-daemon \(helper\[[0-9]+\] uid 0\) limit=6 busy_timeout_ms=1000 running=\"6 x again-daemon\"\$"
echo 50 >"$LIMIT"
be_patient

# A chain with hostile names stays on one line, and the line is complete.
let_the_limit_pass
echo 5 >"$KNOBS/loop_repeats"
run_loop "again-child$(printf '\001%.0s' {1..43})x"
is "a chain of hostile names is on one line, without its middle" \
	"$(reported | sed 's/\(\\x01\)\{43\}x/+/g')" \
	"again-child+ -> ... -> again-child+ -> again-child+"
echo 2 >"$KNOBS/loop_repeats"

# Many loops at once: each is stopped because of its own chain only.
use_silent_helper
count_calls call_usermodehelper_exec
is "20 loops at once" "$(/kmod_rs/load --tasks=20 --rounds=1 'w again-child-% 256' 2>/dev/null)" \
	"no other answers"
is "two helpers each" "$(calls call_usermodehelper_exec)" 40
forget_calls

# A helper that nobody waits for is known as long as it runs, and no longer.
use_helper
close_gate
ask_in_background wv hold-child
event start hold-child
kill_asker "$ASKER"
open_gate
await helpers_gone
holds "no reference is left" await references "$references"
holds "it can be unloaded" give_back

finish
