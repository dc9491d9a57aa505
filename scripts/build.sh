#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Build kmod-rs.ko. After Kbuild this runs "objtool klp post-link", the last step of a livepatch
# module, which Kbuild does not know, and checks the result.
#
# KDIR is the kernel to build for, or KERNEL is the name of one that "make prepare" has set up.
# Without both it is the running kernel, in the tree that "make prepare" made for it, or else in its
# own tree. With --in DIR, the sources are copied to DIR and built there, so that one checkout can
# be built for several kernels. All other arguments go to make (W=1, CLIPPY=1, ...).
#
# usage: [KDIR=DIR | KERNEL=NAME] build.sh [--in DIR] [MAKE ARGUMENTS...]

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/sources.sh
. "$TOP/scripts/sources.sh"

# forget SOURCE: remove it, its object file, and Kbuild's note on how to make that file.
forget() {
	local object=${1%.*}.o
	rm -f "$1" "$object" "${object%/*}/.${object##*/}.cmd"
}

# copy_sources DIR: make DIR have the sources of this checkout and no others. A source that has not
# changed is not touched.
copy_sources() {
	local source
	mkdir -p "$1"
	sources | xargs cp --parents --update --preserve=timestamps -t "$1"
	while read -r source; do
		[[ -f $TOP/$source ]] || forget "$1/$source"
	done < <(cd "$1" && sources)
}

main() {
	local directories c_flags rust_flags
	cd "$TOP"
	if [[ ${1:-} == --in ]]; then
		copy_sources "$2"
		cd "$2"
		shift 2
	fi

	KDIR=$(choose_kdir)
	"$TOP/scripts/check-kernel.sh" "$KDIR"

	# No path of this machine gets into the module.
	directories=("$PWD" "$KDIR")
	[[ ! -e $KDIR/source ]] || directories+=("$KDIR/source")
	# The debug information has that of the directory itself, and the build ID is made of it.
	c_flags="-ffile-prefix-map=$(pwd -P)=. $(remap_flags -ffile-prefix-map "${directories[@]}")"
	rust_flags=$(remap_flags --remap-path-prefix "${directories[@]}")

	# A file can be post-linked only once, so it is linked anew each time.
	rm -f kmod-rs.ko
	with_tools make --no-print-directory -C "$KDIR" M="$PWD" KCFLAGS="$c_flags" \
		KAFLAGS="$c_flags" KRUSTFLAGS="$rust_flags" "$@" modules

	# Tests use a module without the steps below.
	[[ $PWD == "$TOP" ]] || cp kmod-rs.ko not-post-linked.ko

	# The BTF section would name types of a kernel image that is not here. Without it, the
	# numbers in .BTF_ids, which trace events refer to, are 0: no types.
	# Nothing can be stripped later: the livepatch relocations do not survive that.
	with_tools objcopy --strip-debug --remove-section .BTF kmod-rs.ko
	with_tools "$KDIR/tools/objtool/objtool" klp post-link kmod-rs.ko
	with_tools "$TOP/scripts/check-module.sh" kmod-rs.ko
	say "built $PWD/kmod-rs.ko for $(<"$KDIR/include/config/kernel.release")"
}

main "$@"
