#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Set up everything that is needed to build and test the module: the tools of Debian 13, and of
# Debian testing for its kernels; a kernel with its Rust metadata; and what a virtual machine boots
# from. What is there already is kept, so a second run does nothing and needs no network. The script
# can be interrupted at any time and run again.
#
# usage: prepare.sh [NAME]      NAME or $KERNEL names the kernel; without them it is the one that
#                               is set up already, or else the newest supported one
#        REFRESH=1 prepare.sh   look whether the archive has a newer kernel

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/setup/archive.sh
. "$TOP/scripts/setup/archive.sh"

# Find the first supported minor version that the archive has, and write it to a file.
find_minor() {
	local minor
	archive_update trixie
	for minor in $MINORS; do
		if [[ $(archive_releases "$minor") ]]; then
			echo "$minor" >"$ARCHIVE/minor"
			return
		fi
	done
	die "the Debian archive has none of the supported kernels ($MINORS): get a newer version of kmod_rs"
}

run() {
	spawn "$TOP/scripts/setup/$1" "${@:2}"
	join "$!"
}

# fetch_and_sysroot NAME CODENAME...: fetch the kernel and make the sysroots, side by side, because
# the download needs no sysroot. If one fails, so does this.
fetch_and_sysroot() {
	local fetch sysroot
	spawn env KMOD_RS_ASIDE=1 "$TOP/scripts/setup/kernel.sh" --fetch "$1"
	fetch=$!
	spawn "$TOP/scripts/setup/sysroot.sh" "${@:2}"
	sysroot=$!
	wait -n "$fetch" "$sysroot"
	join "$fetch"
	join "$sysroot"
}

main() {
	local name codename codenames release
	name=$(known_name "${1:-${KERNEL:-}}")
	cd "$TOP"
	take_lock
	has_tools trixie || [[ -e $SYSROOT || -e $KERNELS ]] || need_space 4000 "the first set-up"
	# QEMU and the programs in the guest are always those of Debian 13.
	codenames=(trixie)
	codename=$(codename_of "$name")
	[[ $codename == trixie ]] || codenames+=("$codename")
	run sysroot.sh --helpers "${codenames[@]}"
	if [[ ! $name ]]; then
		step "finding a supported kernel in the archive" find_minor
		name=$(<"$ARCHIVE/minor")
	fi
	if [[ ${REFRESH:-} ]]; then
		run sysroot.sh "${codenames[@]}"
	else
		fetch_and_sysroot "$name" "${codenames[@]}"
	fi
	run kernel.sh "$name"
	run initramfs.sh "$name"
	release=$(readlink "$KERNELS/$name")
	for codename in "${codenames[@]}"; do
		has_tools "$codename" ||
			say "ready: the tools of $codename in $(sysroot_of "$codename")"
	done
	say "ready: kernel $release and its guest in $KERNELS/$release"
}

main "$@"
