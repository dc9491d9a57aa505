#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A whole Debian boots with the module, loaded by the initramfs: all comes to be as
# in a boot of the same system without it, requests out of a helper of another
# request included, four deep. In the running system it can be given back.

# kmod_rs-ask.service loads it.
NO_KMOD_ASK=1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/complaints.sh
. "$(dirname "$0")/complaints.sh"
plan 14

WITHOUT=/kmod_rs/without
WITH=/tmp/report

# lines KIND FILE
lines() {
	sed -n "s/^$1 //p" "$2"
}

# same WHAT KIND [KIND]: in both boots, or what was of the one kind without the
# module is of the other kind with it.
same() {
	local difference
	if difference=$(diff <(lines "$2" "$WITHOUT") <(lines "${3:-$2}" "$WITH")); then
		pass "$1: $(lines "$2" "$WITHOUT" | wc -l)"
	else
		fail "$1" "< without the module, > with it" "$difference"
	fi
}

# served NAME...: all of these, by Rust.
served() {
	local name
	for name; do
		lines Rust "$WITH" | grep -xF "$name" || return
	done
}

bash /kmod_rs/report.sh >"$WITH"

is "the boot without the module came to its end" "$(lines state "$WITHOUT")" running
is "the boot with it, too" "$(lines state "$WITH")" running
is "it is active" "$(<"$KNOBS/active")" 1
is "the transition is over" "$(<"$LIVEPATCH/transition")" 0
same "the same units failed" failed
same "the same modules are there" module
same "the kernel has asked for the same names" asked
same "each who asked got the same answer" answer
same "whom C served without it, Rust serves" C Rust
is "and C nobody" "$(lines C "$WITH")" ""
holds "one within the other, four deep" served fs-minix rtnl-link-ifb crypto-md4 fs-bfs
is "no complaint since the kernel started, by kmod_rs neither" \
	"$(dmesg --notime | grep -E "$SPLAT|^kmod_rs: " | grep -v '^kmod_rs: .*taint')" ""
holds "it can be given back" give_back
is "and C serves" "$(ask w fs-affs)" 0

finish
