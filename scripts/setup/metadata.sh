# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Make the Rust metadata of a Debian kernel: what rustc has to know of the kernel's own crates to
# build a module in Rust. Sourced after lib.sh, by kernel.sh and by dkms/pre-build.sh.
#
# Debian's headers do not have it. It is made from Debian's own source and configuration, with
# Debian's own compilers. A module that is built with it is safe to load only if it is the same as
# Debian's. So these functions check that the configuration is unchanged, and that the names of all
# Rust symbols are those that Debian's kernel exports. These names are hashes of the compiler, the
# options and the types.
#
# A DIRECTORY has the source in src/, and the tree that is made of it in build/. $CODENAME is the
# Debian release with whose tools this is done. $ADVICE ends what is said when this cannot be done.

# The options that the module needs, and those with which it does not work.
CONFIG_ON=(RUST MODULES LIVEPATCH KALLSYMS_ALL)
CONFIG_OFF=(MODULE_DEBUG_AUTOLOAD_DUPS)

# unpack_source ARCHIVE DIRECTORY: unpack the archive of a package linux-source-MINOR. The register
# tables of one graphics driver, a quarter of the source, are left out.
unpack_source() {
	tar -C "$2" -x --strip-components=1 \
		--exclude='linux-source-*/drivers/gpu/drm/amd/include' -I 'xz -T0' -f "$1"
}

# Debian's .kernelvariables, in build/, sets the compiler and the release.
kernel_make() {
	local directory=$1
	shift
	in_sysroot_of "$CODENAME" make -C "$directory/src/" O="$directory/build" \
		-j"$(($(nproc) + 1))" "$@"
}

# options CONFIG: the options in a .config, without the versions of the tools.
options() {
	grep -E '^(# )?CONFIG_' "$1" | grep -Ev '^CONFIG_[A-Z_]*_VERSION(_TEXT)?=' | sort
}

check_required() {
	local release=$1 config=$2 option
	for option in "${CONFIG_ON[@]}"; do
		grep -q "^CONFIG_$option=y" "$config" ||
			die "kernel $release has no CONFIG_$option, which the module needs$ADVICE"
	done
	for option in "${CONFIG_OFF[@]}"; do
		! grep -q "^CONFIG_$option=y" "$config" ||
			die "kernel $release has CONFIG_$option, which the module does not replace$ADVICE"
	done
}

# Debian testing may have changed the compiler of its kernels since this script was written.
check_compiler() {
	local release=$1 file=$2 compiler
	compiler=$(sed -n 's/^CC = .*\(gcc-[0-9]*\)$/\1/p' "$file")
	[[ " ${COMPILERS[$CODENAME]} " == *" $compiler "* ]] ||
		die "kernel $release is built with ${compiler:-an unknown compiler}, and the tools here are ${COMPILERS[$CODENAME]}$ADVICE"
}

check_unchanged() {
	local release=$1 changed
	changed=$(comm -3 <(options "$2") <(options "$3"))
	[[ $changed ]] || return 0
	echo "$changed"
	die "the tools here change the configuration of kernel $release, so its metadata would not match$ADVICE"
}

# Check that every Rust symbol that was rebuilt is one of Debian's, and that none is missing.
check_symbols() {
	local release=$1 symvers=$2 ours debian different count
	shift 2
	ours=$(sed -n 's/^EXPORT_SYMBOL_RUST_GPL(\(_R.*\));$/\1/p' "$@" | sort -u)
	debian=$(awk -F '\t' '$3 == "vmlinux" && $2 ~ /^_R/ { print $2 }' "$symvers" | sort -u)
	different=$(comm -3 <(echo "$ours") <(echo "$debian"))
	if [[ ! $ours || $different ]]; then
		echo "$different"
		count=$(wc -l <<<"$different")
		die "the Rust metadata rebuilt for kernel $release differs from Debian's in $count symbols, so modules built with it would not be safe$ADVICE"
	fi
	echo "all $(wc -l <<<"$ours") Rust symbols are the same as Debian's"
}

# configure DIRECTORY RELEASE HEADERS: begin build/, with the configuration of these headers.
configure() {
	local directory=$1 release=$2 headers=$3
	check_required "$release" "$headers/.config"
	check_compiler "$release" "$headers/.kernelvariables"
	mkdir "$directory/build"
	cp "$headers"/{.config,.kernelvariables,Module.symvers} "$directory/build/"
	kernel_make "$directory" olddefconfig
	check_unchanged "$release" "$headers/.config" "$directory/build/.config"
}

# metadata DIRECTORY RELEASE HEADERS: make the metadata, in build/rust, and check it.
#
# Messages of a panic name source files, also those of functions that are inlined into the module.
# The names are relative, so that the module is the same wherever it is built.
metadata() {
	local directory=$1 release=$2 headers=$3
	kernel_make "$directory" KRUSTFLAGS="$(remap_flags --remap-path-prefix "$directory"/{src,build})" \
		prepare modules_prepare
	check_symbols "$release" "$headers/Module.symvers" \
		"$directory"/build/rust/exports_*_generated.h
}
