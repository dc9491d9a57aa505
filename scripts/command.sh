#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Build the command kmod-rs with the cargo, the rustc and the crates of Debian 13, and nothing from
# anywhere else. out/kmod-rs is the program.
#
# With arguments, run cargo with these instead, in the same way: command.sh test, command.sh clippy.
# Both keep what they have built in $CACHE/command.
#
# usage: command.sh [CARGO ARGUMENTS...]

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Without Cargo.lock: it would ask for the versions that Debian had when it was written.
cargo() {
	cd "$TOP/tools/kmod-rs"
	rm -f Cargo.lock
	in_sysroot env CARGO_HOME="$CACHE/command/home" CARGO_TARGET_DIR="$CACHE/command/target" \
		cargo --offline --config 'source.crates-io.replace-with="debian"' \
		--config "source.debian.directory=\"$(crates)\"" "$@"
}

build() {
	cargo build --release
	mkdir -p "$TOP/out"
	cp "$CACHE/command/target/release/kmod-rs" "$TOP/out/kmod-rs.part"
	mv "$TOP/out/kmod-rs.part" "$TOP/out/kmod-rs"
}

main() {
	take_lock
	"$TOP/scripts/setup/sysroot.sh" trixie
	"$TOP/scripts/setup/crates.sh"
	if (($# > 0)); then
		cargo "$@"
	else
		step "building the command" build
		say "built $TOP/out/kmod-rs"
	fi
}

main "$@"
