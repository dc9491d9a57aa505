#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The Rust sources are formatted like the kernel's, with the kernel's own
# configuration.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

cd "$TOP"
in_sysroot rustfmt --check --config-path "$(dirname "$KDIR")/src/.rustfmt.toml" kmod_rs.rs
