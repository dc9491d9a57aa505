#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# autoload_lock: nothing can change the rules or the program any more, and the module stays loaded,
# while requests and everything else go on. The last part is about what the lock does not stop.
#
# Boot: last
# Needs: CONFIG_MODULE_FORCE_UNLOAD

. "$(dirname "$0")/lib.sh"
plan 41

# Prints the rules that are set.
rules() {
	(cd "$KNOBS" && grep -H '' autoload_*)
}

use_silent_helper
patch on
set_rule autoload_mode 1
set_rule autoload_allow 'fs-*'
set_rule autoload_deny 'fs-bad dummy'
BEFORE=$(rules)

# write_always N KNOB VALUE: writes the value with a random number after it, again and again. Each
# attempt adds a byte to /tmp/attempts-N.
write_always() {
	exec 8>&- 9>&- 7>"/tmp/attempts-$1"
	while [[ ! -e /tmp/enough ]]; do
		echo "$3$((SRANDOM % 1000))" >"$KNOBS/$2"
		printf . >&7
	done 2>/dev/null
}

# Prints how often each of them has tried.
attempts() {
	stat -c %s /tmp/attempts-{1,2,3} | xargs
}

# have_tried N: true if each of them has tried N times since $BEFORE_THAT.
have_tried() {
	local i now
	read -ra now < <(attempts)
	for i in 0 1 2; do
		((now[i] - BEFORE_THAT[i] >= $1)) || return
	done
}

try_often() {
	read -ra BEFORE_THAT < <(attempts)
	await have_tried 20
}

# The knobs are written to all the time. Once the lock is set, they stay as they are.
touch /tmp/attempts-{1,2,3}
write_always 1 autoload_system_uids 1 &
write_always 2 autoload_system_uids 2 &
write_always 3 autoload_allow 'fs-* x-' &
try_often
is "locked while others write" "$(write_to "$KNOBS/autoload_lock" 1)" ""
LOCKED=$(rules)
try_often
touch /tmp/enough
is "nothing has changed since" "$(rules)" "$LOCKED"
wait
rm /tmp/enough /tmp/attempts-{1,2,3}
is "it is locked" "$(<"$KNOBS/autoload_lock")" 1
holds "there was something before" [ "$BEFORE" != "$LOCKED" ]
is "in the log" "$(log | grep -c '^kmod_rs: autoload rules are locked until reboot (.*\[[0-9]*\] uid 0)$')" 1

for value in autoload_mode=0 autoload_mode=1 autoload_mode=x autoload_allow='*' autoload_allow='[' \
	autoload_deny= \
	autoload_system_uids=999 autoload_setuid=0 autoload_enforce=0 autoload_enforce=1 autoload_lock=0 \
	autoload_lock=1; do
	is "$value" "$(write_to "$KNOBS/${value%%=*}" "${value#*=}"$'\n')" "Operation not permitted"
done
is "the rules are what they were" "$(rules)" "$LOCKED"
is "other knobs can be written" "$(write_to "$LIMIT" 7)$(<"$LIMIT")" 7

is "denied" "$(nobody_asks net-x)" "$NOT_FOUND"
is "allowed" "$(nobody_asks fs-x)" 0
is "denied to all" "$(ask w fs-bad)" "$NOT_FOUND"
is "root" "$(ask w net-x)" 0

# The path of modprobe is locked as well.
modprobe -qr dummy # Another test may have left it.
ask w real-dummy >/dev/null
cp "$HELPER" /tmp/other
echo /tmp/other >"$MODPROBE"
exec 7<>/proc/kmod_rs/check
printf real-dummy >&7
is "to check a name logs nothing" "$(log | grep -c 'rules are locked with the program')" 0
is "what is known of a name is so for the program that is run" \
	"$(field denied_module <&7) $(ask w real-dummy) $(newest outcome)" "\"dummy\" $NOT_FOUND denied"
exec 7>&-
is "another path" "$(ask w fs-x) $(newest path)" "0 \"$HELPER\""
is "and again" "$(ask w fs-y) $(newest path)" "0 \"$HELPER\""
is "in the log, once" "$(log | grep -c "^kmod_rs: autoload rules are locked with the program \"$HELPER\": \"/tmp/other\" in /proc/sys/kernel/modprobe does not count$")" 1
echo >"$MODPROBE"
is "none" "$(ask w fs-x) $(newest outcome)" "$ENOENT off"
echo "$HELPER" >"$MODPROBE"
rm /tmp/other

# The module cannot be unloaded.
holds "a reference more" references 2
matches "rmmod" "$(rmmod kmod_rs 2>&1)" "in use"

# What the lock does not stop: giving back, which is logged, and rmmod -f.
echo 0 >"$LIVEPATCH/enabled"
is "giving back is logged" "$(log | grep -c '^kmod_rs: autoload rules were locked, and are given up with the livepatch (.*\[[0-9]*\] uid 0)$')" 1
await test ! -e "$LIVEPATCH"
is "and then C serves" "$(nobody_asks net-x)" 0
is "the knobs are still there, and locked" "$(write_to "$KNOBS/autoload_mode" 0)" \
	"Operation not permitted"
holds "one reference is left" references 1
matches "rmmod" "$(rmmod kmod_rs 2>&1)" "in use"
announce 'lockdep has turned itself off' # The kernel does this at rmmod -f.
holds "rmmod -f" rmmod -f kmod_rs
holds "loaded again" take_over
is "it is not locked" "$(<"$KNOBS/autoload_lock") $(<"$KNOBS/autoload_mode")" "0 0"
holds "and can be given back" give_back
is "which is not logged" "$(log | grep -c 'given up with the livepatch')" 1

finish
