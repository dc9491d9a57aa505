#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The /init of a guest with a whole Debian (see debian-root.sh). If the kernel's arguments have
# `kmod_rs.load`, it takes request_module() over before anything else is loaded, with as many records
# as `kmod_rs.records=N` says. Then it mounts the root file system and copies the files of this boot
# to it, with the firewall's rules that `kmod_rs.profile=NAME` names, and the list of modules that
# belongs to them, if there is one. At last it starts the init of that system, which runs
# /kmod_rs/run (kmod_rs-run.service).

export PATH=/usr/sbin:/usr/bin

take_over() {
	# shellcheck disable=SC2046 # There may be none.
	insmod /kmod_rs/kmod-rs.ko $(grep -o '\bkmod_rs\.records=[0-9]*' /proc/cmdline | cut -d. -f2) || return
	until [[ $(</sys/kernel/livepatch/kmod_rs/transition) == 0 ]]; do
		sleep 0.02
	done
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mount -t tmpfs tmpfs /run
mount -t tracefs tracefs /sys/kernel/tracing
ln -sfn /proc/self/fd /dev/fd

! grep -qw kmod_rs.load /proc/cmdline || take_over
echo 'kmod_rs: from here on' >/sys/kernel/tracing/trace_marker

modprobe -a virtio_blk ext4
mkdir -p /sysroot
mount LABEL=debian /sysroot
mkdir -p "/sysroot/usr/lib/modules" /sysroot/mnt/{xfs,minix,vfat,overlay,bfs}
mount -o ro LABEL=modules /sysroot/usr/lib/modules
cp -a /kmod_rs /selftests /sysroot/
cp -a /kmod_rs/debian/. /sysroot/
profile=$(sed -n 's/.*\bkmod_rs\.profile=\([^ ]*\).*/\1/p' /proc/cmdline)
[[ ! $profile ]] || cp "/kmod_rs/sysctl.d/60-kmod_rs-$profile.conf" /sysroot/etc/sysctl.d/
[[ ! -e /kmod_rs/modules-load.d/kmod_rs-$profile.conf ]] ||
	cp "/kmod_rs/modules-load.d/kmod_rs-$profile.conf" /sysroot/etc/modules-load.d/
exec switch_root /sysroot /sbin/init
