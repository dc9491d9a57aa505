#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run a test of tests/long, for so many minutes, on the debugging kernel unless DEBUG=no
# says otherwise. With the SEED that it prints it makes the same choices again.
#
# usage: [KERNEL=NAME] [DEBUG=no] [SOAK_MINUTES=N] [SEED=N] long.sh soak
#        [KERNEL=NAME] [DEBUG=no] [FUZZ_MINUTES=N] [SEED=N] long.sh fuzz

set -euo pipefail

die() {
	echo "long.sh: $*" >&2
	exit 2
}

case ${1:-} in
soak) variable=SOAK_MINUTES minutes=${SOAK_MINUTES:-30} ;;
fuzz) variable=FUZZ_MINUTES minutes=${FUZZ_MINUTES:-60} ;;
*) die "say which: soak or fuzz" ;;
esac
seed=${SEED:-$((SRANDOM % 32768))}
[[ $minutes =~ ^[1-9][0-9]*$ && $seed =~ ^[0-9]+$ ]] ||
	die "$variable and SEED are numbers, not \"$minutes\" and \"$seed\""

# Beside the test itself: booting, ending, and the machine being slow.
GUEST_SETTINGS="$variable=$minutes SEED=$seed SECONDS_PER_TEST=$((60 * minutes + 900))" \
	VM_TIMEOUT=$((60 * minutes + 1800)) DEBUG=${DEBUG:-only} T=$1 exec "$(dirname "$0")/test.sh"
