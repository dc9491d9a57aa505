#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Waiting for a module in an async worker can deadlock. The kernel warns once,
# and then goes on with the request. Here the warning comes once for each load
# of the module. A request that does not wait is no reason to warn.

. "$(dirname "$0")/lib.sh"
plan 5

announce 'WARNING: .*(__request_module|kmod_rs_request_module)\+'
announce '(Call Trace|</?TASK>)'

WARNINGS=0

# Puts the answers, and how many warnings they caused, into $RESULT.
ask_from_async_work() {
	local answers before=$WARNINGS
	answers="$(ask na exit-3) $(ask wa exit-3) $(ask wa exit-3)"
	WARNINGS=$(log | grep -c 'WARNING: ')
	RESULT="$answers, $((WARNINGS - before))"
}

use_helper

# The kernel may have given its own warning before.
echo 1 >/sys/kernel/debug/clear_warn_once
ask_from_async_work
is "patch off: one warning" "$RESULT" "0 768 768, 1"

patch on
ask w exit-3 >/dev/null
ask na exit-3 >/dev/null
is "patch on: none yet" "$(log | grep -c 'WARNING: ')" "$WARNINGS"
ask_from_async_work
is "patch on: one warning" "$RESULT" "0 768 768, 1"
matches "it is for the entry of the module" "$(log | grep 'WARNING: ' | tail -n 1)" \
	'kmod_rs_request_module\+'

patch off
patch on
ask_from_async_work
is "loaded again: one more" "$RESULT" "0 768 768, 1"

finish
