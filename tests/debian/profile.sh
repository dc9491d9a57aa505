# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# A whole Debian boots with the rules of Documentation/sysctl.d/60-kmod_rs-$PROFILE.conf:
# all comes to be as in a boot of the same system without the module; ordinary users get
# what the rules say. Sourced by the test of the profile, which sets PROFILE, and in
# ALLOWED, DENIED and NOBODY names of tests/vectors.c: for everybody, not for ordinary
# users, and not for root either.

# kmod_rs-ask.service loads it.
# shellcheck disable=SC2034 # For lib.sh.
NO_KMOD_ASK=1
# shellcheck source=tests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/complaints.sh
. "$(dirname "${BASH_SOURCE[0]}")/complaints.sh"
plan 12

WITHOUT=/kmod_rs/without
WITH=/tmp/report
RULES=/etc/sysctl.d/60-kmod_rs-$PROFILE.conf

# lines KIND FILE
lines() {
	sed -n "s/^$1 //p" "$2"
}

# same WHAT KIND: in both boots.
same() {
	local difference
	if difference=$(diff <(lines "$2" "$WITHOUT") <(lines "$2" "$WITH")); then
		pass "$1: $(lines "$2" "$WITHOUT" | wc -l)"
	else
		fail "$1" "< without the module, > with it" "$difference"
	fi
}

# reached COMMAND...: the names for which the program was run.
reached() {
	: >/tmp/reached
	"$@"
	sort -u /tmp/reached | xargs
}

sorted() {
	printf '%s\n' "$@" | sort | xargs
}

bash /kmod_rs/report.sh >"$WITH"

is "the boot without the module came to its end" "$(lines state "$WITHOUT")" running
is "the boot with it, too" "$(lines state "$WITH")" running
is "the rules are those of the file" "$(rules_of_kernel "$RULES")" "$(rules_of_file "$RULES")"
same "the same units failed" failed
same "the same modules are there" module
same "the kernel has asked for the same names" asked
same "each who asked got the same answer" answer
is "nothing was denied" "$(stat_of denied_by_policy)" 0
is "no complaint since the kernel started" \
	"$(dmesg --notime | grep -E "$SPLAT|^kmod_rs: " | grep -v '^kmod_rs: .*taint')" ""

# None of these is there, so that the kernel asks.
echo /kmod_rs/vectors >"$MODPROBE"
is "ordinary users get what is allowed" \
	"$(reached as_nobody /kmod_rs/vectors run "${ALLOWED[@]}" "${DENIED[@]}" "${NOBODY[@]}")" "$(sorted "${ALLOWED[@]}")"
is "root gets the rest" "$(reached /kmod_rs/vectors run "${DENIED[@]}" "${NOBODY[@]}")" "$(sorted "${DENIED[@]}")"
echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
holds "it can be given back" give_back

rm -f /tmp/reached
finish
