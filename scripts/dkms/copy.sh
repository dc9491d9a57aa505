#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Copy what DKMS needs to build the module, and nothing else: the sources of the module, and the
# scripts that build it. The file dkms.conf is debian/kmod-rs-dkms.dkms.
#
# usage: copy.sh DIR

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/sources.sh
. "$TOP/scripts/sources.sh"

SCRIPTS=(lib.sh sources.sh build.sh check-kernel.sh check-module.sh dkms/pre-build.sh
	setup/metadata.sh setup/in-sysroot.sh)

(($# == 1)) || die "usage: copy.sh DIR"
mkdir -p "$1"
directory=$(realpath -- "$1")
cd "$TOP"
{
	sources
	printf 'scripts/%s\n' "${SCRIPTS[@]}"
} | xargs cp --parents --preserve=mode,timestamps -t "$directory"
