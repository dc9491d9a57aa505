#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Boot a whole Debian with the module, and make pictures of what the command shows there:
#
#   out/pictures/plot.svg, plot.png   the requests of the boot
#   out/pictures/top.svg, top.png     the terminal with "kmod-rs top"
#
# guest.sh is what runs in the guest. It sends the SVG and what is on the terminal, in an archive.
#
# usage: [KERNEL=NAME] pictures.sh

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/guest/files.sh
. "$TOP/scripts/guest/files.sh"
# shellcheck source=scripts/guest/debian.sh
. "$TOP/scripts/guest/debian.sh"

boot() {
	# shellcheck disable=SC2086 # Several arguments.
	"$TOP/scripts/guest/vm.sh" --timeout 1800 "${MACHINE[@]}" "$KERNEL_DIRECTORY" "$OVERLAY" \
		"$WORK" kmod_rs.load $MACHINE_ARGUMENTS >"$WORK/archive"
}

main() {
	local pictures=$TOP/out/pictures name
	prepare_kernel
	"$TOP/scripts/setup/debian-root.sh" "$KERNEL_NAME"
	"$TOP/scripts/command.sh" --program
	step "building for $RELEASE" make_all
	new_overlay pictures
	debian_files
	command_files
	cp "$TOP/scripts/pictures/guest.sh" "$OVERLAY/kmod_rs/run"
	step "booting a whole Debian" boot
	remove "$pictures"
	mkdir -p "$pictures"
	base64 --decode "$WORK/archive" | tar -C "$pictures" -x ||
		die "the guest has sent no pictures: see $WORK/archive and $WORK/console.log"
	in_sysroot python3 "$TOP/scripts/pictures/terminal.py" "$pictures/top.svg" \
		<"$pictures/top.terminal"
	for name in plot top; do
		in_sysroot rsvg-convert "$pictures/$name.svg" -o "$pictures/$name.png"
	done
	say "the pictures are in $pictures"
}

main "$@"
