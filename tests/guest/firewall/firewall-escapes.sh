#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Ways in which an ordinary user may try to get round the firewall: none of them makes a helper run,
# and the lines about hostile names and tasks are well formed.
#
# Processors: parallel
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 48

# Prints how often the kernel was about to run a program.
runs() {
	calls call_usermodehelper_exec
}

# has_left PID: true if it is in another user namespace.
has_left() {
	[[ $(readlink "/proc/$1/ns/user") != "$(readlink /proc/self/ns/user)" ]]
}

use_helper
patch on
# No request is to share a helper.
echo 0 >"$KNOBS/coalesce"
set_rule autoload_mode 1
set_rule autoload_allow 'allowed fs-ext?*'
set_rule autoload_deny 'denied*'
count_calls call_usermodehelper_exec

# Namespaces.
in_namespaces=(unshare --user --map-root-user)
is "a user namespace" "$(as_nobody "${in_namespaces[@]}" /kmod_rs/ask w x)" "$NOT_FOUND"
is "one in one" "$(as_nobody "${in_namespaces[@]}" "${in_namespaces[@]}" /kmod_rs/ask w x)" "$NOT_FOUND"
is "three deep, with all other namespaces" \
	"$(as_nobody "${in_namespaces[@]}" --mount --net --pid --ipc --uts --cgroup --fork \
	"${in_namespaces[@]}" --net "${in_namespaces[@]}" /kmod_rs/ask w netdev-x)" "$NOT_FOUND"
is "capabilities kept there" \
	"$(as_nobody unshare --user --map-root-user --keep-caps /kmod_rs/ask w x)" "$NOT_FOUND"
is "entered from outside" "$(
	"${AS_NOBODY[@]}" unshare --user --map-root-user sleep 100 8>&- 9>&- &
	await has_left $!
	as_nobody nsenter --user --preserve-credentials --target=$! /kmod_rs/ask w x
	kill $!
)" "$NOT_FOUND"
# Root that leaves the initial user namespace is not root here any more. That is root's own
# decision.
is "root that leaves the initial user namespace" \
	"$(unshare --user --map-root-user /kmod_rs/ask w x)" "$NOT_FOUND"
is "and not otherwise" "$(unshare --mount --net --pid --fork /kmod_rs/ask w x)" 0
is "one helper, root's" "$(runs)" 1

# Capabilities and users.
is "no capability in effect" "$(setpriv --bounding-set=-all --inh-caps=-all /kmod_rs/ask w x)" \
	"$NOT_FOUND"
is "all but the one" \
	"$(setpriv --bounding-set=-sys_module --inh-caps=-sys_module /kmod_rs/ask w x)" "$NOT_FOUND"
is "with no_new_privs a setuid program is none" "$(
	cp /kmod_rs/ask /tmp/ask-setuid
	chmod 4755 /tmp/ask-setuid
	setpriv --reuid=65534 --clear-groups --no-new-privs /tmp/ask-setuid w x
)" "$NOT_FOUND"
is "in a user namespace neither" \
	"$(setpriv --reuid=65534 --clear-groups unshare --user /tmp/ask-setuid w x)" "$NOT_FOUND"
chown 65533 /tmp/ask-setuid
chmod 4755 /tmp/ask-setuid
is "setuid to somebody else" "$(setpriv --reuid=65534 --clear-groups /tmp/ask-setuid w x)" "$NOT_FOUND"
rm /tmp/ask-setuid
# What counts is what both the task's own credentials and those that it uses for a moment allow.
is "with the credentials of root in place" \
	"$(/kmod_rs/override root 28) $(newest name) $(newest uid) $(verdict)" \
	'Address family not supported by protocol "net-pf-28" 65534 denied autoload_mode 1'
is "no helper for any" "$(runs)" 1

