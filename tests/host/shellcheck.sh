#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The scripts pass shellcheck, all of them. It takes most of its time for the files that they source,
# so a script that has passed is checked again only when it, one of these files, or shellcheck is
# another one.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

cd "$TOP"
PASSED=$CACHE/shellcheck

# Print the files that scripts source.
sourced() {
	sed -n 's/^\s*# shellcheck source=//p' "${scripts[@]}" | grep -vx /dev/null | sort -u
}

# keys FILE...: print a key for each script, which is another one if shellcheck could say something
# else of it.
keys() {
	local common file
	common=$(in_sysroot shellcheck --version; sourced | xargs cat tests/host/shellcheck.sh)
	for file; do
		printf '%s\n' "$common" | cat - "$file" | sha256sum
	done
}

mapfile -t scripts < <(find scripts tests debian -name '*.sh'; printf "%s\n" .ci/run Documentation/examples/request-route)
mapfile -t keys < <(keys "${scripts[@]}")
touch "$PASSED"
changed=()
for i in "${!scripts[@]}"; do
	grep -qxF "${keys[i]}" "$PASSED" || changed+=("${scripts[i]}")
done
((${#changed[@]} == 0)) || in_sysroot shellcheck --external-sources --source-path=SCRIPTDIR \
	--source-path=. --source-path=tests "${changed[@]}"
printf '%s\n' "${keys[@]}" >"$PASSED.$$"
mv "$PASSED.$$" "$PASSED"
