#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# While /proc/sys/kernel/modprobe is empty, automatic loading is off: a request
# gets -ENOENT, no security module is asked and nothing is run.
#
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 4

switched_off() {
	count_calls security_kernel_module_request call_usermodehelper_exec
	echo >"$MODPROBE"
	ask w exit-0
	ask n exit-0
	calls security_kernel_module_request
	calls call_usermodehelper_exec
}

# Shows that the calls can be seen at all.
switched_on() {
	count_calls security_kernel_module_request call_usermodehelper_exec
	echo "$HELPER" >"$MODPROBE"
	ask w exit-0
	calls security_kernel_module_request
	calls call_usermodehelper_exec
}

same_as_c switched_off "$ENOENT
$ENOENT
0
0"
same_as_c switched_on "0
1
1"

finish
