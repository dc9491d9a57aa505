#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Who is privileged if a task has two different sets of credentials, if its program was executed
# with more rights than its user has (autoload_setuid), and in a container that shares the user
# namespace of the machine. The records say whose credentials there are.
#
# Needs: CONFIG_IO_URING CONFIG_TMPFS_XATTR
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 41

CAP_NET_ADMIN=12 CAP_SYS_MODULE=16

# overridden HOW: opens a socket with two sets of credentials, and prints what becomes of the request.
overridden() {
	/kmod_rs/override "$1" 28
	echo "$(newest name) $(newest uid) $(newest userns) $(newest as_uid) $(newest as_userns) $(verdict)" | xargs
}

# as_uid UID COMMAND...: runs the command as this user, without any capability.
as_uid() {
	setpriv --reuid="$1" --clear-groups --bounding-set=-all --inh-caps=-all "${@:2}"
}

# who ANSWER: prints the answer, who has asked, and what was decided.
who() {
	echo "$1 $(newest uid) $(verdict)"
}

use_silent_helper
patch on
set_rule autoload_mode 1

# Two sets of credentials.
NO_SOCKET="Address family not supported by protocol"
is "a user acts as root" "$(overridden root)" \
	"$NO_SOCKET
net-pf-28 65534 initial 0 initial denied autoload_mode 1"
is "root acts as a user" "$(overridden nobody)" \
	"$NO_SOCKET
net-pf-28 0 initial 65534 initial denied autoload_mode 1"
is "root acts as root of another user namespace" "$(overridden container)" \
	"$NO_SOCKET
net-pf-28 0 initial 0 other denied autoload_mode 1"
is "a worker of a user is older than the user's credentials" "$(overridden worker)" \
	"$NO_SOCKET
net-pf-28 0 initial 65534 initial denied autoload_mode 1"
is "the keys stand at the end" "$(recent | keys | grep -o 'rule .*')" "rule path as_uid as_userns"
is "and in other records there are none" "$(ask w x) $(recent | keys | grep -o 'rule .*')" \
	"0 rule path"
set_rule autoload_system_uids 65534
is "the system's users: by both sets" "$(/kmod_rs/override worker 28 >/dev/null; verdict)" \
	"denied autoload_mode 1"
is "root is none of them" "$(/kmod_rs/override nobody 28 >/dev/null; verdict)" \
	"denied autoload_mode 1"
set_rule autoload_system_uids 0

# A user of the system is one in the initial namespaces only.
set_rule autoload_system_uids 999
is "uid 33" "$(who "$(as_uid 33 /kmod_rs/ask w x)")" "0 33 allowed autoload_system_uids"
is "in another pid namespace" \
	"$(who "$(unshare --pid --fork setpriv --reuid=33 --clear-groups --inh-caps=-all --bounding-set=-all /kmod_rs/ask w x)")" \
	"$NOT_FOUND 33 denied autoload_mode 1"
# As in a container of Docker: root has the capability to become anybody.
is "root of a container becomes one" \
	"$(who "$(unshare --pid --fork --mount setpriv --bounding-set=-sys_module --inh-caps=-all \
		setpriv --reuid=1 --clear-groups /kmod_rs/ask w x)")" \
	"$NOT_FOUND 1 denied autoload_mode 1"
is "a child of his" \
	"$(who "$(unshare --pid --fork setpriv --reuid=33 --clear-groups --inh-caps=-all --bounding-set=-all bash -c '/kmod_rs/ask w x; :')")" \
	"$NOT_FOUND 33 denied autoload_mode 1"
is "in another user namespace" \
	"$(who "$(as_uid 33 unshare --user --map-current-user /kmod_rs/ask w x)")" \
	"$NOT_FOUND 33 denied autoload_mode 1"
is "one that is in the namespaces of the machine again" \
	"$(who "$(unshare --mount --fork setpriv --reuid=33 --clear-groups --inh-caps=-all --bounding-set=-all /kmod_rs/ask w x)")" \
	"0 33 allowed autoload_system_uids"
set_rule autoload_system_uids 0

# Programs that have more rights than their users.
mkdir /tmp/programs
cd /tmp/programs || exit
cp /kmod_rs/ask setuid
cp /kmod_rs/ask setuid33
cp /kmod_rs/ask setgid
cp /kmod_rs/ask may-load
cp /kmod_rs/ask may-configure
cp "$(type -P setpriv)" setpriv-setuid
cp "$(type -P mount)" mount-setuid
cp /bin/bash bash-setuid
chown 33 setuid33
chown :33 setgid
chmod 4755 setuid setuid33 setpriv-setuid mount-setuid bash-setuid
chmod 2755 setgid
/kmod_rs/fcap $CAP_SYS_MODULE may-load
/kmod_rs/fcap $CAP_NET_ADMIN may-configure
mkdir mnt
printf 'none %s/mnt zzfs user,noauto 0 0\n' "$PWD" >/etc/fstab

