#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make what the virtual machine boots from, out of programs of Debian 13 and the modules of a kernel
# that kernel.sh has set up:
#
#   $CACHE/kernels/NAME/guest.cpio  the initramfs: programs, modules as Debian signed them,
#       test_kmod, test_module, and in /selftests the kernel's own test of module loading.
#       It has no /init: append an archive that has one.
#   $CACHE/kernels/NAME/guest.list  the modules in it
#   $CACHE/kernels/xfs.img          a disk with an XFS file system that has a file `hello`
#
# usage: initramfs.sh NAME              for a kernel of Debian; NAME is what KERNEL= takes
#        initramfs.sh NAME-debug[-rt]   for one that debug-kernel.sh made

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# A test mostly starts programs and shells. Small programs that are linked statically take half of
# the time. So these programs of busybox are in the PATH before the others.
APPLETS=(cat cut dirname grep head mkdir mv rm sed sort tail touch tr uniq wc xargs)

PROGRAMS=(
	bash-static busybox
	# findutils, diffutils and text
	find xargs diff cmp grep egrep sed awk gawk which
	# kmod
	kmod modprobe insmod rmmod lsmod modinfo depmod
	# procps
	ps pgrep pkill sysctl kill free
	# util-linux
	mount umount losetup dmesg setsid unshare nsenter setpriv getopt flock
	chrt taskset
	# the rest
	capsh hostname ip stty strace xz
)

# Modules that the tests make the kernel request. A kernel may lack some of them, or have them built
# in. `=crypto` is a directory.
MODULES=(
	# file systems and disks
	xfs ext4 fat vfat brd loop virtio_blk virtio_pci
	# socket families, protocols, network devices
	af_alg algif_aead algif_hash algif_rng algif_skcipher
	can can_raw dccp bluetooth netlink_diag phonet rds sctp tipc vsock_loopback
	dummy tun bridge ip_set ip_tables iptable_filter ip6_tables arp_tables nf_tables pppox
	# what has modules of its own that the kernel requests (tests/programs/vectors)
	atm ib_core inet_diag l2tp_netlink team tls 9p hfs hfsplus jfs udf
	act_ife cls_basic em_text sch_ingress af_key esp6 xfrm_user
	ip_vs nf_conntrack_netlink nft_compat nft_ct nft_log xt_physdev xt_string
	snd_seq snd_timer soundcore
	# line disciplines, and the bus of a test
	n_hdlc ppp_generic slip wire
	# algorithms
	'=crypto' lzo lz4
	# the kernel's own test of module loading, if the kernel has these modules
	test_kmod test_module
)

programs() {
	local root=$1 name names
	names=$(in_sysroot dpkg -L coreutils | sed -n 's|^/\(usr/\)\{0,1\}s\{0,1\}bin/||p')
	mkdir -p "$root"/{dev,etc,proc,root,run,sys,tmp,mnt,usr/{bin,sbin,lib,lib64,local/bin}}
	for name in bin sbin lib lib64; do
		ln -s "usr/$name" "$root/$name"
	done
	# shellcheck disable=SC2086 # A list of words.
	in_sysroot /usr/lib/dracut/dracut-install -D "$root" -l -a $names "${PROGRAMS[@]}"
	for name in bash sh; do
		ln -sf bash-static "$root/usr/bin/$name"
	done
	for name in "${APPLETS[@]}"; do
		ln -s ../../bin/busybox "$root/usr/local/bin/$name"
	done
	echo 'root:x:0:0:root:/root:/bin/bash' >"$root/etc/passwd"
	echo 'nobody:x:65534:65534:nobody:/:/bin/bash' >>"$root/etc/passwd"
	printf '%s\n' 'root:x:0:' 'nogroup:x:65534:' >"$root/etc/group"
	printf '%s: files\n' passwd group >"$root/etc/nsswitch.conf"
}

modules() {
	local directory=$1 root=$2 release
	release=$(<"$directory/build/include/config/kernel.release")
	local from=$directory/root/usr/lib/modules/$release to=$root/usr/lib/modules/$release
	in_sysroot /usr/lib/dracut/dracut-install -D "$root" --kerneldir "$from" --silent -o -m \
		"${MODULES[@]}"
	if [[ -d $directory/test-modules ]]; then
		mkdir -p "$to/extra"
		cp "$directory"/test-modules/*.ko "$to/extra/"
	fi
	cp "$from"/modules.{builtin,builtin.modinfo,order} "$to/"
	# Decompress the modules. Otherwise each of the 62 modprobes that kmod.sh runs at once
	# decompresses its module anew. Under emulation that can take 5 s, and then the requests
	# that wait give up.
	find "$to" -name '*.ko.xz' -print0 | in_sysroot xargs -0 --no-run-if-empty xz --decompress
	in_sysroot depmod -b "$root" "$release"
	(cd "$to" && find . -name '*.ko*' | sed 's|^\./||' | sort) >"$directory/guest.list"
}

selftests() {
	mkdir "$2/selftests"
	cp -r "$1"/src/tools/testing/selftests/{kmod,kselftest} "$2/selftests/"
}

archive_of() {
	cd "$1"
	find . -mindepth 1 -print0 | sort -z |
		in_sysroot cpio --quiet --null --create --format=newc --owner=0:0 >"$2.part"
	mv "$2.part" "$2"
}

make_guest() {
	local directory=$1 root=$1/guest.part
	remove "$root"
	mkdir "$root"
	programs "$root"
	modules "$directory" "$root"
	selftests "$directory" "$root"
	archive_of "$root" "$directory/guest.cpio"
	remove "$root"
}

# The smallest XFS that mkfs.xfs makes has 300 MB. It takes little room on the disk.
make_disk() {
	local image=$KERNELS/xfs.img
	remove "$image.part"
	echo 'Hello from XFS.' >"$image.hello"
	printf '%s\n' / '0 0' 'd--755 0 0' "hello ---644 0 0 $image.hello" '$' >"$image.proto"
	truncate --size=320M "$image.part"
	in_sysroot mkfs.xfs -q -L kmod_rs -p "$image.proto" "$image.part"
	rm "$image.hello" "$image.proto"
	mv "$image.part" "$image"
}

# made FILE FROM...: is the file newer than everything that it is made from?
made() {
	local file=$1 from
	shift
	for from in "$@"; do
		[[ $file -nt $from ]] || return
	done
}

main() {
	local release
	(($# == 1)) || die "usage: initramfs.sh NAME[-debug[-rt]], with NAME one of: $SUPPORTED"
	check_name "${1%-debug*}"
	cd "$TOP"
	take_lock
	[[ -f $KERNELS/$1/complete ]] ||
		die "kernel $1 is not set up yet: run scripts/setup/prepare.sh $1 first"
	release=$(readlink "$KERNELS/$1")
	made "$KERNELS/$release/guest.cpio" "$KERNELS/$release/complete" "$SYSROOT/complete" \
		"${BASH_SOURCE[0]}" ||
		step "making the guest for kernel $release" make_guest "$KERNELS/$release"
	[[ -f $KERNELS/xfs.img ]] ||
		step "making the XFS disk" make_disk
}

main "$@"
