#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# All packages are the same, byte for byte, when they are built in another directory.
#
# Run: --full

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

NAME=$(sed -n 's/^name=//p' "$(dirname "$KDIR")/info")
FIRST=$OUT/packages-twice/first SECOND=$OUT/packages-twice/in/another/directory

for directory in "$FIRST" "$SECOND"; do
	KERNEL=$NAME "$TOP/scripts/deb.sh" --in "$directory"
done
cd "$FIRST"
for deb in *.deb; do
	cmp "$deb" "$SECOND/$deb"
	echo "$deb is the same"
done
