#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A kernel that accepts only signed modules refuses this one, like any unsigned
# module, and nothing of it is left behind.
#
# Needs: CONFIG_MODULE_SIG
# Boot: module.sig_enforce=1

NO_KMOD_ASK=1
. "$(dirname "$0")/lib.sh"
plan 5

output=$(insmod /kmod_rs/kmod-rs.ko 2>&1)
is "insmod fails" "$?" 1
matches "and says why" "$output" 'Key was rejected by service|Required key not available'
holds "the kernel says why" logged 'Loading of unsigned module is rejected'
is "nothing is left behind" \
	"$(ls -d /sys/module/kmod_rs "$LIVEPATCH" "$LIMIT" "$KNOBS" 2>/dev/null)" ""
holds "modules that were signed with the kernel load" modprobe dummy

finish
