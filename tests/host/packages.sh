#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The packages can be made, and lintian finds no fault in them. What is in them does not depend on
# where it was built: it is the same as what the other tests use, and has no path of this machine.
#
# Run: --full

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

WORK=$OUT/packages
NAME=$(sed -n 's/^name=//p' "$(dirname "$KDIR")/info")
RELEASE=$(<"$KDIR/include/config/kernel.release")

# The version and the crates are in two places each.
check_source() {
	local package
	[[ $(sed -n '1s/^kmod-rs (\(.*\)).*/\1/p' "$TOP/debian/changelog") == "$(<"$TOP/VERSION")" ]] ||
		die "the newest version in debian/changelog is not the one in VERSION"
	for package in "${COMMAND_PACKAGES[@]}"; do
		grep -qx " $package," "$TOP/debian/control" ||
			die "debian/control lacks $package in Build-Depends"
	done
}

# same FILE OTHER: they are equal, and have no path of this machine.
same() {
	local path
	cmp "$1" "$2"
	for path in "$TOP" "$CACHE" "$WORK" "$HOME/"; do
		! grep -qaF -e "$path" "$1" || die "$1 has the path $path in it"
	done
}

check_source
KERNEL=$NAME "$TOP/scripts/deb.sh" --in "$WORK"
export KMOD_RS_BIND=$WORK
cd "$WORK"
in_sysroot lintian --allow-root --fail-on error,warning ./*.changes
for deb in *.deb; do
	dpkg-deb -x "$deb" root
done
same "root/usr/lib/modules/$RELEASE/updates/kmod-rs.ko" "$OUT/kmod-rs.ko"
"$TOP/scripts/command.sh" --program
# As dh_strip does.
in_sysroot strip --remove-section=.comment --remove-section=.note -o kmod-rs.stripped "$TOP/out/kmod-rs"
same root/usr/bin/kmod-rs kmod-rs.stripped
ls -l ./*.deb
