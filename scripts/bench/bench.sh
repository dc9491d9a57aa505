#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Compare the module with the kernel's own C code, in two guests: one counts instructions, the other
# measures time. guest.sh is what runs in the guests. The command is measured on this machine, on
# files that command.py makes. report.py makes a table of the figures. The
# table is printed, and kept in out/RELEASE/bench as bench.json and, in the form that
# Documentation/benchmarks.rst has, as bench.rst.
#
# usage: [KERNEL=NAME] [ROUNDS=N] bench.sh

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/guest/files.sh
. "$TOP/scripts/guest/files.sh"

ROUNDS=${ROUNDS:-5}
TIMEOUT=3600

# boot WHAT [OPTION]: measure in a guest of its own. The figures are added to $FIGURES.
boot() {
	local what=$1 guest
	shift
	new_overlay "bench-$what"
	cp "$TOP/scripts/bench/guest.sh" "$OVERLAY/kmod_rs/"
	# With --icount the guest may be off before its last lines are out. stty waits for them.
	printf '#!/bin/bash\n%s\n' "bash /kmod_rs/guest.sh $what $ROUNDS" \
		'stty -F /dev/hvc0 raw -echo' >"$OVERLAY/kmod_rs/run"
	chmod +x "$OVERLAY/kmod_rs/run"
	say "booting $RELEASE to measure: $what"
	guest=$WORK/figures
	# noirqdebug: once an interrupt was spurious, a timer would look at all of them ten times a second.
	"$TOP/scripts/guest/vm.sh" --timeout "$TIMEOUT" "$@" "$KERNEL_DIRECTORY" "$OVERLAY" \
		"$WORK" noirqdebug | tr -d '\r' >"$guest"
	grep -qx 'bench end' "$guest" ||
		die "the guest ended too early: see $guest and $WORK/console.log"
	grep '^bench ' "$guest" >>"$FIGURES"
}

# Print the facts that the guest does not know.
host_facts() {
	local text data rest
	{
		read -r _
		read -r text data rest
	} < <(with_tools size "$OUT/kmod-rs.ko")
	echo "bench fact date $(date -u +%Y-%m-%d)"
	echo "bench fact rounds $ROUNDS"
	echo "bench fact host-cpu $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)"
	echo "bench fact host-cpus $(nproc)"
	echo "bench fact host-load $(cut -d' ' -f1 /proc/loadavg)"
	echo "bench size-text rust $text"
	echo "bench size-data rust $data"
	echo "bench size-command rust $(stat -c %s "$TOP/out/kmod-rs")"
}

measure_command() {
	in_sysroot python3 "$TOP/scripts/bench/command.py" "$TOP/out/kmod-rs" "$OUT/bench/machine" \
		"$ROUNDS" >>"$FIGURES"
}

main() {
	local directory
	[[ $ROUNDS =~ ^[1-9][0-9]*$ ]] ||
		die "ROUNDS=$ROUNDS is not a number of rounds: use 1 or more"
	prepare_kernel
	"$TOP/scripts/command.sh" --program
	step "building for $RELEASE" make_all
	directory=$OUT/bench
	remove "$directory"
	mkdir -p "$directory"
	FIGURES=$directory/figures

	boot instructions --icount
	host_facts >>"$FIGURES"
	boot clock
	measure_command
	in_sysroot python3 "$TOP/scripts/bench/report.py" "$directory" <"$FIGURES"
}

main "$@"
