#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make the crates available that the command kmod-rs is made of: those of Debian 13, and no others.
#
# They are sources, which cargo only reads. So they are unpacked in $CACHE/crates rather than
# installed: no system is changed, root is not needed, and nothing that does not build the command
# waits for them. On a Debian 13 machine that has them installed, those are taken.
#
# usage: crates.sh

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/setup/archive.sh
. "$TOP/scripts/setup/archive.sh"

# List the packages, and all packages with crates that they depend on, as PACKAGE=VERSION.
closure() {
	archive crates apt-get install --simulate --no-install-recommends "${COMMAND_PACKAGES[@]}" |
		sed -n 's/^Inst \(librust-[^ ]*\) (\([^ ]*\) .*/\1=\2/p'
}

# unpack_crates PART: fetch them all, and unpack them there.
unpack_crates() {
	local part=$1 packages deb
	archive_update crates
	mapfile -t packages < <(closure)
	((${#packages[@]} > 0)) ||
		die "the Debian archive lacks one of the crates ${COMMAND_PACKAGES[*]}: use another mirror of Debian 13"
	mkdir -p "$part/debs"
	cd "$part/debs"
	archive crates apt-get download "${packages[@]}"
	for deb in *.deb; do
		dpkg-deb -x "$deb" ..
	done
	remove "$part/debs"
}

main() {
	(($# == 0)) || die "usage: crates.sh"
	take_lock
	! crates >/dev/null || return 0
	remove "$CRATES.part" "$CRATES"
	need_space 500 "the command"
	step "fetching the crates of Debian 13" unpack_crates "$CRATES.part"
	echo "${COMMAND_PACKAGES[*]}" >"$CRATES.part/complete"
	mv -T "$CRATES.part" "$CRATES"
}

main "$@"
