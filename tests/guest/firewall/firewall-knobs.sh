#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# CAP_SYS_MODULE is enough to write to the knobs of the firewall and to kmod-limit. The profiles for
# sysctl.d(5) can be loaded. What was set goes with the module. knobs.sh tests who may not write,
# and which values.

. "$(dirname "$0")/lib.sh"
plan 7

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

patch off
is "all are gone with the module" "$(ls -d "$KNOBS" 2>/dev/null)" ""
patch on
is "and forgotten" "$(cat "$KNOBS"/autoload_{mode,allow,deny,system_uids} | xargs)" "0 0"

finish
