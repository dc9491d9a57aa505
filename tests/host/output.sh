#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What a guest prints is printed to its last line, however late it is read. QEMU throws away what a
# console prints while nobody takes it, which happens on a busy machine.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

# More than a pipe and QEMU's buffers take.
LINES=4000

# Has the guest turned itself off, or has it ended in another way?
is_off() {
	grep -q 'reboot: Power down' "$WORK/console.log" 2>/dev/null || ! kill -0 "$GUEST" 2>/dev/null
}

WORK=$OUT/output
remove "$WORK"
mkdir -p "$WORK/overlay/kmod_rs"
cat >"$WORK/overlay/kmod_rs/run" <<-EOT
	#!/bin/bash
	for ((i = 1; i <= $LINES; i++)); do printf 'line %d %080d\n' "\$i" 0; done
EOT
chmod +x "$WORK/overlay/kmod_rs/run"

mkfifo "$WORK/pipe"
# Nobody reads from it yet.
exec 3<>"$WORK/pipe"
spawn "$TOP/scripts/guest/vm.sh" --timeout 1800 "$(dirname "$KDIR")" "$WORK/overlay" "$WORK" >&3
GUEST=$!
until is_off; do sleep 0.2; done
exec 4<"$WORK/pipe" 3>&-
lines=$(grep -c '^line ' <&4)
join "$GUEST"
((lines == LINES)) || die "of $LINES lines, $lines were printed"
