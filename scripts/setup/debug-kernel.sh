#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make the debugging kernel, from the source of a Debian kernel that kernel.sh has set up and with
# the configuration in tests/debug-kernel.config. It is built with clang (LLVM=1), because gcc's
# KASAN and Rust exclude each other. With "rt" it has PREEMPT_RT, and the options that
# tests/debug-kernel-rt.config adds for that.
#
# The result is in $CACHE/kernels/RELEASE-debug, or RELEASE-debug-rt:
#
#   src/           a link to the source
#   build/         the tree to build modules with (KDIR). certs/signing_key.pem is the key that this
#                  build has made, with its certificate
#   root/          its modules, signed with that key
#   vmlinuz        the image
#   guest.cpio     as initramfs.sh makes it
#   info           what it was made of
#
# $CACHE/kernels/MINOR-debug, or MINOR-debug-rt, is a link to it. The kernel is built again when the
# configuration, the source or the compilers have changed. A build that was interrupted continues
# where it was.
#
# usage: debug-kernel.sh MINOR [rt]

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# Increase this number when this script changes what it makes. Older trees are then made anew.
RECIPE=1

# The files that the configuration consists of. If two lines set one option, the last one counts.
FRAGMENTS=("$TOP/tests/debug-kernel.config")
RT_FRAGMENT=$TOP/tests/debug-kernel-rt.config

# The options that PREEMPT_RT or EXPERT changes in ways that no fragment can undo. In all other
# options the debugging kernel with PREEMPT_RT is the same as the one without.
RT_CHANGES=(LOCALVERSION EXPERT PREEMPT_RT ARCH_HAS_ZONE_DMA_SET DEBUG_MUTEXES DEBUG_RWSEMS
	QUEUED_RWLOCKS SOFTIRQ_ON_OWN_STACK)

kernel_make() {
	local directory=$1
	shift
	in_sysroot env DEBIAN_KERNEL_NO_CC_VERSION_CHECK=y \
		make -C "$directory/src/" O="$directory/build" ARCH=x86 LLVM=1 \
		-j"$(($(nproc) + 1))" "$@"
}

# settings FILE...: the settings in configurations or fragments, as OPTION=VALUE.
settings() {
	sed -nE 's/^# (CONFIG_\w+) is not set$/\1=n/p; /^CONFIG_/p' "$@" | tac |
		awk -F= '!seen[$1]++'
}

# lost CONFIGURATION FILE...: the settings of the files that the configuration does not have. An
# option that the configuration does not name is n.
lost() {
	awk -F= 'NR == FNR { has[$1] = $0; next }
		($1 in has ? has[$1] : $1 "=n") != $0' <(settings "$1") <(settings "${@:2}")
}

in_one_line() {
	paste -sd, | sed 's/,/, /g'
}

# configure_as NAME DIRECTORY FRAGMENT...: make a configuration of that name. Kconfig drops an
# option that it does not know, or whose dependencies are not met.
configure_as() {
	local config=$2/build/$1 directory=$2 lost
	shift 2
	settings "$@" >"$config.wanted"
	kernel_make "$directory" KCONFIG_CONFIG="$config" KCONFIG_ALLCONFIG="$config.wanted" \
		allnoconfig
	kernel_make "$directory" KCONFIG_CONFIG="$config" olddefconfig
	lost=$(lost "$config" "$@" | in_one_line)
	[[ ! $lost ]] ||
		die "the debugging kernel cannot have these settings of $(basename -a "$@" | in_one_line): $lost"
}

# check_differences CONFIGURATION OTHER: check that they differ only in what PREEMPT_RT changes.
check_differences() {
	local different
	different=$({ lost "$1" "$2" && lost "$2" "$1"; } | sed 's/=.*//' | sort -u |
		grep -vxFf <(printf 'CONFIG_%s\n' "${RT_CHANGES[@]}") | in_one_line || true)
	[[ ! $different ]] ||
		die "the debugging kernel with PREEMPT_RT differs from the one without in $different: add the settings of the one without to $(basename "$RT_FRAGMENT")"
}

# A .config that has not changed keeps its time stamp, so that make has nothing to do.
configure() {
	local directory=$1
	configure_as .config "$directory" "${FRAGMENTS[@]}"
	if ((${#FRAGMENTS[@]} > 1)); then
		configure_as .config-without-rt "$directory" "${FRAGMENTS[0]}"
		check_differences "$directory"/build/.config{-without-rt,}
	fi
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

# What make does not notice by itself when it changes.
origin() {
	echo "$RECIPE $(sed -n 's/^version=//p' "$1/info") $(toolchain trixie rustc bindgen clang-19 lld-19)"
}

# A checksum of the options, without the comments.
fragment_sum() {
	grep -h 'CONFIG_' "${FRAGMENTS[@]}" | sha256sum | cut -d' ' -f1
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
	step "building kernel $release, which takes 10 minutes or more" compile "$directory"
	step "installing the modules of kernel $release" install_modules "$directory"
	cp "$stock/info" "$directory/info"
}

main() {
	local minor kind=debug stock release directory stamp
	[[ $# == 1 || "$# ${2:-}" == "2 rt" ]] ||
		die "usage: debug-kernel.sh MINOR [rt], with MINOR one of: $MINORS"
	minor=$1
	is_minor "$minor" ||
		die "there is no debugging kernel for KERNEL=$minor, only for: $MINORS"
	if [[ ${2:-} ]]; then
		kind=debug-rt FRAGMENTS+=("$RT_FRAGMENT")
	fi
	cd "$TOP"
	take_lock
	[[ -f $KERNELS/$minor/complete ]] ||
		die "kernel $minor is not set up yet: run scripts/setup/prepare.sh $minor first"
	stock=$(realpath "$KERNELS/$minor")
	release=$(basename "$stock")-$kind
	directory=$KERNELS/$release
	stamp="$(origin "$stock") $(fragment_sum)"
	if ! is_complete "$directory" "$stamp"; then
		build "$stock" "$directory" "$release"
		echo "$stamp" >"$directory/complete"
	fi
	ln -sfn "$release" "$KERNELS/$minor-$kind.part"
	mv -T "$KERNELS/$minor-$kind.part" "$KERNELS/$minor-$kind"
	spawn "$TOP/scripts/setup/initramfs.sh" "$minor-$kind"
	join "$!"
}

main "$@"
