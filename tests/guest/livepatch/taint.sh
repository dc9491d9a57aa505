#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Loading the module taints the kernel as out of tree (O), live patched (K) and, if the kernel knows
# signatures, unsigned (E), and with nothing else. If the kernel warns about itself meanwhile, that
# adds W (see complaints.sh).
#
# Boot: first

NO_KMOD_ASK=1
. "$(dirname "$0")/lib.sh"
plan 3

TAINTED=/proc/sys/kernel/tainted

EXPECTED=$((1 << 12 | 1 << 15))
[[ ! -e /sys/module/module/parameters/sig_enforce ]] || EXPECTED=$((EXPECTED | 1 << 13))

before=$(<"$TAINTED")
is "not tainted before" "$((before & (1 << 12 | 1 << 13 | 1 << 15 | 1 << 9)))" 0
patch on
! has_known || EXPECTED=$((EXPECTED | 1 << 9))
is "O, K and perhaps E are new" "$(($(<"$TAINTED") & ~before))" "$EXPECTED"
patch off
is "and nothing else is when it is gone" "$(($(<"$TAINTED") & ~before))" "$EXPECTED"

finish
