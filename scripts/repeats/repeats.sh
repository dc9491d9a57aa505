#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Count how many helpers only find what an earlier one has found: in the boot of a whole Debian, and
# of things that machines do again and again. There are two boots, the second one with IPv6 switched
# off, and both once more with answers remembered. guest.sh is what runs in the guests, count.py makes
# a table of it. The table is printed, and kept in out/repeats/ in the form that
# Documentation/benchmarks.rst has.
#
# usage: [KERNEL=NAME] repeats.sh

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/guest/files.sh
. "$TOP/scripts/guest/files.sh"
# shellcheck source=scripts/guest/debian.sh
. "$TOP/scripts/guest/debian.sh"

# How many answers are remembered in the boots in which they are.
ANSWERS=256

# boot NAME ANSWERS ARGUMENT...: boot and do what guest.sh does in the boot of this name, with so many
# answers remembered. What it prints is kept in out/repeats/NAME-ANSWERS.
boot() {
	local name=$1 answers=$2 result
	shift 2
	result=$RESULTS/$name-$answers
	new_overlay "repeats-$name-$answers"
	debian_files
	mkdir -p "$OVERLAY/kmod_rs/debian/etc/sysctl.d"
	echo "kernel.kmod_rs.answers = $answers" \
		>"$OVERLAY/kmod_rs/debian/etc/sysctl.d/kmod_rs-answers.conf"
	# The boot is that of a server. What only the tests make requests for is left out.
	rm "$OVERLAY"/kmod_rs/debian/etc/{systemd/system/kmod_rs-ask.service,modprobe.d/kmod_rs.conf}
	printf '#!/bin/bash\nexec bash /kmod_rs/guest.sh %s\n' "$name" >"$OVERLAY/kmod_rs/run"
	chmod +x "$OVERLAY/kmod_rs/run"
	cp "$TOP/scripts/repeats/guest.sh" "$OVERLAY/kmod_rs/"
	# shellcheck disable=SC2086 # Several arguments.
	"$TOP/scripts/guest/vm.sh" --timeout 3600 "${MACHINE[@]}" "$KERNEL_DIRECTORY" "$OVERLAY" \
		"$WORK" $MACHINE_ARGUMENTS kmod_rs.load kmod_rs.records=16384 trace_clock=mono \
		trace_event=module:module_load,module:module_free "$@" | tr -d '\r' >"$result"
	grep -qx end "$result" ||
		die "the guest ended too early: see $result and $WORK/console.log"
}

main() {
	RESULTS=$TOP/out/repeats
	prepare_kernel
	"$TOP/scripts/setup/debian-root.sh" "$KERNEL_NAME"
	step "building for $RELEASE" make_all
	remove "$RESULTS"
	mkdir -p "$RESULTS"
	step "booting a whole Debian" boot usual 0
	step "booting it with answers remembered" boot usual "$ANSWERS"
	step "booting it without IPv6" boot without-ipv6 0 ipv6.disable=1
	step "booting it so, with answers remembered" boot without-ipv6 "$ANSWERS" ipv6.disable=1
	in_sysroot python3 "$TOP/scripts/repeats/count.py" "$RESULTS" "$ANSWERS" |
		tee "$RESULTS/repeats.rst"
}

main "$@"
