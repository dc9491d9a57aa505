# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Compares a whole Debian that has booted with the module with a boot of the same system without it.
# Sourced by the tests of such boots, before their plan.

# kmod_rs-ask.service loads it.
# shellcheck disable=SC2034 # For lib.sh.
NO_KMOD_ASK=1
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The output of report.sh for the two boots.
WITHOUT=/kmod_rs/without
WITH=/tmp/report

# lines KIND FILE
lines() {
	sed -n "s/^$1 //p" "$2"
}

# same WHAT KIND [KIND]: both boots have the same lines of this kind. With two kinds, the lines of
# the first kind without the module are those of the second kind with it.
same() {
	local difference
	if difference=$(diff <(lines "$2" "$WITHOUT") <(lines "${3:-$2}" "$WITH")); then
		pass "$1: $(lines "$2" "$WITHOUT" | wc -l)"
	else
		fail "$1" "< without the module, > with it" "$difference"
	fi
}

# both_have_come_up: two test points.
both_have_come_up() {
	bash /kmod_rs/report.sh >"$WITH"
	is "the boot without the module came to its end" "$(lines state "$WITHOUT")" running
	is "the boot with it, too" "$(lines state "$WITH")" running
}

# needed_for NAME...: the modules that modprobe would load, in order of their names.
needed_for() {
	modprobe --show-depends --all "$@" 2>/dev/null |
		sed -n 's/^insmod .*\/\([^ /]*\)\.ko.*/\1/p' | tr - _ | sort -u
}

# without_what FILE REPORT: prints the report without the names that stand for these modules only.
# Those of packet filters are left out as well: nftables.service does not wait for the modules, and
# the kernel asks for names of which there is no module before it asks for others.
without_what() {
	local needed name
	for name in $(lines asked "$2"); do
		needed=$(needed_for "$name")
		[[ $name != nft-* && $name != nfnetlink-* ]] &&
			[[ ! $needed || $(comm -23 - "$1" <<<"$needed") ]] || echo "asked $name"
	done >/tmp/left-out
	grep -vxFf /tmp/left-out "$2"
}

# account_for FILE: changes the reports so that they can be compared although, in this boot, the
# modules of this file in modules-load.d were loaded at boot. They must be there, and nobody need
# have asked for them. These modules are then in /tmp/loaded-at-boot.
account_for() {
	local left_out
	[[ -e $1 ]] || return 0
	# shellcheck disable=SC2046 # Several names.
	needed_for $(grep -v '^#' "$1") >/tmp/loaded-at-boot
	left_out=$(without_what /tmp/loaded-at-boot "$WITHOUT")
	{
		grep -v '^module ' <<<"$left_out"
		{
			lines module "$WITHOUT"
			cat /tmp/loaded-at-boot
		} | sort -u | sed 's/^/module /'
	} >/tmp/without
	left_out=$(without_what /tmp/loaded-at-boot "$WITH")
	echo "$left_out" >/tmp/with
	WITHOUT=/tmp/without WITH=/tmp/with
}

# same_as_without: four test points.
same_as_without() {
	same "the same units failed" failed
	same "the same modules are there" module
	same "the kernel has asked for the same names" asked
	same "each who asked got the same answer" answer
}

# no_complaint WHAT: the kernel has not complained since it started. When the module is loaded, two
# lines say so: that it taints the kernel, and which rules are in force.
no_complaint() {
	is "$1" "$(dmesg --notime | grep -E "$SPLAT|^kmod_rs: " |
		grep -v '^kmod_rs: \(.*taint\|autoload rules at load: \)')" ""
}
