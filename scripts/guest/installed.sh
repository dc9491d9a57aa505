# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Guests in which Debian's packages are installed, from a disk that debian-root.sh --installed makes.
# Such a test is one guest that is booted several times. The guest keeps what it has written, as any
# machine does. Sourced after files.sh.
#
# The test is on a disk of its own, which the guest has as /kmod_rs. These lines in the test say what
# else there is:
#
#   # Uses: packages      the packages, in first/
#   # Uses: upgrade       these packages in a higher version, in second/
#   # Uses: network       two network devices, of e1000 and of virtio_net
#   # Uses: secure-boot   a firmware with Secure Boot, and the module, without a signature and with one

# is_installed NAME: is this a test of such a guest? It has the line "# Boots: N". Lines
# "# Boot N: ARGUMENTS" name more arguments for the kernel.
is_installed() {
	[[ $(boots_of "$1") ]]
}

boots_of() {
	sed -n 's/^# Boots: //p' "$(file_of "$1")"
}

# uses WHAT NAME: does the test have the line "# Uses: WHAT"?
uses() {
	grep -qx "# Uses: $1" "$(file_of "$2")"
}

# make_second DIR: make packages of a higher version of these sources, in DIR/out/deb.
make_second() {
	local version
	version=$(<"$TOP/VERSION").99
	remove "$1"
	"$TOP/scripts/deb.sh" --sources "$1"
	git -C "$1" init --quiet
	echo "$version" >"$1/VERSION"
	{
		sed "1s/(.*)/($version)/" "$TOP/debian/changelog"
		echo
		cat "$TOP/debian/changelog"
	} >"$1/debian/changelog"
	KERNEL=$KERNEL_NAME "$1/scripts/deb.sh"
}

# one_at_a_time COMMAND...: run the command when no other test makes packages. They all make them in
# the same directories.
one_at_a_time() {
	(
		flock 9
		"$@"
	) 9>"$TOP/out/packages.lock"
}

# packages DIR: put the packages there.
packages() {
	KERNEL=$KERNEL_NAME "$TOP/scripts/deb.sh"
	cp -r "$TOP/out/deb" "$1/first"
}

# upgrade DIR: put the packages of the higher version there.
upgrade() {
	make_second "$OUT/second"
	cp -r "$OUT/second/out/deb" "$1/second"
}

# secure_boot DIR: sign the kernel with the key in the variables of the firmware, which is the test
# key of the package ovmf, and put the module there, signed with the same key, and as it is.
secure_boot() {
	local key=$WORK/key.pem certificate=$WORK/certificate.pem
	in_sysroot openssl rsa -passin pass:snakeoil -in /usr/share/ovmf/PkKek-1-snakeoil.key -out "$key"
	in_sysroot cp /usr/share/ovmf/PkKek-1-snakeoil.pem "$certificate"
	in_sysroot cp /usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd "$WORK/variables"
	mkdir "$WORK/kernel"
	cp "$BOOTED/initrd.img" "$WORK/kernel/"
	in_sysroot sbsign --key "$key" --cert "$certificate" --output "$WORK/kernel/vmlinuz" \
		"$BOOTED/vmlinuz"
	cp "$OUT/kmod-rs.ko" "$1/"
	sign_module "$1/signed.ko" "$key" "$certificate"
	BOOTED=$WORK/kernel
	MACHINE+=(--secure-boot "$WORK/variables")
}

# test_disk DIR FILE NAME: make the disk of this directory, with what run.sh needs for the test, and
# the tests of the packages.
test_disk() {
	mkdir -p "$1/selftests"
	cp "$TOP"/tests/*.sh "$TOP"/tests/debian/*.sh "$1/"
	cp -r "$KERNEL_DIRECTORY/src/tools/testing/selftests/kselftest" "$1/selftests/"
	cp -r "$TOP/debian/tests" "$1/autopkgtest"
	printf '#!/bin/bash\nexec bash /kmod_rs/run.sh %s\n' "$3" >"$1/run"
	chmod +x "$1/run"
	PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -L test -d "$1" "$2" 256M >&2
}

# prepare_installed NAME: make what the test needs. Its boots are those of the kernel in $BOOTED, on
# a machine with what $MACHINE has.
prepare_installed() {
	local files=$WORK/test
	mkdir -p "$files"
	"$TOP/scripts/setup/debian-root.sh" --installed "$KERNEL_NAME"
	BOOTED=$KERNEL_DIRECTORY/installed
	in_sysroot qemu-img create -q -f qcow2 -F raw -b "$BOOTED/root.img" "$WORK/root.qcow2"
	MACHINE=(--installed "$WORK/root.qcow2" --disk "$WORK/test.img" --device virtio-rng-pci)
	! uses packages "$1" || one_at_a_time packages "$files"
	! uses upgrade "$1" || one_at_a_time upgrade "$files"
	! uses network "$1" || MACHINE+=(--nic e1000 --nic virtio-net-pci)
	! uses secure-boot "$1" || secure_boot "$files"
	test_disk "$files" "$WORK/test.img" "$1"
}

# run_installed_test NAME: run it, boot after boot, until a boot fails.
run_installed_test() {
	local name=$1 file boots boot start=$SECONDS
	WORK=$OUT/guest-$name
	remove "$WORK"
	file=$(file_of "$name")
	boots=$(boots_of "$name")
	prepare_installed "$name"
	echo "    # Subtest: $name"
	for ((boot = 1; boot <= boots; boot++)); do
		say "booting $RELEASE for $name, $boot of $boots"
		if ! boot_installed "$boot" "$(sed -n "s/^# Boot $boot: //p" "$file")"; then
			tail -n 30 "$WORK/console-$boot.log" | sed 's/^/    # /'
			echo "not ok - $name # in boot $boot of $boots; its console is in $WORK/console-$boot.log"
			return
		fi
	done
	echo "ok - $name # $((SECONDS - start)) s"
}

# boot_installed BOOT ARGUMENTS: run one boot of the test. It has to come to its end, and all of it
# has to pass. A firmware clears the screen on the result channel, and says there when a kernel is not
# signed with its key, before it uses a loader that does not check that.
boot_installed() {
	local results=$WORK/results-$1.ktap
	# shellcheck disable=SC2086 # Several arguments.
	"$TOP/scripts/guest/vm.sh" --timeout "$VM_TIMEOUT" "${MACHINE[@]}" "$BOOTED" "$WORK" \
		log_buf_len=4M root=LABEL=debian ro systemd.show_status=no systemd.getty_auto=no \
		"test.boot=$1" $2 | sed -u 's/\x1b[[][=0-9;]*[A-Za-z]//g' | tee "$results" | sed 's/^/    /' || true
	mv "$WORK/console.log" "$WORK/console-$1.log"
	! grep -Eq '^ *(not ok|Bail out)|image verification failed' "$results" &&
		grep -Eq '^ok [0-9]+ clock( |$)' "$results"
}
