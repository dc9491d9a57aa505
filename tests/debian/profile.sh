# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# A whole Debian boots with the rules of Documentation/sysctl.d/60-kmod_rs-$PROFILE.conf. Everything
# comes up as in a boot of the same system without the module, and ordinary users get what the rules
# allow. Sourced by the test of the profile, which sets PROFILE, and ALLOWED to names of
# tests/programs/vectors.c that everybody may have.

# shellcheck source=tests/debian/compare.sh
. "$(dirname "${BASH_SOURCE[0]}")/compare.sh"
plan 12

RULES=/etc/sysctl.d/60-kmod_rs-$PROFILE.conf

# No rule allows the names in DENIED, so only root may have them. The names in NOBODY are denied to
# root as well.
DENIED=(net-pf-42 fs-jfs tty-ldisc-3 rtnl-link-hsr) NOBODY=(net-pf-9 net-pf-30)

both_have_come_up
is "the rules are those of the file" "$(rules_of_kernel "$RULES")" "$(rules_of_file "$RULES")"
same_as_without
is "nothing was denied" "$(stat_of denied_by_policy)" 0
no_complaint "no complaint since the kernel started"

# None of these modules is loaded, so the kernel makes the requests.
echo /kmod_rs/vectors >"$MODPROBE"
is "ordinary users get what is allowed" \
	"$(reached as_nobody /kmod_rs/vectors run "${ALLOWED[@]}" "${DENIED[@]}" "${NOBODY[@]}")" \
	"$(sorted "${ALLOWED[@]}")"
is "root gets the rest" "$(reached /kmod_rs/vectors run "${DENIED[@]}" "${NOBODY[@]}")" \
	"$(sorted "${DENIED[@]}")"
echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
holds "it can be given back" give_back

finish
