# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What is needed to make a Debian system with mmdebstrap: programs on this machine, and the sources
# of the packages. Sourced after archive.sh.

# Leave out files that nobody reads there. In dpkg's patterns `*` matches `/` as well.
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

# apt_install PACKAGE...: while another program installs packages, as Debian's own timers do, waits
# for that.
apt_install() {
	local -x DEBIAN_FRONTEND=noninteractive
	apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "$@"
}

# missing_helpers [PROGRAM=PACKAGE...]: the packages that are not installed, of those that are
# needed to make a system, and of those that the arguments name.
missing_helpers() {
	local more missing=()
	for more; do
		command -v "${more%=*}" >/dev/null || missing+=("${more#*=}")
	done
	command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
	[[ -f $KEYRING ]] || missing+=(debian-archive-keyring)
	command -v xz >/dev/null || missing+=(xz-utils)
	((EUID == 0)) || command -v newuidmap >/dev/null || missing+=(uidmap)
	echo "${missing[*]}"
}

need_helpers() {
	local missing
	missing=$(missing_helpers "$@")
	[[ $missing ]] || return 0
	command -v apt-get >/dev/null ||
		die "this machine has no apt-get: install $missing and run this again"
	((EUID == 0)) ||
		die "some packages are missing: as root, run 'apt-get install $missing', then run this again"
	step "updating the package lists" apt-get update
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
			die "$user has no subordinate IDs: as root, run 'usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $user', then run this again"
	done
}

# make_debian CODENAME TARGET PACKAGES OPTIONS...: make a system of that Debian release with these
# packages, a list with commas.
make_debian() {
	local codename=$1 target=$2 packages=$3 directory=$ARCHIVE/$1
	shift 3
	mkdir -p "$directory"
	acquire_settings >"$directory/acquire.conf"
	sysroot_sources "$codename" >"$directory/sysroot.list"
	mmdebstrap --include="$packages" --aptopt="$directory/acquire.conf" \
		"${DPKG_OPTIONS[@]}" "$@" "$codename" "$target" "$directory/sysroot.list"
}
