#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A whole Debian boots with the firewall's rules for a server.
#
# Boot: kmod_rs.profile=server

# shellcheck disable=SC2034 # For profile.sh.
PROFILE=server ALLOWED=(net-pf-16-proto-4-type-16)
# shellcheck source=tests/debian/profile.sh
. "$(dirname "$0")/profile.sh"
