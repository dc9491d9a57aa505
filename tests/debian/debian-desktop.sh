#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A whole Debian boots with the firewall's rules for a desktop. bluetoothd, iwd and OpenVPN, under
# Debian's units, have what they need. With autoload_setuid 0, so have systemd-networkd, and what
# sudo starts; what a user has other setuid programs ask for is not more than he may have.
#
# Boot: kmod_rs.profile=desktop
# Needs: CONFIG_E1000 CONFIG_USB_HID CONFIG_MINIX_FS CONFIG_BFS_FS CONFIG_PPP

# shellcheck disable=SC2034 # For profile.sh.
PROFILE=desktop POINTS=15 ALLOWED=(net-pf-16-proto-4-type-16)

# judged NAME: prints what the firewall decided on the last request for it, and by which rule.
judged() {
	recent | grep " name=\"$1\"" | tail -n 1 >/tmp/judged
	echo "$(field policy </tmp/judged) $(field rule </tmp/judged | tr -d '"')"
}

# is_secure PID: prints whether the program was executed with AT_SECURE, which is 23.
is_secure() {
	od --address-radix=n --output-duplicates --format=u8 --width=16 "/proc/$1/auxv" |
		awk '$1 == 23 { print $2 }'
}

# with_setuid_0: eight points.
with_setuid_0() {
	local denied main
	set_rule autoload_setuid 0
	systemctl stop systemd-networkd.service
	ip link delete dummy0
	starts systemd-networkd.service dummy
	main=$(systemctl show --property=MainPID --value systemd-networkd.service)
	is "it runs as a user of its own, and without AT_SECURE" \
		"$(stat --format=%U "/proc/$main") $(is_secure "$main")" "systemd-network 0"

	echo 'nobody ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/kmod_rs
	without hsr
	as_user sudo --non-interactive ip link add kmod_rs0 type hsr &>/dev/null
	is "what sudo starts is root's" "$(judged rtnl-link-hsr)" "allowed capability"
	without hsr

	denied=$(stat_of denied)
	# As its package does, with CAP_NET_RAW.
	/kmod_rs/fcap 13 /usr/bin/ping
	holds "ping" as_user ping -c 1 127.0.0.1
	mkdir /tmp/fuse
	chown 65534 /tmp/fuse
	as_user fuse2fs -o ro /srv/images/ext2 /tmp/fuse &>/dev/null
	is "fusermount3 mounts" "$(findmnt --noheadings --output=FSTYPE /tmp/fuse)" fuse.ext4
	holds "and unmounts" as_user fusermount3 -u /tmp/fuse
	is "nothing was denied for these" "$(stat_of denied)" "$denied"
	set_rule autoload_setuid 1
}

own_points() {
	with_openvpn openvpn-client@kmod_rs.service

	# What udev would load for the devices.
	modprobe --all hci_vhci mac80211_hwsim
	without algif_hash algif_skcipher algif_aead af_alg
	starts bluetooth.service bnep
	starts iwd.service af_alg algif_hash algif_skcipher algif_aead
	is "iwd misses nothing" "$(journalctl --unit=iwd.service --grep='missing|not supported|No .* support' --quiet)" ""
	with_setuid_0
}

# shellcheck source=tests/debian/profile.sh
. "$(dirname "$0")/profile.sh"
