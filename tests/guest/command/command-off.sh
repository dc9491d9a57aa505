#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kmod-rs on and off: they take over and give back in any environment, turn a
# transition round that somebody stalls, say for whom they wait, and can be
# interrupted. What stands in the way is said before anything is changed.
#
# Boot: alone
# Uses: kmod-rs
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 65

SAID=/tmp/said
OTHER=/sys/kernel/livepatch/klp_request
INSTALLED=/lib/modules/$(uname -r)/updates

# control ARGUMENT...: runs kmod-rs. Its exit status is in $STATUS, what it says in $SAID.
control() {
	kmod-rs "$@" >"$SAID" 2>&1 8>&- 9>&-
	STATUS=$?
}

# control_in_background ARGUMENT...: the same, without waiting. Its process ID is in $COMMAND. It
# must take neither the events nor the gate.
control_in_background() {
	: >"$SAID"
	kmod-rs "$@" >"$SAID" 2>&1 8>&- 9>&- &
	COMMAND=$!
}

# ended: waits for it. Its exit status is in $STATUS.
ended() {
	wait "$COMMAND"
	STATUS=$?
}

interrupt() {
	kill -INT "$COMMAND"
	ended
}

# said REGEX: true if the command has said this by now.
said() {
	/usr/bin/grep -Eq -- "$1" "$SAID"
}

# says WHAT REGEX: the command has said this, or will.
says() {
	if await said "$2"; then pass "$1"; else fail "$1" "$(<"$SAID")"; fi
}

# ends WHAT STATUS REGEX: the command has ended like this. Two points.
ends() {
	is "$1" "$STATUS" "$2"
	matches "and says so" "$(<"$SAID")" "$3"
}

# in_place: who serves requests, and whether all tasks are switched.
in_place() {
	echo "active=$(<"$KNOBS/active") transition=$(<"$LIVEPATCH/transition") enabled=$(<"$LIVEPATCH/enabled")"
}
ALL="active=1 transition=0 enabled=1"

