#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Loading the module taints the kernel as out of tree (O), unsigned (E) and live
# patched (K), and with nothing else.
#
# Boot: alone

NO_KMOD_ASK=1
. "$(dirname "$0")/lib.sh"
plan 3

TAINTED=/proc/sys/kernel/tainted

before=$(<"$TAINTED")
is "not tainted before" "$((before & (1 << 12 | 1 << 13 | 1 << 15 | 1 << 9)))" 0
patch on
is "O, E and K are new" "$(($(<"$TAINTED") & ~before))" "$((1 << 12 | 1 << 13 | 1 << 15))"
patch off
is "and nothing else is when it is gone" "$(($(<"$TAINTED") & ~before))" "$((1 << 12 | 1 << 13 | 1 << 15))"

finish
