#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The package kmod-rs-dkms in a Debian 13 that has nothing but what it depends on: what it cannot
# build is skipped, and no package fails for that; when it can, it builds the same module as "make",
# without the network, and DKMS signs it. Most of this is in dkms/root.sh.
#
# Run: --full

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"
# shellcheck source=scripts/setup/archive.sh
. "$TOP/scripts/setup/archive.sh"
# shellcheck source=scripts/setup/mmdebstrap.sh
. "$TOP/scripts/setup/mmdebstrap.sh"

RELEASE=$(<"$KDIR/include/config/kernel.release")
NEW=$OUT/dkms

# Prints the commands that run dkms/root.sh in the new system.
run_inside() {
	cat <<-EOT
		set -e
		cp "$NEW"/kmod-rs-dkms_*.deb "$NEW/kmod-rs.ko" "$TOP/tests/dkms/root.sh" "\$1/root/"
		chroot "\$1" env HOME=/root DEBIAN_FRONTEND=noninteractive bash /root/root.sh $RELEASE >&2
	EOT
}

remove "$NEW"
mkdir -p "$NEW"
"$TOP/scripts/deb.sh" --in "$NEW/packages"
cp "$NEW"/packages/kmod-rs-dkms_*.deb "$OUT/kmod-rs.ko" "$NEW/"
# The hook may run as a user of a namespace.
chmod -R a+rX "$NEW"

mode=root
if ((EUID != 0)); then
	mode=unshare
	need_subids
fi
take_lock
need_space 6000 "a Debian 13 with DKMS"
make_debian trixie - apt,ca-certificates --variant=apt --mode="$mode" --format=null \
	--aptopt='APT::Install-Recommends "false"' --skip=cleanup/apt \
	--customize-hook="$(run_inside)"