mounts() {
	as_user ./mount-setuid "$PWD/mnt" 2>/dev/null
	echo "$(newest name | tr -d '"') $(newest uid) $(verdict)"
}

is "autoload_setuid: default" "$(<"$KNOBS/autoload_setuid")" 1
is "1: a setuid program" "$(who "$(as_user ./setuid w x)")" "0 65534 allowed capability"
is "mount, by a line of fstab" "$(mounts)" "fs-zzfs 65534 allowed capability"
is "a program with the capability" "$(who "$(as_user ./may-load w x)")" \
	"0 65534 allowed capability"
is "with another one" "$(who "$(as_user ./may-configure w netdev-x)")" "0 65534 allowed capability"

set_rule autoload_setuid 0
SETUID="65534 denied autoload_setuid 0"
is "0: a setuid program" "$(who "$(as_user ./setuid w x)")" "$NOT_FOUND $SETUID"
is "a thread of it" "$(who "$(as_user ./setuid -t w x 2>/dev/null)")" "$NOT_FOUND $SETUID"
# shellcheck disable=SC2016 # For the other shell.
is "a child of it" "$(who "$(as_user ./bash-setuid -p -c '(read -r a <<<""; exec 3<>/dev/kmod_ask; echo w x >&3; read -r a <&3; echo "$a")')")" \
	"$NOT_FOUND $SETUID"
is "mount, by a line of fstab" "$(mounts)" "fs-zzfs $SETUID"
is "a program with the capability" "$(who "$(as_user ./may-load w x)")" "$NOT_FOUND $SETUID"
is "with another one" "$(who "$(as_user ./may-configure w netdev-x)")" "$NOT_FOUND $SETUID"
is "which is none for other names" "$(who "$(as_user ./may-configure w x)")" \
	"$NOT_FOUND 65534 denied autoload_mode 1"
set_rule autoload_system_uids 999
is "of a user of the system" "$(who "$(as_user ./setuid33 w x)")" "$NOT_FOUND $SETUID"
set_rule autoload_system_uids 0
is "a setgid program that root runs" "$(who "$(./setgid w x)")" \
	"$NOT_FOUND 0 denied autoload_setuid 0"
is "a setuid program that root runs" "$(who "$(./setuid w x)")" "0 0 allowed capability"
is "a program with the capability that root runs" "$(who "$(./may-load w x)")" \
	"0 0 allowed capability"
# Executed by a setuid program whose user is the same: the new program has no other user.
is "what a setuid program executes" "$(who "$(as_user ./setpriv-setuid --inh-caps=-all /kmod_rs/ask w x)")" \
	"$NOT_FOUND $SETUID"
is "what it executes for root, as sudo and su do" \
	"$(who "$(as_user ./setpriv-setuid --reuid=0 --regid=0 --clear-groups /kmod_rs/ask w x)")" \
	"0 0 allowed capability"
is "and a child of that" \
	"$(who "$(as_user ./setpriv-setuid --reuid=0 --regid=0 --clear-groups bash -c '/kmod_rs/ask w x; :')")" \
	"0 0 allowed capability"
is "root" "$(who "$(ask w x)")" "0 0 allowed capability"
is "a service with ambient capabilities" \
	"$(who "$(as_user --inh-caps=-all,+sys_module --ambient-caps=-all,+sys_module /kmod_rs/ask w x)")" \
	"0 65534 allowed capability"
is "another one" \
	"$(who "$(as_user --inh-caps=-all,+net_admin --ambient-caps=-all,+net_admin /kmod_rs/ask w netdev-x)")" \
	"0 65534 allowed capability"
is "a kernel thread, also for a setuid program" "$(who "$(as_user ./setuid wk x)")" \
	"0 0 allowed kernel thread"
set_rule autoload_allow x
is "what everybody may have" "$(who "$(as_user ./setuid w x)")" "0 65534 allowed autoload_allow x"
set_rule autoload_allow ''
set_rule autoload_enforce 0
is "not enforced" "$(who "$(as_user ./setuid w x)")" "0 65534 would-be-denied autoload_setuid 0"
set_rule autoload_enforce 1
use_helper
as_user ./setpriv-setuid --reuid=0 --clear-groups /kmod_rs/ask w child-exit-0 >/dev/null
is "a helper" "$(recent | grep 'name="exit-0"' | field rule)" '"nested"'
set_rule autoload_setuid 1
is "1 again" "$(who "$(as_user ./setuid w x)")" "0 65534 allowed capability"

cd /
rm -r /tmp/programs /etc/fstab

finish
