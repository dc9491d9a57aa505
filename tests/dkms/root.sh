#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What host/dkms.sh runs in a new Debian 13, as root. Next to this file are the package and the
# module that "make" has built.
#
# usage: root.sh RELEASE

set -euo pipefail
cd "$(dirname "$0")"

RELEASE=$1
MINOR=$(cut -d. -f1-2 <<<"$RELEASE")
SOURCE=linux-source-$MINOR
HEADERS=linux-headers-$RELEASE
# The other one on which kmod-rs-dkms can depend.
OTHER=linux-source-$([[ $MINOR == 7.3 ]] && echo 7.2 || echo 7.3)
KEPT=/var/lib/kmod-rs-dkms/$RELEASE
# What the package may take, in MB.
MOST_KEPT=60 MOST_MEANWHILE=3000

die() {
	echo "root.sh: $*" >&2
	cat /var/lib/dkms/kmod-rs/*/build/make.log >&2 || true
	exit 1
}

# Makes a package that satisfies the dependency on the source of a kernel, but has nothing in it.
empty_source() {
	mkdir -p empty/DEBIAN
	cat >empty/DEBIAN/control <<-EOT
		Package: $OTHER
		Version: 7
		Architecture: all
		Maintainer: nobody <nobody@kmod-rs.invalid>
		Description: the source of no kernel
	EOT
	dpkg-deb --build empty "./$OTHER.deb"
}

# Without the network: nothing that builds may fetch anything.
offline() {
	unshare --net "$@"
}

# The module that DKMS has installed, or nothing.
installed() {
	find "/lib/modules/$RELEASE/updates" -name 'kmod-rs.ko*' 2>/dev/null
}

# is_skipped WHY: the module was not built, for a reason that matches.
is_skipped() {
	[[ ! $(installed) ]] || die "the module was built"
	[[ $(<"$KEPT/skipped") =~ $1 ]] || die "the reason is: $(<"$KEPT/skipped")"
	grep -q "kmod_rs: .*$1" /var/lib/dkms/kmod-rs/*/build/make.log || die "the reason is not in the log"
	echo "ok - skipped: $(<"$KEPT/skipped")"
}

# is_built: the module was built and signed, and is the same as that of "make".
is_built() {
	local file
	file=$(installed)
	[[ $file ]] || die "the module was not built: $(cat "$KEPT/skipped")"
	[[ ! -e $KEPT/skipped ]] || die "there is still a reason why the module was skipped"
	case $file in
	*.xz) xz -dc "$file" >built.ko ;;
	*) cp "$file" built.ko ;;
	esac
	[[ $(modinfo -F signer ./built.ko) == "DKMS module signing key" ]] || die "the module is not signed"
	# What is before the signature.
	cmp -n "$(stat -c %s kmod-rs.ko)" built.ko kmod-rs.ko || die "the module differs from that of \"make\""
	echo "ok - built and signed: $file"
}

# Notes how much space DKMS uses at most, until there is a file `stop`.
watch_space() {
	local now most=0
	until [[ -e stop ]]; do
		now=$(du -sm /var/lib/dkms 2>/dev/null | cut -f1) || true
		((now <= most)) || most=$now
		echo "$most" >most
		sleep 2
	done
}

# When the headers of a kernel come without its source, the module is skipped, and apt succeeds.
empty_source
apt-get install -y ./kmod-rs-dkms_*.deb "./$OTHER.deb"
apt-get install -y "$HEADERS"
is_skipped "$SOURCE is not installed"

# When the source comes, the module is built.
apt-get install -y --download-only "$SOURCE"
watch_space &
time offline apt-get install -y "$SOURCE"
touch stop
wait
is_built
kept=$(du -sm "$KEPT" | cut -f1)
echo "kept: $kept MB; meanwhile: $(<most) MB"
((kept <= MOST_KEPT)) || die "$kept MB are kept"
(($(<most) <= MOST_MEANWHILE)) || die "$(<most) MB were used meanwhile"

# What is kept is enough for the next version of the package.
rm "/usr/src/$SOURCE.tar.xz"
time offline dpkg -i kmod-rs-dkms_*.deb
is_built

# It is of no use if it was made for other headers.
sed -i 's/ / 0/' "$KEPT/complete"
dpkg -i kmod-rs-dkms_*.deb
is_skipped "/usr/src/$SOURCE.tar.xz is missing"

# It goes with the kernel, and all the rest goes with the package.
run-parts --exit-on-error --arg="$RELEASE" /etc/kernel/postrm.d
[[ ! -e $KEPT ]] || die "$KEPT is still there"
apt-get purge -y kmod-rs-dkms
for left in /var/lib/kmod-rs-dkms /var/lib/dkms/kmod-rs /usr/src/kmod-rs-* /etc/kernel/postrm.d/kmod-rs-dkms; do
	[[ ! -e $left ]] || die "$left is still there"
done
[[ ! $(installed) ]] || die "the module is still there"
echo "ok - purged"
