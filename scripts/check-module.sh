#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Check the built module for faults that neither the compiler nor the linker reports, and that could
# crash a machine.
#
# usage: check-module.sh kmod-rs.ko

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PRIVATE="cryptomgr_probe has_capability_noaudit modprobe_path modules security_kernel_module_request walk_process_tree"
ENTRY=kmod_rs_request_module
# The end of the name of Modprobe::start(), which starts a helper and does not wait.
STARTER=9unwaiting9Startable5start
HANDLER=kmod_rs_handle_request

# Limits in bytes. The kernel stack has 16384. MAX_HELD is for what the module holds there while a
# helper runs, on top of what the callers of request_module() hold. MAX_FRAME is for the frame of
# each function on the way.
MAX_HELD=900
MAX_FRAME=600

# The livepatch core refuses a module that is not marked as a livepatch.
check_modinfo() {
	tr '\0' '\n' < <(objcopy -O binary --only-section=.modinfo "$1" /dev/stdout) |
		grep -qx 'livepatch=Y' ||
		die "$1 is not marked as a livepatch (no livepatch=Y in .modinfo)"
}

# There must be livepatch relocations for the private symbols, and for no others.
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

# The kernel must export what stays undefined. modpost has checked that, but it does not report weak
# symbols.
check_weak_symbols() {
	local weak
	weak=$(nm "$1" | awk '$(NF-1) ~ /^[wWvV]$/ { print $NF }' | grep -v '^\.klp\.' || true)
	[[ ! $weak ]] || die "$1 has weak symbols, which nothing checks: $weak"
}

# Livepatch looks for the entry on the stacks of tasks. So the entry must call the Rust side, not
# jump to it, and the compiler must not have split it.
check_entry() {
	local code siblings
	siblings=$(nm "$1" | awk -v entry="$ENTRY" 'index($NF, entry) == 1 && $NF != entry { print $NF }')
	[[ ! $siblings ]] || die "the compiler has split $ENTRY: $siblings"

	# objdump puts a relocation on the line after its instruction.
	code=$(objdump -dr --no-show-raw-insn --disassemble="$ENTRY" "$1" |
		awk -v handler="$HANDLER" \
			'index($0, handler) { print instruction } { instruction = $2 }')
	[[ $code ]] || die "$ENTRY does not call $HANDLER"
	[[ $code =~ ^(call[[:space:]]*)+$ ]] ||
		die "$ENTRY reaches $HANDLER by \"${code//$'\n'/, }\", not by a call"
}

# Add up the frames on each path of direct calls, from the entry to the call that runs the helper
# and waits for it. A path that only starts one does not count. The largest sum is what is held. This is checked only for Debian's kernels with
# the tools of trixie: the frames of a debugging kernel are several times as large, and another
# compiler makes other frames.
check_stack() {
	local fault
	modinfo -F vermagic "$1" | grep -q '+deb13' || return 0
	nm "$1" | grep "$STARTER\$" >/dev/null || die "$1 has no function ...$STARTER"
	fault=$(objdump -dr --no-show-raw-insn "$1" | gawk -v entry="$ENTRY" -v starter="$STARTER$" -v held_limit="$MAX_HELD" -v frame_limit="$MAX_FRAME" '
		function reach(f,    i, best, deep) {
			if (f == "call_usermodehelper_exec") return 0
			if (!(f in frame) || f in busy || f ~ starter) return -1
			if (f in memo) return memo[f]
			if (frame[f] > largest) { largest = frame[f]; where = f }
			busy[f] = 1
			best = -1
			for (i = 1; i <= calls[f]; i++) {
				deep = reach(call[f, i])
				if (deep >= 0 && deep + frame[f] > best) best = deep + frame[f]
			}
			delete busy[f]
			return memo[f] = best
		}
		/^[0-9a-f]+ <.*>:$/ { f = $2; gsub(/^<|>:$/, "", f); frame[f] = 8; calls[f] = 0; next }
		$2 == "push" { frame[f] += 8 }
		$2 == "sub" && $3 ~ /^\$0x[0-9a-f]+,%rsp$/ { gsub(/^\$|,.*/, "", $3); frame[f] += strtonum($3) }
		$2 == "add" && $3 == "$0xffffffffffffff80,%rsp" { frame[f] += 128 }
		/R_X86_64_(PLT32|PC32)/ && jumps { callee = $3; sub(/[-+]0x[0-9a-f]+$/, "", callee); call[f, ++calls[f]] = callee }
		{ jumps = $2 ~ /^(call|jmp)$/ }
		jumps && $4 ~ /^<[^+]*>$/ { callee = $4; gsub(/[<>]/, "", callee); call[f, ++calls[f]] = callee }
		END {
			held = reach(entry)
			if (held < 0) print "no way from " entry " to call_usermodehelper_exec() was found"
			else if (held > held_limit) print held " bytes of stack are held while a helper runs, more than " held_limit
			else if (largest > frame_limit) print "the frame of " where " has " largest " bytes, more than " frame_limit
		}')
	[[ ! $fault ]] || die "$1: $fault"
}

(($# == 1)) || die "usage: check-module.sh kmod-rs.ko"
check_modinfo "$1"
check_relocations "$1"
check_weak_symbols "$1"
check_entry "$1"
check_stack "$1"
