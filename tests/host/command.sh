#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The command kmod-rs: its own tests pass, the compiler and clippy have nothing to say, it has no
# unsafe code, it is made of crates of Debian alone and not of many, and its page and completions
# have all that it understands.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

MOST_CRATES=75
PROGRAM=$TOP/out/kmod-rs

cargo() {
	"$TOP/scripts/command.sh" --cargo "$@"
}

# Prints the crates in the program, as NAME VERSION.
crates_in_program() {
	cargo tree --edges normal,no-proc-macro --prefix none | awk '{ print $1, substr($2, 2) }' | sort -u
}

# options [SUBCOMMAND...]: prints the options that the program's own help lists.
options() {
	in_sysroot "$PROGRAM" "$@" --help | sed -nE 's/^ +(-[a-zA-Z], )?(--[a-z-]+).*/\2/p'
}

# subcommands [SUBCOMMAND...]: prints the subcommands that it lists.
subcommands() {
	in_sysroot "$PROGRAM" "$@" --help |
		awk '/^Commands:/ { listed = 1; next } /^[^ ]/ { listed = 0 } listed && /^  [a-z]/ && $1 != "help" { print $1 }'
}

# text PAGE: prints the page as a reader sees it. What groff says is a defect, unless it is about a
# line that is too narrow to be filled well.
text() {
	local said
	said=$(in_sysroot groff -t -man -ww -Wbreak -z "$1" 2>&1)
	[[ ! $said ]] || die "groff about ${1##*/}: $said"
	in_sysroot groff -t -man -Tascii -P-cbou -rLL=200n "$1"
}

check_crates() {
	local name version count
	while read -r name version; do
		[[ $name == kmod-rs || -d $(crates)/$name-$version ]] ||
			die "$name $version is no crate of Debian"
	done
	count=$(crates_in_program | wc -l)
	echo "$count crates"
	((count <= MOST_CRATES)) || die "the command has $count crates, more than $MOST_CRATES"
}

# check_words NAME WORDS...: the page and the completions for NAME have the words.
check_words() {
	local word file
	for word in "${@:2}"; do
		grep -qwF -e "$word" <<<"$PAGE" || die "kmod-rs.8 lacks $word of kmod-rs $1"
		for file in "$TOP"/out/completions/*; do
			grep -qwF -e "${word#--}" "$file" || die "$file lacks $word of kmod-rs $1"
		done
	done
}

check_pages() {
	local name inner all
	PAGE=$(text "$TOP/out/man/kmod-rs.8")
	text "$TOP/out/man/kmod_rs.4" >/dev/null
	in_sysroot mandoc -T lint -W error "$TOP"/out/man/*
	in_sysroot bash -n "$TOP/out/completions/kmod-rs.bash"
	mapfile -t all < <(subcommands)
	((${#all[@]} > 0)) || die "kmod-rs --help lists no subcommands"
	# shellcheck disable=SC2046 # Lists of words.
	{
		check_words "" $(options) "${all[@]}"
		for name in "${all[@]}"; do
			check_words "$name" $(options "$name") $(subcommands "$name")
			for inner in $(subcommands "$name"); do
				check_words "$name $inner" $(options "$name" "$inner")
			done
		done
	}
	echo "${#all[@]} subcommands"
}

# Other programs understand what is made for them. The metrics are those that the tests expect.
check_views() {
	local tests=$TOP/tools/kmod-rs/tests/past work=$OUT/command
	remove "$work"
	mkdir -p "$work"
	in_sysroot promtool check metrics <"$tests/metrics"
	in_sysroot "$PROGRAM" --from "$tests/records" plot --output "$work/plot.svg"
	in_sysroot rsvg-convert "$work/plot.svg" --output "$work/plot.png"
	in_sysroot "$PROGRAM" --from "$tests/records" --json recent |
		in_sysroot python3 -c 'import json, sys; assert all(json.loads(line)["schema"] == 1 for line in sys.stdin)'
}

cargo fmt --check
cargo clippy --all-targets -- --deny warnings
grep -qx 'unsafe_code = "forbid"' "$TOP/tools/kmod-rs/Cargo.toml"
cargo test
check_crates < <(crates_in_program)
"$TOP/scripts/command.sh"
check_pages
check_views
