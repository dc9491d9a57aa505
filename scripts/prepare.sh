#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make everything that building and testing the module takes: the Debian 13
# tools, a kernel with its Rust metadata, and what a virtual machine boots from.
# What is there already is kept, so a second run does nothing and needs no
# network. It may be interrupted at any time and run again.
#
# usage: prepare.sh [MINOR]     MINOR or $KERNEL says which kernel; without them
#                               the one that is there, else the newest supported
#        REFRESH=1 prepare.sh   see whether the archive has a newer kernel

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/archive.sh
. "$TOP/scripts/archive.sh"

# The first supported minor version that the archive has, left in a file.
find_minor() {
	local minor
	archive_update
	for minor in $SUPPORTED; do
		if [[ $(archive_releases "$minor") ]]; then
			echo "$minor" >"$ARCHIVE/minor"
			return
		fi
	done
	die "the Debian archive has none of the supported kernels ($SUPPORTED): get a newer version of kmod_rs"
}

run() {
	spawn "$TOP/scripts/$1" "${@:2}"
	join "$!"
}

# The download needs no sysroot, so the two are made side by side. If one
# fails, so does this.
fetch_and_sysroot() {
	local fetch sysroot
	spawn env KMOD_RS_ASIDE=1 "$TOP/scripts/kernel.sh" --fetch "$1"
	fetch=$!
	spawn "$TOP/scripts/sysroot.sh"
	sysroot=$!
	wait -n "$fetch" "$sysroot"
	join "$fetch"
	join "$sysroot"
}

main() {
	local minor release
	minor=$(known_minor "${1:-${KERNEL:-}}")
	cd "$TOP"
	take_lock
	has_tools || [[ -e $SYSROOT || -e $KERNELS ]] || need_space 4000 "the first set-up"
	run sysroot.sh --helpers
	if [[ ! $minor ]]; then
		step "finding a supported kernel in the archive" find_minor
		minor=$(<"$ARCHIVE/minor")
	fi
	if [[ ${REFRESH:-} ]]; then
		run sysroot.sh
	else
		fetch_and_sysroot "$minor"
	fi
	run kernel.sh "$minor"
	run guest.sh "$minor"
	release=$(readlink "$KERNELS/$minor")
	has_tools || say "ready: Debian 13 tools in $SYSROOT"
	say "ready: kernel $release and its guest in $KERNELS/$release"
}

main "$@"
