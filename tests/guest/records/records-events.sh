#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The trace events of the group kmod_rs: each fires once, with the values of the
# record. If nobody listens, none fires.
#
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 34

EVENTS=$TRACING/events/kmod_rs
ELOOP=-40

# events_of SEQ: prints the events of a request, without task and time.
events_of() {
	sed -En "s/.*: ([a-z_]+): seq=$1 /\1: /p" "$TRACING/trace"
}

# value EVENT KEY: prints the value in the newest event of this name.
value() {
	sed -n "s/.* $1: //p" "$TRACING/trace" | tail -n 1 | field "$2"
}

use_helper
patch on
is "the events" "$(find "$EVENTS" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort | xargs)" \
	"module_denied module_loaded request_begin request_denied request_end request_loop request_timeout"
: >"$TRACING/trace"
ask w exit-0 >/dev/null
is "nobody listens" "$(grep -c 'kmod_rs\|request_' "$TRACING/trace")" 0
echo 1 >"$EVENTS/enable"

/kmod_rs/ask -c asker w exit-5 >/dev/null
seq=$(newest seq)
is "begin and end" "$(events_of "$seq" | cut -d: -f1 | xargs)" "request_begin request_end"
for key in seq name wait comm uid userns nspid cgroup call_site chain; do
	[[ $(value request_begin "$key") == "$(newest "$key")" ]] ||
		fail "begin: $key" "$(value request_begin "$key")"
done
is "begin: loginuid" "$(value request_begin loginuid)" -1
for key in seq name outcome result helper queue_us helper_us path; do
	[[ $(value request_end "$key") == "$(newest "$key")" ]] ||
		fail "end: $key" "$(value request_end "$key")"
done
is "end: outcome" "$(value request_end outcome)" exit
matches "the task is the one that asks" "$(grep ' request_begin: ' "$TRACING/trace" | tail -n 1)" \
	"^ *asker-$(newest pid) "

# The kernel's own event comes between the two.
echo 1 >"$TRACING/events/module/module_request/enable"
ask w exit-6 >/dev/null
echo 0 >"$TRACING/events/module/module_request/enable"
is "module:module_request fires, too" "$(grep -A 2 "request_begin: seq=$(newest seq) " "$TRACING/trace" | sed 's/.*: \([a-z_]*\): .*/\1/' | xargs)" \
	"request_begin module_request request_end"

/kmod_rs/ask w again-child >/dev/null
await helpers_gone
is "loop" "$(value request_loop name) $(value request_loop chain)" \
	'"again-child" "again-child -> again-child -> again-child"'
seq=$(value request_loop seq)
is "is followed by the end" "$(events_of "$seq" | cut -d: -f1 | xargs)" \
	"request_begin request_loop request_end"
is "which has the result" "$(events_of "$seq" | grep request_end | field result)" "$ELOOP"

echo 1 >"$LIMIT"
echo 200 >"$KNOBS/busy_timeout_ms"
close_gate
hold 1
ask w exit-0 >/dev/null
is "timeout" "$(value request_timeout seq) $(value request_timeout queue_us)" \
	"$(newest seq) $(newest queue_us)"
open_gate
answer_of "$ASKER" >/dev/null
echo 50 >"$LIMIT"

echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
needed=$(missing_for algif_hash)
each() {
	# shellcheck disable=SC2086 # Words.
	printf "$1%.0s " $needed | sed 's/ $//'
}
ask w algif_hash >/dev/null
seq=$(newest seq)
is "modules" "$(events_of "$seq" | sed -n 's/module_loaded: //p' | field module | xargs)" "$needed"
is "for whom" "$(events_of "$seq" | sed -n 's/module_loaded: //p' | field name | xargs)" \
	"$(each algif_hash)"

# The same modules in the file autoloaded.
is "autoloaded" "$(field module <"$RECORDS/autoloaded" | xargs)" "$needed"
is "by which request" "$(field seq <"$RECORDS/autoloaded" | uniq)" "$seq"
is "not asked again yet" "$(field again <"$RECORDS/autoloaded" | xargs)" "$(each 0)"
ask w algif_hash >/dev/null
ask n algif_hash >/dev/null
is "asked again twice" "$(field again <"$RECORDS/autoloaded" | xargs)" "$(each 2)"
rmmod algif_hash
is "one is gone" "$(field module <"$RECORDS/autoloaded" | xargs)" "${needed% *}"
modprobe algif_hash
is "one that nobody asked for is not there" "$(field module <"$RECORDS/autoloaded" | xargs)" \
	"${needed% *}"
modprobe -r algif_hash
live=$(for module in $needed; do [[ ! -d /sys/module/$module ]] || echo "$module"; done | xargs)
is "those that went are gone" "$(field module <"$RECORDS/autoloaded" | xargs)" "$live"

# In events a long chain is cut. ftrace drops an event that does not fit into a page.
use_helper
echo 1000 >"$KNOBS/loop_repeats"
echo 32 >"$KNOBS/chain_limit"
: >"$TRACING/trace"
/kmod_rs/ask w "again-child$(printf '\001%.0s' {1..43})x" >/dev/null
await helpers_gone
short() {
	sed 's/\(\\x01\)\{43\}x/+/g'
}
is "32 helpers with hostile names: each request has its events" \
	"$(grep -c ' request_begin: ' "$TRACING/trace") $(grep -c ' request_loop: ' "$TRACING/trace") $(grep -c ' request_end: ' "$TRACING/trace")" \
	"33 1 33"
is "the chain is cut in them" \
	"$(value request_loop chain | short), $(grep ' request_begin: ' "$TRACING/trace" | tail -n 1 | field chain | short)" \
	'"again-child+ -> ... -> again-child+ -> again-child+", "again-child+ -> ... -> again-child+ -> again-child+"'
is "but not in the record" "$(recent | field chain "/outcome=loop/" | tail -n 1 | grep -o again-child | wc -l)" \
	33
longest=$(awk '{ if (length($0) > n) n = length($0) } END { print n }' "$TRACING/trace")
holds "no event has more than $longest bytes" [ "$longest" -lt 2500 ]

# The table in the admin guide, and the version that it refers to.
for event in "$EVENTS"/*/; do
	is "keys of $(basename "$event")" "$(grep -oE '[a-z_]+=%' "$event/format" | tr -d '=%' | xargs)" \
		"$(documented_keys "$(basename "$event")")"
done
# A helper is refused a module, and the task acts with the credentials of somebody else.
echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
mkdir -p /etc/modprobe.d
echo 'alias net-pf-28 dummy' >/etc/modprobe.d/kmod_rs-events.conf
set_rule autoload_deny dummy
/kmod_rs/override nobody 28 >/dev/null
rm /etc/modprobe.d/kmod_rs-events.conf
is "module_denied" "$(value module_denied seq) $(value module_denied module) $(value module_denied rule)" \
	"$(newest seq) dummy $(newest module_rule)"
is "keys of recent" "$(recent | keys)" "$(documented_keys recent)"
is "the version" "$(</sys/module/kmod_rs/version)" "$(modinfo -F version /kmod_rs/kmod-rs.ko)"

echo 0 >"$EVENTS/enable"
finish
