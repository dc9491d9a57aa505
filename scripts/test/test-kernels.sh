#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run the tests whose outcome depends on how the kernel was configured and compiled, on each of
# Debian's kernels that KERNEL= can name, if the archive has it. If one kernel fails, the others are
# still tested. The output of the tests is printed as it comes, and kept in
# out/test-kernels/NAME.log. At the end there is a table. The last line is "N passed, N failed",
# which counts tests. A kernel that could not be tested counts as one that failed.
#
# usage: [T="NAME..."] [REFRESH=1] [GUESTS=N] test-kernels.sh

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/setup/archive.sh
. "$TOP/scripts/setup/archive.sh"

# Taking over and giving back, alone and under load; locks, timers and waiting; what the stack of a
# request looks like; the ways to make a request.
TESTS=(
	take-over give-back give-back-under-load switch-under-load
	queue-kill queue-order queue-timeout queue-turns slot-held kmod-limit
	sharing helper-timeout loops kill-at-every-stage kmod-selftest firewall-vectors
)

LOGS=$TOP/out/test-kernels
ROWS=() PASSED=0 FAILED=0

# lacks NAME: does the archive lack this kernel? The archive is not asked about a kernel that is set
# up. If it cannot be reached, the answer is no, and the set-up of the kernel reports the error.
lacks() {
	local codename
	codename=$(codename_of "$1")
	[[ ${REFRESH:-} || ! -f $KERNELS/$1/complete ]] || return
	if [[ ! ${UPDATED[$codename]:-} ]]; then
		UPDATED[$codename]=no
		! (take_lock && step "looking for the kernels of $codename" archive_update "$codename") || UPDATED[$codename]=yes
	fi
	[[ ${UPDATED[$codename]} == yes && ! $(archive_releases "$1") ]]
}
declare -A UPDATED=()

# info NAME KEY: what kernel.sh has written down about this kernel.
info() {
	sed -n "s/^$2=//p" "$KERNELS/$1/info" 2>/dev/null | tr -d '"'
}

# compilers NAME: the versions of its compilers, without the revisions of the packages.
compilers() {
	info "$1" toolchain | xargs -n 1 | sed -En 's/^gcc-[0-9]+=([0-9.]+).*/gcc \1/p; s/^rustc=([0-9.]+).*/rustc \1/p' | paste -sd, | sed 's/,/, /'
}

# row NAME RELEASE COMPILERS PASSED FAILED SKIPPED TIME
row() {
	printf '%-13s %-27s %-25s %6s %6s %7s %6s' "$@"
}

# reasons LOG: the tests that failed, and those that were skipped with the reason, from a log in
# KTAP.
reasons() {
	sed -En 's/^not ok [0-9-]+ (- )?([^ ]+).*/    failed: \2/p; s/^ok [0-9-]+ (- )?([^ ]+) # SKIP (.*)/    skipped: \2: \3/p' "$1"
}

# test_kernel NAME: test this kernel, and add its rows to the table.
test_kernel() {
	local name=$1 log=$LOGS/$1.log start=$SECONDS passed failed skipped took
	printf '\n# KERNEL=%s\n' "$name"
	KERNEL=$name DEBUG=no T=${T:-${TESTS[*]}} "$TOP/scripts/test/test.sh" 2>&1 | tee "$log" ||
		true
	took=$((SECONDS - start))
	printf -v took '%d:%02d' $((took / 60)) $((took % 60))
	if [[ ! $(tail -n 1 "$log") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
		FAILED=$((FAILED + 1))
		ROWS+=("$(row "$name" "$(info "$name" release)" "$(compilers "$name")" - - - "$took")"
			"    failed: $(tail -n 1 "$log" | sed 's/^kmod_rs: //')")
		return
	fi
	passed=${BASH_REMATCH[1]} failed=${BASH_REMATCH[2]}
	skipped=$(grep -c '^ok .* # SKIP' "$log" || true)
	PASSED=$((PASSED + passed)) FAILED=$((FAILED + failed))
	ROWS+=("$(row "$name" "$(info "$name" release)" "$(compilers "$name")" "$passed" "$failed" "$skipped" "$took")")
	mapfile -t -O "${#ROWS[@]}" ROWS < <(reasons "$log")
}

main() {
	local name
	say "testing on ${SUPPORTED// /, }: this takes up to 90 minutes, and up to 12 GB in $CACHE"
	mkdir -p "$LOGS" "$CACHE"
	for name in $SUPPORTED; do
		if lacks "$name"; then
			ROWS+=("$(row "$name" "not in the archive" "" - - - -)")
		else
			test_kernel "$name"
		fi
	done
	echo
	row KERNEL release compilers passed failed skipped time
	echo
	printf '%s\n' "${ROWS[@]}"
	echo
	echo "$PASSED passed, $FAILED failed"
	((PASSED > 0 && FAILED == 0))
}

main "$@"
