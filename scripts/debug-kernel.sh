#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make the debugging kernel: the source of a Debian kernel that kernel.sh made
# ready, with the configuration in tests/debug-kernel.config. It is built with
# clang (LLVM=1), as gcc's KASAN and Rust exclude each other.
#
# $CACHE/kernels/RELEASE-debug then holds
#   src/           a link to the source
#   build/         the tree to build modules with (KDIR)
#   root/          its modules
#   vmlinuz        the image
#   guest.cpio     as guest.sh makes it
#   info           what it was made of
# and $CACHE/kernels/MINOR-debug is a link to it. It is made anew when the
# configuration, the source or the compilers have changed. Interrupted, the
# build goes on where it was.
#
# usage: debug-kernel.sh MINOR

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Raise it when what is made here changes: older trees are then made anew.
RECIPE=1

FRAGMENT=$TOP/tests/debug-kernel.config

kernel_make() {
	local directory=$1
	shift
	in_sysroot env DEBIAN_KERNEL_NO_CC_VERSION_CHECK=y \
		make -C "$directory/src/" O="$directory/build" ARCH=x86 LLVM=1 -j"$(($(nproc) + 1))" "$@"
}

# Kconfig drops what it does not know, or what depends on something else.
check_configuration() {
	local lost
	lost=$(grep -E '^(# )?CONFIG_' "$FRAGMENT" | grep -vxFf "$1/build/.config" || true)
	[[ ! $lost ]] ||
		die "the debugging kernel cannot have what $(basename "$FRAGMENT") asks for: ${lost//$'\n'/, }"
}

# A .config that is as it was keeps its date, so that make has nothing to do.
configure() {
	local directory=$1
	kernel_make "$directory" KCONFIG_ALLCONFIG="$FRAGMENT" allnoconfig
	kernel_make "$directory" olddefconfig
	check_configuration "$directory"
}

compile() {
	kernel_make "$1" all
}

install_modules() {
	local directory=$1 root=$1/root
	remove "$root"
	mkdir -p "$root/usr/lib"
	ln -s usr/lib "$root/lib"
	kernel_make "$directory" INSTALL_MOD_PATH="$root" modules_install
	ln -f "$directory/build/arch/x86/boot/bzImage" "$directory/vmlinuz"
}

# What make cannot tell by itself to have changed.
origin() {
	echo "$RECIPE $(sed -n 's/^version=//p' "$1/info") $(toolchain trixie rustc bindgen clang-19 lld-19)"
}

fragment_sum() {
	sha256sum "$FRAGMENT" | cut -d' ' -f1
}

build() {
	local stock=$1 directory=$2 release=$3 origin
	origin=$(origin "$stock")
	rm -f "$directory/complete"
	if [[ ! -f $directory/origin || $(<"$directory/origin") != "$origin" ]]; then
		remove "$directory"
		need_space 1500 "kernel $release"
		mkdir -p "$directory/build"
		ln -s "../$(basename "$stock")/src" "$directory/src"
		echo "$origin" >"$directory/origin"
	fi
	step "configuring kernel $release" configure "$directory"
	step "building kernel $release, which takes 10 minutes and more" compile "$directory"
	step "installing the modules of kernel $release" install_modules "$directory"
	cp "$stock/info" "$directory/info"
}

main() {
	local minor stock release directory stamp
	(($# == 1)) || die "say which kernel: debug-kernel.sh MINOR, one of: $MINORS"
	minor=$1
	[[ " $MINORS " == *" $minor "* ]] ||
		die "there is no debugging kernel for KERNEL=$minor, only for one of: $MINORS"
	cd "$TOP"
	take_lock
	[[ -f $KERNELS/$minor/complete ]] || die "kernel $minor is not there yet: run scripts/prepare.sh $minor first"
	stock=$(realpath "$KERNELS/$minor")
	release=$(basename "$stock")-debug
	directory=$KERNELS/$release
	stamp="$(origin "$stock") $(fragment_sum)"
	if ! is_complete "$directory" "$stamp"; then
		build "$stock" "$directory" "$release"
		echo "$stamp" >"$directory/complete"
	fi
	ln -sfn "$release" "$KERNELS/$minor-debug.part"
	mv -T "$KERNELS/$minor-debug.part" "$KERNELS/$minor-debug"
	spawn "$TOP/scripts/guest.sh" "$minor-debug"
	join "$!"
}

main "$@"
