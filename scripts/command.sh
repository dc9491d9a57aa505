#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Build the command kmod-rs with the cargo, the rustc and the crates of Debian 13, and nothing from
# anywhere else. Below out/ are then
#
#   kmod-rs             the program
#   man/kmod-rs.8       its page, and its completions for bash, zsh and fish in completions/: made
#                       from what it understands
#   man/kmod_rs.4       the page about the module, made from Documentation/admin-guide.rst
#
# What has been built is kept in $CACHE/command, for all checkouts, or in $KMOD_RS_TARGET.
#
# usage: command.sh                     build all of it
#        command.sh --program           build the program alone
#        command.sh --cargo ARGUMENTS   run cargo in the same way: --cargo test, --cargo clippy

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

TARGET=${KMOD_RS_TARGET:-$CACHE/command/target}

# The settings are in a file, as "cargo fmt" runs another cargo, which knows no options of this one.
# There is no Cargo.lock: it would ask for the versions that Debian had when it was written.
#
# Messages of a panic name the sources of crates, so they are the same wherever the crates are.
cargo() {
	local home=$CACHE/command/home crates
	crates=$(crates)
	mkdir -p "$home"
	cat >"$home/config.toml" <<-EOT
		[net]
		offline = true
		[source.crates-io]
		replace-with = "debian"
		[source.debian]
		directory = "$crates"
		[build]
		rustflags = ["--remap-path-prefix=$crates=$REGISTRY"]
	EOT
	cd "$TOP/tools/kmod-rs"
	rm -f Cargo.lock
	in_sysroot env CARGO_HOME="$home" CARGO_TARGET_DIR="$TARGET" \
		PROPTEST_CASES="${PROPTEST_CASES:-256}" cargo --offline "$@"
}

program() {
	cargo build --release
	mkdir -p "$TOP/out"
	cp "$TARGET/release/kmod-rs" "$TOP/out/kmod-rs.part"
	mv "$TOP/out/kmod-rs.part" "$TOP/out/kmod-rs"
}

# Print the guide as the source of a page. The chapter about the command is left out, which has a
# page of its own.
guide() {
	cat <<-EOT
		=======
		kmod_rs
		=======

		---------------------------------------------------
		loads kernel modules on request: knobs and files
		---------------------------------------------------

		:Manual section: 4
		:Manual group: Kernel Interfaces
		:Version: kmod_rs $(<"$TOP/VERSION")

	EOT
	awk '
		/^=+$/ && last { wanted = last != "Admin guide" && last != "The command" }
		wanted { print last }
		{ last = $0 }
		END { print last }' "$TOP/Documentation/admin-guide.rst"
	printf '\nSee also\n========\n\nkmod-rs(8), modprobe(8), sysctl.d(5)\n'
}

pages() {
	local work=$CACHE/command/pages
	remove "$work"
	mkdir -p "$work"/{man,completions} "$TOP/out"
	cargo run --release --example pages -- "$work/completions"
	mv "$work/completions/kmod-rs.8" "$work/man/"
	guide >"$work/kmod_rs.rst"
	in_sysroot rst2man --strict "$work/kmod_rs.rst" "$work/man/kmod_rs.4"
	remove "$TOP"/out/{man,completions}
	mv "$work"/{man,completions} "$TOP/out/"
}

main() {
	take_lock
	"$TOP/scripts/setup/sysroot.sh" trixie
	"$TOP/scripts/setup/crates.sh"
	case ${1:-} in
	--cargo) cargo "${@:2}" ;;
	--program | "")
		step "building the command" program
		[[ ${1:-} ]] || step "making the pages and the completions" pages
		;;
	*) die "usage: command.sh [--program | --cargo ARGUMENTS...]" ;;
	esac
}

main "$@"
