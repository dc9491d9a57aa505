#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Boot a kernel that prepare.sh has set up, with its initramfs and the files of the directory
# OVERLAY on top. The guest runs /kmod_rs/run from these files. Its output is printed here as it
# comes; the kernel's console goes to WORK/console.log. This ends when the guest turns itself off,
# or when the time is over.
#
# KVM is used if it works, which is tried and not assumed. Otherwise QEMU emulates (TCG).
#
# tsc=nowatchdog: Linux 7.3 compares the TSCs of two processors. It gives up after 50 us, by a clock
# that is still jiffies when the guest has just started. If the other processor is stopped in the
# meantime, because the kernel changes to a better clock, jiffies do not advance, and the guest
# hangs.
#
# tsc_early_khz=: In emulation, the guest's TSC is that of the host, so tsc-khz.c measures its rate
# on the host. The guest itself would measure it against a timer, within milliseconds in which the
# machine has to run the guest. Where the machine did not, the guest's clock was 29 times too fast.
# The kernel takes the rate that it is given, and corrects it a second later by at most 1 %. If the
# host's TSC stops or changes its rate, it is no clock, and the guest uses the HPET. Under KVM the
# kernel gets the rate from KVM.
#
# no_timer_check: An emulated timer works, but it may be late when the kernel tests it.
#
# rcu_cpu_stall_timeout, watchdog_thresh: A guest that gets little processor time is not stalled.
#
# What the guest prints goes to the file WORK/output first. QEMU throws away what a virtconsole
# prints while the other end takes nothing: on a busy machine a pipe is full for a moment. A file
# takes all.
#
# With --icount the guest has one processor, and its clock counts instructions: each takes one
# nanosecond, and time in which nothing runs is left out.
#
# With --in-turn the guest's processors run in turn, in one thread of the machine, if it is emulated.
# One that waits for another one by spinning leaves its turn at once.
#
# usage: vm.sh [--shell] [--icount | --in-turn] [--timeout SECONDS] [--disk IMAGE]
#              [--device DEVICE] [--nic MODEL] [--secure-boot VARIABLES] KERNEL-DIRECTORY OVERLAY WORK
#              [KERNEL ARGUMENTS...]
#        vm.sh --installed DISK ... KERNEL-DIRECTORY WORK [KERNEL ARGUMENTS...]
#
# Each --disk, --device and --nic adds one of these to QEMU's machine. If OVERLAY has an /init, it
# is run instead of init.sh. What the guest writes to disks is forgotten.
#
# With --installed, the system is the one on DISK, a qcow2, which keeps what the guest writes. It
# boots with the initrd.img of KERNEL-DIRECTORY, to which nothing is added.
#
# With --secure-boot, the machine has a firmware with Secure Boot, which keeps its variables in the
# file VARIABLES. It boots the vmlinuz only if that is signed with a key in these variables.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# QEMU emulates "rep movsb" byte by byte. Without ERMS and its kin, the kernel and the C library copy
# and clear memory in larger pieces. --icount leaves them as they are, so that a count can be compared
# with an earlier one.
EMULATED=max,la57=off,erms=off,fsrm=off,fsrs=off,fsrc=off,fzrm=off
MEMORY=4096
FIRMWARE=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd

# Does a kernel boot under KVM? It panics because it has no root file system, and then QEMU ends. If
# KVM does not work, the kernel does not get that far.
kvm_works() {
	[[ -w /dev/kvm ]] && grep -Eqw 'vmx|svm' /proc/cpuinfo &&
		in_sysroot timeout 30 qemu-system-x86_64 -machine q35,accel=kvm -cpu host -m 512 \
			-display none -no-reboot -kernel "$1/vmlinuz" -append "panic=-1 quiet" \
			>/dev/null 2>&1
}

accelerator() {
	if kvm_works "$1"; then echo kvm; else echo tcg; fi
}

# processors ACCELERATOR ICOUNT IN_TURN: QEMU's arguments about the accelerator and the processors.
processors() {
	if [[ $2 ]]; then
		echo "tcg,thread=single -cpu max,la57=off -icount shift=0,sleep=off -smp 1"
	elif [[ $1 == kvm* ]]; then
		echo "kvm -cpu host -smp 2"
	elif [[ $3 ]]; then
		echo "tcg,thread=single -cpu $EMULATED -smp 2"
	else
		echo "tcg,thread=multi -cpu $EMULATED -smp 2"
	fi
}

# The program is built each time, because its answer is kept until this machine is booted again.
measure_tsc() {
	local program=$CACHE/tsc-khz.$$ status=0
	in_sysroot gcc -O2 -o "$program" "$TOP/scripts/guest/tsc-khz.c" && "$program" || status=$?
	rm -f "$program"
	return "$status"
}

