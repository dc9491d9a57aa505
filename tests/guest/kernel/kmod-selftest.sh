#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel's own test of module loading, tools/testing/selftests/kmod/kmod.sh,
# as it stands in the source of the kernel that runs, gives the same results
# with the patch off and on. With FULL=1 as often as the script itself would
# repeat each test; otherwise once each, and 0008 and 0009 twice, which is
# once where all is slower.
#
# Several ask for as many modules as there are slots, or more, and these for others. C
# refuses who has waited for 5 s, which is too short where 50 modprobes at once take that
# long: then a failure of C is no failure of the test. With the patch on it is, as what is
# 5 s in C can be set, and is set here.
# The debugging kernel is such a one, and what it watches is not C: there all is done with
# the patch on only, but for 0007, which is 0005 and 0006 once more.
#
# 0012 looks at a module's flags in /proc/modules. Where its own test_module was
# built out of tree, and so shows (OE) there, it is given one of Debian's.
#
# Boot: last

. "$(dirname "$0")/lib.sh"

TESTS=(0001 0002 0003 0004 0005 0006 0008 0009 0010 0011 0012 0013)
((SLOWER > 1)) || TESTS+=(0007)
OUT_OF_TREE=/lib/modules/$(uname -r)/extra/test_module.ko
plan $(((SLOWER > 1 ? 1 : 2) * ${#TESTS[@]}))

# run_one ID: its output, and how it ended.
run_one() {
	local how=(-s "$1") driver=""
	case $1 in
	0008 | 0009) how=(-c "$1" "$((SLOWER > 1 ? 1 : 2))") ;;
	0012) [[ ! -e $OUT_OF_TREE ]] || driver=dummy ;;
	esac
	[[ ! $FULL ]] || how=(-t "$1")
	DEFAULT_KMOD_DRIVER=$driver bash /selftests/kmod/kmod.sh "${how[@]}"
}

# run_with_c ID: which C may refuse after 5 s, and that is no failure.
run_with_c() {
	local what="kmod.sh $1, patch off" output
	if output=$(run_one "$1" 2>&1); then
		pass "$what"
	elif [[ $output == *"test expects SUCCESS (0) - got "* ]]; then
		ktap_test_skip "$what: C refuses after 5 s, which is too short here"
	else
		fail "$what" "$output"
	fi
}

if ((SLOWER == 1)); then
	patch off
	for id in "${TESTS[@]}"; do
		run_with_c "$id"
	done
fi
patch on
for id in "${TESTS[@]}"; do
	holds "kmod.sh $id, patch on" run_one "$id"
done

finish
