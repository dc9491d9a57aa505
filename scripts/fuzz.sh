#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run tests/long/fuzz.sh, on the debugging kernel unless DEBUG=no says otherwise.
# With the SEED that it prints it makes the same lists and names again.
#
# usage: [KERNEL=MINOR] [DEBUG=no] [FUZZ_MINUTES=N] [SEED=N] fuzz.sh

set -euo pipefail

minutes=${FUZZ_MINUTES:-60}
seed=${SEED:-$((SRANDOM % 32768))}
[[ $minutes =~ ^[1-9][0-9]*$ && $seed =~ ^[0-9]+$ ]] || {
	echo "fuzz.sh: FUZZ_MINUTES and SEED are numbers, not \"$minutes\" and \"$seed\"" >&2
	exit 2
}

# Beside the test itself: booting, ending, and the machine being slow.
GUEST_SETTINGS="FUZZ_MINUTES=$minutes SEED=$seed SECONDS_PER_TEST=$((60 * minutes + 900))" \
	VM_TIMEOUT=$((60 * minutes + 1800)) DEBUG=${DEBUG:-only} T=fuzz exec "$(dirname "$0")/test.sh"
