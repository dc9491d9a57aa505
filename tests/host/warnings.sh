#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Neither the compilers with W=1, nor modpost, nor clippy has anything to say,
# about the module and about the modules of the tests.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

# A build from nothing, as what is built already warns no more.
build() {
	remove "$OUT/afresh"
	"$TOP/scripts/build.sh" --in "$OUT/afresh" "$@" 2>&1
}

quiet() {
	! grep -iE 'warning|error' <<<"$1"
}

module=$(build W=1)
quiet "$module"

clippy=$(build CLIPPY=1)
grep -q CLIPPY <<<"$clippy"
quiet "$clippy"

mkdir -p "$OUT/afresh/modules"
cp "$TOP"/tests/modules/* "$OUT/afresh/modules/"
modules=$(with_tools make -C "$KDIR" M="$OUT/afresh/modules" W=1 modules 2>&1)
quiet "$modules"
