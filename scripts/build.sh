#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Build kmod-rs.ko: Kbuild, then the last step of a livepatch module, which
# Kbuild does not know.
#
# KDIR, if set, is the kernel to build against, or KERNEL says which of those that "make
# prepare" made; otherwise it is the one made for the running kernel, else that's own. With a
# directory as first argument the sources are copied there and built there, so
# that one checkout can be built for several kernels. What follows goes to make
# (W=1, CLIPPY=1, ...).
#
# usage: [KDIR=DIR | KERNEL=NAME] build.sh [--in DIR] [MAKE ARGUMENTS...]

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Where the sources are, besides the top.
FOLDERS=(./request ./firewall ./records ./livepatch ./wrappers)

# The sources in the current directory, without what a build may have left.
sources() {
	find . "${FOLDERS[@]}" -maxdepth 1 -type f \
		\( -name Kbuild -o -name '*.rs' -o -name '*.[chS]' \) ! -name '*.mod.c'
}

# forget SOURCE: remove it, and what Kbuild noted on how to make its object file.
forget() {
	local object=${1%.*}.o
	rm -f "$1" "$object" "${object%/*}/.${object##*/}.cmd"
}

# copy_sources DIR: there are the sources then, and no other ones; those that have not
# changed are not touched.
copy_sources() {
	local source
	mkdir -p "$1"
	sources | xargs cp --parents --update --preserve=timestamps -t "$1"
	while read -r source; do
		[[ -f $TOP/$source ]] || forget "$1/$source"
	done < <(cd "$1" && sources)
}

main() {
	cd "$TOP"
	if [[ ${1:-} == --in ]]; then
		copy_sources "$2"
		cd "$2"
		shift 2
	fi

	KDIR=$(choose_kdir)
	"$TOP/scripts/check-kernel.sh" "$KDIR"

	# The step below is not repeatable, so the file is linked anew each time.
	rm -f kmod-rs.ko
	with_tools make --no-print-directory -C "$KDIR" M="$PWD" "$@" modules

	# A test looks at what becomes of a module without the steps below.
	[[ $PWD == "$TOP" ]] || cp kmod-rs.ko not-post-linked.ko

	# A BTF section would name types of a kernel image that is not here. Without it
	# the numbers in .BTF_ids, which trace events refer to, are 0: no types.
	with_tools objcopy --remove-section .BTF kmod-rs.ko
	with_tools "$KDIR/tools/objtool/objtool" klp post-link kmod-rs.ko
	with_tools "$TOP/scripts/check-module.sh" kmod-rs.ko
	say "built $PWD/kmod-rs.ko for $(<"$KDIR/include/config/kernel.release")"
}

main "$@"
