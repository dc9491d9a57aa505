#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A whole Debian boots with the module, which the initramfs loads. Everything comes up as in a boot
# of the same system without the module, including nested requests, four deep. In the running system
# the function can be given back.
#
# Needs: CONFIG_E1000 CONFIG_USB_HID CONFIG_MINIX_FS CONFIG_BFS_FS CONFIG_PPP

# shellcheck source=tests/debian/compare.sh
. "$(dirname "$0")/compare.sh"
plan 14

# served NAME...: true if Rust has served all of these.
served() {
	local name
	for name; do
		lines Rust "$WITH" | grep -xF "$name" || return
	done
}

both_have_come_up
is "it is active" "$(<"$KNOBS/active")" 1
is "the transition is over" "$(<"$LIVEPATCH/transition")" 0
same_as_without
same "whom C served without it, Rust serves" C Rust
is "and C nobody" "$(lines C "$WITH")" ""
holds "one within the other, four deep" served fs-minix rtnl-link-ifb crypto-md4 fs-bfs
no_complaint "no complaint since the kernel started, by kmod_rs neither"
holds "it can be given back" give_back
is "and C serves" "$(ask w fs-affs)" 0

finish
