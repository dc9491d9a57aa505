#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make the tools of a Debian available: gcc, rustc and bindgen of the versions that its
# own kernels are built with. Debian 13 (trixie) has QEMU and all else besides.
#
# On a Debian 13 machine its tools are installed as packages, if this runs as root and
# none of its own has to go for that. Everywhere else, and for an ordinary user, they
# go into a sysroot, a whole small Debian 13 in $CACHE/sysroot. Those of Debian testing
# always do. in-sysroot.sh runs commands with either.
#
# usage: sysroot.sh CODENAME...            make them available, unless they are
#        sysroot.sh --helpers CODENAME...  only what making a sysroot takes
#        REFRESH=1 sysroot.sh ...          with the compilers that Debian testing has now

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/setup/archive.sh
. "$TOP/scripts/setup/archive.sh"
# shellcheck source=scripts/setup/mmdebstrap.sh
. "$TOP/scripts/setup/mmdebstrap.sh"

# As an ordinary user, unpacked with tar: so every file is that user's.
make_sysroot() {
	local codename=$1 part=$2 packages
	packages=$(tool_packages "$codename" | paste -sd,)
	mkdir -p "$part"
	if ((EUID == 0)); then
		make_debian "$codename" "$part" "$packages" --variant=apt --mode=root --format=directory
	else
		make_debian "$codename" - "$packages" --variant=apt --mode=unshare --format=tar |
			tar -C "$part" -x --no-same-owner --exclude='./dev/*'
	fi
}

# It may have more packages, as another version of these scripts wants.
is_made() {
	local sysroot
	sysroot=$(sysroot_of "$1")
	[[ -f $sysroot/complete && -z $(missing_packages "$1" "$sysroot") ]]
}

# Debian testing goes on to newer compilers, and builds its kernels with them.
is_current() {
	local package now=""
	[[ ${REFRESH:-} && $1 != trixie ]] || return 0
	step "looking for newer tools of $1" archive_update "$1"
	for package in ${COMPILERS[$1]}; do
		now+="$package=$(archive_version "$1" "$package") "
	done
	[[ $(toolchain "$1" | xargs -n 1 | sort) == "$(xargs -n 1 <<<"$now" | sort)" ]]
}

# Would no package of this machine have to go for these? busybox would, for busybox-static.
can_install() {
	apt_install --simulate --no-remove "$@" >/dev/null 2>&1
}

# Debian 13: as root the packages are installed if they can be. Fails if that is not so.
install_tools() {
	local missing
	[[ $1 == trixie ]] && is_debian_13 && ((EUID == 0)) || return
	mapfile -t missing < <(missing_packages trixie "")
	step "updating the package lists" apt-get update
	can_install "${missing[@]}" || return
	step "installing the Debian 13 tools" apt_install "${missing[@]}"
}

main() {
	local helpers="" codename sysroot
	if [[ ${1:-} == --helpers ]]; then
		helpers=1
		shift
	fi
	(($# > 0)) || die "say whose tools: sysroot.sh CODENAME..., trixie or forky"
	take_lock
	for codename in "$@"; do
		if has_tools "$codename" || { is_made "$codename" && is_current "$codename"; } || install_tools "$codename"; then
			continue
		fi
		need_helpers bwrap=bubblewrap
		need_namespaces
		need_subids
		[[ ! $helpers ]] || continue
		sysroot=$(sysroot_of "$codename")
		remove "$sysroot.part" "$sysroot"
		need_space 2000 "the sysroot of $codename"
		step "making the sysroot of $codename" make_sysroot "$codename" "$sysroot.part"
		touch "$sysroot.part/complete"
		mv -T "$sysroot.part" "$sysroot"
	done
}

main "$@"
