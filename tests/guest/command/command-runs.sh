#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The command runs in the guest, with the module and without it, for root and for others. Its exit
# status and its sentence say what stands in the way.
#
# Uses: kmod-rs
# Debug: --full

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
plan 4

# said COMMAND...: prints the exit status, and what the command says on standard error.
said() {
	local error status=0
	error=$("$@" 2>&1 >/dev/null) || status=$?
	echo "$status $error"
}

matches "it has a version" "$(kmod-rs --version)" '^kmod-rs [0-9.]+$'
matches "without the module" "$(said kmod-rs recent)" '^4 kmod-rs: kmod_rs is not loaded'

patch on
use_silent_helper
ask w "exit-0" >/dev/null
is "with it" "$(said kmod-rs recent --name exit-0)" "0 "
matches "for an ordinary user" "$(said as_nobody kmod-rs recent)" '^1 kmod-rs: [^ ]+ is for root only'

finish
