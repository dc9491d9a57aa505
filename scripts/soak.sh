#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run tests/long/soak.sh on the debugging kernel. With the SEED that it prints it
# makes the same choices again.
#
# usage: [KERNEL=MINOR] [SOAK_MINUTES=N] [SEED=N] soak.sh

set -euo pipefail

minutes=${SOAK_MINUTES:-30}
seed=${SEED:-$((SRANDOM % 32768))}
[[ $minutes =~ ^[1-9][0-9]*$ && $seed =~ ^[0-9]+$ ]] || {
	echo "soak.sh: SOAK_MINUTES and SEED are numbers, not \"$minutes\" and \"$seed\"" >&2
	exit 2
}

# Beside the soak itself: booting, ending, and the machine being slow.
GUEST_SETTINGS="SOAK_MINUTES=$minutes SEED=$seed SECONDS_PER_TEST=$((60 * minutes + 900))" \
	VM_TIMEOUT=$((60 * minutes + 1800)) DEBUG=only T=soak exec "$(dirname "$0")/test.sh"
