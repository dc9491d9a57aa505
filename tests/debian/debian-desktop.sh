#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A whole Debian boots with the firewall's rules for a desktop.
#
# Boot: kmod_rs.profile=desktop
# Needs: CONFIG_E1000 CONFIG_USB_HID CONFIG_MINIX_FS CONFIG_BFS_FS CONFIG_PPP

# shellcheck disable=SC2034 # For profile.sh.
PROFILE=desktop ALLOWED=(net-pf-31 net-pf-16-proto-4-type-16)
# shellcheck source=tests/debian/profile.sh
. "$(dirname "$0")/profile.sh"
