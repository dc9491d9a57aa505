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

# source_file KDIR FILE: the path of a file of the kernel's source.
source_file() {
	local path
	for path in "$1"/{source/,}"$2"; do
		[[ ! -f $path ]] || break
	done
	echo "$path"
}

# tracepoint_macros KDIR: a checksum of these macros that ignores white space.
tracepoint_macros() {
	sed -n '/^#define __DO_TRACE_CALL(/,/[^\\]$/p; /^#define __DECLARE_TRACE(/,/[^\\]$/p' \
		"$(source_file "$1" include/linux/tracepoint.h)" |
		tr -s '\\[:space:]' ' ' | sha256sum | cut -c1-16
}

# definition KDIR FILE BEGINNING: the definition that begins with this line.
definition() {
	sed -n "/^$3\$/,/^}/p" "$(source_file "$1" "$2")"
}

# check_crypto KDIR RELEASE: check that the crypto API is as wrappers/crypto.c uses it. That file
# takes two structs from the source, whatever else is in them.
check_crypto() {
	local file member option
	for option in CONFIG_CRYPTO_ALGAPI2 CONFIG_CRYPTO_MANAGER2; do
		grep -qx "$option=y" "$1/include/config/auto.conf" ||
			die "Linux $2 does not have the manager of its crypto API built in ($option=y): the firewall cannot tell for whom ciphers are made"
	done
	for file in api.c algboss.c internal.h; do
		[[ -f $(source_file "$1" "crypto/$file") ]] ||
			die "KDIR=$1 has no crypto/$file: build for a tree that has the kernel's whole source, such as that of \"make prepare\""
	done

	# holds KDIR FILE BEGINNING REGEX: true if the definition has such a line.
	holds() { definition "$1" "crypto/$2" "$3" | grep -qE -- "$4"; }
	for member in 'crypto_alg alg' 'completion completion'; do
		holds "$1" internal.h 'struct crypto_larval {' "^	struct $member;\$" ||
			die "Linux $2 has another struct crypto_larval than wrappers/crypto.c uses (crypto/internal.h)"
	done
	holds "$1" internal.h 'static inline int crypto_is_moribund(struct crypto_alg \*alg)' 'CRYPTO_ALG_DYING' ||
		die "Linux $2 hides algorithms in another way than wrappers/crypto.c does (crypto_is_moribund() in crypto/internal.h)"
	holds "$1" algboss.c 'struct cryptomgr_param {' '^	struct crypto_larval \*larval;$' ||
		die "Linux $2 has another struct cryptomgr_param than wrappers/crypto.c uses (crypto/algboss.c)"
	holds "$1" algboss.c 'static int cryptomgr_probe(void \*data)' '^	struct cryptomgr_param \*param = data;$' ||
		die "Linux $2 starts the threads that make ciphers in another way than wrappers/crypto.c expects (cryptomgr_probe() in crypto/algboss.c)"
	! grep -q cra_ctxsize "$(source_file "$1" crypto/api.c)" ||
		die "Linux $2 uses the field of a larval in which wrappers/crypto.c has the verdict (cra_ctxsize in crypto/api.c)"
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
	has CONFIG_STACKTRACE || die "Linux $release is built without CONFIG_STACKTRACE"
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
	check_crypto "$kdir" "$release"
}

case $# in
	1) main "$1" ;;
	2) tracepoint_macros "$2" ;;
	*) die "usage: check-kernel.sh [--tracepoint] KDIR" ;;
esac
