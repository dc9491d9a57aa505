# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# A whole Debian boots with the rules of Documentation/sysctl.d/60-kmod_rs-$PROFILE.conf, and with
# the list of modules that belongs to them, if there is one. Everything comes up as in a boot of the
# same system without the module, and ordinary users get what the rules allow. Sourced by the test
# of the profile, which sets
#
# PROFILE
# POINTS    how many points the test has of its own, in the function own_points
# ALLOWED   names of tests/programs/vectors that everybody may have

# shellcheck source=tests/debian/compare.sh
. "$(dirname "${BASH_SOURCE[0]}")/compare.sh"
plan $((12 + POINTS))

RULES=/etc/sysctl.d/60-kmod_rs-$PROFILE.conf
MODULES=/etc/modules-load.d/kmod_rs-$PROFILE.conf

# No rule allows the names in DENIED, so only root may have them. The names in NOBODY are denied to
# root as well.
DENIED=(net-pf-42 fs-jfs tty-ldisc-3 rtnl-link-hsr nfnetlink-subsys-8) NOBODY=(net-pf-8 net-pf-41)

# start UNIT: starts it or says why it does not start.
start() {
	systemctl start "$1" || {
		journalctl --unit="$1" --no-pager --lines=20
		return 1
	}
}

# starts UNIT MODULE...: starts a daemon that needs these modules, none of which is loaded then. Two
# points. What it asks for is for its cgroup: the rules allow that, and nothing that it asks for is
# denied.
starts() {
	local unit=$1 denied said module missing=""
	shift
	without "$@"
	denied=$(stat_of denied_by_policy)
	holds "$unit starts" start "$unit"
	# A daemon may say that it has started before it needs them.
	for module; do await is_module "$module" || missing+=" $module"; done
	said=$(recent | grep 'policy=denied' | tail -n $(($(stat_of denied_by_policy) - denied)) | field name)
	is "$unit has $*" "${missing# }|$said" "|"
	# What it has asked for, for those who read the results.
	recent | grep "cgroup=\"[^\"]*/${unit//\\/.*}\"" | grep -o ' name="[^"]*"\| rule="[^"]*"' |
		paste - - | sort -u | sed 's/^/# /'
}

# with_openvpn UNIT...: starts OpenVPN under these units. Two points each.
with_openvpn() {
	local unit
	openvpn --genkey secret /etc/openvpn/kmod_rs.key
	ip link delete tap0
	for unit; do
		starts "$unit" tun
		systemctl stop "$unit"
	done
}

# refused NAME COMMAND...: in a service of another name, root with the capabilities of OpenVPN gets
# no module for what the command does.
refused() {
	local name=$1
	shift
	systemd-run --quiet --wait --property=CapabilityBoundingSet="CAP_NET_ADMIN CAP_NET_RAW" -- "$@" &>/dev/null
	recent | grep "name=\"$name\"" | tail -n 1 | field policy
}

both_have_come_up
is "the rules are those of the file" "$(rules_of_kernel "$RULES")" "$(rules_of_file "$RULES")"
account_for "$MODULES"
same_as_without
is "nothing was denied" "$(stat_of denied_by_policy)" 0
no_complaint "no complaint since the kernel started"

own_points

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
