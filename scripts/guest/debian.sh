# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Guests with a whole Debian, from the disks that debian-root.sh makes. Sourced after files.sh.
#
# These guests differ from one another in the kernel's arguments and in the initramfs. It has files
# of tests/debian/root, which are copied to the root file system before its init runs.

# debian_files: add to the overlay what all these guests start from and, if there has been a boot
# without the module, its report to compare with. The machine has more devices than the usual guest,
# because udev looks for their modules. The trace has the stack of each request, which shows who
# served it. Timers are masked: they would run things at different moments in each boot.
debian_files() {
	mkdir -p "$OVERLAY/kmod_rs/debian"
	cp "$TOP/scripts/guest/debian-init.sh" "$OVERLAY/init"
	cp "$TOP"/tests/debian/*.sh "$OVERLAY/kmod_rs/"
	cp -r "$TOP/tests/debian/root/." "$OVERLAY/kmod_rs/debian/"
	in_sysroot /usr/lib/dracut/dracut-install -D "$OVERLAY" -l -a switch_root
	[[ ! ${WITHOUT:-} ]] || cp "$WITHOUT" "$OVERLAY/kmod_rs/without"

	MACHINE=(
		--disk "$CACHE/debian/root.img" --disk "$KERNEL_DIRECTORY/modules.img"
		--nic e1000 --nic virtio-net-pci --device virtio-rng-pci --device qemu-xhci \
			--device usb-kbd
	)
	MACHINE_ARGUMENTS="trace_event=module:module_request trace_trigger=module_request.stacktrace trace_buf_size=8M
		systemd.mask=timers.target systemd.getty_auto=no systemd.show_status=no net.ifnames=0"
}

# debian_without: boot without the module. The file $WITHOUT then has the report of that boot.
debian_without() {
	WITHOUT=
	new_overlay debian-without
	debian_files
	printf '#!/bin/bash\nexec bash /kmod_rs/report.sh\n' >"$OVERLAY/kmod_rs/run"
	chmod +x "$OVERLAY/kmod_rs/run"
	# shellcheck disable=SC2086 # Several arguments.
	"$TOP/scripts/guest/vm.sh" "${MACHINE[@]}" "$KERNEL_DIRECTORY" "$OVERLAY" "$WORK" \
		log_buf_len=4M $MACHINE_ARGUMENTS >"$WORK/report" ||
		say "the boot without the module did not end by itself; its console is in $WORK/console.log"
	WITHOUT=$WORK/report
}
