#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# loom runs concurrency.rs, lending.rs, sharing.rs and unwaiting.rs in a few tasks over all
# interleavings. It is the loom that Debian packages.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

cd "$TOP/tests/loom"
in_sysroot env CARGO_HOME="$OUT/loom/home" CARGO_TARGET_DIR="$CACHE/loom" \
	cargo test --release --offline \
	--config 'source.crates-io.replace-with="debian"' \
	--config 'source.debian.directory="/usr/share/cargo/registry"'
