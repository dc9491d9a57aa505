#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# CAP_SYS_MODULE is enough to write to the knobs of the firewall and to kmod-limit. The profiles for
# sysctl.d(5) can be loaded. What was set goes with the module, and nothing can be set that nobody
# enforces. knobs.sh tests who may not write, and which values.

. "$(dirname "$0")/lib.sh"
plan 15

# Runs a command with CAP_SYS_MODULE and no other capability.
with_one_capability() {
	setpriv --bounding-set=-all,+sys_module --inh-caps=-all "$@"
}

patch on

is "kmod-limit: CAP_SYS_MODULE is enough" "$(writes "$LIMIT" 7 with_one_capability)" "|7"
is "the firewall: CAP_SYS_MODULE is enough" \
	"$(writes "$KNOBS/autoload_mode" 1 with_one_capability)" "|1"

# As an administrator does it, with the files for sysctl.d(5).
for rules in /kmod_rs/sysctl.d/60-kmod_rs-{server,desktop,container-host}.conf; do
	echo 2 >"$KNOBS/autoload_mode"
	is "${rules##*/}" "$(sysctl --quiet --load="$rules" 2>&1; rules_of_kernel "$rules"; cat "$KNOBS/autoload_mode")" \
		"$(rules_of_file "$rules")
1"
done

# Given back, but still loaded: a file keeps it.
exec 7<"$RECORDS/recent"
echo 0 >"$LIVEPATCH/enabled"
await test ! -e "$LIVEPATCH"
for knob in autoload_mode=2 autoload_allow=x autoload_deny= autoload_setuid=0 autoload_lock=1; do
	before=$(<"$KNOBS/${knob%%=*}")
	is "nobody enforces it: $knob" "$(write_to "$KNOBS/${knob%%=*}" "${knob#*=}"$'\n')|$(<"$KNOBS/${knob%%=*}")" \
		"No such device|$before"
done
is "which the log says" "$(log | grep -c '^kmod_rs: autoload rules not changed (dd\[[0-9]*\] uid 0): the kernel serves requests, without rules; load kmod_rs again$')" 5
is "the capability comes first" "$(writes "$KNOBS/autoload_mode" 2 without_capability sys_module)" \
	"Operation not permitted|$(<"$KNOBS/autoload_mode")"
is "other knobs can be written" "$(write_to "$LIMIT" 9)$(<"$LIMIT")" 9
exec 7>&-

patch off
is "all are gone with the module" "$(ls -d "$KNOBS" 2>/dev/null)" ""
patch on
is "and forgotten" "$(cat "$KNOBS"/autoload_{mode,allow,deny,system_uids} | xargs)" "0 0"

finish