# alone PID STATE: true if this is the only task that has this state in a transition.
alone() {
	[[ $(/usr/bin/grep -lx "$2" /proc/[0-9]*/task/*/patch_state 2>/dev/null) == \
		"/proc/$1/task/$1/patch_state" ]]
}

other_settled() {
	[[ $(<"$OTHER/transition") == 0 ]]
}

ON=(on --file /kmod_rs/kmod-rs.ko)

use_helper

# --- By name, with settings, in any environment ---
control off
ends "nothing to give back" 4 'not loaded'
control on
ends "not installed" 1 'cannot load kmod_rs .*not found.*doctor'
control doctor
ends "doctor knows that" 1 'problem  kmod_rs is not installed'

mkdir -p "$INSTALLED" /etc/sysctl.d
cp /kmod_rs/kmod-rs.ko "$INSTALLED/"
depmod
cat >/etc/sysctl.d/kmod_rs.conf <<-end
	kernel.hostname = other
	kernel.kmod-limit = 44
	kernel.kmod_rs.busy_timeout_ms = 3600000
end
hostname=$(hostname)
env -i PATH="$PATH" kmod-rs on >"$SAID" 2>&1
STATUS=$?
ends "on, with nothing but PATH" 0 'serves requests'
is "it is in place" "$(in_place)" "$ALL"
is "with the settings, and no others" "$(<"$LIMIT") $(<"$KNOBS/busy_timeout_ms") $(hostname)" \
	"44 3600000 $hostname"
control on
ends "on again" 0 'serves requests'
control doctor
case $(uname -r) in
*+deb*) ends "nothing is in the way now" 0 'Nothing is known to stand in the way' ;;
*) ends "no kernel of Debian" 1 'is not supported' ;;
esac
env -i PATH="$PATH" kmod-rs off >"$SAID" 2>&1
STATUS=$?
ends "off, with nothing but PATH" 0 "the kernel's C code again"
holds "it is unloaded" eval '! is_loaded'

# --- The kernel's reasons ---
control on --file /kmod_rs/not-post-linked.ko
ends "the kernel refuses it" 1 'the kernel says: kmod_rs: built without "objtool klp post-link"'
insmod /kmod_rs/probe_request.ko post=1
control "${ON[@]}"
ends "a kprobe claims the function" 1 'kprobe .*claims __request_module'
holds "nothing was loaded" eval '! logged "cannot take over|is in use by a kprobe"'
rmmod probe_request

# --- A request that hangs in C stalls taking over ---
close_gate
ask_in_background w hold-c
event start hold-c
control_in_background "${ON[@]}"
says "on waits for it" "\\[$ASKER\\], sleeps in .* < "
await alone "$ASKER" 0
interrupt
ends "interrupted" 1 'goes on taking over.*"kmod-rs off" turns it round'
is "it goes on" "$(in_place)" "active=1 transition=1 enabled=1"
control off
ends "off turns it round" 0 'turning this round'
holds "it is unloaded" eval '! is_loaded'

control_in_background "${ON[@]}"
says "on waits for it once more" "\\[$ASKER\\]"
open_gate
ended
ends "and ends when the request does" 0 'serves requests'
is "it is in place" "$(in_place)" "$ALL"

# --- A request that waits in Rust delays giving back ---
close_gate
ask_in_background w hold-exit-6
event start hold-exit-6
control_in_background off
says "off waits for it" "\\[$ASKER\\] requests hold-exit-6, its helper is $EVENT_PID"
interrupt
ends "interrupted" 1 'goes on giving back.*"kmod-rs on" turns it round'
is "it goes on" "$(in_place)" "active=1 transition=1 enabled=0"
control on
ends "on turns it round" 0 'serves requests'
control_in_background off
says "off waits for it once more" "\\[$ASKER\\] requests hold-exit-6"
open_gate
ended
ends "and ends when the request does" 0 "C code again"
is "which knows nothing of it" "$(answer_of "$ASKER")" $((6 << 8))

# A helper that runs on keeps the module loaded.
control "${ON[@]}"
close_gate
ask_in_background wv hold-killed
event start hold-killed
kill_asker "$ASKER"
control_in_background off
says "off waits for a helper" "the helper $EVENT_PID runs for hold-killed"
interrupt
ends "interrupted" 1 'still loaded'
control_in_background off
open_gate
ended
ends "off goes on" 0 "C code again"

# --- What stands in the way of off ---
control "${ON[@]}"
exec {FILE}<"$RECORDS/recent"
control off
ends "an open file, and whose" 1 "bash\\[$$\\] has $RECORDS/recent open"
is "nothing is given up" "$(in_place)" "$ALL"
exec {FILE}<&-

close_gate
ask_in_background w hold-other
event start hold-other
insmod /kmod_rs/klp_request.ko
await alone "$ASKER" 0
control off
ends "another livepatch in transition" 1 "livepatch klp_request is in transition, and waits for .*\\[$ASKER\\]"
open_gate
await other_settled
control on
ends "another livepatch on top" 3 'livepatch klp_request .* takes all requests'
control off
ends "which does not hinder off" 0 'the livepatch klp_request serves requests'
echo 0 >"$OTHER/enabled"
await rmmod klp_request

# What follows cannot be undone, so it is the end of this boot.
control "${ON[@]}"
set_rule autoload_mode 1
set_rule autoload_lock 1
control off
ends "locked rules" 1 'autoload_lock'
is "the firewall is not given up" "$(in_place)" "$ALL"
echo 1 >/proc/sys/kernel/modules_disabled
control off
ends "no modules any more" 1 'modules_disabled'
is "nothing is given up" "$(in_place)" "$ALL"
control on
ends "and on needs nothing" 0 'serves requests'

give_back() { :; }
rm -f "$SAID"
finish
