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
# With --installed, make one on which Debian's packages can be installed, as on any machine:
#
#   $CACHE/kernels/NAME/installed/root.img      a Debian 13 with apt, pages and this kernel as a
#       package, an ext4 labelled `debian`. It mounts a file system labelled `test` as /kmod_rs,
#       runs the program `run` that is there, and reboots when that has ended
#   $CACHE/kernels/NAME/installed/{vmlinuz,initrd.img}  its kernel, and the initramfs that Debian's
#       scripts made for it
#
# usage: debian-root.sh [--installed] NAME    NAME is what KERNEL= takes

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

# Programs that are more than the user who runs them.
DEBIAN_PACKAGES+=",sudo,iputils-ping,fuse3,fuse2fs,e2fsprogs"

# What looks for the same again and again, for scripts/repeats.
DEBIAN_PACKAGES+=",prometheus-node-exporter"
DAEMONS+=" prometheus-node-exporter"

# The system with the kernel as a package, which needs more than trixie has.
INSTALLED_PACKAGES="apt,systemd,systemd-sysv,udev,dbus,kmod,procps,mount,iproute2,man-db,tmux,initramfs-tools"
INSTALLED_PACKAGES+=",linux-base/trixie-backports"

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
		chroot . mke2fs -q /srv/images/ext2 8M
	EOT
}

# Print the commands that finish the system with the kernel as a package. From then on, what is
# installed there has its pages, and comes from what the tests bring.
finish_installed() {
	cat <<-EOT
		set -e
		cd "\$1"
		rm -f etc/apt/sources.list etc/apt/sources.list.d/* etc/apt/apt.conf.d/99mmdebstrap \
			etc/dpkg/dpkg.cfg.d/99mmdebstrap etc/resolv.conf
		echo debian >etc/hostname
		printf 'LABEL=debian / ext4 defaults 0 0\nLABEL=test /kmod_rs ext4 ro 0 0\n' >etc/fstab
		mkdir -p kmod_rs etc/systemd/system/multi-user.target.wants
		ln -s kmod_rs/selftests selftests
		ln -s ../run-test.service etc/systemd/system/multi-user.target.wants/
		cat >etc/systemd/system/run-test.service <<-'END'
			[Unit]
			Description=Run a test, with its output on the result channel, and reboot
			After=multi-user.target

			[Service]
			Type=exec
			StandardOutput=file:/dev/hvc0
			StandardError=inherit
			ExecStart=sh -c 'stty raw -echo <&1; /kmod_rs/run; systemctl --no-block reboot'
		END
	EOT
}

# image_of_archive SIZE: print the commands that make the image. They read the system as an archive
# from standard input. The cache cannot have files of an ordinary user's namespace, so the image goes
# to standard output.
image_of_archive() {
	cat <<-EOT
		set -e
		directory=\$(mktemp -d -p /var/tmp)
		trap 'rm -rf "\$directory"' EXIT
		mkdir "\$directory/root"
		tar -C "\$directory/root" -x --exclude='./dev/*'
		$(declare -f image)
		image debian $1 "\$directory/root" "\$directory/image"
		cat "\$directory/image"
	EOT
}

# make_image FILE SIZE PACKAGES HOOK: make a Debian 13 with these packages as an image. The commands
# of the hook finish it.
make_image() {
	local mode=root in_namespace=()
	if ((EUID != 0)); then
		mode=unshare
		in_namespace=(mmdebstrap --unshare-helper)
	fi
	make_debian trixie - "$3" --variant=essential --mode="$mode" --format=tar \
		--customize-hook="$4" |
		"${in_namespace[@]}" bash -c "$(image_of_archive "$2")" |
		dd of="$1" bs=1M iflag=fullblock conv=sparse status=none
}

make_root() {
	remove "$DEBIAN"
	mkdir -p "$DEBIAN"
	make_image "$DEBIAN/root.img" 2G "$DEBIAN_PACKAGES" "$(finish_system)"
}

# make_installed DIRECTORY RELEASE PACKAGES
make_installed() {
	local directory=$1 release=$2 name
	remove "$directory"
	mkdir -p "$directory"
	make_image "$directory/root.img" 4G "$3" "$(finish_installed)"
	for name in vmlinuz initrd.img; do
		debugfs -R "dump /boot/$name-$release $directory/$name" "$directory/root.img"
		[[ -s $directory/$name ]]
	done
}

make_modules() {
	local directory=$1
	image modules 400M "$directory/root/usr/lib/modules" "$directory/modules.img.part"
	mv "$directory/modules.img.part" "$directory/modules.img"
}

# need_image DIRECTORY RECIPE MESSAGE COMMAND...: make what is in the directory, unless it is there.
need_image() {
	local directory=$1 recipe=$2
	! is_complete "$directory" "$recipe" || return 0
	need_helpers mke2fs=e2fsprogs debugfs=e2fsprogs
	need_subids
	need_space 4000 "the disk with Debian 13"
	step "${@:3}"
	echo "$recipe" >"$directory/complete"
}

main() {
	local installed="" release version packages directory
	if [[ ${1:-} == --installed ]]; then
		installed=1
		shift
	fi
	(($# == 1)) || die "usage: debian-root.sh [--installed] NAME, with NAME one of: $SUPPORTED"
	check_name "$1"
	cd "$TOP"
	take_lock
	[[ -f $KERNELS/$1/complete ]] ||
		die "kernel $1 is not set up yet: run scripts/setup/prepare.sh $1 first"
	release=$(readlink "$KERNELS/$1")
	if [[ $installed ]]; then
		version=$(sed -n 's/^version=//p' "$KERNELS/$1/info")
		packages="$INSTALLED_PACKAGES,linux-image-$release"
		directory=$KERNELS/$release/installed
		need_image "$directory" "$packages $version $(finish_installed | cksum)" \
			"making the disk with Debian 13 and kernel $release" \
			make_installed "$directory" "$release" "$packages"
		return
	fi
	need_image "$DEBIAN" "$DEBIAN_PACKAGES $(finish_system | cksum)" \
		"making the disk with Debian 13" make_root
	[[ $KERNELS/$release/modules.img -nt $KERNELS/$release/complete ]] ||
		step "making the disk with the modules of kernel $release" make_modules \
			"$KERNELS/$release"
}

main "$@"
