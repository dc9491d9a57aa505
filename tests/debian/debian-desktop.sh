#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A whole Debian boots with the firewall's rules for a desktop. bluetoothd, iwd and OpenVPN, under
# Debian's units, have what they need.
#
# Boot: kmod_rs.profile=desktop
# Needs: CONFIG_E1000 CONFIG_USB_HID CONFIG_MINIX_FS CONFIG_BFS_FS CONFIG_PPP

# shellcheck disable=SC2034 # For profile.sh.
PROFILE=desktop POINTS=7 ALLOWED=(net-pf-16-proto-4-type-16)

own_points() {
	with_openvpn openvpn-client@kmod_rs.service

	# What udev would load for the devices.
	modprobe --all hci_vhci mac80211_hwsim
	without algif_hash algif_skcipher algif_aead af_alg
	starts bluetooth.service bnep
	starts iwd.service af_alg algif_hash algif_skcipher algif_aead
	is "iwd misses nothing" "$(journalctl --unit=iwd.service --grep='missing|not supported|No .* support' --quiet)" ""
}

# shellcheck source=tests/debian/profile.sh
. "$(dirname "$0")/profile.sh"
