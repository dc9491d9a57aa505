#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# autoload_mode, autoload_system_uids and autoload_enforce: who may have a module loaded, and who is
# denied. A denied request costs nothing.
#
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 61

EVENT=$TRACING/events/kmod_rs/request_denied/enable

# as_uid UID COMMAND...: runs the command as this user, without any capability.
as_uid() {
	setpriv --reuid="$1" --clear-groups --bounding-set=-all --inh-caps=-all "${@:2}"
}

# with_capability NAME COMMAND...: runs the command as an ordinary user with this capability only.
with_capability() {
	setpriv --reuid=65534 --clear-groups --inh-caps="-all,+$1" --ambient-caps="-all,+$1" \
		"${@:2}"
}

# Prints the lines that the firewall has written to the log since the test began.
said() {
	log | sed -n 's/^kmod_rs: autoload \(.*\)\[[0-9]*\] \(.*\)/\1 \2/p'
}

use_helper
patch on

# The defaults: as if there were no firewall.
is "the knobs" "$(cd "$KNOBS" && grep -H '' autoload_* | xargs)" \
	"autoload_allow: autoload_deny: autoload_enforce:1 autoload_lock:0 autoload_mode:0 autoload_setuid:1 autoload_system_uids:0"
is "mode 0: everybody" "$(nobody_asks exit-3) $(ask w exit-3)" "768 768"
is "its record says nothing of it" "$(recent | keys | grep -c 'policy\|rule')" 0
is "both have run" "$(started 2 && echo yes)" yes

# Mode 1.
set_rule autoload_mode 1
events >/dev/null
is "mode 1: not an ordinary user" "$(nobody_asks exit-3)" "$NOT_FOUND"
is "who asks, what, which rule" \
	"$(newest uid) $(newest name) $(newest outcome) $(newest result) $(verdict)" \
	"65534 \"exit-3\" denied $NOT_FOUND denied autoload_mode 1"
is "no helper, no time in the queue" "$(newest helper) $(newest queue_us) $(newest helper_us)" \
	"- - -"
is "the last keys of the line" "$(recent | keys | grep -o 'modules.*')" "modules policy rule path"
is "in the log" "$(said)" 'denied: exit-3 (ask uid 65534) rule="autoload_mode 1"'
is "one that does not wait" "$(as_nobody /kmod_rs/ask n exit-3)" "$NOT_FOUND"
is "nothing was run" "$(events)" ""
is "counted" "$(stat_of denied) $(stat_of denied_by_policy) $(stat_of would_be_denied)" "2 2 0"
echo 1 >"$EVENT"
: >"$TRACING/trace"
nobody_asks exit-3 >/dev/null
echo 0 >"$EVENT"
is "the event" "$(sed -n 's/.* request_denied: //p' "$TRACING/trace")" \
	"seq=$(newest seq) name=\"exit-3\" result=$NOT_FOUND rule=\"autoload_mode 1\""
is "root" "$(ask w exit-3) $(verdict)" "768 allowed capability"
is "root that has no capability" "$(as_uid 0 /kmod_rs/ask w exit-3) $(verdict)" \
	"$NOT_FOUND denied autoload_mode 1"
is "root of another user namespace" \
	"$(as_nobody unshare --user --map-root-user /kmod_rs/ask w exit-3) $(verdict)" \
	"$NOT_FOUND denied autoload_mode 1"
is "who has CAP_SYS_MODULE" "$(with_capability sys_module /kmod_rs/ask w exit-3) $(verdict)" \
	"768 allowed capability"
is "CAP_NET_ADMIN is not enough" "$(with_capability net_admin /kmod_rs/ask w exit-3) $(verdict)" \
	"$NOT_FOUND denied autoload_mode 1"
is "but for netdev-*" "$(with_capability net_admin /kmod_rs/ask w netdev-exit-3) $(verdict)" \
	"768 allowed capability"
is "where CAP_SYS_MODULE will do, too" \
	"$(with_capability sys_module /kmod_rs/ask w netdev-exit-3)" 768
is "and none will not" "$(nobody_asks netdev-exit-3) $(verdict)" "$NOT_FOUND denied autoload_mode 1"
is "nor CAP_NET_ADMIN of another user namespace" \
	"$(as_nobody unshare --user --net --map-root-user /kmod_rs/ask w netdev-exit-3) $(verdict)" "$NOT_FOUND denied autoload_mode 1"
is "nor another capability" "$(with_capability sys_admin /kmod_rs/ask w exit-3) $(verdict)" \
	"$NOT_FOUND denied autoload_mode 1"
is "a kernel thread" "$(as_nobody /kmod_rs/ask wk exit-3) $(verdict)" "768 allowed kernel thread"
is "a worker" "$(as_nobody /kmod_rs/ask na exit-3) $(verdict)" "0 allowed kernel thread"
await helpers_gone
events >/dev/null
is "what a helper asks for" "$(ask w child-exit-5 >/dev/null; recent | grep 'name="exit-5"' | sed -n 's/.* policy=\(.*\) path=.*/\1/p')" \
	'allowed rule="nested"'
is "too long is too long" "$(nobody_asks "$(printf 'x%.0s' {1..60})") $(newest outcome)" \
	"$ENAMETOOLONG toolong"
is "of which the firewall says nothing" "$(recent | keys | grep -c policy)" 0
echo >"$MODPROBE"
is "switched off is switched off" "$(nobody_asks exit-3) $(newest outcome)" "$ENOENT off"
echo "$HELPER" >"$MODPROBE"
events >/dev/null

