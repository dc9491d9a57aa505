# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Guests with a whole Debian, which debian-root.sh made. Sourced after files.sh.
#
# What makes them differ from one another is the initramfs: files of tests/debian/root,
# put on the root file system before its init is run, and the kernel's arguments.

# debian_files: add to the overlay what all of them start from, and a boot without
# the module to compare with, if there has been one. The machine has more devices
# than the usual one, as udev looks for their modules. Each request leaves the stack
# of who makes it, which shows who serves it. Timers would run what they run at one
# time or another.
debian_files() {
	mkdir -p "$OVERLAY/kmod_rs/debian"
	cp "$TOP/scripts/guest/debian-init.sh" "$OVERLAY/init"
	cp "$TOP"/tests/debian/*.sh "$OVERLAY/kmod_rs/"
	cp -r "$TOP/tests/debian/root/." "$OVERLAY/kmod_rs/debian/"
	in_sysroot /usr/lib/dracut/dracut-install -D "$OVERLAY" -l -a switch_root
	[[ ! ${WITHOUT:-} ]] || cp "$WITHOUT" "$OVERLAY/kmod_rs/without"

	MACHINE=(
		--disk "$CACHE/debian/root.img" --disk "$KERNEL_DIRECTORY/modules.img"
		--nic e1000 --nic virtio-net-pci --device virtio-rng-pci --device qemu-xhci --device usb-kbd
	)
	MACHINE_ARGUMENTS="trace_event=module:module_request trace_trigger=module_request.stacktrace trace_buf_size=8M
		systemd.mask=timers.target systemd.getty_auto=no systemd.show_status=no net.ifnames=0"
}

# What a boot without the module comes to, left in a file whose name is in $WITHOUT.
debian_without() {
	WITHOUT=
	new_overlay debian-without
	debian_files
	printf '#!/bin/bash\nexec bash /kmod_rs/report.sh\n' >"$OVERLAY/kmod_rs/run"
	chmod +x "$OVERLAY/kmod_rs/run"
	# shellcheck disable=SC2086 # Several arguments.
	"$TOP/scripts/guest/vm.sh" "${MACHINE[@]}" "$KERNEL_DIRECTORY" "$OVERLAY" "$WORK" \
		log_buf_len=4M $MACHINE_ARGUMENTS >"$WORK/report" ||
		say "that boot did not end by itself; its console is in $WORK/console.log"
	WITHOUT=$WORK/report
}
