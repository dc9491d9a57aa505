#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Set everything up, and open a shell in a guest in which the module is loaded. The guest is turned
# off when the shell ends. Ctrl-A X ends it at once.
#
# usage: [KERNEL=NAME] shell.sh

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/guest/files.sh
. "$TOP/scripts/guest/files.sh"

main() {
	[[ -t 0 ]] || die "make shell needs a terminal: in a script, use make test T=NAME"
	prepare_guest_files shell
	"$TOP/scripts/command.sh" --program
	command_files
	cat >"$OVERLAY/kmod_rs/run" <<-'EOF'
		#!/bin/bash
		insmod /kmod_rs/kmod-rs.ko
		modprobe virtio_blk
		echo "kmod_rs is loaded. It and its tests are in /kmod_rs; /dev/vda is an XFS disk."
		echo "To give back: kmod-rs off. To end: exit, or Ctrl-A X."
		cd /kmod_rs && exec bash -i
	EOF
	chmod +x "$OVERLAY/kmod_rs/run"
	say "booting $RELEASE"
	exec "$TOP/scripts/guest/vm.sh" --shell "$KERNEL_DIRECTORY" "$OVERLAY" "$WORK"
}

main "$@"
