#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The unit tests in the sources run when the module is loaded: all of them have
# run and passed, and there are no others.
#
# Needs: CONFIG_KUNIT
# Boot: kunit.enable=1 kunit.autorun=1

NO_KMOD_ASK=1
. "$(dirname "$0")/lib.sh"
mapfile -t TESTS </kmod_rs/unit-tests
plan $((${#TESTS[@]} + 2))

# Prints SUITE.TEST and "ok" or "not ok" for each test, one a line.
results() {
	log | awk '
		/^ +# Subtest: / { suite = $3 }
		/^ +ok [0-9]+ / { print suite "." $3, (NF > 3 ? $0 : "ok") }
		/^ +not ok [0-9]+ / { print suite "." $4, "not ok" }'
}

holds "there are unit tests" [ "${#TESTS[@]}" -gt 0 ]
patch on
RESULTS=$(results)
for test in "${TESTS[@]}"; do
	is "$test" "$(grep -F "$test " <<<"$RESULTS")" "$test ok"
done
is "there are no others" "$(wc -l <<<"$RESULTS")" "${#TESTS[@]}"

finish
