# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# A whole Debian that has booted with the module, against a boot of the same system
# without it. Sourced by the tests of such boots, before their plan.

# kmod_rs-ask.service loads it.
# shellcheck disable=SC2034 # For lib.sh.
NO_KMOD_ASK=1
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# What report.sh has to say of the two boots.
WITHOUT=/kmod_rs/without
WITH=/tmp/report

# lines KIND FILE
lines() {
	sed -n "s/^$1 //p" "$2"
}

# same WHAT KIND [KIND]: in both boots, or what was of the one kind without the
# module is of the other kind with it.
same() {
	local difference
	if difference=$(diff <(lines "$2" "$WITHOUT") <(lines "${3:-$2}" "$WITH")); then
		pass "$1: $(lines "$2" "$WITHOUT" | wc -l)"
	else
		fail "$1" "< without the module, > with it" "$difference"
	fi
}

# both_have_come_up: two points.
both_have_come_up() {
	bash /kmod_rs/report.sh >"$WITH"
	is "the boot without the module came to its end" "$(lines state "$WITHOUT")" running
	is "the boot with it, too" "$(lines state "$WITH")" running
}

# same_as_without: four points.
same_as_without() {
	same "the same units failed" failed
	same "the same modules are there" module
	same "the kernel has asked for the same names" asked
	same "each who asked got the same answer" answer
}

# no_complaint WHAT: since the kernel started.
no_complaint() {
	is "$1" "$(dmesg --notime | grep -E "$SPLAT|^kmod_rs: " | grep -v '^kmod_rs: .*taint')" ""
}
