#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# For FUZZ_MINUTES, random lists and names go through the knobs of the firewall: entries match what
# fnmatch(3) matches when - and _ are folded, and nothing goes wrong in the kernel meanwhile. SEED
# repeats the lists and names.

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
plan 3

FUZZ_MINUTES=${FUZZ_MINUTES:-60}
SEED=${SEED:-$((SRANDOM % 32768))}
ktap_print_msg "FUZZ_MINUTES=$FUZZ_MINUTES SEED=$SEED"

patch on
echo 0 >"$KNOBS/coalesce"
echo /absent >"$MODPROBE"
# Entries for a cgroup are compared with this one.
mkdir -p /sys/fs/cgroup/fuzz-a_b/x@y
echo $$ >/sys/fs/cgroup/fuzz-a_b/x@y/cgroup.procs
/kmod_rs/fuzz $((60 * FUZZ_MINUTES)) "$SEED" >/tmp/fuzzed 2>&1
is "it is as fnmatch(3) says" "$? $(head -n -1 /tmp/fuzzed)" "0 "
ktap_print_msg "$(tail -n 1 /tmp/fuzzed)"
holds "some names were matched" [ "$(stat_of errno)" -gt 0 ]
holds "and some were not" [ "$(stat_of denied_by_policy)" -gt 0 ]

rm /tmp/fuzzed
finish
