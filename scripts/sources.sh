# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The sources of the module. Sourced after lib.sh.

# The folders that have sources, besides the top: those with Rust files.
mapfile -t FOLDERS < <(cd "$TOP" && printf './%s\n' */*.rs | xargs dirname | sort -u)

# List the sources in the current directory, without files that a build may have left.
sources() {
	find . "${FOLDERS[@]}" -maxdepth 1 -type f \
		\( -name Kbuild -o -name VERSION -o -name '*.rs' -o -name '*.[chS]' \) ! -name '*.mod.c'
}
