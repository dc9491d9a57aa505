#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run a test of tests/long for a number of minutes. It runs on the debugging kernel, unless DEBUG
# says otherwise. The test prints its SEED; with the same SEED it makes the same choices again.
#
# Before the fuzzing of the firewall comes that of the command, for COMMAND_MINUTES: its own tests,
# with many more random cases than usual. What fails is kept in tools/kmod-rs/proptest-regressions.
#
# usage: [KERNEL=NAME] [DEBUG=no] [SOAK_MINUTES=N] [SEED=N] long.sh soak
#        [KERNEL=NAME] [DEBUG=no] [FUZZ_MINUTES=N] [COMMAND_MINUTES=N] [SEED=N] long.sh fuzz

set -euo pipefail

die() {
	echo "long.sh: $*" >&2
	exit 2
}

# Run the tests of the command again and again. The number of cases is for a minute or so.
fuzz_command() {
	local end=$((SECONDS + 60 * $1))
	while ((SECONDS < end)); do
		PROPTEST_CASES=20000 "$(dirname "$0")/../command.sh" --cargo test --release
	done
}

case ${1:-} in
soak) variable=SOAK_MINUTES minutes=${SOAK_MINUTES:-30} ;;
fuzz) variable=FUZZ_MINUTES minutes=${FUZZ_MINUTES:-60} ;;
*) die "usage: long.sh soak, or long.sh fuzz" ;;
esac
seed=${SEED:-$((SRANDOM % 32768))}
[[ $minutes =~ ^[1-9][0-9]*$ && $seed =~ ^[0-9]+$ ]] ||
	die "$variable and SEED must be numbers, not \"$minutes\" and \"$seed\""

[[ $1 != fuzz ]] || fuzz_command "${COMMAND_MINUTES:-10}"

# The rest of the time is for booting and ending, and because the machine may be slow.
GUEST_SETTINGS="$variable=$minutes SEED=$seed SECONDS_PER_TEST=$((60 * minutes + 900))" \
	VM_TIMEOUT=$((60 * minutes + 1800)) DEBUG=${DEBUG:-only} T=$1 exec "$(dirname "$0")/test.sh"
