#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Check on the built module what neither compiler nor linker checks, and what
# would crash a machine if it were otherwise.
#
# usage: check-module.sh kmod-rs.ko

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PRIVATE="has_capability_noaudit modprobe_path security_kernel_module_request"
ENTRY=kmod_rs_request_module
HANDLER=kmod_rs_handle_request

# The livepatch core takes no module that does not say what it is.
check_modinfo() {
	tr '\0' '\n' < <(objcopy -O binary --only-section=.modinfo "$1" /dev/stdout) | grep -qx 'livepatch=Y' ||
		die "$1 is not marked as a livepatch (no livepatch=Y in .modinfo)"
}

# Relocations for the private symbols, and for no other.
check_relocations() {
	local found
	found=$(readelf -rW "$1" | awk '
		/^Relocation section/ { klp = /\.klp\.rela\.vmlinux\./ }
		klp && /\.klp\.sym\.vmlinux\./ { sub(/.*\.klp\.sym\.vmlinux\./, ""); sub(/,0.*/, ""); print }' | sort | xargs)
	[[ $found == "$PRIVATE" ]] ||
		die "$1 has livepatch relocations for \"$found\" and should have them for \"$PRIVATE\""
	! readelf -rW "$1" | grep '\.klp\.tombstone\.' | grep -qv R_X86_64_NONE ||
		die "$1 still has placeholders of ksyms.S: objtool klp post-link was not run on it"
}

# What stays undefined must be exported by the kernel; modpost has checked the
# rest, but is silent about weak symbols.
check_weak_symbols() {
	local weak
	weak=$(nm "$1" | awk '$(NF-1) ~ /^[wWvV]$/ { print $NF }' | grep -v '^\.klp\.' || true)
	[[ ! $weak ]] || die "$1 has weak symbols, which nothing checks: $weak"
}

# The entry is what livepatch looks for on a stack. It must call the Rust side,
# not jump there, and must be one piece.
check_entry() {
	local code siblings
	siblings=$(nm "$1" | awk -v entry="$ENTRY" 'index($NF, entry) == 1 && $NF != entry { print $NF }')
	[[ ! $siblings ]] || die "the compiler has split $ENTRY: $siblings"

	# objdump puts a relocation on the line after its instruction.
	code=$(objdump -dr --no-show-raw-insn --disassemble="$ENTRY" "$1" |
		awk -v handler="$HANDLER" 'index($0, handler) { print instruction } { instruction = $2 }')
	[[ $code ]] || die "$ENTRY does not call $HANDLER"
	[[ $code =~ ^(call[[:space:]]*)+$ ]] || die "$ENTRY reaches $HANDLER by \"${code//$'\n'/, }\", not by a call"
}

(($# == 1)) || die "usage: check-module.sh kmod-rs.ko"
check_modinfo "$1"
check_relocations "$1"
check_weak_symbols "$1"
check_entry "$1"
