#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Set up a Debian kernel, to build Rust modules for it and to boot it: its source, a build tree with
# the Rust metadata (see metadata.sh), its modules and its image.
#
# $CACHE/sources/VERSION has the source, which the flavours of a kernel share.
# $CACHE/kernels/RELEASE has the rest:
#
#   src/           a link to the source
#   build/         the tree to build modules with (KDIR)
#   root/          the unpacked packages, with usr/lib/modules/RELEASE
#   vmlinuz        the image
#   test-modules/  test_kmod.ko and test_module.ko of the same source
#   info           what it was made of
#
# $CACHE/kernels/NAME is a link to it.
#
# usage: kernel.sh NAME           make all of it, unless it is there; NAME is what KERNEL= takes
#        kernel.sh --fetch NAME   only download and unpack, without the sysroot
#        REFRESH=1 kernel.sh ...  first look whether the archive has a newer kernel

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/setup/archive.sh
. "$TOP/scripts/setup/archive.sh"
# shellcheck source=scripts/setup/metadata.sh
. "$TOP/scripts/setup/metadata.sh"

# Increase the first number when this script changes what it makes, and the second one when it changes
# what it unpacks. Older trees are then made anew.
RECIPE=3
UNPACKED=2

SOURCES=$CACHE/sources

# shellcheck disable=SC2034 # For metadata.sh.
ADVICE=": use another KERNEL, REFRESH=1, or a newer version of kmod_rs"

# --- Download and unpack ---------------------------------------------------

source_package() {
	echo "linux-source-$(minor_of "$1")"
}

# find_packages RELEASE VERSION: the packages of that kernel except the source, or nothing if the
# archive lacks one of them or the source. The signed image often comes days late; the unsigned one
# boots as well.
find_packages() {
	local release=$1 version=$2 package list=()
	list=("linux-headers-$release" "linux-modules-$release" "linux-base-$release")
	if archive_has "$CODENAME" "linux-binary-$release=$version"; then
		list+=("linux-binary-$release")
	else
		list+=("linux-binary-unsigned-$release")
	fi
	for package in "${list[@]}" "$(source_package "$release")"; do
		archive_has "$CODENAME" "$package=$version" || return 0
	done
	echo "${list[*]}"
}

# Print those of the releases on standard input that the module supports.
supported() {
	local release
	while read -r release; do
		! is_minor "$(minor_of "$release")" || echo "$release"
	done
}

# resolve NAME: find the newest kernel of that name of which the archive has all packages. Its
# release, version and packages go to a file.
resolve() {
	local name=$1 release releases newest version packages
	archive_update "$CODENAME"
	releases=$(archive_releases "$name")
	[[ $releases ]] ||
		die "the Debian archive has no kernel $name: use another KERNEL, one of: $SUPPORTED"
	newest=${releases%%$'\n'*}
	releases=$(supported <<<"$releases")
	[[ $releases ]] ||
		die "the kernel of $name is Linux $newest now, and this module is for ${MINORS// / and }: use another KERNEL, or get a newer version of kmod_rs"
	for release in $releases; do
		version=$(archive_version "$CODENAME" "linux-headers-$release")
		packages=$(find_packages "$release" "$version")
		if [[ $packages ]]; then
			printf '%s\n' "$release" "$version" "$packages" >"$KERNELS/$name.found.part"
			mv "$KERNELS/$name.found.part" "$KERNELS/$name.found"
			return
		fi
	done
	die "the Debian archive has the packages of kernel $name in different versions: it is being updated, so try again in a few hours"
}

# download DIRECTORY VERSION PACKAGE...: download the packages, and unpack them in DIRECTORY/root.
download() {
	local directory=$1 version=$2 deb
	shift 2
	mkdir -p "$directory/debs" "$directory/root"
	cd "$directory/debs"
	archive "$CODENAME" apt-get download "${@/%/=$version}"
	for deb in *.deb; do
		dpkg-deb -x "$deb" ../root
		rm "$deb"
	done
	rmdir "$directory/debs"
}

download_source() {
	local part=$1 version=$2 package=$3
	download "$part.deb" "$version" "$package"
	mkdir "$part"
	unpack_source "$part.deb"/root/usr/src/linux-source-*.tar.xz "$part"
	remove "$part.deb"
}

# Remove the sources from which no kernel is built any more.
remove_unused_sources() {
	local source
	for source in "$SOURCES"/*; do
		[[ $(realpath -- "$KERNELS"/*/src 2>/dev/null) == *"$source"* ]] || remove "$source"
	done
}

# fetch_source VERSION PACKAGE: put the source into $SOURCES/VERSION, unless another flavour has put
# it there already.
fetch_source() {
	local version=$1 package=$2 part=$SOURCES/$1.part
	[[ ! -d $SOURCES/$version ]] || return 0
	mkdir -p "$SOURCES"
	remove_unused_sources
	need_space 1700 "the source of the kernel"
	step "fetching the source of kernel $version" download_source "$part" "$version" "$package"
	mv -T "$part" "$SOURCES/$version"
}

