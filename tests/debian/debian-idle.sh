#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Idle modules, settings and a route on demand, as the packages bring them: with Debian's systemd,
# udev and modprobe, and the files of the packages as they are.
#
# 1. A file system goes when nobody uses it, by hand and by the timer, and comes back with what was
#    set in it. Another one does with its parameters. The drivers of network devices stay.
# 2. After a reboot the parameters are there before the first request. A program that asks for an
#    interface gets it, with its route.
#
# Uses: packages
# Uses: network
# Boots: 2

# shellcheck disable=SC2034 # For lib.sh.
NO_KMOD_ASK=1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# What a boot leaves is there for the next one.
trap - EXIT

export DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8
BOOT=$(sed 's/.*\btest\.boot=\([0-9]*\).*/\1/' /proc/cmdline)
EXAMPLES=/usr/share/doc/kmod-rs/examples
FILES=/etc/kmod-rs/settings.d
# What is set: a sysctl of XFS, and of NFS a parameter and a sysctl. None of the values is the default.
LEVEL=/proc/sys/fs/xfs/error_level
CACHE=/sys/module/nfs/parameters/nfs_access_max_cachesize
CONGESTION=/proc/sys/fs/nfs/nfs_congestion_kb
DRIVERS=(e1000 virtio_net)

# install_packages: apt does, from the directory of the test.
install_packages() {
	echo "deb [trusted=yes] file:/kmod_rs/first ./" >/etc/apt/sources.list.d/kmod-rs.list
	apt-get -q -y update && apt-get -q -y -o Dpkg::Use-Pty=false install \
		kmod-rs "kmod-rs-modules-$(uname -r)"
}

# has_come_up: the boot has come to its end, and no unit has failed.
has_come_up() {
	[[ $(systemctl is-system-running --wait) == running ]] || {
		systemctl list-units --failed --no-legend
		return 1
	}
}

# states UNIT...: prints the state of each, and whether it is enabled.
states() {
	local unit
	for unit; do
		echo "$(systemctl is-active "$unit")/$(systemctl is-enabled "$unit")"
	done | xargs
}

# has_ended UNIT: true if it does not run.
has_ended() {
	[[ $(systemctl is-active "$1") == inactive ]]
}

# reasons MODULE: prints the verdict on it and the words of the reasons, each once.
reasons() {
	kmod-rs --json idle --all --idle 0 --gap 0 | sed -n "/\"module\":\"$1\"/ {
		s/.*\"verdict\":\"\([a-z]*\)\".*\"reasons\":\[\(.*\)\].*/\1 \2/
		s/\"what\":\"[^\"]*\"//g; s/\"reason\"://g; s/[][{}\",]/ /g; s/  */ /g; p }" |
		xargs -n 1 | awk '!seen[$0]++' | xargs
}

# mount_xfs: uses the file system once.
mount_xfs() {
	mount -t xfs -o ro,norecovery LABEL=kmod_rs /mnt && umount /mnt &&
		await grep -qx 0 /sys/module/xfs/refcnt
}

is_gone() {
	[[ ! -e /sys/module/$1 ]]
}

# is_now FILE VALUE: true if the file has it.
is_now() {
	[[ $(<"$1") == "$2" ]]
}

# link NAME: prints the index of a network interface, or the error, as SIOCGIFINDEX has it. Programs
# that use netlink make no request.
link() {
	perl -e 'socket(my $s, 2, 2, 0) or die; my $r = pack("a16x24", $ARGV[0]);
		print ioctl($s, 0x8933, $r) ? unpack("x16i", $r) : $!' "$1"
}

# ask_nfs: makes a request for NFS, which mounts nothing.
ask_nfs() {
	! mount --internal-only -t nfs none /mnt 2>/dev/null && [[ -e $CACHE ]]
}

# bring_driver DRIVER: has a request bring the driver of a network device, and the device up. Who may
# load modules gets one of this name by the ioctl.
bring_driver() {
	local device
	modprobe -r "$1"
	link "$1" >/dev/null
	await test -e "/sys/module/$1" && udevadm settle &&
		device=$(device_of "$1") && ip link set "$device" up && await is_up "$device"
}

# device_of DRIVER: prints the network device that it has.
device_of() {
	local device
	for device in /sys/class/net/*; do
		[[ $(readlink "$device/device/driver") != */"$1" ]] || echo "${device##*/}"
	done | grep .
}

is_up() {
	is_now "/sys/class/net/$1/carrier" 1
}

# unloaded: prints which modules the passes have unloaded, in order.
unloaded() {
	log | sed -n 's/.*kmod_rs: autoclean: unloaded="\([^"]*\)".*/\1/p' | xargs
}

no_complaint() {
	is "the kernel has not complained" "$(dmesg --notime | grep -E "$SPLAT")" ""
}

# --- The boots ------------------------------------------------------------

