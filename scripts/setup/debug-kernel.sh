#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make the debugging kernel: the source of a Debian kernel that kernel.sh made
# ready, with the configuration in tests/debug-kernel.config. It is built with
# clang (LLVM=1), as gcc's KASAN and Rust exclude each other. With "rt" it has
# PREEMPT_RT, and what tests/debug-kernel-rt.config adds for that.
#
# $CACHE/kernels/RELEASE-debug, or RELEASE-debug-rt, then holds
#   src/           a link to the source
#   build/         the tree to build modules with (KDIR)
#   root/          its modules
#   vmlinuz        the image
#   guest.cpio     as initramfs.sh makes it
#   info           what it was made of
# and $CACHE/kernels/MINOR-debug, or MINOR-debug-rt, is a link to it. It is made
# anew when the configuration, the source or the compilers have changed.
# Interrupted, the build goes on where it was.
#
# usage: debug-kernel.sh MINOR [rt]

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# Raise it when what is made here changes: older trees are then made anew.
RECIPE=1

# What the configuration consists of: of two lines for one option the last counts.
FRAGMENTS=("$TOP/tests/debug-kernel.config")
RT_FRAGMENT=$TOP/tests/debug-kernel-rt.config

# The options that PREEMPT_RT changes, or EXPERT, in ways that no fragment can undo. In all
# others the debugging kernel with PREEMPT_RT is the one without.
RT_CHANGES=(LOCALVERSION EXPERT PREEMPT_RT ARCH_HAS_ZONE_DMA_SET DEBUG_MUTEXES DEBUG_RWSEMS
	QUEUED_RWLOCKS SOFTIRQ_ON_OWN_STACK)

kernel_make() {
	local directory=$1
	shift
	in_sysroot env DEBIAN_KERNEL_NO_CC_VERSION_CHECK=y \
		make -C "$directory/src/" O="$directory/build" ARCH=x86 LLVM=1 -j"$(($(nproc) + 1))" "$@"
}

# settings FILE...: OPTION=VALUE, of configurations or fragments.
settings() {
	sed -nE 's/^# (CONFIG_\w+) is not set$/\1=n/p; /^CONFIG_/p' "$@" | tac | awk -F= '!seen[$1]++'
}

# lost CONFIGURATION FILE...: the settings of the files that the configuration does not
# have. What it does not name is n.
lost() {
	awk -F= 'NR == FNR { has[$1] = $0; next }
		($1 in has ? has[$1] : $1 "=n") != $0' <(settings "$1") <(settings "${@:2}")
}

in_one_line() {
	paste -sd, | sed 's/,/, /g'
}

# configure_as NAME DIRECTORY FRAGMENT...: make the configuration of that name. Kconfig drops
# what it does not know, or what depends on something else.
configure_as() {
	local config=$2/build/$1 directory=$2 lost
	shift 2
	settings "$@" >"$config.wanted"
	kernel_make "$directory" KCONFIG_CONFIG="$config" KCONFIG_ALLCONFIG="$config.wanted" allnoconfig
	kernel_make "$directory" KCONFIG_CONFIG="$config" olddefconfig
	lost=$(lost "$config" "$@" | in_one_line)
	[[ ! $lost ]] ||
		die "the debugging kernel cannot have what $(basename -a "$@" | in_one_line) asks for: $lost"
}

# check_differences CONFIGURATION OTHER: they differ in what PREEMPT_RT changes, and in nothing else.
check_differences() {
	local different
	different=$({ lost "$1" "$2" && lost "$2" "$1"; } | sed 's/=.*//' | sort -u |
		grep -vxFf <(printf 'CONFIG_%s\n' "${RT_CHANGES[@]}") | in_one_line || true)
	[[ ! $different ]] ||
		die "the debugging kernel with PREEMPT_RT differs from the one without in $different: write what the other has into $(basename "$RT_FRAGMENT")"
}

# A .config that is as it was keeps its date, so that make has nothing to do.
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

# What make cannot tell by itself to have changed.
origin() {
	echo "$RECIPE $(sed -n 's/^version=//p' "$1/info") $(toolchain trixie rustc bindgen clang-19 lld-19)"
}

# Of the options, not of the comments.
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
	step "building kernel $release, which takes 10 minutes and more" compile "$directory"
	step "installing the modules of kernel $release" install_modules "$directory"
	cp "$stock/info" "$directory/info"
}

main() {
	local minor kind=debug stock release directory stamp
	[[ $# == 1 || "$# ${2:-}" == "2 rt" ]] ||
		die "say which kernel: debug-kernel.sh MINOR [rt], MINOR one of: $MINORS"
	minor=$1
	is_minor "$minor" ||
		die "there is no debugging kernel for KERNEL=$minor, only for one of: $MINORS"
	if [[ ${2:-} ]]; then
		kind=debug-rt FRAGMENTS+=("$RT_FRAGMENT")
	fi
	cd "$TOP"
	take_lock
	[[ -f $KERNELS/$minor/complete ]] || die "kernel $minor is not there yet: run scripts/setup/prepare.sh $minor first"
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
