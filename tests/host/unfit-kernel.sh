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
	mkdir -p "$TREE"/include/{config,linux} "$TREE/crypto" "$TREE/rust" "$TREE/tools/objtool"
	cp "$KDIR/source/include/linux/tracepoint.h" "$TREE/include/linux/"
	cp "$KDIR"/source/crypto/{api.c,algboss.c,internal.h} "$TREE/crypto/"
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

for option in MODULES LIVEPATCH KALLSYMS_ALL RUST TRACEPOINTS STACKTRACE CRYPTO_ALGAPI2 \
	CRYPTO_MANAGER2; do
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

sed -i 's/^CONFIG_CRYPTO_MANAGER2=y$/CONFIG_CRYPTO_MANAGER2=m/' "$TREE/include/config/auto.conf"
refused "CONFIG_CRYPTO_MANAGER2"

rm "$TREE/crypto/algboss.c"
refused "no crypto/algboss.c"

# Each changes one thing that wrappers/crypto.c relies on.
while read -r file change said; do
	sed -i "$change" "$TREE/crypto/$file"
	refused "$said"
done <<'END'
internal.h /crypto_larval/,/^}/s/crypto_alg.alg;/crypto_alg*alg;/ struct crypto_larval
internal.h s/completion;/done;/ struct crypto_larval
internal.h /is_moribund/,/^}/s/DYING/GONE/ crypto_is_moribund
algboss.c s/crypto_larval.\*larval;/crypto_alg*alg;/ struct cryptomgr_param
algboss.c s/^struct.cryptomgr_param.{/struct{/ struct cryptomgr_param
algboss.c s/param.=.data;/param=*data;/ cryptomgr_probe
api.c /larval->mask.=.mask;/s/$/larval->alg.cra_ctxsize=1;/ cra_ctxsize
END

rm -r "$TREE/include"
refused "not a prepared kernel tree"

remove "$TREE"
refused "not a directory"
