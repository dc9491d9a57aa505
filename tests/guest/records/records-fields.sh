#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Each field of a record is compared with another source.
#
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 64

KEYS="seq t name wait pid tgid comm uid loginuid userns nspid cgroup call_site chain helper queue_us helper_us outcome result modules path"
ELOOP=-40

uptime_us() {
	local uptime
	read -r uptime _ </proc/uptime
	echo $((${uptime/./} * 10000))
}

# between WHAT LEAST VALUE MOST
between() {
	if (($2 <= $3 && $3 <= $4)); then \
		pass "$1"; else fail "$1" "expected: $2 to $4" "got:      $3"; fi
}

use_helper
patch on

is "nothing was asked: no records" "$(recent)" ""
is "nor anything in flight" "$(in_flight)" ""

before=$(uptime_us)
/kmod_rs/ask -c known w exit-3 >/dev/null &
asker=$!
wait "$asker"
after=$(uptime_us)
is "the keys, in their order" "$(recent | keys)" "$KEYS"
is "seq of the first" "$(newest seq)" 1
t=$(newest t)
between "t" "$before" "${t/./}" "$((after + 10000))"
is "name" "$(newest name)" '"exit-3"'
is "wait" "$(newest wait)" 1
is "pid" "$(newest pid)" "$asker"
is "tgid" "$(newest tgid)" "$asker"
is "comm" "$(newest comm)" '"known"'
is "uid" "$(newest uid)" 0
is "loginuid of who never logged in" "$(newest loginuid)" -
is "userns" "$(newest userns)" initial
is "nspid in the initial namespace" "$(newest nspid)" "$asker"
is "cgroup" "$(newest cgroup)" '"/"'
address=$(awk '$3 == "ask" && $4 == "[kmod_ask]" { print $1 }' /proc/kallsyms)
matches "call_site" "$(newest call_site)" '^"ask\+0x[0-9a-f]+/0x[0-9a-f]+ \[kmod_ask\]"$'
holds "which kallsyms knows" test -n "$address"
is "chain" "$(newest chain)" -
event start exit-3
is "helper" "$(newest helper)" "$EVENT_PID"
is "outcome and result of exit(3)" "$(newest outcome) $(newest result)" "exit 768"
is "modules" "$(newest modules)" -

ask n exit-3 >/dev/null
is "one that does not wait" "$(newest seq) $(newest wait) $(newest outcome) $(newest result) $(newest helper_us)" "2 0 started 0 -"
await helpers_gone

# The requester.
/kmod_rs/ask -t w exit-0 >/dev/null 2>/tmp/ids
is "pid and tgid of a thread" "$(newest pid) $(newest tgid)" "$(xargs </tmp/ids)"
setpriv --reuid=1234 --clear-groups /kmod_rs/ask w exit-0 >/dev/null
is "uid" "$(newest uid)" 1234
expected=-
if [[ -e /proc/self/loginuid ]]; then
	expected=1001
	bash -c 'echo 1001 >/proc/self/loginuid; exec /kmod_rs/ask w exit-0' >/dev/null
fi
is "loginuid" "$(newest loginuid)" "$expected"
unshare --user --map-root-user /kmod_rs/ask w exit-0 >/dev/null
is "in another user namespace" "$(newest userns) $(newest uid)" "other 0"
unshare --pid --fork /kmod_rs/ask w exit-0 >/dev/null
is "nspid in a new pid namespace" "$(newest nspid)" 1
holds "where pid is another" [ "$(newest pid)" -gt 1 ]

# in_cgroup DIRECTORY: makes a request from a task in this cgroup.
in_cgroup() {
	mkdir -p "/sys/fs/cgroup/$1"
	bash -c 'echo 0 >"/sys/fs/cgroup/$0/cgroup.procs"; exec /kmod_rs/ask w exit-0' "$1" \
		>/dev/null
}
in_cgroup "kmod_rs/a b\"c"
is "cgroup" "$(newest cgroup)" '"/kmod_rs/a b\x22c"'
long=kmod_rs/$(printf 'x%.0s' {1..80})/$(printf 'y%.0s' {1..80})/end
in_cgroup "$long"
is "of a long cgroup the end" "$(newest cgroup)" "\"...${long: -124}\""

# The call site in the kernel itself.
echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
mount -t zzfs none /mnt 2>/dev/null
size=$(symbol_size get_fs_type)
is "call site in the kernel" "$(newest name) $(newest call_site | sed 's/+0x[0-9a-f]*\//+.../')" \
	"\"fs-zzfs\" \"get_fs_type+...$size\""
is "modprobe did not find it" "$(newest outcome) $(newest result)" "exit $NOT_FOUND"

# A module asks in its init part, which is freed afterwards. The next module may come to the same
# place, with something else at the same address.
use_silent_helper
said=""
for i in 1 2 3; do
	for module in nest_a nest_b; do
		insmod "/kmod_rs/$module.ko"
		said+=" $(newest call_site | sed 's/.*\[\(.*\)\].*/\1/')"
		rmmod "$module"
	done
done
is "call sites of modules that come and go" "$said" " nest_a nest_b nest_a nest_b nest_a nest_b"
echo "$ORIGINAL_MODPROBE" >"$MODPROBE"

