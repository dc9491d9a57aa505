#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The /init of the guest. It sets up a small but usual system, runs /kmod_rs/run with its output on
# the result channel (hvc0), and turns the machine off. The kernel's messages go to the console
# (ttyS0), so they do not mix with the results.

export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=${TERM:-linux}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm /run /tmp /root
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
ln -sfn /proc/self/fd /dev/fd
ip link set lo up

if grep -qw kmod_rs.shell /proc/cmdline; then
	setsid --ctty /kmod_rs/run </dev/ttyS0 >/dev/ttyS0 2>&1
else
	stty -F /dev/hvc0 raw -echo
	/kmod_rs/run </dev/null >/dev/hvc0 2>&1
fi

sync
echo o >/proc/sysrq-trigger
while :; do read -r -t 60 <>/dev/hvc0; done
