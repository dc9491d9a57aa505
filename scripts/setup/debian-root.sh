#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make the disks from which a virtual machine with a whole Debian 13 boots:
#
#   $CACHE/debian/root.img            the root file system, an ext4 labelled `debian`, the same
#       for all kernels: the packages, and small file systems in /srv/images
#   $CACHE/kernels/NAME/modules.img   /usr/lib/modules with all modules that Debian has for this
#       kernel, an ext4 labelled `modules`
#
# Neither disk is ever written to. Changes that a test needs are in the initramfs of its boot.
#
# usage: debian-root.sh NAME    NAME is what KERNEL= takes

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/setup/archive.sh
. "$TOP/scripts/setup/archive.sh"
# shellcheck source=scripts/setup/mmdebstrap.sh
. "$TOP/scripts/setup/mmdebstrap.sh"

PATH+=:/usr/sbin:/sbin # For mke2fs.
DEBIAN=$CACHE/debian

# The system, programs that make the kernel request modules at boot, and what the tests need.
DEBIAN_PACKAGES="systemd,systemd-sysv,udev,dbus,kmod,nftables,iproute2,procps,gawk,mount,dosfstools,util-linux-extra,iptables,tmux"

# Daemons that need modules and have no CAP_SYS_MODULE: the packages and the units. A boot does not
# start them, tests do.
DEBIAN_PACKAGES+=",openvpn,iwd,bluez,charon-systemd"
DAEMONS="openvpn iwd bluetooth strongswan"

# image LABEL SIZE DIRECTORY FILE
image() {
	mke2fs -q -t ext4 -E lazy_itable_init=0,lazy_journal_init=0 -L "$1" -d "$3" "$4" "$2" >&2
}

# Print the commands that finish the new system. They remove what comes from this machine or its
# network, and make the file systems that the tests mount.
finish_system() {
	cat <<-EOT
		set -e
		cd "\$1"
		chroot . systemctl disable $DAEMONS
		rm -f etc/apt/sources.list etc/apt/apt.conf.d/99mmdebstrap etc/resolv.conf etc/hostname
		mkdir -p srv/images
		truncate --size=8M srv/images/minix srv/images/bfs
		chroot . mkfs.minix /srv/images/minix
		chroot . mkfs.bfs /srv/images/bfs
		chroot . mkfs.vfat -C /srv/images/vfat 8192
	EOT
}

# Print the commands that make the image. They read the system as an archive from standard input.
# The cache cannot have files of an ordinary user's namespace, so the image goes to standard output.
image_of_archive() {
	cat <<-EOT
		set -e
		directory=\$(mktemp -d -p /var/tmp)
		trap 'rm -rf "\$directory"' EXIT
		mkdir "\$directory/root"
		tar -C "\$directory/root" -x --exclude='./dev/*'
		$(declare -f image)
		image debian 2G "\$directory/root" "\$directory/image"
		cat "\$directory/image"
	EOT
}

make_root() {
	local mode=root in_namespace=()
	if ((EUID != 0)); then
		mode=unshare
		in_namespace=(mmdebstrap --unshare-helper)
	fi
	remove "$DEBIAN"
	mkdir -p "$DEBIAN"
	make_debian trixie - "$DEBIAN_PACKAGES" --variant=essential --mode="$mode" --format=tar \
		--customize-hook="$(finish_system)" |
		"${in_namespace[@]}" bash -c "$(image_of_archive)" |
		dd of="$DEBIAN/root.img" bs=1M iflag=fullblock conv=sparse status=none
}

make_modules() {
	local directory=$1
	image modules 400M "$directory/root/usr/lib/modules" "$directory/modules.img.part"
	mv "$directory/modules.img.part" "$directory/modules.img"
}

main() {
	local release recipe
	(($# == 1)) || die "usage: debian-root.sh NAME, with NAME one of: $SUPPORTED"
	check_name "$1"
	cd "$TOP"
	take_lock
	[[ -f $KERNELS/$1/complete ]] ||
		die "kernel $1 is not set up yet: run scripts/setup/prepare.sh $1 first"
	release=$(readlink "$KERNELS/$1")
	recipe="$DEBIAN_PACKAGES $(finish_system | cksum)"
	if ! is_complete "$DEBIAN" "$recipe"; then
		need_helpers mke2fs=e2fsprogs
		need_subids
		need_space 2500 "the disk with Debian 13"
		step "making the disk with Debian 13" make_root
		echo "$recipe" >"$DEBIAN/complete"
	fi
	[[ $KERNELS/$release/modules.img -nt $KERNELS/$release/complete ]] ||
		step "making the disk with the modules of kernel $release" make_modules \
			"$KERNELS/$release"
}

main "$@"
