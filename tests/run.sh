#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs tests in the guest, one after the other, and reports in KTAP how each of them ended. A test
# fails if one of its points fails, if it does not come to its end, or if the kernel complained
# meanwhile and the test had not announced that. Where kmemleak is on, one more test checks that all
# tests together lost no memory. The last test checks that the guest's clock went as fast as the
# host's. If it does not even before the first test, nothing is run.
#
# usage: [SLOWER=N] [FULL=1] run.sh NAME...     N: how many times as long a test may take

cd "$(dirname "$0")" || exit 1
# shellcheck source=tests/complaints.sh
. ./complaints.sh
# shellcheck source=tests/clock.sh
. ./clock.sh

export SLOWER=${SLOWER:-1}
SECONDS_PER_TEST=${SECONDS_PER_TEST:-$(((${FULL:-0} ? 18000 : 1200) * SLOWER))}

# The state of lockdep before the test, if the kernel has it.
LOCKDEP=on

# Prints the complaints since the mark that were not announced.
complaints() {
	local announced=/tmp/announced
	[[ -s $announced ]] || announced=/dev/null
	{
		log_since "$KMOD_RS_MARK" | grep -E "$SPLAT"
		[[ $LOCKDEP == off || $(lockdep_state) != off ]] ||
			echo "lockdep has turned itself off"
	} | grep -vEf "$announced"
}

# verdict NUMBER NAME COMPLAINTS STATUS START: prints the result of a test, and what went wrong.
verdict() {
	local number=$1 name=$2 complaints=$3 status=$4 start=$5
	if [[ $complaints ]]; then
		echo "    # the kernel complained:"
		printf '    # %s\n' "${complaints//$'\n'/$'\n    # '}"
	fi
	((status != 124)) || echo "    # did not end in $SECONDS_PER_TEST s"
	if ((status == 0)) && [[ ! $complaints ]]; then
		echo "ok $number $name # $((SECONDS - start)) s"
	else
		echo "not ok $number $name # exit status $status"
	fi
}

run() {
	local number=$1 name=$2 status start=$SECONDS
	rm -f /tmp/announced
	export KMOD_RS_MARK="kmod_rs test $number: $name"
	echo "$KMOD_RS_MARK" >/dev/kmsg
	echo "    # Subtest: $name"
	timeout --kill-after=10 "$SECONDS_PER_TEST" bash "./$name.sh" 2>&1 | sed 's/^/    /'
	status=${PIPESTATUS[0]}
	verdict "$number" "$name" "$(complaints)" "$status" "$start"
	LOCKDEP=$(lockdep_state)
}

# Nothing tells which test lost the memory. The complaint has the stack trace of the allocation.
run_kmemleak() {
	local start=$SECONDS
	verdict "$1" kmemleak "$(leaks 2>&1 | head -n 100)" 0 "$start"
}

run_clock() {
	local said status=0 start=$SECONDS
	said=$(end_clock) || status=1
	echo "    # ${said:-the RTC cannot be read}"
	verdict "$1" clock "" "$status" "$start"
}

# Stops the scheduler's deadline servers. The timer of a server may restart itself while it is about
# to be forwarded (Linux 7.3: dl_server_timer(), through update_curr()), and hrtimer_forward() warns
# about that. This happens only on a machine that is so busy that the timer is late. A kernel that is
# locked down does not let them be stopped.
stop_servers() {
	local runtime
	for runtime in /sys/kernel/debug/sched/*_server/cpu*/runtime; do
		[[ ! -e $runtime ]] || echo 0 >"$runtime"
	done 2>/dev/null
}

main() {
	local said name number=0
	stop_servers
	echo "KTAP version 1"
	if ! start_clock >/tmp/clock; then
		said=$(</tmp/clock)
		echo "Bail out! the guest's clock is wrong: ${said:-the RTC cannot be read}"
		return 1
	fi
	echo "# $(</tmp/clock)"
	if has_kmemleak; then echo "1..$(($# + 2))"; else echo "1..$(($# + 1))"; fi
	for name in "$@"; do
		number=$((number + 1))
		run "$number" "$name"
	done
	if has_kmemleak; then
		number=$((number + 1))
		run_kmemleak "$number"
	fi
	run_clock "$((number + 1))"
}

main "$@"
