# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# A whole Debian boots with the rules of Documentation/sysctl.d/60-kmod_rs-$PROFILE.conf:
# all comes to be as in a boot of the same system without the module; ordinary users get
# what the rules say. Sourced by the test of the profile, which sets PROFILE, and in
# ALLOWED names of tests/programs/vectors.c that are for everybody.

# shellcheck source=tests/debian/compare.sh
. "$(dirname "${BASH_SOURCE[0]}")/compare.sh"
plan 12

RULES=/etc/sysctl.d/60-kmod_rs-$PROFILE.conf

# For ordinary users nobody has allowed these; the others are not for root either.
DENIED=(net-pf-42 fs-jfs tty-ldisc-3 rtnl-link-hsr) NOBODY=(net-pf-9 net-pf-30)

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

finish
