#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make the tools of a Debian release available: gcc, rustc and bindgen in the versions with which
# its own kernels are built. For Debian 13 (trixie), these are also QEMU and all other tools.
#
# On a Debian 13 machine its tools are installed as packages, if this runs as root and no installed
# package has to be removed for that. Everywhere else, and for an ordinary user, they go into a
# sysroot, a small but whole Debian 13 in $CACHE/sysroot. The tools of Debian testing always go into
# a sysroot. in-sysroot.sh runs commands with the tools in either place.
#
# usage: sysroot.sh CODENAME...            make the tools available, unless they are
#        sysroot.sh --helpers CODENAME...  only what is needed to make a sysroot
#        REFRESH=1 sysroot.sh ...          with the compilers that Debian testing has now

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/setup/archive.sh
. "$TOP/scripts/setup/archive.sh"
# shellcheck source=scripts/setup/mmdebstrap.sh
. "$TOP/scripts/setup/mmdebstrap.sh"

# An ordinary user unpacks the system with tar, so that every file belongs to that user.
make_sysroot() {
	local codename=$1 part=$2 packages
	packages=$(tool_packages "$codename" | paste -sd,)
	mkdir -p "$part"
	if ((EUID == 0)); then
		make_debian "$codename" "$part" "$packages" --variant=apt --mode=root \
			--format=directory
	else
		make_debian "$codename" - "$packages" --variant=apt --mode=unshare --format=tar |
			tar -C "$part" -x --no-same-owner --exclude='./dev/*'
	fi
}

# The sysroot may have more packages than these, if another version of these scripts needs them.
is_made() {
	local sysroot
	sysroot=$(sysroot_of "$1")
	[[ -f $sysroot/complete && -z $(missing_packages "$1" "$sysroot") ]]
}

# Debian testing moves on to newer compilers, and builds its kernels with them.
is_current() {
	local package now=""
	[[ ${REFRESH:-} && $1 != trixie ]] || return 0
	step "looking for newer tools of $1" archive_update "$1"
	for package in ${COMPILERS[$1]}; do
		now+="$package=$(archive_version "$1" "$package") "
	done
	[[ $(toolchain "$1" | xargs -n 1 | sort) == "$(xargs -n 1 <<<"$now" | sort)" ]]
}

# can_install PACKAGE...: can they be installed without removing a package of this machine?
# busybox-static, for example, replaces busybox.
can_install() {
	apt_install --simulate --no-remove "$@" >/dev/null 2>&1
}

# install_tools CODENAME: install the packages, if this is Debian 13, as root, and it is possible.
# Otherwise fail.
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
	(($# > 0)) || die "usage: sysroot.sh [--helpers] CODENAME..., with CODENAME trixie or forky"
	take_lock
	for codename in "$@"; do
		if has_tools "$codename" || { is_made "$codename" && is_current "$codename"; } ||
			install_tools "$codename"; then
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
