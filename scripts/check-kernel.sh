#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Check whether the module can be built for a kernel. If not, say why in one sentence, before the
# compilers print a page. The exit status is 0 if it can be built.
#
# usage: check-kernel.sh KDIR
#        check-kernel.sh --tracepoint KDIR   print the value of TRACEPOINT for that kernel

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# wrappers/trace.c fires a tracepoint that is not exported, in the same way as <linux/tracepoint.h>
# does. This is the checksum of the two macros there, as in 7.2.12 and 7.3.4. If the macros of a
# kernel differ, compare them with trace.c, correct trace.c, and put here what --tracepoint prints.
TRACEPOINT=8c1b7ca3366c4b32

# tracepoint_macros KDIR: a checksum of these macros that ignores white space.
tracepoint_macros() {
	local header
	for header in "$1"/{source/,}include/linux/tracepoint.h; do
		[[ ! -f $header ]] || break
	done
	sed -n '/^#define __DO_TRACE_CALL(/,/[^\\]$/p; /^#define __DECLARE_TRACE(/,/[^\\]$/p' \
		"$header" |
		tr -s '\\[:space:]' ' ' | sha256sum | cut -c1-16
}

main() {
	local kdir=$1 config=$1/include/config/auto.conf release

	[[ -d $kdir ]] ||
		die "KDIR=$kdir is not a directory: set it to the build directory of a kernel"
	[[ -f $config && -f $kdir/include/config/kernel.release ]] ||
		die "KDIR=$kdir is not a prepared kernel tree: run \"make modules_prepare\" there, or \"make prepare\" here and leave KDIR out"
	release=$(<"$kdir/include/config/kernel.release")

	is_minor "$(minor_of "$release")" ||
		die "Linux $release is not supported: this module is for ${MINORS// / and }"
	has() { grep -qx "$1=[ym]" "$config"; }
	has CONFIG_MODULES || die "Linux $release is built without modules (CONFIG_MODULES)"
	has CONFIG_LIVEPATCH || die "Linux $release is built without livepatch (CONFIG_LIVEPATCH): its request_module() cannot be replaced"
	has CONFIG_KALLSYMS_ALL || die "Linux $release is built without CONFIG_KALLSYMS_ALL: livepatch cannot find modprobe_path in it"
	has CONFIG_RUST || die "Linux $release is built without Rust (CONFIG_RUST)"
	has CONFIG_TRACEPOINTS ||
		die "Linux $release is built without trace events (CONFIG_TRACEPOINTS)"
	! has CONFIG_MODULE_DEBUG_AUTOLOAD_DUPS ||
		die "Linux $release is built with CONFIG_MODULE_DEBUG_AUTOLOAD_DUPS: this module does not do the bookkeeping that it adds to request_module()"
	[[ -f $kdir/rust/libkernel.rmeta ]] ||
		die "KDIR=$kdir has no Rust metadata (rust/libkernel.rmeta): run \"make prepare\" and leave KDIR out"
	[[ -f $kdir/Module.symvers ]] ||
		die "KDIR=$kdir has no Module.symvers: build the kernel there, or copy the file from its headers package"
	[[ -x $kdir/tools/objtool/objtool ]] ||
		die "KDIR=$kdir has no objtool: run \"make modules_prepare\" there"
	[[ $(tracepoint_macros "$kdir") == "$TRACEPOINT" ]] ||
		die "Linux $release fires tracepoints in another way than wrappers/trace.c does (__DECLARE_TRACE in include/linux/tracepoint.h)"
}

case $# in
	1) main "$1" ;;
	2) tracepoint_macros "$2" ;;
	*) die "usage: check-kernel.sh [--tracepoint] KDIR" ;;
esac