# The outcome.
needed=$(missing_for algif_hash)
is "a module and what it needs" "$(ask w algif_hash)" 0
is "loaded" "$(newest outcome) $(newest result)" "loaded 0"
is "modules" "$(newest modules | tr -d '"')" "$needed"
before=$(stat_of nothing)
is "asked again, it is there already" "$(ask w algif_hash)" 0
is "nothing" "$(newest outcome) $(newest result) $(newest modules)" "nothing 0 -"
is "the counters tell the two apart" "$(stat_of loaded) $(($(stat_of nothing) - before))" "1 1"
modprobe -r algif_hash
# modprobe says that all is well of an alias whose module is blacklisted.
mkdir -p /etc/modprobe.d
echo "blacklist xfs" >/etc/modprobe.d/kmod_rs-blacklist.conf
is "an alias of a blacklisted module" "$(ask w fs-xfs)" 0
rm /etc/modprobe.d/kmod_rs-blacklist.conf
is "nothing" "$(newest outcome) $(newest modules)" "nothing -"
use_helper
ask w signal-15 >/dev/null
is "signal" "$(newest outcome) $(newest result)" "signal 15"
is "path" "$(newest path)" "\"$HELPER\""
odd="/tmp/a b\"\\"
ln -s "$HELPER" "$odd"
printf %s "$odd" >"$MODPROBE"
ask n exit-0 >/dev/null
is "of a link with a special name" "$(newest path)" "\"/tmp/a b\\x22\\x5c\""
await helpers_gone
rm "$odd"
echo /absent >"$MODPROBE"
ask w exit-0 >/dev/null
is "of a program that is absent" "$(newest path)" '"/absent"'
is "errno" "$(newest outcome) $(newest result) $(newest helper | grep -c '[0-9]')" "errno $ENOENT 1"
echo >"$MODPROBE"
ask w exit-0 >/dev/null
is "off" "$(newest outcome) $(newest result) $(newest helper) $(newest queue_us)" "off $ENOENT - -"
is "no program was run" "$(newest path)" -
echo "$HELPER" >"$MODPROBE"
name=0123456789012345678901234567890123456789012345678901234567890
ask w "$name" >/dev/null
is "toolong" "$(newest outcome) $(newest result) $(newest name)" \
	"toolong $ENAMETOOLONG \"${name:0:55}\""

# Chains.
use_helper
/kmod_rs/ask w again-child >/dev/null
await helpers_gone
is "loop" "$(recent | grep -m 1 outcome=loop | field chain)" \
	'"again-child -> again-child -> again-child"'
is "and its result" "$(recent | grep -m 1 outcome=loop | field result)" "$ELOOP"
is "the chain of the one before" "$(recent | tail -n 2 | head -n 1 | field chain)" \
	'"again-child -> again-child"'

# The times.
ask w sleep-300 >/dev/null
between "helper_us" 300000 "$(newest helper_us)" 30000000
echo 1 >"$LIMIT"
close_gate
hold 1
is "in flight" "$(in_flight | field name) $(in_flight | field outcome) $(in_flight | field helper)" "\"hold-0\" - $(pgrep -x helper)"
holder=$ASKER
echo 300 >"$KNOBS/busy_timeout_ms"
ask w exit-0 >/dev/null
is "timeout" "$(newest outcome) $(newest result) $(newest helper_us)" "timeout $ETIME -"
is "no program was run" "$(newest path)" -
between "queue_us" 300000 "$(newest queue_us)" 30000000
be_patient
ask_in_background w exit-7
await in_queue 1
kill_asker "$ASKER"
is "killed in the queue" "$(newest outcome) $(newest result) $(newest helper)" \
	"killed $ERESTARTSYS -"
ask_in_background w hold-0
await in_queue 1
open_gate
answer_of "$holder" >/dev/null
answer_of "$ASKER" >/dev/null
is "shared" "$(recent | grep 'outcome=shared' | field pid) $(recent | grep 'outcome=shared' | field result)" "$ASKER 0"
is "the program of the other's helper" "$(recent | grep 'outcome=shared' | field path)" \
	"\"$HELPER\""
echo 50 >"$LIMIT"

# Killed while its helper runs: the record is completed when the helper ends.
close_gate
ask_in_background w hold-exit-4
event start hold-exit-4
kill_asker "$ASKER"
is "killed" "$(newest outcome) $(newest result) $(newest helper) $(newest helper_us)" \
	"killed $ERESTARTSYS $EVENT_PID -"
is "it is in flight" "$(in_flight | field seq)" "$(newest seq)"
open_gate
await helpers_gone
await nothing_in_flight
is "completed in place" "$(newest outcome) $(newest result)" "exit $ERESTARTSYS"

# The record of a request that does not wait is completed by its module.
echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
seq=$(newest seq)
ask n algif_hash >/dev/null
await loaded "$((seq + 1))" algif_hash
is "a module of one that does not wait" \
	"$(newest result) $(newest helper_us) $(newest modules | grep -c algif_hash)" "0 - 1"
modprobe -r algif_hash

finish
