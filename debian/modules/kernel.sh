#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make a tree with Rust metadata for a kernel, as DIR/build, from Debian's headers and source of it,
# which Build-Depends has installed.
#
# usage: kernel.sh RELEASE DIR

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"
# shellcheck source=scripts/setup/metadata.sh
. "$TOP/scripts/setup/metadata.sh"

# For metadata.sh.
# shellcheck disable=SC2034
CODENAME=trixie ADVICE=""

main() {
	local release=$1 directory=$2 headers=/usr/src/linux-headers-$1
	remove "$directory"
	mkdir -p "$directory/src"
	directory=$(realpath -- "$directory")
	unpack_source "/usr/src/linux-source-$(minor_of "$release").tar.xz" "$directory/src"
	configure "$directory" "$release" "$headers"
	metadata "$directory" "$release" "$headers"
	touch "$directory/complete"
}

main "$@"