# While all slots are taken, a denied request is denied at once.
echo 1 >"$LIMIT"
close_gate
hold 1
is "with no slot free" "$(nobody_asks exit-3)" "$NOT_FOUND"
is "without a place in the queue" "$(newest outcome) $(newest queue_us)" "denied -"
is "and does not wait with others" "$(nobody_asks hold-0)" "$NOT_FOUND"
open_gate
await helpers_gone
echo 50 >"$LIMIT"
events >/dev/null

# A setuid program counts as the user that it is set to.
cp /kmod_rs/ask /tmp/ask-setuid
chmod 4755 /tmp/ask-setuid
is "a setuid-root program" "$(setpriv --reuid=65534 --clear-groups /tmp/ask-setuid w exit-3) $(newest uid) $(verdict)" \
	"768 65534 allowed capability"
is "with no capability to be had" "$(as_nobody /tmp/ask-setuid w exit-3) $(verdict)" \
	"$NOT_FOUND denied autoload_mode 1"

# System users.
is "uid 33" "$(as_uid 33 /kmod_rs/ask w exit-3)" "$NOT_FOUND"
set_rule autoload_system_uids 999
is "is one of the system's" "$(as_uid 33 /kmod_rs/ask w exit-3) $(verdict)" \
	"768 allowed autoload_system_uids"
is "so is 1" "$(as_uid 1 /kmod_rs/ask w exit-3)" 768
is "so is 999" "$(as_uid 999 /kmod_rs/ask w exit-3)" 768
is "1000 is not" "$(as_uid 1000 /kmod_rs/ask w exit-3)" "$NOT_FOUND"
is "nor is 0" "$(as_uid 0 /kmod_rs/ask w exit-3)" "$NOT_FOUND"
is "33 in another user namespace is not" "$(as_uid 33 unshare --user --map-current-user /kmod_rs/ask w exit-3) $(newest userns)" "$NOT_FOUND other"
is "nor is who calls himself 33 there" \
	"$(as_nobody unshare --user --map-user=33 /kmod_rs/ask w exit-3)" "$NOT_FOUND"
chown 33 /tmp/ask-setuid
chmod 4755 /tmp/ask-setuid
is "the effective user counts" "$(as_uid 1000 /tmp/ask-setuid w exit-3) $(newest uid) $(verdict)" \
	"768 1000 allowed autoload_system_uids"
set_rule autoload_system_uids 0
is "0 is for none" "$(as_uid 1 /kmod_rs/ask w exit-3)" "$NOT_FOUND"
rm /tmp/ask-setuid

# Mode 2.
set_rule autoload_mode 2
await helpers_gone
events >/dev/null
is "mode 2: nobody" "$(nobody_asks exit-3) $(verdict)" "$NOT_FOUND denied autoload_mode 2"
is "not root either" "$(ask w exit-3) $(verdict)" "$NOT_FOUND denied autoload_mode 2"
is "not a kernel thread" "$(/kmod_rs/ask wk exit-3) $(verdict)" "$NOT_FOUND denied autoload_mode 2"
set_rule autoload_system_uids 999
is "nor a system user" "$(as_uid 33 /kmod_rs/ask w exit-3)" "$NOT_FOUND"
is "nothing was run" "$(events)" ""
set_rule autoload_allow 'child-*'
ask w child-exit-5 >/dev/null
is "nor for a helper" "$(recent | grep 'name="exit-5"' | tail -n 1 | sed -n 's/.* policy=\(.*\) path=.*/\1/p')" \
	'denied rule="autoload_mode 2"'
set_rule autoload_allow $'\n'
echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
holds "modprobe itself is not asked" modprobe dummy
modprobe -r dummy
use_helper

# Rules that are not enforced yet, to learn from.
set_rule autoload_enforce 0
is "would be denied, and is not" \
	"$(nobody_asks exit-3) $(newest outcome) $(newest result) $(verdict)" \
	"768 exit 768 would-be-denied autoload_mode 2"
is "counted" "$(stat_of would_be_denied)" 1
nobody_asks exit-4 >/dev/null
is "in the log" "$(said | tail -n 1)" \
	'would be denied: exit-4 (ask uid 65534) rule="autoload_mode 2"'
set_rule autoload_enforce 1
is "in earnest again" "$(nobody_asks exit-3)" "$NOT_FOUND"
set_rule autoload_mode 0
is "mode 0 again" "$(nobody_asks exit-3) $(recent | keys | grep -c policy)" "768 0"

# Denials come to the log under the same limits as other lines.
set_rule autoload_mode 1
before=$(log | grep -c 'autoload denied')
timed as_nobody /kmod_rs/load --tasks=40 --rounds=3 "w flood-% $NOT_FOUND"
lines=$(($(log | grep -c 'autoload denied') - before))
is "all are denied" "$(grep -v '^#' <<<"$OUTPUT")" "no other answers"
holds "no more than 10 lines in 5 s: $lines in $TOOK ms" [ "$lines" -le \
	$((10 * (TOOK / 5000 + 2))) ]
is "each is recorded" "$(recent | tail -n 120 | grep -c 'outcome=denied')" 120

# Giving back drops the rules.
give_back
is "the module is gone: C serves" "$(nobody_asks exit-3)" 768
patch on
is "loaded again: no rules" "$(<"$KNOBS/autoload_mode")" 0

finish
