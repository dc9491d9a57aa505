#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A whole Debian boots with the firewall's rules for a server. OpenVPN, under Debian's
# units, has what it needs, and nobody else has it. strongSwan starts.
#
# Boot: kmod_rs.profile=server
# Needs: CONFIG_E1000 CONFIG_USB_HID CONFIG_MINIX_FS CONFIG_BFS_FS CONFIG_PPP

# shellcheck disable=SC2034 # For profile.sh.
PROFILE=server POINTS=9 ALLOWED=(net-pf-16-proto-4-type-16)

own_points() {
	with_openvpn openvpn-server@kmod_rs.service openvpn-client@kmod_rs.service \
		openvpn@kmod_rs.service
	without tun
	is "another service has no tun" "$(refused char-major-10-200 sh -c ': <>/dev/net/tun')" denied
	starts strongswan.service xfrm_user
}

# shellcheck source=tests/debian/profile.sh
. "$(dirname "$0")/profile.sh"
