#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# check-module.sh finds no fault in the built module, so livepatch can use it. It does find each
# fault that it is meant to find. The module has the version of this checkout.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

WORK=$OUT/built-file
remove "$WORK"
mkdir "$WORK"
BAD=$WORK/bad.ko

check() {
	with_tools "$TOP/scripts/check-module.sh" "$1"
}

# refused WHAT REGEX: $BAD has this fault, and is refused with a message that matches.
refused() {
	local said
	if said=$(check "$BAD" 2>&1); then
		die "not noticed: $1"
	fi
	[[ $said =~ $2 ]] || die "$1: refused with other words: $said"
	echo "$1: $said"
}

# disassemble FUNCTION
disassemble() {
	with_tools objdump -dr --disassemble="$1" "$OUT/kmod-rs.ko"
}

# write_byte BYTE ADDRESS: makes $BAD, a module with this byte at that address of .text.
write_byte() {
	local section
	section=$(with_tools readelf -SW "$OUT/kmod-rs.ko" | awk '$2 == ".text" || $3 == ".text" { sub(/.*\.text/, ""); print $3 }')
	cp "$OUT/kmod-rs.ko" "$BAD"
	printf '%b' "\\x$1" | dd of="$BAD" bs=1 seek="$((0x$section + $2))" conv=notrunc status=none
}

check "$OUT/kmod-rs.ko"

version=$(with_tools modinfo -F version "$OUT/kmod-rs.ko")
[[ $version == "$(<"$TOP/VERSION")" ]] || die "the version of the module is \"$version\""

cp "$OUT/not-post-linked.ko" "$BAD"
refused "no post-link" "post-link|should have them"

sed 's/livepatch=Y/livepatch=N/' "$OUT/kmod-rs.ko" >"$BAD"
refused "no livepatch=Y" "not marked as a livepatch"

sed 's/\.klp\.sym\.vmlinux\.modprobe_path,0/.klp.sym.vmlinux.modprobe_patX,0/' "$OUT/kmod-rs.ko" \
	>"$BAD"
refused "another private symbol" "modprobe_patX"

with_tools objcopy --weaken-symbol=vsnprintf "$OUT/kmod-rs.ko" "$BAD"
refused "a weak symbol" "weak symbols.*vsnprintf"

# A call is e8, a jump e9.
call=$(disassemble kmod_rs_request_module | awk '/kmod_rs_handle_request/ { print address } { address = $1 }')
write_byte e9 "0x${call%:}"
refused "a jump to the Rust side" "not by a call"

# `sub $SIZE,%rsp` is 48 81 ec and the size. The byte written is the second one of the size.
frame=$(disassemble kmod_rs_handle_request | awk '/48 81 ec/ && !seen++ { print $1 }')
write_byte 05 "0x${frame%:} + 4"
refused "too much of the stack" "bytes of stack are held"

with_tools objcopy --add-symbol kmod_rs_request_module.cold=.text:0,function "$OUT/kmod-rs.ko" \
	"$BAD"
refused "a second part of the entry" "split"
