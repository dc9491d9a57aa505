#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Requests that do not wait, while kmod-limit of their helpers run: 256 are kept, and 64 on one
# account. The next one gets -ETIME, and the log says so. Accounts take turns. When modprobe's path
# is emptied, what is kept is dropped.

. "$(dirname "$0")/lib.sh"
plan 19

# as UID COMMAND...: runs the command as an ordinary user.
as() {
	setpriv --reuid="$1" --regid="$1" --clear-groups --bounding-set=-all --inh-caps=-all "${@:2}"
}

# keep UID: the user makes 64 requests at once.
keep() {
	as "$1" /kmod_rs/load --tasks=1 --rounds=64 "n exit-0-$1-% 0" 2>/dev/null
}

kept() {
	[[ $(stat_of kept_now) == "$1" ]]
}

# Takes the only permit.
occupy() {
	use_helper
	close_gate
	ask n hold-0 >/dev/null
	started 1 hold-0
}

patch on
echo 1 >"$LIMIT"

# --- How many are kept ---

occupy
for uid in 1001 1002 1003 1004; do
	is "64 of user $uid are kept" "$(keep "$uid")" "no other answers"
	if ((uid == 1001)); then
		is "the next one is refused" "$(as "$uid" /kmod_rs/ask n hold-next)" "$ETIME"
		holds "the log says so" logged \
			"runaway modprobe loop assumed and stopped: hold-next \(ask\[[0-9]+\] uid 1001\) limit=1 kept=64$"
		is "and the record" "$(newest outcome) $(newest helper)" "timeout -"
	fi
done
is "256 are kept" "$(stat_of kept_now)" 256
is "no more, of whomever" "$(ask n hold-next)" "$ETIME"
is "one that waits is none of them" "$(ask w exit-3)" 768
use_silent_helper
open_gate
holds "all are started in the end" await kept 0
await helpers_gone
is "then requests are served at once" "$(ask n exit-0)" 0
await helpers_gone

# --- Turns ---

# The last one that was started is root's. Root's next turn comes after one of another account.
occupy
ask n exit-0-z >/dev/null
open_gate
event end exit-0-z
await helpers_gone

occupy
for name in a1 a2 a3; do as 1001 /kmod_rs/ask n "exit-0-$name" >/dev/null; done
as 1002 /kmod_rs/ask n exit-0-b1 >/dev/null
ask n exit-0-c1 >/dev/null
events >/dev/null
open_gate
holds "all are served" event end hold-0
await kept 0
await helpers_gone
is "accounts take turns" "$(events | sed -n 's/start exit-0-//p' | xargs)" "a1 c1 b1 a2 a3"

# --- modprobe's path is emptied ---

occupy
for i in 1 2 3; do ask n "exit-0-$i" >/dev/null; done
events >/dev/null
is "three are kept" "$(stat_of kept_now)" 3
echo >"$MODPROBE"
open_gate
holds "they are dropped when a helper has ended" await kept 0
is "none was started" "$(events | grep start)" ""
is "the records say why" "$(recent | tail -n 3 | field outcome | xargs)" "off off off"
echo "$HELPER" >"$MODPROBE"
is "later ones are served" "$(ask n exit-0)" 0

finish
