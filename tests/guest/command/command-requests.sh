#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kmod-rs status, recent, who, answers and save say what there is: who serves requests, which request
# brought a module, who made it, and what is answered from memory. A disk that is full leaves no file.
#
# Uses: kmod-rs
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 31

SAID=/tmp/said

# says WHAT STATUS REGEX ARGUMENT...: runs the command; it ends like this, and one of its lines is
# like that.
says() {
	local what=$1 status=$2 regex=$3 code=0
	shift 3
	kmod-rs "$@" >"$SAID" 2>&1 || code=$?
	if ((code == status)) && /usr/bin/grep -Eq -- "$regex" "$SAID"; then
		pass "$what"
	else
		fail "$what" "$code: $(<"$SAID")"
	fi
}

# --- Without the module ---
says "not loaded" 4 '^kmod_rs is not loaded$' status
says "nothing to probe" 4 '^kmod_rs is not loaded$' status --probe

# --- Who serves requests ---
patch on
use_silent_helper
says "it serves" 0 '^kmod_rs serves requests$' status
says "it has served the probe" 0 'served by Rust: request [0-9]+, fs-kmod_rs-probe-[0-9]+' status --probe
says "as JSON" 0 '"serving":true.*"probe":{"name":"fs-kmod_rs-probe-' status --probe --json
set_rule autoload_mode 2
says "though the firewall denies it" 0 'served by Rust: .* denied in' status --probe
says "which is shown" 0 'firewall +nobody may have what is not allowed, mode 2' status
set_rule autoload_mode 0
as_nobody kmod-rs status >"$SAID" || fail "as nobody"
matches "for an ordinary user" "$(<"$SAID")" 'requests +for root only'
matches "who cannot probe" "$(as_nobody kmod-rs status --probe 2>&1)" 'for root only: run this as root'

insmod /kmod_rs/klp_request.ko
await grep -qx 0 /sys/kernel/livepatch/klp_request/transition
says "another livepatch on top is shown" 3 'klp_request was loaded later and takes all requests' status
says "and has served the probe" 3 'not served by Rust' status --probe
echo 0 >/sys/kernel/livepatch/klp_request/enabled
await rmmod klp_request
says "until it is gone" 0 'served by Rust: request' status --probe

# --- Which request brought a module ---
echo /sbin/modprobe >"$MODPROBE"
modprobe -r xfs 2>/dev/null
in_cgroup /test.slice/mnt.service /kmod_rs/ask w fs-xfs >/dev/null
says "who has asked for it" 0 '^xfs came at .* by request [0-9]+, for fs-xfs$' who xfs
matches "in which service" "$(<"$SAID")" 'mnt.service \(/test.slice/mnt.service\)'
matches "and by which command" "$(<"$SAID")" 'asked by +ask\[[0-9]+\], user root'
ask w fs-xfs >/dev/null
says "how often since" 0 'fs-xfs was requested 1 time since' who xfs
says "no request has brought it" 0 'is loaded, and no request is known' who kmod-ask
says "nor what is not there" 1 'no_such is not loaded' who no-such
says "a part of the kernel" 0 'is built into the kernel' who "$(sed -n '1s/.*\/\(.*\)\.ko/\1/p' "/lib/modules/$(uname -r)/modules.builtin")"

# --- Which requests there were ---
says "the request is shown" 0 'fs-xfs +loaded +root +ask\[[0-9]+\]' recent --name 'fs_xf?'
says "by its outcome" 0 'none of the [0-9]+ requests' recent --name fs-xfs --outcome denied
is "as JSON" "$(kmod-rs recent --json --name fs-xfs --outcome loaded | sed 's/.*"name":"\([^"]*\)".*/\1/')" fs-xfs

# --- What is answered from memory ---
says "nothing, by default" 0 'set kernel.kmod_rs.answers' answers
echo 64 >"$KNOBS/answers"
echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
ask w xfs >/dev/null
ask w xfs >/dev/null
says "what is there already" 0 '^xfs +there already +[0-9.]+(us|ms|s) +1$' answers
says "it is forgotten" 0 '^1 answer is forgotten$' answers --flush
says "and is not there any more" 0 'no request has got an answer' answers
echo 0 >"$KNOBS/answers"

# --- Saved, and shown without the module ---
kmod-rs recent --json >/tmp/live
holds "saved" kmod-rs save /tmp/records
is "for its owner alone" "$(stat -c %a /tmp/records)" 600
mkdir /tmp/full
mount -t tmpfs -o size=8k none /tmp/full
echo old >/tmp/full/old
dd if=/dev/zero of=/tmp/full/filler bs=4k 2>/dev/null
says "a full disk" 1 '^kmod-rs: cannot write /tmp/full/old: No space left' save /tmp/full/old
is "leaves what was there" "$(ls -A /tmp/full) $(</tmp/full/old)" $'filler\nold old'
umount /tmp/full
patch off
is "the same without the module" "$(kmod-rs recent --json --from /tmp/records)" "$(</tmp/live)"

rm -rf "$SAID" /tmp/live /tmp/records /tmp/full
rmdir /sys/fs/cgroup/test.slice/mnt.service /sys/fs/cgroup/test.slice
finish
