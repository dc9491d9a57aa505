#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kmod-rs watch shows requests as they return, with the real trace events: through an instance of
# its own, which it removes, and over unloading and loading. Nobody forges a line.
#
# Uses: kmod-rs
# Debug: --full

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
plan 26

INSTANCES=$TRACING/instances
MANY=$(often 2000)

# watch OPTION...: starts it, and waits until it listens.
watch() {
	: >/tmp/watch
	kmod-rs "$@" >/tmp/watch 2>/tmp/watch.errors 8>&- 9>&- &
	WATCH=$!
	await listens
}

listens() {
	[[ $(cat "$INSTANCES/kmod-rs-$WATCH/events/kmod_rs/enable" 2>/dev/null) == 1 ]]
}

# end_watch SIGNAL: ends it. The exit status is in $STATUS.
end_watch() {
	kill "-$1" "$WATCH"
	wait "$WATCH" 2>/dev/null
	STATUS=$?
}

# shows N: true if that many requests have been shown, besides the titles.
shows() {
	(($(grep -vc '^TIME' /tmp/watch) >= $1))
}

# said TEXT: true if watch has said this on standard error.
said() {
	grep -qx "kmod-rs: $1" /tmp/watch.errors
}

# said_twice TEXT: true if it has said this twice.
said_twice() {
	[[ $(grep -cx "kmod-rs: $1" /tmp/watch.errors) == 2 ]]
}

# is_asked_for: true if the kernel will enable the events when it loads the module.
is_asked_for() {
	grep -q ':mod:kmod_rs$' "$INSTANCES/kmod-rs-$WATCH/set_event"
}

# shown KEY: prints the value in the newest object.
shown() {
	tail -n 1 /tmp/watch | sed -En "s/.*\"$1\":(\"[^\"]*\"|\[[^]]*\]|[^,}]*).*/\1/p"
}

use_helper
patch on
: >"$TRACING/trace"
echo "of somebody else" >"$TRACING/trace_marker"

watch --json watch
is "it has an instance" "$(ls "$INSTANCES")" "kmod-rs-$WATCH"
is "the global buffer has none of the events" "$(<"$TRACING/events/kmod_rs/enable")" 0

/kmod_rs/ask -c asker w exit-5 >/dev/null
await shows 1
for key in seq name pid comm uid cgroup outcome result helper queue_us helper_us path; do
	[[ $(shown "$key" | tr -d '"') == "$(newest "$key" | tr -d '"')" ]] || fail "$key" "$(shown "$key")" "$(newest "$key")"
done
is "outcome" "$(shown outcome)" '"exit"'
began=$(newest t)
later=$(awk -v shown="$(shown t)" -v began="$began" 'BEGIN { print shown - began }')
holds "t is that of the record, or $later s later" \
	awk -v later="$later" -v most="$SLOWER" 'BEGIN { exit !(later >= 0 && later < most) }'

# A task can call itself as it likes, and the trace shows that as it is.
count=1
for comm in $'\n: request_end:' $'CPU:0 [LOST 9' $'\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n' '-1 [0] 1.000000'; do
	/kmod_rs/ask -c "$comm" w exit-6 >/dev/null
	count=$((count + 1))
	await shows "$count"
	[[ $(shown seq) == "$(newest seq)" ]] || fail "the request of ${comm@Q}" "$(tail -n 1 /tmp/watch)"
done
is "no task forges a request" "$(grep -c '"seq":' /tmp/watch)" 5
is "or a loss" "$(<"/tmp/watch.errors")" ""

# The module's events come with a name that has everything in it.
/kmod_rs/ask w $'exit-7"\nseq=9 \x1b[2J\xff\\' >/dev/null
await shows 6
is "a hostile name" "$(shown outcome) $(wc -l </tmp/watch)" '"exit" 6'
is "has no byte that a terminal would obey" "$(tr -d '\n -~' </tmp/watch | wc -c)" 0

echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
needed=$(missing_for algif_hash)
ask w algif_hash >/dev/null
await shows 7
is "modules" "$(shown modules)" "[\"${needed// /\",\"}\"]"
set_rule autoload_deny net-pf-9
ask w net-pf-9 >/dev/null
await shows 8
is "a denial" "$(shown outcome) $(shown policy) $(shown rule)" \
	'"denied" "denied" "autoload_deny net-pf-9"'
end_watch TERM
is "it ends well" "$STATUS" 0
is "and removes its instance" "$(ls "$INSTANCES")" ""

# What is in flight when it starts.
use_helper
close_gate
hold 1
watch --json watch --name 'hold-*'
open_gate
answer_of "$ASKER" >/dev/null
await shows 1
is "what began before it is known" "$(shown name) $(shown pid)" "\"hold-0\" $(newest pid)"

# Unloaded and loaded. The kernel enables the events when it loads the module, and not only when that
# is noticed.
kmod-rs off >/dev/null 2>&1 || patch off
holds "it says that the module is unloaded" await said "kmod_rs is unloaded: waiting until it is loaded again"
await is_asked_for
kill -STOP "$WATCH"
patch on
ask w hold-on >/dev/null
kill -CONT "$WATCH"
holds "and that it is loaded again" await said "kmod_rs is loaded again"
await shows 2
is "it has the first request" "$(shown seq) $(shown name) $(shown tgid)" '1 "hold-on" null'

# Both while it does not run. What is known from a record has a tgid.
kill -STOP "$WATCH"
patch off
patch on
ask w hold-again >/dev/null
kill -CONT "$WATCH"
holds "even if it was not seen to be unloaded" await said_twice "kmod_rs is loaded again"
await shows 3
is "it has the first request" "$(shown seq) $(shown name) $(shown tgid)" \
	"1 \"hold-again\" $(newest tgid)"
is "in the global buffer all is as it was" \
	"$(grep -v '^#' "$TRACING/trace" | sed 's/.*: //')" "of somebody else"

# Killed, it leaves the instance to the next one.
end_watch KILL
is "killed, it leaves an instance" "$(ls "$INSTANCES")" "kmod-rs-$WATCH"
watch watch
is "which the next one removes" "$(ls "$INSTANCES")" "kmod-rs-$WATCH"
matches "titles for people" "$(head -n 1 /tmp/watch)" '^TIME +NAME +OUTCOME '

# Three events for each request that is denied.
set_rule autoload_deny 'net-pf-*'
exec {ASK}<>/dev/kmod_ask
start=$(now)
for ((i = 0; i < MANY; i++)); do
	printf 'w net-pf-%d' "$i" >&"$ASK"
	read -r _ <&"$ASK"
done
took=$(($(now) - start))
exec {ASK}>&-
holds "it keeps up with $((3 * MANY * 1000 / took)) events a second" await shows "$MANY"
is "none is lost" "$(wc -l </tmp/watch) $(<"/tmp/watch.errors")" "$((MANY + 1)) "
end_watch INT
is "Ctrl-C ends it well" "$STATUS $(ls "$INSTANCES")" "0 "

matches "for root only" "$(as_nobody kmod-rs watch 2>&1; echo $?)" 'run this as root.1$'
rm -f /tmp/watch /tmp/watch.errors
finish
