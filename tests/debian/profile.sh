# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# A whole Debian boots with the rules of Documentation/sysctl.d/60-kmod_rs-$PROFILE.conf:
# all comes to be as in a boot of the same system without the module; ordinary users get
# what the rules say. Sourced by the test of the profile, which sets PROFILE, and in
# ALLOWED, DENIED and NOBODY names of tests/vectors.c: for everybody, not for ordinary
# users, and not for root either.

# shellcheck source=tests/debian/compare.sh
. "$(dirname "${BASH_SOURCE[0]}")/compare.sh"
plan 12

RULES=/etc/sysctl.d/60-kmod_rs-$PROFILE.conf

# reached COMMAND...: the names for which the program was run.
reached() {
	: >/tmp/reached
	"$@"
	sort -u /tmp/reached | xargs
}

sorted() {
	printf '%s\n' "$@" | sort | xargs
}

both_have_come_up
is "the rules are those of the file" "$(rules_of_kernel "$RULES")" "$(rules_of_file "$RULES")"
same_as_without
is "nothing was denied" "$(stat_of denied_by_policy)" 0
no_complaint "no complaint since the kernel started"

# None of these is there, so that the kernel asks.
echo /kmod_rs/vectors >"$MODPROBE"
is "ordinary users get what is allowed" \
	"$(reached as_nobody /kmod_rs/vectors run "${ALLOWED[@]}" "${DENIED[@]}" "${NOBODY[@]}")" "$(sorted "${ALLOWED[@]}")"
is "root gets the rest" "$(reached /kmod_rs/vectors run "${DENIED[@]}" "${NOBODY[@]}")" "$(sorted "${DENIED[@]}")"
echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
holds "it can be given back" give_back

rm -f /tmp/reached
finish