boot_1() {
	local driver i before=()
	plan 34
	holds "the system has come up" has_come_up
	holds "the packages are installed" install_packages
	is "nothing of it is on" \
		"$(states kmod-rs-autoclean.timer kmod-rs-settings.service)" "inactive/disabled inactive/disabled"
	holds "the packages' own tests pass: the command" sh /kmod_rs/autopkgtest/command
	holds "and the module" sh /kmod_rs/autopkgtest/module
	holds "the module is turned on" kmod-rs on

	# By hand.
	holds "a file system is used" mount_xfs
	matches "idle shows it" "$(kmod-rs idle --idle 1s)" \
		$'\n''xfs +fs-xfs .* waits +waiting \(seen idle in no pass before\)'
	matches "autoclean would wait" "$(kmod-rs autoclean --idle 1s --gap 1s)" '^would wait with xfs: waiting'
	is "the first pass unloads nothing" "$(kmod-rs autoclean --yes --idle 1s --gap 1s 2>&1)" ""
	pause 1200000
	matches "the second does" "$(kmod-rs autoclean --yes --idle 1s --gap 1s 2>&1)" '^unloaded xfs( |$)'
	holds "it is gone" is_gone xfs
	holds "it comes back when it is needed" mount_xfs
	mount_xfs
	is "by one request" "$(kmod-rs --json who xfs | grep -o '"again":[0-9]*')" '"again":0'

	# What was set in it is there again, by the rule of udev.
	mkdir -p "$FILES"
	echo 'sysctl = fs/xfs' >"$FILES/xfs.conf"
	printf '%s\n' 'parameters = nfs_access_max_cachesize' 'sysctl = fs.nfs.nfs_congestion_kb' >"$FILES/nfs.conf"
	echo 7 >"$LEVEL"
	printf '%s\n' 'idle = 1s' 'gap = 1s' >/etc/kmod-rs/autoclean.conf

	# By the timer, which has five minutes for it.
	mkdir -p /etc/systemd/system/kmod-rs-autoclean.timer.d
	printf '[Timer]\n%s\n' OnBootSec= OnActiveSec=1s OnUnitActiveSec=3s AccuracySec=100ms \
		>/etc/systemd/system/kmod-rs-autoclean.timer.d/test.conf
	systemctl daemon-reload
	holds "the timer is enabled" systemctl enable --now kmod-rs-autoclean.timer
	holds "it unloads the file system" await is_gone xfs
	holds "the timer is disabled" systemctl disable --now kmod-rs-autoclean.timer
	await has_ended kmod-rs-autoclean.service
	is "the log has both" "$(unloaded)" "xfs xfs"
	is "no unit has failed" "$(systemctl list-units --failed --no-legend)" ""
	holds "it comes back again" mount_xfs
	holds "with what was set in it, by an event" await is_now "$LEVEL" 7

	# Parameters.
	holds "another one is asked for" ask_nfs
	echo 1234 >"$CACHE"
	echo 5678 >"$CONGESTION"
	holds "its settings are kept" kmod-rs settings save nfs
	holds "it goes" modprobe -r nfs
	holds "and comes again" ask_nfs
	is "with its parameter from the start" "$(<"$CACHE")" 1234
	holds "and the rest by an event" await is_now "$CONGESTION" 5678
	holds "at the next boot as well" systemctl enable kmod-rs.service kmod-rs-settings.service

	# Drivers have a reference count of 0 while packets go through them.
	echo 'classes = *' >>/etc/kmod-rs/autoclean.conf
	for driver in "${DRIVERS[@]}"; do
		holds "a request brings $driver" bring_driver "$driver"
		matches "it stays" "$(is_now "/sys/module/$driver/refcnt" 0 && reasons "$driver")" '^stays device( |$)'
		before+=("$(device_of "$driver")")
	done
	for ((i = 0; i < 20; i++)); do
		[[ $(kmod-rs autoclean --yes --idle 0 --gap 0 2>&1) ]] || break
	done
	is "and so do the devices when all that may go has gone" \
		"$(is_gone xfs && for driver in "${DRIVERS[@]}"; do device_of "$driver"; done | xargs)" "${before[*]}"
	no_complaint
}

boot_2() {
	plan 17
	holds "the system has come up" has_come_up
	is "with both units" "$(states kmod-rs.service kmod-rs-settings.service)" "active/enabled active/enabled"
	is "modprobe has the parameters" "$(</run/modprobe.d/kmod-rs-nfs.conf)" \
		"options nfs nfs_access_max_cachesize=1234"
	holds "the module is not there yet" is_gone nfs
	holds "a request brings it" ask_nfs
	is "with its parameter" "$(<"$CACHE")" 1234
	holds "and the rest by an event" await is_now "$CONGESTION" 5678

	# As the guide says.
	holds "the script of the examples is installed" cp "$EXAMPLES/request-route" /usr/local/sbin
	holds "and its line" cp "$EXAMPLES/request-route.conf" /etc/modprobe.d
	mkdir -p /etc/kmod-rs/routes
	printf '%s\n' 'kind dummy' 'address 192.0.2.1/32' 'route 198.51.100.0/24' >/etc/kmod-rs/routes/vpn0
	is "there is no interface" "$(ls -d /sys/class/net/vpn0 2>/dev/null)" ""
	matches "who asks for it gets it" "$(link vpn0)" '^[0-9]+$'
	is "with its route" "$(ip route show dev vpn0 | grep -o '^198.51.100.0/24')" 198.51.100.0/24
	matches "the record says who asked" "$(kmod-rs recent --name netdev-vpn0)" 'netdev-vpn0 .* root +perl\['
	is "nobody else gets one" "$(link vpn1)" "No such device"

	holds "the packages are purged" apt-get -q -y purge kmod-rs 'kmod-rs-modules-*'
	is "what was kept has gone" "$(ls -d /var/lib/kmod-rs /run/kmod-rs /run/modprobe.d/kmod-rs-* 2>/dev/null)" ""
	no_complaint
}

"boot_$BOOT"
finish
