#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Who may write to the knobs of the firewall and to kmod-limit, and what they take.

. "$(dirname "$0")/lib.sh"
plan 66

NUMBERS=(autoload_mode autoload_system_uids autoload_enforce autoload_lock)
LISTS=(autoload_allow autoload_deny)

# without_capability NAME COMMAND...: as root that has all but this one.
without_capability() {
	setpriv --bounding-set="-$1" --inh-caps="-$1" "${@:2}"
}

# writes FILE VALUE COMMAND...: what the kernel says when it writes that, run by
# the command, and what the file is afterwards.
writes() {
	local said
	# shellcheck disable=SC2016 # For the other shell.
	said=$("${@:3}" bash -c 'printf "%s\n" "$1" | dd of="$0" bs=16K status=none' "$1" "$2" 2>&1)
	echo "${said##*: }|$(<"$1")"
}

patch on

for knob in "${NUMBERS[@]}" "${LISTS[@]}"; do
	file=$KNOBS/$knob before=$(<"$KNOBS/$knob")
	is "$knob: anybody may read" "$(as_nobody cat "$file")" "$before"
	is "$knob: and not write" "$(writes "$file" 1 as_nobody)" "Permission denied|$before"
	is "$knob: nor may root without CAP_SYS_MODULE" "$(writes "$file" 1 without_capability sys_module)" \
		"Operation not permitted|$before"
	is "$knob: which is what is looked at first" "$(writes "$file" '[^x' without_capability sys_module)" \
		"Operation not permitted|$before"
	is "$knob: nor root of another user namespace" "$(writes "$file" 1 unshare --user --map-root-user)" \
		"Operation not permitted|$before"
	is "$knob: nor with the value that is there" "$(writes "$file" "$before" without_capability sys_module)" \
		"Operation not permitted|$before"
done
is "kmod-limit: nor may root without CAP_SYS_MODULE" "$(writes "$LIMIT" 7 without_capability sys_module)" \
	"Operation not permitted|50"
is "nor root of another user namespace" "$(writes "$LIMIT" 7 unshare --user --map-root-user)" "Operation not permitted|50"
is "with it and no other, yes" "$(writes "$LIMIT" 7 setpriv --bounding-set=-all,+sys_module --inh-caps=-all)" "|7"
is "the others: as ever" "$(writes "$KNOBS/coalesce" 0 without_capability sys_module)" "|0"
is "CAP_SYS_MODULE is enough" "$(writes "$KNOBS/autoload_mode" 1 setpriv --bounding-set=-all,+sys_module --inh-caps=-all)" "|1"

for value in autoload_mode=0 autoload_mode=1 autoload_mode=2 autoload_system_uids=0 autoload_system_uids=999 \
	autoload_system_uids=4294967294 autoload_enforce=0 autoload_enforce=1 autoload_lock=0; do
	file=$KNOBS/${value%=*}
	is "$value is taken" "$(write_to "$file" "${value#*=}")$(<"$file")" "${value#*=}"
done
for value in autoload_mode=3 autoload_mode=-1 autoload_mode=x autoload_mode=1x autoload_system_uids=4294967295 \
	autoload_system_uids=4294967296 autoload_system_uids=-1 autoload_enforce=2 autoload_lock=2 autoload_lock=x; do
	file=$KNOBS/${value%=*} before=$(<"$KNOBS/${value%=*}")
	is "$value is refused" "$(write_to "$file" "${value#*=}")|$(<"$file")" "Invalid argument|$before"
done
is "nothing was locked" "$(<"$KNOBS/autoload_lock") $(references 1 && echo 1)" "0 1"

# As an administrator does it: with the files for sysctl.d(5).
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
