#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make the source package kmod-rs-modules out of that of kmod-rs: replace its directory debian/. For
# each kernel it makes a binary package with the module. For each flavour it makes one that depends
# on the module for the newest kernel.
#
# The version is that of kmod-rs and that of the newest kernel: 0.1+7.3.4.1~b13+1.
#
# usage: debian/modules/source.sh RELEASE=VERSION...      the kernels, and the versions of their
#                                                         packages: 7.3.4+deb13-amd64=7.3.4-1~bpo13+1

set -euo pipefail
cd "$(dirname "$0")/../.."

TEMPLATES=debian/modules

# The kernels by release, the newest first.
mapfile -t KERNELS < <(printf '%s\n' "$@" | sort -uV -r)

# instantiate TEMPLATE NAME=VALUE...: print it, with @NAME@ replaced.
instantiate() {
	local script=() pair
	for pair in "${@:2}"; do
		script+=(-e "s|@${pair%%=*}@|${pair#*=}|g")
	done
	sed "${script[@]}" "$TEMPLATES/$1"
}

# Print the kernels in Build-Depends.
kernel_packages() {
	local kernel
	for kernel in "${KERNELS[@]}"; do
		echo "linux-headers-${kernel%%=*} (= ${kernel#*=})"
		echo "linux-source-$(cut -d. -f1-2 <<<"$kernel") (= ${kernel#*=})"
	done | sort -u
}

control() {
	local kernel release flavour done=" " list
	list=$(kernel_packages)
	instantiate control.in "KERNELS=${list//$'\n'/,\\n }"
	for kernel in "${KERNELS[@]}"; do
		release=${kernel%%=*}
		instantiate package.in "RELEASE=$release" "VERSION=${kernel#*=}"
		[[ $release =~ \+deb[0-9]+(-[a-z]+)?-amd64$ ]]
		flavour=${BASH_REMATCH[1]:-}
		[[ $done != *" $flavour- "* ]] || continue
		done+="$flavour- "
		instantiate metapackage.in "RELEASE=$release" "FLAVOUR=$flavour"
	done
}

# The newest entry in the changelog of kmod-rs, with the other name and version. `~bpo` would say that
# this package itself is a backport.
changelog() {
	local version=${KERNELS[0]#*=}
	version=${version//-/.}
	sed -n -e "1s/^kmod-rs (\(.*\))/kmod-rs-modules (\1+${version/~bpo/~b})/" -e 'p; /^ -- /q' \
		debian/changelog
}

main() {
	local new=debian.new kernel script
	(($# > 0)) || { echo "usage: debian/modules/source.sh RELEASE=VERSION..." >&2; exit 2; }
	rm -rf "$new"
	mkdir -p "$new/source"
	control >"$new/control"
	changelog >"$new/changelog"
	for kernel in "${KERNELS[@]%%=*}"; do
		for script in postinst prerm postrm; do
			instantiate "$script.in" "RELEASE=$kernel" >"$new/kmod-rs-modules-$kernel.$script"
		done
	done
	printf '%s\n' debian/build/ debian/cache/ debian/trees/ >"$new/clean"
	cp debian/copyright "$new/"
	cp debian/source/format "$new/source/"
	cp "$TEMPLATES"/{rules,kernel.sh} "$new/"
	rm -rf debian
	mv "$new" debian
}

main "$@"
