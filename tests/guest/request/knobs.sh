#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Each knob of sysctl.rs has a file, and there is no other file. The test checks the permissions,
# the default and who may write to it. Both ends of its range are accepted. A value beyond them is
# refused and leaves the old value. The effects of the values are tested elsewhere.
#
# Debug: --full

# shellcheck disable=SC2034 # For lib.sh.
DEFAULTS=1 NO_KMOD_ASK=1
. "$(dirname "$0")/lib.sh"
mapfile -t KNOB_LINES </kmod_rs/knobs

# read_knob LINE: puts what the line says about a knob into $NAME, $KNOB (its file), $KIND, $WRITER
# (who may write to it) and $DEFAULT. $TAKEN has values that it accepts, $REFUSED has values that it
# refuses, and $OTHER is a value that is not the default.
read_knob() {
	local path least greatest longest
	read -r path KIND WRITER least greatest DEFAULT <<<"$1"
	KNOB=/proc/sys/$path NAME=${path##*/}
	case $KIND in
	status)
		OTHER=0
		;;
	number)
		TAKEN=("$greatest" "$least")
		REFUSED=("$((least - 1))" "$((greatest + 1))" 4294967296 x "${least}x")
		OTHER=$greatest
		[[ $DEFAULT != "$greatest" ]] || OTHER=$least
		# A lock that is set stays until reboot: see firewall-lock.
		[[ $NAME != autoload_lock ]] || TAKEN=("$least")
		;;
	text)
		# A newline is written after it.
		printf -v longest '%0*d' "$((greatest - 1))" 0
		TAKEN=("$longest")
		REFUSED=("0$longest" '[')
		OTHER=x
		[[ $DEFAULT != - ]] || DEFAULT=""
		;;
	esac
}

points() {
	case $KIND-$WRITER in
	status-*) echo 4 ;;
	*) echo $((9 + ${#TAKEN[@]} + ${#REFUSED[@]})) ;;
	esac
}

# takes VALUE: the value can be written, and is there afterwards.
takes() {
	is "$NAME takes ${1:0:21}" "$(write_to "$KNOB" "$1"$'\n')|$(<"$KNOB")" "|$1"
}

refuses() {
	local before
	before=$(<"$KNOB")
	is "$NAME refuses ${1:0:21}" "$(write_to "$KNOB" "$1"$'\n')|$(<"$KNOB")" \
		"Invalid argument|$before"
}

# may_not_write WHO VALUE SAID COMMAND...: run by the command, the write fails with SAID, and the
# knob keeps its value.
may_not_write() {
	local before
	before=$(<"$KNOB")
	is "$NAME: $1 may not write \"$2\"" "$(writes "$KNOB" "$2" "${@:4}")" "$3|$before"
}

test_permissions() {
	local mode=644 value
	[[ $KIND != status ]] || mode=444
	[[ $WRITER != RULES ]] || mode=600
	is "$NAME: mode" "$(stat -c %a "$KNOB")" "$mode"
	if [[ $WRITER == RULES ]]; then
		is "$NAME: root alone may read" "$(as_nobody cat "$KNOB" 2>&1 | sed 's/.*: //')" \
			"Permission denied"
	else
		is "$NAME: anybody may read" "$(as_nobody cat "$KNOB")" "$(<"$KNOB")"
	fi
	may_not_write "an ordinary user" "$OTHER" "Permission denied" as_nobody
	if [[ $KIND == status ]]; then
		may_not_write "root" "$OTHER" "Permission denied" env
	else
		# This holds also for the value that is there already, and for one that nobody may
		# write: the writer is checked first.
		for value in "$OTHER" "$DEFAULT" '[^x'; do
			may_not_write "root without CAP_SYS_MODULE" "$value" \
				"Operation not permitted" without_capability sys_module
		done
		may_not_write "root of another user namespace" "$OTHER" "Operation not permitted" \
			unshare --user --map-root-user
	fi
}

test_values() {
	local value
	for value in "${TAKEN[@]}"; do takes "$value"; done
	for value in "${REFUSED[@]}"; do refuses "$value"; done
	takes "$DEFAULT"
}

planned=3
for line in "${KNOB_LINES[@]}"; do
	read_knob "$line"
	planned=$((planned + $(points)))
done
plan "$planned"

holds "there are knobs" [ "${#KNOB_LINES[@]}" -gt 0 ]
patch on
is "and no other files" "$(find "$KNOBS" -type f -printf '%f\n' | sort | xargs)" \
	"$(printf '%s\n' "${KNOB_LINES[@]}" | sed -n 's/^kernel\/kmod_rs\/\([^ ]*\).*/\1/p' | sort | xargs)"
for line in "${KNOB_LINES[@]}"; do
	read_knob "$line"
	[[ $KIND == status ]] || is "$NAME: default" "$(<"$KNOB")" "$DEFAULT"
	test_permissions
	[[ $KIND == status ]] || test_values
done
is "nothing was locked" "$(<"$KNOBS/autoload_lock") $(references 1 && echo 1)" "0 1"

finish