# Threads, tasks that execute another program, and tasks that die.
is "a thread" "$(as_nobody /kmod_rs/ask -t w x 2>/dev/null)" "$NOT_FOUND"
as_nobody unshare --user --mount --map-root-user mount -t zzfs none /mnt 2>/dev/null
is "a file system" "$(newest name) $(newest uid) $(verdict)" \
	'"fs-zzfs" 65534 denied autoload_mode 1'
rm -f /tmp/serial
as_nobody /kmod_rs/load --tasks=8 --kills=$((100 / SLOWER)) "w killed-% $NOT_FOUND" \
	"n killed-% $NOT_FOUND" >/tmp/answers.killed 2>/dev/null
is "killed at any moment: no other answer" "$(</tmp/answers.killed)" "no other answers"
rm -f /tmp/serial /tmp/answers.killed
is "each that has returned was denied" \
	"$(recent | grep 'name="killed-' | grep -cv ' outcome=denied ')" 0
is "one that executes while its child asks" \
	"$(as_nobody bash -c '/kmod_rs/ask w x & exec /kmod_rs/ask w x' | xargs)" "$NOT_FOUND $NOT_FOUND"
as_nobody bash -c '(/kmod_rs/ask w orphan >/dev/null) & disown; exit'
await eval 'recent | grep -q "name=\"orphan\""'
is "one whose parent has gone" "$(recent | grep 'name="orphan"' | field policy)" denied
# Only a request of a helper that the kernel runs is nested. The name of a task does not matter.
is "one that is called like a helper" "$(as_nobody /kmod_rs/ask -c modprobe w x)" "$NOT_FOUND"
is "or like a thread of the kernel" "$(as_nobody /kmod_rs/ask -c cryptomgr_probe w crypto-x) $(verdict)" "$NOT_FOUND denied autoload_mode 1"
is "no helper for any" "$(runs)" 1

# Names.
while IFS= read -r name; do
	printf -v meant '%b' "$name"
	is "name $name" "$(nobody_asks "$meant")" "$NOT_FOUND"
done <<'END'
allowed\n
\nallowed
allowed x
 allowed
allowed\t
Allowed
allowe
allowedd
[a]llowed
*
?llowed
../allowed
/allowed
./fs-ext4
fs-
END
name=$(printf 'x%.0s' {1..55})
is "55 bytes" "$(nobody_asks "$name") $(newest name)" "$NOT_FOUND \"$name\""
is "an empty one" "$(nobody_asks "")" "$NOT_FOUND"
is "no helper for any" "$(runs)" 1
printf 'w allowed\0denied' >/tmp/question
ask_file() {
	dd if="$1" of=/dev/kmod_ask status=none
	newest name
}
is "a NUL ends it" "$(ask_file /tmp/question) $(verdict)" '"allowed" allowed autoload_allow allowed'
printf 'w denied\0allowed' >/tmp/question
is "whatever follows" "$(ask_file /tmp/question) $(verdict)" '"denied" denied autoload_deny denied*'
rm /tmp/question
is "a name cannot forge a line" "$(as_nobody /kmod_rs/ask -c $'a)\nkmod_rs: b' w $'x\nseq=1 policy=allowed rule="')" "$NOT_FOUND"
is "of records" "$(recent | tail -n 1 | field name) $(verdict)" \
	'"x\x0aseq=1 policy=allowed rule=\x22" denied autoload_mode 1'
sleep 6
as_nobody /kmod_rs/ask -c $'a)\nkmod_rs: b' w $'x\nkmod_rs: autoload' >/dev/null
is "or of the log" "$(log | grep ' denied: x' | tail -n 1 | sed 's/\[[0-9]*\]//')" \
	'kmod_rs: autoload denied: x\x0akmod_rs:\x20autoload (a)\x0akmod_rs:\x20b uid 65534) rule="autoload_mode 1"'

# Root unloads the module and loads it again: there are no rules then.
forget_calls
patch off
patch on
is "after loading it again there are no rules" "$(nobody_asks x)" 0

finish
