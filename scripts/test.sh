#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run the tests: those in tests/host here, those in tests in a guest. What they
# say, in KTAP, is printed as it comes and kept below out/; the last line is
# "N passed, N failed", counted in tests. A guest that dies fails the tests that
# it had not yet run.
#
# usage: [KERNEL=MINOR] [T="NAME..."] test.sh [--full]

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/guest-files.sh
. "$TOP/scripts/guest-files.sh"

VM_TIMEOUT=2400
PASSED=() FAILED=()

# --- What is tested -------------------------------------------------------

host_tests() {
	find "$TOP/tests/host" -name '*.sh' -printf '%f\n' | sed 's/\.sh$//' | sort
}

guest_tests() {
	find "$TOP/tests" -maxdepth 1 -name '*.sh' ! -name lib.sh ! -name run.sh -printf '%f\n' | sed 's/\.sh$//' | sort
}

# Whether a test wants a boot of its own: "# Boot: KERNEL ARGUMENTS" or, without
# any, "# Boot: alone".
is_alone() {
	grep -q '^# Boot: ' "$TOP/tests/$1.sh"
}

arguments_of() {
	sed -n '/^# Boot: alone$/d; s/^# Boot: //p' "$TOP/tests/$1.sh"
}

# Those of the names on standard input that the user asked for, or all.
wanted() {
	local name
	while read -r name; do
		[[ ${T:-} && " $T " != *" $name "* ]] || echo "$name"
	done
}

check_names() {
	local name known
	known=" $(host_tests | xargs) $(guest_tests | xargs) "
	for name in ${T:-}; do
		[[ $known == *" $name "* ]] || die "there is no test \"$name\"; these are:$known"
	done
}

# --- Running --------------------------------------------------------------

# Files the lines of KTAP that say how a test ended.
judge() {
	local line
	while IFS= read -r line; do
		printf '%s\n' "$line"
		case $line in
		"ok "*) PASSED+=("$(cut -d' ' -f3 <<<"$line")") ;;
		"not ok "*) FAILED+=("$(cut -d' ' -f4 <<<"$line")") ;;
		esac
	done
}

run_host_tests() {
	local name number=0 log=$OUT/host.log
	for name in "$@"; do
		number=$((number + 1))
		if KDIR=$KDIR OUT=$OUT bash "$TOP/tests/host/$name.sh" >"$log" 2>&1; then
			echo "ok $number $name"
		else
			sed 's/^/    # /' "$log"
			echo "not ok $number $name"
		fi
	done
}

# boot ARGUMENTS NAME...: run these tests in one guest.
boot() {
	local arguments=$1 name
	shift
	new_overlay "guest-$1"
	printf '#!/bin/bash\nFULL=%s exec bash /kmod_rs/run.sh %s\n' "$FULL" "$*" >"$OVERLAY/kmod_rs/run"
	chmod +x "$OVERLAY/kmod_rs/run"

	say "booting $RELEASE ${arguments:+($arguments) }for $# tests"
	# shellcheck disable=SC2086 # Several arguments.
	judge < <("$TOP/scripts/vm.sh" --timeout "$VM_TIMEOUT" "$KERNEL_DIRECTORY" "$OVERLAY" "$WORK" \
		log_buf_len=4M $arguments | tee "$WORK/results.ktap")

	for name in "$@"; do
		[[ " ${PASSED[*]} ${FAILED[*]} " == *" $name "* ]] && continue
		tail -n 30 "$WORK/console.log" | sed 's/^/    # /'
		echo "not ok - $name # the guest ended before; its console is in $WORK/console.log"
		FAILED+=("$name")
	done
}

main() {
	local together=() host guest name
	FULL=""
	[[ ${1:-} != --full ]] || FULL=1
	check_names

	prepare_kernel
	step "building for $RELEASE" make_all

	mapfile -t host < <(host_tests | wanted)
	judge < <(run_host_tests "${host[@]}")

	mapfile -t guest < <(guest_tests | wanted)
	for name in "${guest[@]}"; do
		is_alone "$name" || together+=("$name")
	done
	((${#together[@]} == 0)) || boot "" "${together[@]}"
	for name in "${guest[@]}"; do
		! is_alone "$name" || boot "$(arguments_of "$name")" "$name"
	done

	((${#FAILED[@]} == 0)) || echo "# failed: ${FAILED[*]}"
	echo "${#PASSED[@]} passed, ${#FAILED[@]} failed"
	((${#PASSED[@]} > 0 && ${#FAILED[@]} == 0))
}

main "$@"
