#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Boot a guest many times on a busy machine. In each boot, compare the guest's clock with the host's
# (tests/clock.sh), and turn the guest off. Nothing is repeated. There is one line of KTAP for each
# boot. The last line is "N passed, N failed".
#
# usage: [KERNEL=NAME] [BOOTS=N] [BUSY=N] boots.sh
#
# BUSY is the number of busy loops that run at the same time, by default two for each processor.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/guest/files.sh
. "$TOP/scripts/guest/files.sh"

BOOTS=${BOOTS:-100}
BUSY=${BUSY:-$((2 * $(nproc)))}

busy_loop() {
	exec yes >/dev/null
}

run_guest() {
	exec "$TOP/scripts/guest/vm.sh" --timeout 1800 "$KERNEL_DIRECTORY" "$OVERLAY" "$WORK" \
		>"$WORK.ktap"
}

# boot: run a guest. $WORK/results.ktap then has its output.
boot() {
	remove "$WORK"
	mkdir -p "$OVERLAY/kmod_rs"
	cp "$TOP"/tests/{run,clock,complaints}.sh "$OVERLAY/kmod_rs/"
	printf '#!/bin/bash\nexec bash /kmod_rs/run.sh\n' >"$OVERLAY/kmod_rs/run"
	chmod +x "$OVERLAY/kmod_rs/run"
	spawn run_guest
	join "$!" || true
	mv "$WORK.ktap" "$WORK/results.ktap"
}

main() {
	local i number passed=0
	[[ $BOOTS =~ ^[1-9][0-9]*$ && $BUSY =~ ^[0-9]+$ ]] ||
		die "BOOTS and BUSY must be numbers, not \"$BOOTS\" and \"$BUSY\""
	prepare_kernel
	for ((i = 0; i < BUSY; i++)); do spawn busy_loop; done
	say "booting $RELEASE $BOOTS times, with $BUSY busy loops at the same time"
	echo "KTAP version 1"
	echo "1..$BOOTS"
	for ((number = 1; number <= BOOTS; number++)); do
		WORK=$OUT/boots/$number OVERLAY=$OUT/boots/$number/overlay
		boot
		if grep -q '^ok 1 clock' "$WORK/results.ktap"; then
			passed=$((passed + 1))
			echo "ok $number boot #$(sed -n 's/^ *#\( .* of the host took .*\)/\1/p;T;q' "$WORK/results.ktap")"
			remove "$WORK"
		else
			sed 's/^/    # /' "$WORK/results.ktap"
			echo "not ok $number boot # its console is in $WORK/console.log"
		fi
	done
	echo "$passed passed, $((BOOTS - passed)) failed"
	((passed == BOOTS))
}

main "$@"
