#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A whole Debian boots with the firewall's rules for a machine that runs containers, and with the
# modules that belong to them. A rootless container has what it needs.
#
# Boot: kmod_rs.profile=container-host
# Needs: CONFIG_E1000 CONFIG_USB_HID CONFIG_MINIX_FS CONFIG_BFS_FS CONFIG_PPP

# shellcheck disable=SC2034 # For profile.sh.
PROFILE=container-host POINTS=4 ALLOWED=(net-pf-16-proto-4-type-16)

# Does what sets up a container, in namespaces of its own, and prints what failed.
container() {
	local step said
	while IFS= read -r step; do
		said=$(eval "$step" 2>&1) || echo "failed: $step: $said"
	done <<-'EOT'
		mount -t tmpfs tmpfs /tmp
		mkdir /tmp/upper /tmp/work
		mount -t overlay overlay -o lowerdir=/srv,upperdir=/tmp/upper,workdir=/tmp/work /mnt
		ip link add bridge0 type bridge
		ip link add veth0 type veth peer name veth1
		ip link add dummy0 type dummy
		ip tuntap add tun0 mode tun
		nft add table inet netavark
		nft add chain inet netavark pre '{ type nat hook prerouting priority dstnat; }'
		nft add chain inet netavark post '{ type nat hook postrouting priority srcnat; }'
		nft add chain inet netavark forward '{ type filter hook forward priority filter; }'
		nft add rule inet netavark pre fib daddr type local tcp dport 80 dnat ip to 10.88.0.2:80
		nft add rule inet netavark post ip saddr 10.88.0.0/16 masquerade
		nft add rule inet netavark forward ct state established,related accept
		nft add rule inet netavark forward reject
		iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o bridge0 -j MASQUERADE
		iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j ACCEPT
		iptables -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80
		iptables -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
		iptables -A FORWARD -p tcp -m multiport --dports 80,443 -m mark --mark 1 -j ACCEPT
		iptables -A FORWARD -m comment --comment docker -j DROP
	EOT
}

own_points() {
	local missing="" module failed
	for module in $(</tmp/loaded-at-boot); do is_module "$module" || missing+=" $module"; done
	is "what rootless containers need is there" "$missing" ""
	# shellcheck disable=SC2016 # For the other shell.
	failed=$(setpriv --reuid=1000 --regid=1000 --clear-groups unshare --user --map-root-user --net \
		--mount --pid --fork bash -c "$(declare -f container); container")
	is "a rootless container has it" "$failed" ""
	is "and was denied nothing" "$(stat_of denied_by_policy)" 0
	setpriv --reuid=1000 --regid=1000 --clear-groups unshare --user --map-root-user --net \
		ip link add batadv0 type batadv 2>/dev/null
	is "it has nothing else" "$(recent | grep 'name="rtnl-link-batadv"' | field policy)" denied
}

# shellcheck source=tests/debian/profile.sh
. "$(dirname "$0")/profile.sh"
