#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What modprobe is run with: its arguments and environment, its IDs and its
# place. Nothing of it comes from the requester, even if that has another user,
# root, working directory, umask, priority, signal mask and other namespaces.
#
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 6

CAGE=/tmp/cage

namespace() {
	echo "$1=$(readlink "/proc/1/ns/$1")"
}

DESCRIPTION="argv[0]=$HELPER
argv[1]=-q
argv[2]=--
argv[3]=describe-x
envp[0]=HOME=/
envp[1]=TERM=linux
envp[2]=PATH=/sbin:/usr/sbin:/bin:/usr/bin
uid=0 euid=0 gid=0 egid=0
umask=022
nice=0
open_files=0
child_of_a_kernel_thread=1
Groups:
NoNewPrivs: 0
Seccomp: 0
SigBlk: 0000000000000000
SigIgn: 0000000000000000
CapEff: $(awk '$1 == "CapBnd:" { print $2 }' /proc/1/status)
exe=$HELPER
cwd=/
root=/
$(namespace mnt)
$(namespace pid)
$(namespace user)
$(namespace net)
$(namespace uts)
$(namespace cgroup)"

# Prints the description, with one blank where /proc/self/status has other white
# space.
description() {
	sed 's/[[:blank:]]\+/ /; s/ $//' /tmp/description
}

waiting() {
	ask w describe-x
	description
}

not_waiting() {
	rm -f /tmp/description
	events >/dev/null
	ask n describe-x
	event end describe-x
	description
}

# The requester has a file open as well: the device.
from_a_cage() {
	rm -f /tmp/description
	(
		umask 077
		ulimit -n 64
		trap '' USR1
		export LD_PRELOAD='' SECRET=1
		exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs \
			nice -n 7 \
			unshare --user --map-root-user --mount --net --uts --ipc --cgroup \
			chroot "$CAGE" /ask -d /ask-device w describe-x
	)
	description
}

mkdir -p "$CAGE"
cp /kmod_rs/ask "$CAGE/"
mknod --mode=666 "$CAGE/ask-device" c "$(stat -c %Hr /dev/kmod_ask)" "$(stat -c %Lr /dev/kmod_ask)"

use_helper
same_as_c waiting "0
$DESCRIPTION"
same_as_c not_waiting "0
$DESCRIPTION"
same_as_c from_a_cage "0
$DESCRIPTION"

rm -r "$CAGE"
finish
