#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# /proc/sys/kernel/modprobe is written while requests run: what is executed and
# what modprobe gets in argv[0] are the same. In C they may differ. (A request
# may see a path that is only partly written. Then nothing is found: -ENOENT.)
#
# Processors: parallel

. "$(dirname "$0")/lib.sh"
plan 2

ROUNDS=$(often 200)
OTHER=/tmp/another/longer/path/to/the/helper/and/on

mkdir -p "$(dirname "$OTHER")"
cp "$HELPER" "$OTHER"

use_silent_helper
patch on
output=$(/kmod_rs/load --tasks=2 --rounds="$ROUNDS" --flip="$HELPER,$OTHER" "w itself-x 0" 2>/dev/null)
is "argv[0] is what was executed" "$(grep -v -e "no other" -e ": $ENOENT, " <<<"$output")" ""
torn=$(sed -n "s/.*: $ENOENT, \([0-9]*\) times/\1/p" <<<"$output")
holds "of $((2 * ROUNDS)) paths ${torn:-none} were torn" [ "${torn:-0}" -lt "$ROUNDS" ]

rm -r /tmp/another
finish
