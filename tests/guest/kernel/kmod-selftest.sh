#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel's own test of module loading, tools/testing/selftests/kmod/kmod.sh from the source of
# the running kernel, gives the same results with the patch off and on. With FULL=1, each test runs
# as often as the script itself would repeat it. Otherwise each test runs once, and 0008 and 0009
# run twice (once where everything is slower).
#
# Several tests request as many modules as there are slots, or more, and these modules request
# others. C refuses a request that has waited for 5 s, which is too short where 50 modprobes at once
# take longer. Such a failure of C is no failure of this test. With the patch on it is one, because
# the limit of 5 s is a knob there, and this test raises it. The debugging kernel is that slow, and
# its checks are not meant for C. There everything runs with the patch on only, except 0007, which
# repeats 0005 and 0006.
#
# 0012 looks at the flags of a module in /proc/modules. If its own test_module was built out of
# tree, these are (OE), so the test gets one of Debian's modules instead.
#
# Processors: parallel
# Boot: last
# Debug: --full

. "$(dirname "$0")/lib.sh"

TESTS=(0001 0002 0003 0004 0005 0006 0008 0009 0010 0011 0012 0013)
((SLOWER > 1)) || TESTS+=(0007)
OUT_OF_TREE=/lib/modules/$(uname -r)/extra/test_module.ko
plan $(((SLOWER > 1 ? 1 : 2) * ${#TESTS[@]}))

# run_one ID: runs a test. The output and the exit status are those of the script.
run_one() {
	local how=(-s "$1") driver=""
	case $1 in
	0008 | 0009) how=(-c "$1" "$((SLOWER > 1 ? 1 : 2))") ;;
	0012) [[ ! -e $OUT_OF_TREE ]] || driver=dummy ;;
	esac
	[[ ! $FULL ]] || how=(-t "$1")
	DEFAULT_KMOD_DRIVER=$driver bash /selftests/kmod/kmod.sh "${how[@]}"
}

# run_with_c ID: runs a test with the patch off. C may refuse a request after 5 s, which is no
# failure.
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
