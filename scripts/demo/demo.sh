#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Set everything up, boot Debian's kernel in QEMU, load the module there and show it at work.
# guest.sh is what runs in the guest.
#
# usage: [KERNEL=NAME] demo.sh

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/guest/files.sh
. "$TOP/scripts/guest/files.sh"

# The offset in the entry to which the call of the Rust side returns.
answer_offset() {
	local start answer
	read -r start answer < <(with_tools objdump -dr --no-show-raw-insn \
		--disassemble=kmod_rs_request_module "$OUT/kmod-rs.ko" | awk '
		/<kmod_rs_request_module>:$/ { print $1 }
		called && /^ +[0-9a-f]+:/ { print substr($1, 1, length($1) - 1); exit }
		/kmod_rs_handle_request/ { called = 1 }' | xargs)
	echo $((0x$answer - 0x$start))
}

main() {
	prepare_kernel
	"$TOP/scripts/command.sh" --program
	prepare_guest_files demo
	command_files
	cp "$TOP/scripts/demo/guest.sh" "$OVERLAY/kmod_rs/run"
	answer_offset >"$OVERLAY/kmod_rs/answer-offset"
	say "booting $RELEASE"
	"$TOP/scripts/guest/vm.sh" --timeout 1800 "$KERNEL_DIRECTORY" "$OVERLAY" "$WORK"
	say "the guest's console is in $WORK/console.log"
}

main "$@"