unpack() {
	local directory=$1 release=$2 version=$3 modules
	shift 3
	download "$directory" "$version" "$@"
	cd "$directory"
	ln -s usr/lib root/lib
	modules=root/usr/lib/modules/$release
	ln "$modules/vmlinuz" vmlinuz 2>/dev/null || ln "$modules/vmlinuz.unsigned" vmlinuz
}

# read_found NAME: read what resolve found into RELEASE, VERSION and FOUND.
read_found() {
	{ read -r RELEASE && read -r VERSION && read -ra FOUND; } 2>/dev/null <"$KERNELS/$1.found"
}

is_fetched() {
	[[ -f $KERNELS/$RELEASE/fetched && $(<"$KERNELS/$RELEASE/fetched") == "$VERSION $UNPACKED" ]]
}

# fetch NAME: set RELEASE, VERSION and FOUND, and make sure that this kernel is unpacked.
fetch() {
	local name=$1 directory
	if [[ ! ${REFRESH:-} && -f $KERNELS/$name.found ]] && read_found "$name" && is_fetched; then
		return
	fi
	step "finding kernel $name in the archive" resolve "$name"
	read_found "$name"
	if is_fetched; then
		return
	fi
	directory=$KERNELS/$RELEASE
	remove "$directory"
	mkdir "$directory"
	ln -s "../../$(basename "$SOURCES")/$VERSION" "$directory/src"
	fetch_source "$VERSION" "$(source_package "$RELEASE")"
	need_space 700 "kernel $RELEASE"
	step "fetching kernel $RELEASE" unpack "$directory" "$RELEASE" "$VERSION" "${FOUND[@]}"
	echo "$VERSION $UNPACKED" >"$directory/fetched"
}

# --- Build -----------------------------------------------------------------

# Build the two modules that the kernel's own test of module loading needs.
test_modules() {
	local directory=$1 name
	mkdir "$directory/test-modules"
	cd "$directory/test-modules"
	for name in test_kmod test_module; do
		cp "../src/lib/$name.c" .
		echo "obj-m += $name.o" >>Kbuild
	done
	in_sysroot_of "$CODENAME" make -C "$directory/build" M="$PWD" modules
}

# Debian makes the index of modules when a kernel is installed. Here it is only unpacked.
index_modules() {
	in_sysroot depmod -b "$1/root" "$2"
}

write_info() {
	cat <<-EOT
		name=$1
		codename=$CODENAME
		release=$RELEASE
		version=$VERSION
		packages="${FOUND[*]} $(source_package "$RELEASE")"
		toolchain="$(toolchain "$CODENAME")"
	EOT
}

build() {
	local directory=$1 release=$2 headers=$1/root/usr/src/linux-headers-$2
	remove "$directory/build" "$directory/test-modules"
	step "configuring kernel $release" configure "$directory" "$release" "$headers"
	step "building the Rust metadata of kernel $release" metadata "$directory" "$release" \
		"$headers"
	step "building the test modules for kernel $release" test_modules "$directory"
	step "indexing the modules of kernel $release" index_modules "$directory" "$release"
}

# --- Both ------------------------------------------------------------------

# made NAME: is this kernel complete, and was it made with the tools that are here now?
made() {
	[[ -L $KERNELS/$1 ]] && is_complete "$KERNELS/$1" "$RECIPE $(toolchain "$CODENAME")"
}

# use NAME RELEASE: make the link NAME point to RELEASE.
use() {
	local before
	before=$(readlink "$KERNELS/$1" || true)
	ln -sfn "$2" "$KERNELS/$1.part"
	mv -T "$KERNELS/$1.part" "$KERNELS/$1"
	if [[ $before && $before != "$2" ]]; then
		say "kernel $before is no longer used: remove $KERNELS/$before if you do not need it"
	fi
}

main() {
	local fetch_only="" name
	if [[ ${1:-} == --fetch ]]; then
		fetch_only=1
		shift
	fi
	(($# == 1)) || die "usage: kernel.sh [--fetch] NAME, with NAME one of: $SUPPORTED"
	name=$1
	check_name "$name"
	CODENAME=$(codename_of "$name")
	cd "$TOP"
	take_lock
	mkdir -p "$KERNELS"
	if [[ ! ${REFRESH:-} ]] && { made "$name" || [[ $fetch_only &&
		-f $KERNELS/$name/fetched ]]; }; then
		return
	fi
	fetch "$name"
	if [[ $fetch_only ]]; then
		return
	fi
	if ! is_complete "$KERNELS/$RELEASE" "$RECIPE $(toolchain "$CODENAME")"; then
		rm -f "$KERNELS/$RELEASE/complete"
		build "$KERNELS/$RELEASE" "$RELEASE"
		write_info "$name" >"$KERNELS/$RELEASE/info"
		echo "$RECIPE $(toolchain "$CODENAME")" >"$KERNELS/$RELEASE/complete"
	fi
	use "$name" "$RELEASE"
}

main "$@"
