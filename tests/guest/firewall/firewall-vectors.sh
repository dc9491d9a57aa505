#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# All known ways in which an ordinary user, in a user namespace of his own or not, makes the kernel
# request a module: with the firewall, none of them reaches the program that loads it, except for
# the names that are allowed.
#
# The test first finds out without the firewall which of these ways a kernel has. Some exist only
# when others have succeeded, so everything is done twice: on the bare kernel, and with modules
# loaded. The debugging kernel has few of them. There the test is about what the requesters hold
# meanwhile, and runs once, without lists.
#
# Boot: alone
# Debug: --full

. "$(dirname "$0")/lib.sh"

VECTORS=/kmod_rs/vectors
REACHED=/tmp/reached
# The modules that the second run needs.
MODULES=(
	af_alg algif_aead algif_hash algif_skcipher can bluetooth rds pppox
	nf_tables ip_tables ip6_tables arp_tables ip_set
)
AT_LEAST=60
# A kernel has ways of such a class only if it has one of these options.
declare -A NEEDED=([other-protocols]="CONFIG_CAN CONFIG_BT" [iptables]="CONFIG_NETFILTER_XTABLES_LEGACY")

is_debugging() {
	[[ $(uname -r) == *-debug* ]]
}

# possible: reads classes, and prints those of which this kernel can have any.
possible() {
	local class option
	while read -r class; do
		[[ ${NEEDED[$class]:-} ]] || echo "$class"
		for option in ${NEEDED[$class]:-}; do
			! has_option "$option" || echo "$class"
		done
	done | uniq
}

mapfile -t ALL_CLASSES < <("$VECTORS" patterns | cut -d' ' -f1 | grep -vx guarded)
mapfile -t CLASSES < <(printf '%s\n' "${ALL_CLASSES[@]}" | possible)
for class in "${ALL_CLASSES[@]}"; do
	[[ " ${CLASSES[*]} " == *" $class "* ]] ||
		ktap_print_msg "no $class: the kernel has no ${NEEDED[$class]// /, }"
done
if is_debugging; then
	CLASSES=()
	plan 8
else
	plan $((2 * (8 + ${#CLASSES[@]}) + 2))
fi

# patterns_of CLASS
patterns_of() {
	"$VECTORS" patterns | sed -n "s/^$1 //p"
}

# vectors_of CLASS: reads names, and prints those of this class.
vectors_of() {
	grep -xFf <("$VECTORS" list | sed -n "s/^$1 //p")
}

# The debugging kernel has no actions of packet classifiers.
guarded() {
	"$VECTORS" list | sed -n "s/^guarded //p" |
		if is_debugging; then grep -v '^net-act-'; else cat; fi | sort
}

not_guarded() {
	grep -vxFf <(guarded)
}

listed() {
	grep -xFf <("$VECTORS" list | cut -d' ' -f2)
}

# reached_by COMMAND...: puts all names for which the program was run because of the command into
# $NAMES.
reached_by() {
	: >"$REACHED"
	SEEN=$(newest seq)
	"$@" || ktap_print_msg "failed: $*"
	# Some requests do not wait for the program.
	await nothing_in_flight
	await is_over
	NAMES=$(sort -u "$REACHED")
}

is_over() {
	[[ ! $(pids_of vectors) ]]
}

# recorded UID POLICY: prints the names in the records since then that the user's own tasks
# requested and that have this policy.
recorded() {
	recent | sed "1,/^seq=${SEEN:-0} /d" |
		sed -En "s/.* name=\"([^\"]*)\" .* comm=\"vectors\" uid=$1 .* policy=$2 .*/\1/p" |
			sort -u
}

# matches_none PATTERNS: reads names, and prints those that no pattern matches.
matches_none() {
	local name pattern patterns
	IFS=' ' read -ra patterns <<<"$1"
	while IFS= read -r name; do
		for pattern in "${patterns[@]}"; do
			# shellcheck disable=SC2053 # It is one.
			[[ $name != $pattern ]] || continue 2
		done
		echo "$name"
	done
}

# all_modes WHAT: one test point for each class, and eight more. While a class is allowed, one name
# of each other class is tried as well.
all_modes() {
	local what=$1 all class samples expected patterns
	set_rule autoload_mode 0
	reached_by as_nobody "$VECTORS" run
	all=$(listed <<<"$NAMES")
	ktap_print_msg "$what: $(wc -l <<<"$all") of $("$VECTORS" list | wc -l)"
	SHOWN+=$'\n'$all
	is "$what, mode 0: none that the kernel guards" "$(vectors_of guarded <<<"$all")" ""

	set_rule autoload_mode 1
	reached_by as_nobody "$VECTORS" run
	is "$what, mode 1: none" "$NAMES" ""
	is "each is recorded as denied" "$(recorded 65534 denied | listed)" "$all"
	is "and none as allowed" "$(recorded 65534 allowed)" ""
	reached_by "$VECTORS" run
	is "root: all" "$(listed <<<"$NAMES" | not_guarded | comm -13 - <(echo "$all"))" ""
	is "and those that the kernel guards" "$(vectors_of guarded <<<"$NAMES")" "$(guarded)"

	samples=$(for class in "${CLASSES[@]}"; do vectors_of "$class" <<<"$all" | head -n 1; done)
	for class in "${CLASSES[@]}"; do
		expected=$(vectors_of "$class" <<<"$all")
		if [[ ! $expected ]]; then
			ktap_test_skip "$what: $class: there are none"
			continue
		fi
		patterns=$(patterns_of "$class")
		set_rule autoload_allow "$patterns"
		# shellcheck disable=SC2086 # Several names.
		reached_by as_nobody "$VECTORS" run "$class" $samples
		is "$what: $class: allowed $(wc -l <<<"$expected"), and none of another" \
			"$(listed <<<"$NAMES")$(matches_none "$patterns" <<<"$NAMES")" "$expected"
	done
	set_rule autoload_allow $'\n'

	set_rule autoload_mode 2
	reached_by as_nobody "$VECTORS" run
	is "$what, mode 2: none" "$NAMES" ""
	reached_by "$VECTORS" run
	is "not for root either" "$NAMES" ""
}

echo "$VECTORS" >"$MODPROBE"
mkdir -p /tmp/nodes
while read -r _ name; do
	[[ $name =~ ^char-major-([0-9]+)-([0-9]+)$ ]] || continue
	mknod -m 666 "/tmp/nodes/$name" c "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
done < <("$VECTORS" list)

insmod /kmod_rs/kmod-rs.ko records=8192
patch on
SHOWN=""
is_debugging || all_modes "bare"

set_rule autoload_mode 0
for module in "${MODULES[@]}"; do
	modprobe --quiet "$module" || ktap_print_msg "$module is not there"
done
restrict_af_alg 0
all_modes "with modules"

SHOWN=$(sort -u <<<"$SHOWN" | sed '/^$/d')
ktap_print_msg "not seen: $("$VECTORS" list | cut -d' ' -f2 | grep -vxF "$SHOWN" | xargs)"
if ! is_debugging; then
	number=$(wc -l <<<"$SHOWN")
	holds "$number of them, at least $AT_LEAST" [ "$number" -ge "$AT_LEAST" ]
	# A class that was not seen has not been tested.
	unseen=$(for class in "${CLASSES[@]}"; do vectors_of "$class" <<<"$SHOWN" >/dev/null || echo "$class"; done)
	is "each class" "$unseen" ""
fi

rm -rf /tmp/nodes
finish
