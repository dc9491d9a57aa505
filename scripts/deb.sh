#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make the Debian packages, and put them into out/deb with an index, so that apt can install from
# there. There are two source packages: kmod-rs, whose debian/ is in this checkout, and
# kmod-rs-modules, which debian/modules/source.sh makes for the kernels that KERNEL names. They are
# built from the files that git does not ignore.
#
# What would take minutes is kept from one run to the next: the tools, the Rust metadata of the
# kernels, and the crates that are built already. So the tools that a source asks for are not looked
# for as packages.
#
# usage: [KERNEL="NAME..."] deb.sh            make them
#        [KERNEL="NAME..."] deb.sh --in DIR   build them in DIR, and leave all that is made there
#        deb.sh --sources DIR                 only copy the files that git does not ignore to DIR

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"


run() {
	spawn "$@"
	join "$!"
}

# prepare NAME...: make the tools, the crates and the kernels available, and set RELEASES to the
# kernels.
prepare() {
	local name names=("$@")
	for name; do
		[[ $(codename_of "$name") == trixie ]] ||
			die "KERNEL=$name is not for Debian 13, and packages are made only for that"
	done
	((${#names[@]} > 0)) || names=("")
	for name in "${names[@]}"; do
		run "$TOP/scripts/setup/prepare.sh" "$name"
		RELEASES+=("$(readlink "$KERNELS/$(known_name "$name")")")
	done
	run "$TOP/scripts/setup/crates.sh"
}

# copy_sources DIR: copy the files that git does not ignore.
copy_sources() {
	local file files=()
	mkdir -p "$1"
	while read -r -d "" file; do
		[[ ! -e $TOP/$file ]] || files+=("$file")
	done < <(git -C "$TOP" ls-files -z --cached --others --exclude-standard)
	(cd "$TOP" && cp --parents --preserve=mode -t "$1" -- "${files[@]}")
}

# List the kernels as RELEASE=VERSION.
kernels() {
	local release
	for release in "${RELEASES[@]}"; do
		echo "$release=$(sed -n 's/^version=//p' "$KERNELS/$release/info")"
	done
}

# build DIR: build a source package, and its binary packages.
build() {
	cd "$1"
	in_sysroot env KERNELS="$KERNELS" KMOD_RS_CRATES="$(crates)" KMOD_RS_TARGET="$CACHE/command/target" \
		DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" dpkg-buildpackage --no-sign -d
}

# collect DIR: put the packages that were built there into out/deb.
collect() {
	local part=$TOP/out/deb.part
	remove "$part"
	mkdir -p "$part"
	cp "$1"/*.deb "$part/"
	cd "$part"
	in_sysroot dpkg-scanpackages --multiversion . >Packages
	remove "$TOP/out/deb"
	mv "$part" "$TOP/out/deb"
}

main() {
	local work=$CACHE/packages
	RELEASES=()
	case ${1:-} in
	--sources)
		copy_sources "$2"
		return
		;;
	--in) work=$(realpath -m -- "$2") ;;
	"") ;;
	*) die 'usage: [KERNEL="NAME..."] deb.sh [--in DIR | --sources DIR]' ;;
	esac
	take_lock
	# shellcheck disable=SC2086 # A list of words.
	prepare ${KERNEL:-}
	remove "$work"
	copy_sources "$work/kmod-rs"
	copy_sources "$work/kmod-rs-modules"
	kernels | xargs "$work/kmod-rs-modules/debian/modules/source.sh"
	export KMOD_RS_BIND=$work
	step "building the packages of kmod-rs" build "$work/kmod-rs"
	step "building the packages of kmod-rs-modules" build "$work/kmod-rs-modules"
	[[ ! ${1:-} ]] || return 0
	step "indexing the packages" collect "$work"
	remove "$work"
	say "ready: packages in $TOP/out/deb; for apt: deb [trusted=yes] file:$TOP/out/deb ./"
}

main "$@"
