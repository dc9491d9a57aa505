#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A kernel that does not fit the module is refused before anything is compiled,
# in one sentence that says why.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

WORK=$OUT/unfit-kernel
TREE=$WORK/tree

# Makes a tree with everything that is looked at, taken from the real one.
fresh_tree() {
	remove "$WORK"
	mkdir -p "$TREE"/include/{config,linux} "$TREE/rust" "$TREE/tools/objtool"
	cp "$KDIR/source/include/linux/tracepoint.h" "$TREE/include/linux/"
	cp "$KDIR"/include/config/{auto.conf,kernel.release} "$TREE/include/config/"
	touch "$TREE/rust/libkernel.rmeta" "$TREE/Module.symvers"
	install -m 755 /dev/null "$TREE/tools/objtool/objtool"
}

# refused REGEX: a build for $TREE ends with one line that matches.
refused() {
	local said
	if said=$(KDIR=$TREE "$TOP/scripts/build.sh" --in "$WORK/build" 2>&1); then
		die "not refused: $1"
	fi
	[[ $(wc -l <<<"$said") == 1 && $said =~ $1 ]] ||
		die "expected one line that matches \"$1\", got: $said"
	echo "$said"
	fresh_tree
}

without() {
	sed -i "/^$1=/d" "$TREE/include/config/auto.conf"
}

fresh_tree
"$TOP/scripts/check-kernel.sh" "$TREE"

for option in MODULES LIVEPATCH KALLSYMS_ALL RUST TRACEPOINTS; do
	without "CONFIG_$option"
	refused "CONFIG_$option"
done

echo CONFIG_MODULE_DEBUG_AUTOLOAD_DUPS=y >>"$TREE/include/config/auto.conf"
refused "CONFIG_MODULE_DEBUG_AUTOLOAD_DUPS"

echo 6.12.1-test >"$TREE/include/config/kernel.release"
refused "Linux 6.12.1-test is not supported"

rm "$TREE/rust/libkernel.rmeta"
refused "no Rust metadata.*make prepare"

rm "$TREE/Module.symvers"
refused "no Module.symvers"

rm "$TREE/tools/objtool/objtool"
refused "no objtool"

sed -i 's/guard(srcu_fast_notrace)/guard(preempt_notrace)/' "$TREE/include/linux/tracepoint.h"
refused "wrappers/trace.c"

rm -r "$TREE/include"
refused "not a prepared kernel tree"

remove "$TREE"
refused "not a directory"
