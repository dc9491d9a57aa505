#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Others patch or probe __request_module(), before and after this module, and go
# in any order. Kprobes and fprobes go on counting. Of two livepatches, the
# newest serves. A livepatch that replaces all others makes this module
# inactive, so that it can be unloaded. A kprobe that claims the function for
# itself keeps this module out, and the log says so.

. "$(dirname "$0")/lib.sh"

EL2HLT=-51
OTHER=/sys/kernel/livepatch/klp_request
PROBE_HITS=/sys/module/probe_request/parameters/hits
EVENTS=$TRACING/events/kmod_rs_foreign
HAVE_FPROBE=""
! grep -q '^[[:space:]]*f\[:' "$TRACING/README" || HAVE_FPROBE=1
plan 35

asked() {
	ask w exit-7
}
OURS=$((7 << 8))

# who: prints who serves requests. Only Rust answers with -ETIME when there is
# no slot.
who() {
	case $(asked) in
	"$EL2HLT") echo other ;;
	"$ETIME") echo rust ;;
	"$OURS") echo c ;;
	*) echo unknown ;;
	esac
}

# Makes the answers of Rust and C differ: the only slot is taken for good.
no_slot() {
	echo 1 >"$LIMIT"
	echo 1 >"$KNOBS/busy_timeout_ms"
	ask_in_background w hold-slot
	event start hold-slot
	# No task may be in the function, or the other livepatch waits for it.
	kill_asker "$ASKER"
}

other_settled() {
	[[ $(<"$OTHER/transition") == 0 ]]
}

other_unused() {
	[[ ! -e $OTHER && $(</sys/module/klp_request/refcnt) == 0 ]]
}

# other_on [PARAMETER...]
# shellcheck disable=SC2120
other_on() {
	insmod /kmod_rs/klp_request.ko "$@" && await other_settled
}

other_off() {
	[[ ! -e $OTHER ]] || echo 0 >"$OTHER/enabled" || return
	await other_unused && rmmod klp_request
}

# counts WHAT: true if a request adds one to the number that the function WHAT
# prints.
counts() {
	local before
	before=$("$1")
	asked >/dev/null
	(($("$1") == before + 1))
}

kprobe_hits() {
	cat "$PROBE_HITS"
}

fprobe_hits() {
	grep -c 'foreign: ' "$TRACING/trace"
}

fprobe_on() {
	[[ ! $HAVE_FPROBE ]] || {
		: >"$TRACING/trace"
		echo 'f:kmod_rs_foreign/foreign __request_module' >>"$TRACING/dynamic_events" &&
			echo 1 >"$EVENTS/enable"
	}
}

fprobe_off() {
	[[ ! -e $EVENTS ]] || {
		echo 0 >"$EVENTS/enable" &&
			echo '-:kmod_rs_foreign/foreign' >>"$TRACING/dynamic_events"
	}
}

probes_count() {
	holds "$1: the kprobe counts" counts kprobe_hits
	if [[ $HAVE_FPROBE ]]; then
		holds "$1: the fprobe counts" counts fprobe_hits
	else
		ktap_test_skip "$1: the kernel has no fprobes"
	fi
}

use_helper

# --- Probes before and after ---
insmod /kmod_rs/probe_request.ko
fprobe_on
probes_count "alone"
holds "taken over with probes there" take_over
probes_count "probes first"
is "Rust answers" "$(asked)" "$OURS"
holds "given back" give_back
probes_count "after that"
rmmod probe_request
fprobe_off

take_over
insmod /kmod_rs/probe_request.ko
fprobe_on
probes_count "probes last"
holds "the kprobe goes first" rmmod probe_request
holds "and the fprobe" fprobe_off
is "Rust answers" "$(asked)" "$OURS"
give_back

# --- A kprobe that claims the function ---
insmod /kmod_rs/probe_request.ko post=1
matches "insmod is refused while the function is claimed" "$(insmod /kmod_rs/kmod-rs.ko 2>&1)" \
	'resource busy$'
holds "the log says why" logged 'kmod_rs: .*__request_module\(\).* in use by '
is "nothing is left" "$(ls -d /sys/module/kmod_rs "$LIVEPATCH" "$LIMIT" "$KNOBS" 2>/dev/null)" ""
rmmod probe_request
holds "without it all is well" take_over

# --- Another livepatch ---
close_gate
no_slot
is "before" "$(who)" rust
holds "another livepatch, loaded after" other_on
is "the newest serves" "$(who)" other
other_off
is "and when it is gone, Rust again" "$(who)" rust

other_on
open_gate
await helpers_gone
holds "ours can go first" give_back
is "which changes nothing" "$(who)" other

holds "ours, loaded after" take_over
close_gate
no_slot
is "is the newest" "$(who)" rust
is "replaces nobody" "$(cat "$OTHER/enabled" 2>&1)" 1
is "both can be seen" "$(cd /sys/kernel/livepatch && printf '%s\n' */vmlinux/__request_module* | cut -d/ -f1 | xargs)" \
	"klp_request kmod_rs"
other_off
is "and stays when the other goes" "$(who)" rust

# --- A livepatch that replaces all others ---
open_gate
await helpers_gone
holds "a livepatch that replaces all others" other_on replace=1
is "serves" "$(who)" other
holds "ours is out" await released
is "not active" "$(<"$KNOBS/active")" 0
holds "rmmod" rmmod kmod_rs
other_off
is "at last C" "$(who)" c

finish
