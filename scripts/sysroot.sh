#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make the Debian 13 tools available: gcc, rustc, bindgen and QEMU of the
# versions that Debian's own kernels are built with.
#
# On a Debian 13 machine they are installed as packages, if this runs as root and
# none of its own has to go for that. Everywhere else, and for an ordinary user, they
# go into a sysroot, a whole small Debian 13 in $CACHE/sysroot. in-sysroot.sh runs
# commands with either.
#
# usage: sysroot.sh            make them available, unless they are
#        sysroot.sh --helpers  only what making a sysroot takes

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/archive.sh
. "$TOP/scripts/archive.sh"
# shellcheck source=scripts/mmdebstrap.sh
. "$TOP/scripts/mmdebstrap.sh"

# As an ordinary user, unpacked with tar: so every file is that user's.
make_sysroot() {
	local part=$SYSROOT.part packages
	printf -v packages '%s,' "${PACKAGES[@]}"
	mkdir -p "$part"
	if ((EUID == 0)); then
		debian_13 "$part" "${packages%,}" --variant=apt --mode=root --format=directory
	else
		debian_13 - "${packages%,}" --variant=apt --mode=unshare --format=tar |
			tar -C "$part" -x --no-same-owner --exclude='./dev/*'
	fi
}

# It may have more packages, as another version of these scripts wants.
is_made() {
	[[ -f $SYSROOT/complete && -z $(missing_packages "$SYSROOT") ]]
}

# Would no package of this machine have to go for these? busybox would, for busybox-static.
can_install() {
	apt_install --simulate --no-remove "$@" >/dev/null 2>&1
}

# Debian 13: as root the packages are installed if they can be, else a sysroot is made.
main() {
	local missing
	take_lock
	if has_tools || is_made; then
		return
	fi
	if is_debian_13 && ((EUID == 0)); then
		mapfile -t missing < <(missing_packages "")
		step "updating the package lists" apt-get update
		if can_install "${missing[@]}"; then
			step "installing the Debian 13 tools" apt_install "${missing[@]}"
			return
		fi
	fi
	need_helpers bwrap=bubblewrap
	need_namespaces
	need_subids
	if [[ ${1:-} == --helpers ]]; then
		return
	fi
	remove "$SYSROOT.part" "$SYSROOT"
	need_space 2000 "the Debian 13 sysroot"
	step "making the Debian 13 sysroot" make_sysroot
	touch "$SYSROOT.part/complete"
	mv -T "$SYSROOT.part" "$SYSROOT"
}

main "$@"
