#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kmod-rs settings keeps what was set in a module, and puts it back when a request brings the module
# again: parameters from its start, the rest when it is there, or before the request is answered.
#
# Uses: kmod-rs
# Debug: --full

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
plan 25

CONFIG=/etc/modprobe.d/test.conf
FILES=/etc/kmod-rs/settings.d
PARAMETER=/sys/module/nf_conntrack/parameters/acct
MAX=/proc/sys/net/netfilter/nf_conntrack_tcp_max_retrans
ICMP=/proc/sys/net/netfilter/nf_conntrack_icmp_timeout
mkdir -p "$FILES" /etc/modprobe.d
# shellcheck disable=SC2016 # For the other shell.
printf '%s\n' 'parameters = acct' \
	'sysctl = net.netfilter.nf_conntrack_tcp_max_retrans net/netfilter/nf_conntrack_icmp_timeout' \
	'save = echo "saved $MODULE" >>/tmp/commands' \
	'restore = echo "restored $MODULE" >>/tmp/commands' >"$FILES/nf_conntrack.conf"

# said COMMAND...: prints the exit status, and what the command says.
said() {
	local text status=0
	text=$("$@" 2>&1) || status=$?
	echo "$status $text"
}

# values: prints the parameter and the sysctls.
values() {
	echo "$(<"$PARAMETER") $(<"$MAX") $(<"$ICMP")"
}

# come: a request brings the module.
come() {
	ask w nf_conntrack
}

# go: it goes.
go() {
	await modprobe -r nf_conntrack
}

patch on
matches "no name of a module" "$(said kmod-rs settings save ../nf_conntrack)" '^2 kmod-rs: ../nf_conntrack is no name'
matches "no file" "$(said kmod-rs settings save xfs)" "^1 .*there is no $FILES/xfs.conf"
go
matches "not loaded" "$(said kmod-rs settings save nf_conntrack)" '^1 .*nf_conntrack is not loaded'
is "nothing to put back" "$(said kmod-rs settings restore)" "0 kmod-rs: nothing is kept of nf_conntrack"
come >/dev/null
defaults=$(values)
echo 1 >"$PARAMETER"
echo 9 >"$MAX"
echo 8 >"$ICMP"
set=$(values)
holds "what was set differs from the defaults" [ "$set" != "$defaults" ]
is "it is kept" "$(said kmod-rs settings save nf_conntrack)" "0 "
is "parameters for modprobe" "$(</run/modprobe.d/kmod-rs-nf_conntrack.conf)" "options nf_conntrack acct=Y"
is "the rest for root alone" "$(stat -c %a /var/lib/kmod-rs/settings/nf_conntrack)" 600
is "a command was run" "$(</tmp/commands)" "saved nf_conntrack"

# Parameters are there from the start: nothing else has set them.
go
is "it comes again" "$(come)" 0
is "with its parameter" "$(<"$PARAMETER")" Y
is "and with the defaults of the rest" "$(values | cut -d' ' -f2-)" "$(cut -d' ' -f2- <<<"$defaults")"
is "put back" "$(said kmod-rs settings restore nf_conntrack)" "0 "
is "all is as it was set" "$(values)" "$set"

# As in the next boot.
go
rm -rf /run/modprobe.d
is "in the next boot" "$(said kmod-rs settings restore)" "0 "
come >/dev/null
is "it has its parameter" "$(<"$PARAMETER")" Y

# By an event, as udev does it. It may come before the answer or after it.
# shellcheck disable=SC2016 # For the other shell.
printf '%s\n' '#!/bin/bash' '[[ $ACTION/$SUBSYSTEM == add/module && $DEVPATH == */nf_conntrack ]] || exit 0' \
	'kmod-rs settings restore "${DEVPATH##*/}" >/dev/null 2>&1' 'echo "${EPOCHREALTIME/./}" >>/tmp/put-back' >/tmp/event
chmod +x /tmp/event
busybox uevent /tmp/event 8>&- 9>&- &
LISTENER=$!
await grep -q -E " 15 +$LISTENER " /proc/net/netlink
rounds=$(often 5) after=()
for ((i = 1; i <= rounds; i++)); do
	go
	rm -f /tmp/put-back
	come >/dev/null
	answered=${EPOCHREALTIME/./}
	await test -s /tmp/put-back
	after+=($((($(</tmp/put-back) - answered) / 1000)))
	[[ $(values) == "$set" ]] || fail "round $i" "$(values)"
done
is "the rest comes by an event" "$(values)" "$set"
ktap_print_msg "so many ms after the answer: ${after[*]}"
kill "$LISTENER"
wait "$LISTENER" 2>/dev/null

# Who cannot bear that holds the request until it is done.
go
# shellcheck disable=SC2016 # For modprobe.
echo 'install nf_conntrack /sbin/modprobe --ignore-install nf_conntrack $CMDLINE_OPTS && /usr/bin/kmod-rs settings restore nf_conntrack' >"$CONFIG"
late=0
for ((i = 0; i < $(often 4); i++)); do
	come >/dev/null
	[[ $(values) == "$set" ]] || late=$((late + 1))
	go
done
is "by an install line it is never late" "$late" 0
rm "$CONFIG"

# What the kernel does not take.
come >/dev/null
sed -i '/tcp_max_retrans/s/value=.*/value="many"/' /var/lib/kmod-rs/settings/nf_conntrack
matches "a value that is refused is said" "$(said kmod-rs settings restore nf_conntrack)" \
	'^1 kmod-rs: nf_conntrack: /proc/sys/net/netfilter/nf_conntrack_tcp_max_retrans does not take many: Invalid argument'
is "and the rest is put back" "$(<"$ICMP")" 8
go

# Before autoclean unloads.
modprobe -a virtio_pci virtio_blk
await test -b /dev/vda
printf 'sysctl = fs/xfs\n' >"$FILES/xfs.conf"
mount -t xfs -o ro,norecovery /dev/vda /mnt
umount /mnt
echo 7 >/proc/sys/fs/xfs/error_level
await grep -qx 0 /sys/module/xfs/refcnt
matches "autoclean unloads" "$(said kmod-rs autoclean --yes --idle 0 --gap 0)" '^0 unloaded xfs'
mount -t xfs -o ro,norecovery /dev/vda /mnt
umount /mnt
is "the default is back" "$(</proc/sys/fs/xfs/error_level)" 3
kmod-rs settings restore xfs
is "and what was set, as autoclean has kept it" "$(</proc/sys/fs/xfs/error_level)" 7
echo 'parameters = none' >>"$FILES/xfs.conf"
await grep -qx 0 /sys/module/xfs/refcnt
matches "what cannot be kept stays" "$(said kmod-rs autoclean --yes --idle 0 --gap 0)" \
	'^0 kmod-rs: xfs stays, as its settings cannot be kept: the parameter none'
holds "it is there" is_module xfs
rm -rf /etc/kmod-rs /var/lib/kmod-rs /run/modprobe.d /run/kmod-rs /tmp/commands /tmp/event /tmp/put-back
finish
