#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The compilers with W=1, modpost and clippy give no warning, neither for the
# module nor for the modules of the tests. With CLIPPY=1, clippy is the compiler
# of the module's Rust code, and gives rustc's warnings, too.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

# Builds from scratch, because files that are built already give no more
# warnings.
build() {
	remove "$OUT/afresh"
	"$TOP/scripts/build.sh" --in "$OUT/afresh" "$@" 2>&1
}

quiet() {
	! grep -iE 'warning|error' <<<"$1"
}

module=$(build W=1 CLIPPY=1)
grep -q CLIPPY <<<"$module"
quiet "$module"

mkdir -p "$OUT/afresh/modules"
cp "$TOP"/tests/modules/* "$OUT/afresh/modules/"
modules=$(with_tools make -C "$KDIR" M="$OUT/afresh/modules" W=1 modules 2>&1)
quiet "$modules"
