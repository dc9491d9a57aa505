#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel's own test of module loading, tools/testing/selftests/kmod/kmod.sh,
# as it stands in the source of the kernel that runs, gives the same results
# with the patch off and on. With FULL=1 as often as the script itself would
# repeat each test; otherwise once each, and 0008 and 0009 five times.
#
# 0012 looks at a module's flags in /proc/modules. Where its own test_module was
# built out of tree, and so shows (OE) there, it is given one of Debian's.
#
# Boot: alone

. "$(dirname "$0")/lib.sh"

TESTS=(0001 0002 0003 0004 0005 0006 0007 0008 0009 0010 0011 0012 0013)
OUT_OF_TREE=/lib/modules/$(uname -r)/extra/test_module.ko
plan $((2 * ${#TESTS[@]}))

# run_one ID: its output, and how it ended.
run_one() {
	local how=(-s "$1") driver=""
	case $1 in
	0008 | 0009) how=(-c "$1" 5) ;;
	0012) [[ ! -e $OUT_OF_TREE ]] || driver=dummy ;;
	esac
	[[ ! $FULL ]] || how=(-t "$1")
	DEFAULT_KMOD_DRIVER=$driver bash /selftests/kmod/kmod.sh "${how[@]}"
}

for state in off on; do
	patch "$state"
	for id in "${TESTS[@]}"; do
		holds "kmod.sh $id, patch $state" run_one "$id"
	done
done

finish
