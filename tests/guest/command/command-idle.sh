#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kmod-rs idle says of each module that came by a request whether it could go, and why not; kmod-rs
# autoclean unloads what could, and nothing else. Each reason has a real case: a reference count of
# 0 says little.
#
# Uses: kmod-rs
# Debug: --full
# Needs: CONFIG_IP_NF_FILTER CONFIG_BRIDGE CONFIG_DUMMY CONFIG_N_HDLC

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
plan 47

VETOES=/etc/kmod-rs/autoclean.d
CONFIG=/etc/kmod-rs/autoclean.conf
mkdir -p "$VETOES" /etc/modprobe.d

# reasons MODULE: prints the verdict, and the words of the reasons, each once.
reasons() {
	kmod-rs --json idle --all --idle 0 --gap 0 | sed -n "/\"module\":\"$1\"/ {
		s/.*\"verdict\":\"\([a-z]*\)\".*\"reasons\":\[\(.*\)\].*/\1 \2/
		s/\"what\":\"[^\"]*\"//g; s/\"reason\"://g; s/[][{}\",]/ /g; s/  */ /g; p }" |
		xargs -n 1 | awk '!seen[$0]++' | xargs
}

# clean [OPTION...]: one pass that unloads. Prints what it says.
clean() {
	kmod-rs autoclean --yes "$@" 2>&1
}

# uses MODULE N: true if its reference count is N.
uses() {
	[[ $(</sys/module/"$1"/refcnt) == "$2" ]]
}

# mount_xfs, unmount_xfs: use the file system, and leave it.
mount_xfs() {
	mount -t xfs -o ro,norecovery "${1:-/dev/vda}" /mnt
}

unmount_xfs() {
	umount /mnt && await uses xfs 0
}

matches "without the module" "$(kmod-rs idle 2>&1; echo $?)" 'kmod_rs is not loaded.*4$'
patch on
matches "for root only" "$(as_nobody kmod-rs idle 2>&1)" 'for root only'
is "nothing came" "$(kmod-rs idle --json)" ""
is "nothing goes" "$(clean --idle 0 --gap 0)" ""

# --- Whose reference count is 0, and who are in use ---
echo 'options iptable_filter forward=0' >/etc/modprobe.d/test.conf
modprobe ip_tables
is "a table that drops all" "$(/kmod_rs/keep forward)" DROP
holds "has no references" uses iptable_filter 0
is "it stays" "$(reasons iptable_filter)" "stays class kind stack"

ip link add dum0 type dummy
ip link set dum0 up
holds "an interface that is up has no references" uses dummy 0
is "it stays" "$(reasons dummy)" "stays class link-kind"

ip link add br0 type bridge
holds "nor has a bridge" uses bridge 0
is "it stays" "$(reasons bridge)" "stays class kind link-kind stack"
is "what it needs stays as well" "$(reasons stp)" "stays class kind needed"

# The driver of the disk, which is bound to it.
is "a driver has come by a request" "$(modprobe -r virtio_blk && ask w virtio_blk)" 0
await test -b /dev/vda
holds "it has no references" uses virtio_blk 0
is "it stays" "$(reasons virtio_blk)" "stays class device"

mknod /dev/loop-control c 10 237 2>/dev/null
losetup -r /dev/loop0 /dev/vda
mount_xfs /dev/loop0
is "a mounted loop device" "$(reasons loop)" "stays class in-use"
is "its file system" "$(reasons xfs)" "stays in-use"
umount /mnt
losetup -d /dev/loop0
await uses xfs 0

keep_up alg hash md4
is "a socket for a cipher" "$(reasons md4)" "stays in-use"
is "its type" "$(reasons algif_hash)" "stays in-use"
is "its family" "$(reasons af_alg | cut -d' ' -f1-3)" "stays needed in-use"
let_go
await uses md4 0
is "and when it is closed" "$(reasons md4)" goes

keep_up discipline 13
is "a line discipline of a terminal" "$(reasons n_hdlc)" "stays in-use"
let_go
await uses n_hdlc 0
is "and when it is closed" "$(reasons n_hdlc)" goes

