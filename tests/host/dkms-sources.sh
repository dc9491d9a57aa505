#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The files that the package kmod-rs-dkms has are enough to build the module, and what is built from
# them elsewhere has the same bytes.
#
# Run: --full

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

WORK=$OUT/dkms-sources
remove "$WORK"
"$TOP/scripts/dkms/copy.sh" "$WORK"
(cd "$WORK" && find . -type f | sort)

KMOD_RS_BIND=$WORK KDIR=$KDIR "$WORK/scripts/build.sh"
cmp "$WORK/kmod-rs.ko" "$OUT/kmod-rs.ko" || die "the module differs from the one of \"make\""
