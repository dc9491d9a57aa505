#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A name of 55 bytes reaches modprobe whole. A longer name gets -ENAMETOOLONG:
# no security module is asked and nothing is run.
#
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 4

# name_of LENGTH
name_of() {
	local name
	printf -v name 'describe-%0200d' 0
	echo "${name:0:$1}"
}

just_fits() {
	ask w "$(name_of 55)"
	grep -F 'argv[3]' /tmp/description
}

too_long() {
	local length
	count_calls security_kernel_module_request call_usermodehelper_exec
	for length in 56 57 111 200; do
		ask w "$(name_of "$length")"
		ask n "$(name_of "$length")"
	done
	calls security_kernel_module_request
	calls call_usermodehelper_exec
}

use_helper
same_as_c just_fits "0
argv[3]=$(name_of 55)"
same_as_c too_long "$(for i in {1..8}; do echo "$ENAMETOOLONG"; done)
0
0"

finish