modprobe brd
is "what nobody asked for" "$(reasons brd)" "stays not-requested"
is "whose names have no class" "$(ask w wp512) $(reasons wp512)" "0 stays class"
modprobe cdrom
is "what would take along others" "$(ask w fs-udf) $(reasons udf)" "0 stays stack"

# --- What the administrator and the rules say ---
is "it could go" "$(reasons xfs)" goes
echo 'keep = x?s' >"$CONFIG"
is "keep" "$(reasons xfs)" "stays kept"
echo 'classes = !fs-* *' >"$CONFIG"
is "classes" "$(reasons xfs)" "stays class"
is "which cannot add tables" "$(reasons iptable_filter)" "stays kind stack"
: >"$CONFIG"
set_rule autoload_mode 1
is "an ordinary user would not get it back" "$(reasons xfs)" "stays firewall"
set_rule autoload_allow 'fs-*'
is "this one he would" "$(reasons xfs)" goes
set_rule autoload_allow ''
echo 'denied = go' >"$CONFIG"
is "and if that does not matter" "$(reasons xfs)" goes
set_rule autoload_mode 0
: >"$CONFIG"

# Somebody is about to get it.
printf '#!/bin/bash\nflock /tmp/gate true\n' >/tmp/slow
chmod +x /tmp/slow
echo /tmp/slow >"$MODPROBE"
close_gate
ask_in_background w fs-xfs
await grep -q 'name="fs-xfs"' "$RECORDS/inflight"
is "a request in flight asks for it" "$(reasons xfs)" "stays asked"
open_gate
answer_of "$ASKER" >/dev/null
await nothing_in_flight
echo "$ORIGINAL_MODPROBE" >"$MODPROBE"

# --- What goes ---
before=$(awk '{ print $1 }' /proc/modules | sort)
matches "a pass that changes nothing" "$(kmod-rs autoclean --idle 0 --gap 0)" 'would unload '
is "has changed nothing" "$(awk '{ print $1 }' /proc/modules | sort)" "$before"
printf 'keep = md4 n_hdlc algif_hash af_alg\n' >"$CONFIG"
# shellcheck disable=SC2016 # For the other shell.
printf '#!/bin/sh\necho "$@" >>/tmp/asked\n[ "$1" != xfs ]\n' >"$VETOES/no"
chmod +x "$VETOES/no"
is "a program says no" "$(clean --idle 0 --gap 0)$(cat /tmp/asked)" xfs
matches "and why" "$(kmod-rs autoclean --idle 0 --gap 0)" ' stay: '
chmod g+w "$VETOES/no"
is "one that others can write keeps it, and is not run" "$(clean --idle 0 --gap 0)$(grep -c . /tmp/asked)" 2
rm "$VETOES/no"

# In the second pass, not in the first.
rm /run/kmod-rs/autoclean
is "the first pass" "$(clean --idle 0 --gap 10ms)" ""
is "its notes are for root alone" "$(stat -c '%a %a' /run/kmod-rs/autoclean /run/kmod-rs | cut -d' ' -f1 | xargs)" "600 700"
pause 10000
matches "the second" "$(clean --idle 0 --gap 10ms)" '^unloaded xfs'
holds "is in the log" logged 'kmod_rs: autoclean: unloaded="xfs[^"]*" idle_s=0 for="fs-xfs"$'
mount_xfs
is "what was seen is of another one now" "$(kmod-rs idle --json | grep '"module":"xfs"' | sed 's/.*"idle_s":\([^,]*\).*/\1/')" null
matches "it comes back when it is needed" "$(grep '^module="xfs"' "$RECORDS/autoloaded")" ' again=0'
unmount_xfs
is "and is idle anew" "$(clean --idle 0 --gap 10h)$(reasons xfs)" goes

is "what stays is there" "$(/kmod_rs/keep forward) $(/kmod_rs/keep link dum0) $(ls -d /sys/class/net/br0)" \
	"DROP up /sys/class/net/br0"
ip link del br0
ip link del dum0
rm -rf /etc/kmod-rs /etc/modprobe.d/test.conf /run/kmod-rs /tmp/asked /tmp/slow
finish