is_constant_tsc() {
	grep -qw constant_tsc /proc/cpuinfo && grep -qw nonstop_tsc /proc/cpuinfo
}

# once NAME COMMAND...: print what the command prints. $CACHE/NAME-BOOT keeps it, so the command
# runs once in each boot of this machine. If the command fails, nothing is kept.
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

# timing ACCELERATOR ICOUNT: the kernel's arguments about clocks and timers.
timing() {
	local rate=1000000
	if [[ $1 == kvm* && ! $2 ]]; then
		echo "tsc=nowatchdog"
		return
	fi
	echo "no_timer_check rcupdate.rcu_cpu_stall_timeout=120 watchdog_thresh=60"
	if [[ $2 ]] || is_constant_tsc; then
		[[ $2 ]] || rate=$(once tsc-khz measure_tsc) ||
			die "the rate of the TSC cannot be measured: see what gcc says above"
		echo "tsc=nowatchdog tsc_early_khz=$rate"
	else
		echo "tsc=unstable clocksource=hpet"
	fi
}

# make_initrd KERNEL-DIRECTORY OVERLAY FILE
make_initrd() {
	[[ -e $2/init ]] || cp "$TOP/scripts/guest/init.sh" "$2/init"
	# The kernel unpacks one archive after the other.
	{
		cat "$1/guest.cpio"
		(cd "$2" && find . -print0 | in_sysroot cpio --null --create --format=newc --owner=0:0 --quiet)
	} >"$3"
}

# print_while_running FILE COMMAND...: run the command, and print what comes to the file, to its end.
print_while_running() {
	local file=$1 running printer status=0
	shift
	# tail looks whether this runs. After its end, tail prints what is left.
	spawn sleep infinity
	running=$!
	spawn tail --pid="$running" --sleep-interval=0.1 --lines=+1 --follow "$file"
	printer=$!
	"$@" </dev/null || status=$?
	kill -TERM -- "-$running"
	join "$running" || true
	join "$printer"
	return "$status"
}

main() {
	local shell="" icount="" in_turn="" installed="" timeout=3600 machine=q35 more=()
	local kernel initrd work accel processors timing qemu
	while [[ ${1:-} == --* ]]; do
		case $1 in
		--shell) shell=1 ;;
		--icount) icount=1 ;;
		--in-turn) in_turn=1 ;;
		--timeout)
			timeout=$2
			shift
			;;
		--installed)
			installed=1
			more+=(-drive "file=$2,format=qcow2,if=virtio")
			shift
			;;
		--secure-boot)
			machine+=,smm=on
			more+=(-global "driver=cfi.pflash01,property=secure,value=on"
				-drive "file=$FIRMWARE,format=raw,if=pflash,unit=0,readonly=on"
				-drive "file=$2,format=raw,if=pflash,unit=1")
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
		*) die "vm.sh has no option $1" ;;
		esac
		shift
	done
	(($# >= (installed ? 2 : 3))) ||
		die "usage: vm.sh [OPTIONS] KERNEL-DIRECTORY [OVERLAY] WORK [KERNEL ARGUMENTS...]"
	kernel=$(realpath -- "$1")
	if [[ $installed ]]; then
		work=$2 initrd=$kernel/initrd.img
		shift 2
		mkdir -p "$work"
	else
		work=$3 initrd=$3/initrd
		mkdir -p "$work"
		make_initrd "$kernel" "$2" "$initrd"
		shift 3
	fi

	accel=$(once accelerator accelerator "$kernel")
	processors=$(processors "$accel" "$icount" "$in_turn")
	timing=$(timing "$accel" "$icount")
	timing=${timing//$'\n'/ }
	# shellcheck disable=SC2206 # Several words, all ours.
	qemu=(qemu-system-x86_64 -machine "$machine" -m "$MEMORY"
		-accel $processors -display none -no-reboot -nodefaults
		-kernel "$kernel/vmlinuz" -initrd "$initrd"
		-drive "file=$KERNELS/xfs.img,format=raw,if=virtio,snapshot=on" "${more[@]}"
		-append "console=ttyS0 $timing panic=-1 oops=panic loglevel=7 ${shell:+quiet kmod_rs.shell }$*")
	if [[ $shell ]]; then
		exec "$TOP/scripts/setup/in-sysroot.sh" "${qemu[@]}" -serial mon:stdio
	fi
	: >"$work/output"
	print_while_running "$work/output" in_sysroot timeout --foreground "$timeout" "${qemu[@]}" \
		-serial "file:$work/console.log" \
		-device virtio-serial-pci -chardev "file,id=results,path=$work/output" -device \
		virtconsole,chardev=results
}

main "$@"
