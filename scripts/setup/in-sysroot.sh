#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run a command with the tools of Debian 13, or of another Debian release. On a Debian 13 machine
# that has its tools, the command runs directly. Otherwise it runs in the sysroot that sysroot.sh
# made.
#
# Inside, the checkout, the cache and the current directory have the same paths as outside.
# $KMOD_RS_BIND names more directories, separated by colons. Only the environment variables that are
# set below are passed on; pass others with env.
#
# usage: in-sysroot.sh [--of CODENAME] COMMAND ARGS...
#        in-sysroot.sh [--of CODENAME] env NAME=VALUE COMMAND ARGS...

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# List the directories that are visible inside, parents first. The system's own directories are
# those of the sysroot.
shared_directories() {
	local here more list=("$TOP" "$CACHE")
	here=$(pwd -P)
	case $here/ in
	/ | // | /bin/* | /boot/* | /dev/* | /etc/* | /lib*/* | /proc/* | /sbin/* | /sys/* | /usr/* | /var/) ;;
	*) list+=("$here") ;;
	esac
	if [[ ${KMOD_RS_BIND:-} ]]; then
		IFS=: read -ra more <<<"$KMOD_RS_BIND"
		list+=("${more[@]}")
	fi
	printf '%s\n' "${list[@]}" | LC_ALL=C sort -u
}

main() {
	local codename=trixie sysroot directory directories clean binds=()
	if [[ ${1:-} == --of ]]; then
		codename=$2
		shift 2
	fi
	(($# > 0)) || die "usage: in-sysroot.sh [--of CODENAME] COMMAND ARGS..."
	clean=(
		env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="${HOME:-/root}" TERM="${TERM:-dumb}"
		LANG=C.UTF-8 XDG_CACHE_HOME="${CACHE%/kmod_rs}"
	)
	if has_tools "$codename"; then
		exec "${clean[@]}" "$@"
	fi
	sysroot=$(sysroot_of "$codename")
	[[ -f $sysroot/complete ]] ||
		die "there is no sysroot of $codename yet: run scripts/setup/prepare.sh first"
	directories=$(shared_directories)
	while read -r directory; do
		[[ -e $directory ]] || die "$directory does not exist: correct KMOD_RS_BIND"
		binds+=(--bind "$directory" "$directory")
	done <<<"$directories"
	exec "${clean[@]}" "$(command -v bwrap)" --die-with-parent --unshare-pid \
		--bind "$sysroot" / --dev-bind /dev /dev --proc /proc --ro-bind /sys /sys \
		--perms 1777 --tmpfs /tmp --tmpfs /run \
		--ro-bind-try /etc/resolv.conf /etc/resolv.conf --ro-bind-try /etc/hosts \
		/etc/hosts \
		"${binds[@]}" --chdir "$(pwd -P)" "$@"
}

main "$@"
