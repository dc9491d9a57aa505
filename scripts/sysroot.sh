#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make the Debian 13 tools available: gcc, rustc, bindgen and QEMU of the
# versions that Debian's own kernels are built with.
#
# On a Debian 13 machine they are installed as packages, if this runs as root.
# Everywhere else, and for an ordinary user, they go into a sysroot, a whole
# small Debian 13 in $CACHE/sysroot. in-sysroot.sh runs commands with either.
#
# usage: sysroot.sh            make them available, unless they are
#        sysroot.sh --helpers  only what making a sysroot takes

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/archive.sh
. "$TOP/scripts/archive.sh"

# What nobody reads in a sysroot. In dpkg's patterns `*` matches `/` as well.
DPKG_OPTIONS=(
	--dpkgopt='path-exclude=/usr/share/doc/*'
	--dpkgopt='path-exclude=/usr/share/info/*'
	--dpkgopt='path-exclude=/usr/share/locale/*'
	--dpkgopt='path-exclude=/usr/share/man/*'
	--dpkgopt='path-exclude=/usr/lib/llvm-*/lib/lib*.a'
	--dpkgopt='path-exclude=/usr/src/rustc-*'
	--dpkgopt='path-include=/usr/src/rustc-*/library/*'
	--dpkgopt='force-unsafe-io'
)

apt_install() {
	local -x DEBIAN_FRONTEND=noninteractive
	apt-get update && apt-get install -y --no-install-recommends "$@"
}

# The packages that making and entering a sysroot takes, if not installed.
missing_helpers() {
	local missing=()
	command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
	command -v bwrap >/dev/null || missing+=(bubblewrap)
	[[ -f $KEYRING ]] || missing+=(debian-archive-keyring)
	command -v xz >/dev/null || missing+=(xz-utils)
	((EUID == 0)) || command -v newuidmap >/dev/null || missing+=(uidmap)
	echo "${missing[*]}"
}

need_helpers() {
	local missing
	missing=$(missing_helpers)
	[[ $missing ]] || return 0
	command -v apt-get >/dev/null ||
		die "this machine has no apt-get: install $missing and run this again"
	((EUID == 0)) ||
		die "some packages are missing: have root run 'apt-get install $missing', then run this again"
	# shellcheck disable=SC2086 # A list of words.
	step "installing $missing" apt_install $missing
}

need_namespaces() {
	local probe=(bwrap --ro-bind / / --dev /dev --proc /proc --unshare-pid true)
	"${probe[@]}" 2>/dev/null && return
	if ((EUID == 0)); then
		die "root cannot make namespaces here: run this in a virtual machine, or in a container that allows mounts"
	fi
	die "ordinary users cannot make user namespaces here: run this as root, or have root allow them"
}

need_subids() {
	local user file
	user=$(id -un)
	((EUID != 0)) || return 0
	for file in /etc/subuid /etc/subgid; do
		grep -q "^$user:" "$file" 2>/dev/null ||
			die "$user has no subordinate ids: have root run 'usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $user', then run this again"
	done
}

run_mmdebstrap() {
	local include target=$1
	shift
	printf -v include '%s,' "${PACKAGES[@]}"
	mmdebstrap --variant=apt --include="${include%,}" --aptopt="$ARCHIVE/acquire.conf" \
		"${DPKG_OPTIONS[@]}" "$@" trixie "$target" "$ARCHIVE/sysroot.list"
}

# As an ordinary user, unpacked with tar: so every file is that user's.
make_sysroot() {
	local part=$SYSROOT.part
	mkdir -p "$ARCHIVE" "$part"
	acquire_settings >"$ARCHIVE/acquire.conf"
	sysroot_sources >"$ARCHIVE/sysroot.list"
	if ((EUID == 0)); then
		run_mmdebstrap "$part" --mode=root --format=directory
	else
		run_mmdebstrap - --mode=unshare --format=tar |
			tar -C "$part" -x --no-same-owner --exclude='./dev/*'
	fi
}

# It may have more packages, as another version of these scripts wants.
is_made() {
	[[ -f $SYSROOT/complete && -z $(missing_packages "$SYSROOT") ]]
}

# Debian 13: as root the packages are installed, else a sysroot is made.
main() {
	take_lock
	if has_tools || is_made; then
		return
	fi
	if is_debian_13 && ((EUID == 0)); then
		# shellcheck disable=SC2046 # A list of words.
		step "installing the Debian 13 tools" apt_install $(missing_packages "")
		return
	fi
	need_helpers
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
