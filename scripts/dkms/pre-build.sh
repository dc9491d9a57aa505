#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What DKMS runs before it builds the module for a kernel, in a copy of the sources. It makes kdir/,
# a tree to build with: Debian's headers, and what they lack, most of it the Rust metadata. That is
# made from Debian's package linux-source-MINOR, if it has the version of the headers, and nothing is
# fetched. It takes minutes, so it is kept, packed, for the next version of the module:
#
#   $STATE/RELEASE/metadata.tar.zst   what the headers lack
#   $STATE/RELEASE/complete           which headers and which tools it was made with
#   $STATE/RELEASE/skipped            why the module was not built for this kernel
#
# DKMS fails if a build fails, and then the upgrade of the kernel fails as well. But if this script
# ends with 77, DKMS skips the module. So everything that can fail is done here, the build included,
# and any failure ends like that. The reason is in the log, and "kmod-rs doctor" shows it.
#
# usage: pre-build.sh RELEASE HEADERS

set -euo pipefail
XDG_CACHE_HOME=$(dirname "$0")/../../cache
export XDG_CACHE_HOME KMOD_RS_NATIVE=1
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/setup/metadata.sh
. "$TOP/scripts/setup/metadata.sh"

SKIPPED=77
STATE=/var/lib/kmod-rs-dkms
# Increase this number when what is kept changes.
RECIPE=1

# For metadata.sh.
CODENAME=trixie ADVICE=""

# version_of PACKAGE: its version, if it is unpacked.
version_of() {
	dpkg-query -W -f '${db:Status-Status} ${Version}' "$1" 2>/dev/null |
		sed -nE 's/^(unpacked|half-configured|triggers-.*|installed) //p'
}

# check_rustc RELEASE CONFIG: metadata is of use only to the rustc that made it.
check_rustc() {
	local wanted found
	wanted=$(sed -n 's/^CONFIG_RUSTC_VERSION_TEXT="\(.*\)"$/\1/p' "$2")
	found=$(in_sysroot rustc --version) || die "rustc is missing: install the package rustc"
	[[ $found == "$wanted" ]] ||
		die "kernel $1 is built with $wanted, and $found is installed"
}

# source_archive RELEASE: the archive with the source of this kernel. If its version is not that of
# the headers, say so.
source_archive() {
	local package wanted found file
	package=linux-source-$(minor_of "$1")
	wanted=$(version_of "linux-headers-$1")
	found=$(version_of "$package")
	file=/usr/src/$package.tar.xz
	[[ $wanted ]] || die "the package linux-headers-$1 is not installed"
	[[ $found ]] || die "the package $package is not installed, in version $wanted"
	[[ $found == "$wanted" ]] ||
		die "the package $package is installed in version $found, and linux-headers-$1 in version $wanted: install both in one version"
	[[ -f $file ]] || die "$file is missing: install the package $package again"
	echo "$file"
}

# pack DIRECTORY FILE: pack what Debian's headers lack. The metadata refers to the libraries of
# macros, but not to what they say to debuggers.
pack() {
	cd "$1/build"
	strip --strip-debug rust/*.so tools/objtool/objtool
	mkdir crypto
	cp ../src/crypto/{api.c,algboss.c,internal.h} crypto/
	tar -c --zstd -f "$2" rust/*.rmeta rust/*.so scripts/target.json tools/objtool/objtool crypto
}

# make_metadata RELEASE HEADERS FILE
make_metadata() {
	local release=$1 headers=$2 file=$3 directory=$CACHE/kernel archive
	archive=$(source_archive "$release")
	mkdir -p "$directory/src"
	need_space 2000 "the metadata of kernel $release"
	step "unpacking the source of kernel $release" unpack_source "$archive" "$directory/src"
	step "configuring kernel $release" configure "$directory" "$release" "$headers"
	step "building the Rust metadata of kernel $release" metadata "$directory" "$release" "$headers"
	step "packing the metadata" pack "$directory" "$file"
	remove "$directory"
}

# keep_metadata RELEASE HEADERS KEPT: make the metadata and keep it there, unless it is there.
keep_metadata() {
	local release=$1 headers=$2 kept=$3 origin
	origin="$RECIPE $(version_of "linux-headers-$release") $(toolchain "$CODENAME")"
	! is_complete "$kept" "$origin" || return 0
	rm -f "$kept/metadata.tar.zst.part"
	make_metadata "$release" "$headers" "$kept/metadata.tar.zst.part"
	rm -f "$kept/complete"
	mv "$kept"/metadata.tar.zst{.part,}
	echo "$origin" >"$kept/complete"
}

# make_kdir HEADERS FILE DIR: make a tree of these headers, and what they lack.
make_kdir() {
	local headers=$1 file=$2 kdir=$3 common
	common=$(sed -n 's|^include \(.*\)/Makefile$|\1|p' "$headers/Makefile")
	mkdir -p "$kdir/scripts"
	ln -s "$headers"/{.config,.kernelvariables,Module.symvers,arch,include} "$kdir/"
	ln -s "$headers"/scripts/* "$kdir/scripts/"
	ln -s "$common" "$kdir/source"
	printf 'KBUILD_OUTPUT = %s\ninclude %s/Makefile\n' "$kdir" "$common" >"$kdir/Makefile"
	tar -C "$kdir" -x --zstd -f "$file"
}

# try RELEASE HEADERS KEPT: do all of it.
try() {
	local release=$1 headers kept=$3
	headers=$(realpath -- "$2")
	[[ $(name_of "$release") ]] ||
		die "Linux $release is not supported: this module is for ${MINORS// / and }"
	check_required "$release" "$headers/.config"
	check_compiler "$release" "$headers/.kernelvariables"
	check_rustc "$release" "$headers/.config"
	keep_metadata "$release" "$headers" "$kept"
	step "making a tree to build with" make_kdir "$headers" "$kept/metadata.tar.zst" "$TOP/kdir"
	KDIR=$TOP/kdir "$TOP/scripts/build.sh"
}

# reason FILE: why it failed, if this is what was said.
reason() {
	if grep -q 'No space left on device' "$1"; then
		echo "the disk is full"
	else
		sed -n '$s/^kmod_rs: //p' "$1" | grep . || echo "a command has failed; its output is in make.log"
	fi
}

main() {
	local release=$1 kept=$STATE/$1 said=$CACHE/said
	mkdir -p "$CACHE" "$kept"
	if env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$0" --try "$1" "$2" "$kept" 2>&1 |
		tee "$said"; then
		rm -f "$kept/skipped"
		return
	fi
	reason "$said" >"$kept/skipped"
	say "skipped: the module is not built for kernel $release"
	exit "$SKIPPED"
}

case $# in
2) main "$@" ;;
4) try "${@:2}" ;;
*) die "usage: pre-build.sh RELEASE HEADERS" ;;
esac
