#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run tests in the guest, one after the other, and say in KTAP how each ended.
# A test fails if one of its points fails, if it does not come to its end, or
# if the kernel complained meanwhile and the test had not announced that.
#
# usage: [SLOWER=N] run.sh NAME...     N: how many times as long a test may take

cd "$(dirname "$0")" || exit 1

SPLAT='BUG:|WARNING:|Oops|Call Trace|blocked for more than|detected stall|self-detected|soft lockup|hard LOCKUP|general protection|kernel panic|Unable to handle|refcount_t:|UBSAN|KASAN|kmemleak:|ODEBUG:|corruption|panicked at'
export SPLAT SLOWER=${SLOWER:-1}
SECONDS_PER_TEST=${SECONDS_PER_TEST:-$((300 * SLOWER))}

# The complaints since the mark that were not announced, with what follows.
splats() {
	local announced=/tmp/announced
	[[ -s $announced ]] || announced=/dev/null
	dmesg --notime | sed "1,/^$KMOD_RS_MARK\$/d" | grep -E "$SPLAT" | grep -vEf "$announced"
}

run() {
	local number=$1 name=$2 status complaints start=$SECONDS
	rm -f /tmp/announced
	export KMOD_RS_MARK="kmod_rs test $number: $name"
	echo "$KMOD_RS_MARK" >/dev/kmsg
	echo "    # Subtest: $name"
	timeout --kill-after=10 "$SECONDS_PER_TEST" bash "./$name.sh" 2>&1 | sed 's/^/    /'
	status=${PIPESTATUS[0]}
	complaints=$(splats)
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

# Ahead of all tests, so that none can be confounded by what came before.
echo "KTAP version 1"
echo "1..$#"
number=0
for name in "$@"; do
	number=$((number + 1))
	run "$number" "$name"
done
