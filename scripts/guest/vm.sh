#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Boot a kernel that prepare.sh made, with its base initramfs and the files of a
# directory on top. /kmod_rs/run of these is run; what it prints is printed here
# as it comes, and the kernel's console goes to WORK/console.log. Ends when the
# guest turns itself off, or after the time given.
#
# KVM is used where it works, which is tried and not assumed; TCG otherwise.
#
# tsc=nowatchdog: Linux 7.3 compares the TSCs of two processors, and gives up after 50 us of a
# clock that is jiffies when the guest has just started. If the other processor is stopped
# meanwhile, for the change to a better clock, jiffies do not go on, and neither does the guest.
#
# tsc_early_khz=: in emulation the guest's TSC is the host's, so its rate is measured here, by
# tsc-khz.c. By itself the guest measures it against a timer, within milliseconds in which the
# machine has to run it: where that failed, its clock was 29 times too fast. The kernel takes
# the rate that it is given, and the correction that it makes a second later is 1 % at most. A
# host whose TSC stops or changes its rate is no clock, so there the guest uses the HPET. Under
# KVM the kernel is told the rate by KVM.
#
# no_timer_check: an emulated timer works, but may be late when that is tried. Nor is a guest
# stalled (rcu_cpu_stall_timeout, watchdog_thresh) that gets little processor time.
#
# With --icount the guest has one processor, and its clock counts instructions: one
# takes a nanosecond, and time in which nothing runs is left out.
#
# usage: vm.sh [--shell] [--icount] [--timeout SECONDS] [--disk IMAGE] [--device DEVICE] [--nic MODEL]
#              KERNEL-DIRECTORY OVERLAY WORK [KERNEL ARGUMENTS...]
#
# --disk, --device, --nic: one more, for QEMU. An /init of the overlay is run instead of ours.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

CPUS=2
MEMORY=4096

# Does a kernel come up under KVM? It panics for want of a root file system, and
# QEMU ends; where KVM does not work, it does not get there.
kvm_works() {
	[[ -w /dev/kvm ]] && grep -Eqw 'vmx|svm' /proc/cpuinfo &&
		in_sysroot timeout 30 qemu-system-x86_64 -machine q35,accel=kvm -cpu host -m 512 \
			-display none -no-reboot -kernel "$1/vmlinuz" -append "panic=-1 quiet" >/dev/null 2>&1
}

accelerator() {
	if kvm_works "$1"; then
		echo "kvm -cpu host"
	else
		echo "tcg,thread=multi -cpu max,la57=off"
	fi
}

# The program is built each time, as the answer is kept until the machine is booted again.
measure_tsc() {
	local program=$CACHE/tsc-khz.$$ status=0
	in_sysroot gcc -O2 -o "$program" "$TOP/scripts/guest/tsc-khz.c" && "$program" || status=$?
	rm -f "$program"
	return "$status"
}

is_constant_tsc() {
	grep -qw constant_tsc /proc/cpuinfo && grep -qw nonstop_tsc /proc/cpuinfo
}

# once NAME COMMAND...: what it prints; from $CACHE/NAME-BOOT if it has been run since this
# machine was booted. Nothing is kept of one that fails.
once() {
	local name=$1 answer part
	shift
	answer=$CACHE/$name-$(</proc/sys/kernel/random/boot_id) part=$CACHE/part-$name.$$
	if [[ ! -f $answer ]]; then
		rm -f "$CACHE/$name"-*
		if ! "$@" >"$part"; then
			rm -f "$part"
			return 1
		fi
		mv "$part" "$answer"
	fi
	cat "$answer"
}

# timing ACCELERATOR ICOUNT: what the kernel is told of its clocks and timers.
timing() {
	local rate=1000000
	if [[ $1 == kvm* ]]; then
		echo "tsc=nowatchdog"
		return
	fi
	echo "no_timer_check rcupdate.rcu_cpu_stall_timeout=120 watchdog_thresh=60"
	if [[ $2 ]] || is_constant_tsc; then
		[[ $2 ]] || rate=$(once tsc-khz measure_tsc) || die "the rate of the TSC cannot be measured: see what gcc says above"
		echo "tsc=nowatchdog tsc_early_khz=$rate"
	else
		echo "tsc=unstable clocksource=hpet"
	fi
}

main() {
	local shell="" icount="" timeout=3600 more=() kernel overlay work accel timing qemu
	while [[ ${1:-} == --* ]]; do
		case $1 in
		--shell) shell=1 ;;
		--icount) icount=1 ;;
		--timeout)
			timeout=$2
			shift
			;;
		--disk)
			more+=(-drive "file=$2,format=raw,if=virtio,snapshot=on")
			shift
			;;
		--device)
			more+=(-device "$2")
			shift
			;;
		--nic)
			more+=(-nic "user,restrict=on,model=$2")
			shift
			;;
		*) die "vm.sh does not know $1" ;;
		esac
		shift
	done
	(($# >= 3)) || die "usage: vm.sh [OPTIONS] KERNEL-DIRECTORY OVERLAY WORK [KERNEL ARGUMENTS...]"
	kernel=$(realpath -- "$1") overlay=$2 work=$3
	shift 3

	mkdir -p "$work"
	[[ -e $overlay/init ]] || cp "$TOP/scripts/guest/init.sh" "$overlay/init"
	# The kernel unpacks one archive after the other.
	{
		cat "$kernel/guest.cpio"
		(cd "$overlay" && find . -print0 | in_sysroot cpio --null --create --format=newc --owner=0:0 --quiet)
	} >"$work/initrd"

	accel=$(once accelerator accelerator "$kernel")
	if [[ $icount ]]; then
		accel="tcg,thread=single -cpu max,la57=off -icount shift=0,sleep=off" CPUS=1
	fi
	timing=$(timing "$accel" "$icount")
	timing=${timing//$'\n'/ }
	# shellcheck disable=SC2206 # Several words, all ours.
	qemu=(qemu-system-x86_64 -machine q35 -accel $accel -smp "$CPUS" -m "$MEMORY"
		-display none -no-reboot -nodefaults
		-kernel "$kernel/vmlinuz" -initrd "$work/initrd"
		-drive "file=$KERNELS/xfs.img,format=raw,if=virtio,snapshot=on" "${more[@]}"
		-append "console=ttyS0 $timing panic=-1 oops=panic loglevel=7 ${shell:+quiet kmod_rs.shell }$*")
	if [[ $shell ]]; then
		exec "$TOP/scripts/setup/in-sysroot.sh" "${qemu[@]}" -serial mon:stdio
	fi
	in_sysroot timeout --foreground "$timeout" "${qemu[@]}" \
		-serial "file:$work/console.log" \
		-device virtio-serial-pci -chardev stdio,id=results,signal=off -device virtconsole,chardev=results \
		</dev/null
}

main "$@"
