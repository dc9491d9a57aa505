#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The scripts pass shellcheck, all of them.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

cd "$TOP"
mapfile -t scripts < <(find scripts tests debian -name '*.sh'; printf "%s\n" .ci/run Documentation/examples/request-route)
in_sysroot shellcheck --external-sources --source-path=SCRIPTDIR --source-path=. \
	--source-path=tests "${scripts[@]}"
