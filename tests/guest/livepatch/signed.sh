#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A kernel that checks signatures but enforces none: with a signature of the kernel's own key the
# module is no unsigned one, with one byte changed it is refused, and without a signature it taints
# the kernel.
#
# Needs: CONFIG_MODULE_SIG signing-key
# Boot: alone

# shellcheck disable=SC2034 # For lib.sh.
NO_KMOD_ASK=1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
plan 15

SIGNED=/kmod_rs/signed.ko UNSIGNED=/kmod_rs/kmod-rs.ko
TAINTED=/proc/sys/kernel/tainted
UNSIGNED_TAINT='kmod_rs: module verification failed: signature and/or required key missing - tainting kernel'

# is_unsigned: prints 1 if the kernel has loaded a module without a signature, else 0.
is_unsigned() {
	echo $((($(<"$TAINTED") >> 13) & 1))
}

# taint_of_module: prints the letters with which the module has tainted the kernel.
taint_of_module() {
	cat /sys/module/kmod_rs/taint
}

# changed_at OFFSET: makes /tmp/changed.ko, the signed file with one bit of this byte changed.
changed_at() {
	local byte
	cp "$SIGNED" /tmp/changed.ko
	byte=$(od -An -tu1 -j "$1" -N 1 "$SIGNED")
	# shellcheck disable=SC2059 # The byte is written as an escape.
	printf "\\x$(printf %x $((byte ^ 1)))" |
		dd of=/tmp/changed.ko bs=1 seek="$1" conv=notrunc status=none
}

# is_refused WHAT: the changed file is, and nothing is left of it. Three points.
is_refused() {
	is "$1: one byte is changed" "$(cmp -l "$SIGNED" /tmp/changed.ko | wc -l)" 1
	matches "$1: it is refused" "$(insmod /tmp/changed.ko 2>&1; echo "status $?")" \
		'Key was rejected by service.status 1$'
	is "$1: nothing is left behind" \
		"$(ls -d /sys/module/kmod_rs "$LIVEPATCH" "$KNOBS" 2>/dev/null)" ""
}

is "no unsigned module has been loaded" "$(is_unsigned)" 0
is "signatures are not enforced" "$(</sys/module/module/parameters/sig_enforce)" N

# What is signed comes first in the file, then the signature.
SIZE=$(stat -c %s "$UNSIGNED")
holds "the file is the module and a signature" cmp -n "$SIZE" "$UNSIGNED" "$SIGNED"
changed_at $((SIZE / 2))
is_refused "in the middle"
changed_at $((SIZE - 1))
is_refused "the last byte before the signature"
is "they have not tainted the kernel" "$(is_unsigned)" 0

insmod "$SIGNED"
await settled
is "with a signature, it taints as out of tree and live patched" "$(taint_of_module)" OK
is "and the kernel knows of no unsigned module" "$(is_unsigned)" 0
await give_back

patch on
is "without a signature, it taints as unsigned as well" "$(taint_of_module)" OEK
is "so does the kernel say" "$(log | grep -c ": module verification failed: ")" 1
holds "in this line" logged "$UNSIGNED_TAINT\$"

rm -f /tmp/changed.ko
finish
