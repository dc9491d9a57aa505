#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# insmod takes request_module() over. A request that is in the C code already
# ends there and gets its answer. Later requests go to Rust, even before insmod
# has returned.

. "$(dirname "$0")/lib.sh"
plan 15

use_helper
close_gate
ask_in_background w hold-in-c-exit-7
in_c=$ASKER
event start hold-in-c-exit-7

holds "insmod" insmod /kmod_rs/kmod-rs.ko
is "active" "$(<"$KNOBS/active")" 1
holds "the new request is not in C" await is_patched $$
is "the old one is, which the transition waits for" \
	"$(<"/proc/$in_c/patch_state") $(<"$LIVEPATCH/transition")" "0 1"

# One helper of Rust takes the only slot. The helper of C does not count.
echo 1 >"$LIMIT"
echo 300 >"$KNOBS/busy_timeout_ms"
ask_in_background w hold-in-rust-exit-8
holds "one request is served" event start hold-in-rust-exit-8
is "another is refused, as Rust has it" "$(ask w exit-9)" "$ETIME"

matches "a second insmod is refused" "$(insmod /kmod_rs/kmod-rs.ko 2>&1)" 'File exists$'
is "and changes nothing" "$(<"$KNOBS/active") $(<"$LIMIT")" "1 1"

open_gate
is "the answer of C" "$(answer_of "$in_c")" $((7 << 8))
is "the answer of Rust" "$(answer_of "$ASKER")" $((8 << 8))
holds "the transition ends" await settled

patch off
await helpers_gone
echo 1 >/sys/module/kmod_ask/parameters/slow_enable
insmod /kmod_rs/kmod-rs.ko &
insmod=$!
holds "the transition ends before insmod" await settled
is "the module is being loaded" "$(</sys/module/kmod_rs/initstate)" coming
is "a request is served" "$(ask w exit-3)" $((3 << 8))
echo 0 >/sys/module/kmod_ask/parameters/slow_enable
wait "$insmod"
is "insmod returns" "$?" 0

finish
