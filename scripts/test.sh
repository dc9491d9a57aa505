#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run the tests: those in tests/host here, those in tests in guests, with Debian's
# kernel and, if that is asked for, with the debugging one of the same source. What they
# say, in KTAP, is printed as it comes and kept below out/; the last line is "N passed,
# N failed", counted in tests, and "N skipped" after that if some could run on no kernel
# that was asked for. A guest that dies fails the tests that it had not yet run.
#
# usage: [KERNEL=MINOR] [DEBUG=yes|no|only] [T="NAME..."] [GUEST_SETTINGS="NAME=VALUE..."]
#        [VM_TIMEOUT=SECONDS] test.sh [--full]

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/guest-files.sh
. "$TOP/scripts/guest-files.sh"
# shellcheck source=scripts/debian-guest.sh
. "$TOP/scripts/debian-guest.sh"

VM_TIMEOUT=${VM_TIMEOUT:-2400}
# The debugging kernel does everything so much slower.
DEBUG_SLOWER=4

# The names of the tests: of the kernel that is tested, and of all.
PASSED=() FAILED=() SKIPPED=()
ALL_PASSED=() ALL_FAILED=() ALL_SKIPPED=()

# --- What is tested -------------------------------------------------------

host_tests() {
	find "$TOP/tests/host" -name '*.sh' -printf '%f\n' | sed 's/\.sh$//' | sort
}

guest_tests() {
	local others=(lib.sh run.sh complaints.sh)
	find "$TOP/tests" -maxdepth 1 -name '*.sh' -printf '%f\n' |
		grep -vxFf <(printf '%s\n' "${others[@]}") | sed 's/\.sh$//' | sort
}

# Those that are run only if they are asked for by name.
long_tests() {
	find "$TOP/tests/long" -name '*.sh' -printf '%f\n' | sed 's/\.sh$//' | sort
}

# Those that run in a whole Debian: with --full, or if they are asked for by name.
debian_tests() {
	find "$TOP/tests/debian" -name 'debian-*.sh' -printf '%f\n' | sed 's/\.sh$//' | sort
}

file_of() {
	local file
	for file in "$TOP"/tests/{,long/,debian/}"$1.sh"; do
		[[ ! -f $file ]] || echo "$file"
	done
}

is_debian() {
	[[ -f $TOP/tests/debian/$1.sh ]]
}

# Whether a test wants a boot of its own: "# Boot: KERNEL ARGUMENTS" or, without
# any, "# Boot: alone".
is_alone() {
	grep -q '^# Boot: ' "$(file_of "$1")"
}

arguments_of() {
	sed -n '/^# Boot: alone$/d; s/^# Boot: //p' "$(file_of "$1")"
}

# The lines that the kernel's configuration has to have for a test, one after the
# other: "# Needs: CONFIG_...", which stands for CONFIG_...=y or =m.
needs_of() {
	sed -n 's/^# Needs: //p' "$(file_of "$1")" | xargs -n 1
}

# What of this the kernel lacks.
lacks() {
	local option
	for option in $(needs_of "$1"); do
		has_option "$option=[ym]" || echo "$option"
	done
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
	known=" $(host_tests | xargs) $(guest_tests | xargs) $(long_tests | xargs) $(debian_tests | xargs) "
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
		"ok "*"# SKIP"*) SKIPPED+=("$(cut -d' ' -f3 <<<"$line")") ;;
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

# What a kernel is told in each boot. Unit tests would run whenever the module is
# loaded, so all boots but theirs say that they shall not. KASAN would only report
# the first mistake that it sees. The arrays from which SLUB hands out objects keep
# their addresses, which are references for kmemleak; with SLUB's checks on there are
# no such arrays.
common_arguments() {
	! has_option CONFIG_KUNIT=y || [[ $1 == *kunit.enable=* ]] || echo kunit.enable=0
	! has_option CONFIG_KASAN=y || echo kasan_multi_shot
	! has_option CONFIG_DEBUG_KMEMLEAK=y || echo slab_debug=F
}

# boot ARGUMENTS NAME...: run these tests in one guest. If that has kmemleak, run.sh
# has a test of its own for it.
boot() {
	local arguments=$1 name names
	shift
	names=("$@")
	! has_option CONFIG_DEBUG_KMEMLEAK=y || names+=(kmemleak)
	new_overlay "guest-$1"
	MACHINE=() MACHINE_ARGUMENTS=""
	! is_debian "$1" || debian_files
	printf '#!/bin/bash\nFULL=%s SLOWER=%s %s exec bash /kmod_rs/run.sh %s\n' \
		"$FULL" "$SLOWER" "${GUEST_SETTINGS:-}" "$*" >"$OVERLAY/kmod_rs/run"
	chmod +x "$OVERLAY/kmod_rs/run"

	say "booting $RELEASE ${arguments:+($arguments) }for $# tests"
	arguments+=" $(common_arguments "$arguments" | xargs)"
	# shellcheck disable=SC2086 # Several arguments.
	judge < <("$TOP/scripts/vm.sh" --timeout "$((VM_TIMEOUT * SLOWER))" "${MACHINE[@]}" "$KERNEL_DIRECTORY" "$OVERLAY" "$WORK" \
		log_buf_len=4M $MACHINE_ARGUMENTS $arguments | tee "$WORK/results.ktap")

	for name in "${names[@]}"; do
		! grep -Eq "^(not )?ok [0-9]+ $name( |$)" "$WORK/results.ktap" || continue
		tail -n 30 "$WORK/console.log" | sed 's/^/    # /'
		judge <<<"not ok - $name # the guest ended before; its console is in $WORK/console.log"
	done
}

# run_debian_tests NAME...: in boots of their own, after one without the module.
run_debian_tests() {
	local name
	(($# > 0)) || return 0
	"$TOP/scripts/debian-root.sh" "$MINOR"
	say "booting $RELEASE, a whole Debian without the module"
	debian_without
	for name in "$@"; do
		boot "kmod_rs.load $(arguments_of "$name")" "$name"
	done
}

# run_guest_tests NAME...: in one boot, but for those that want one of their own.
run_guest_tests() {
	local together=() alone=() name missing
	for name in "$@"; do
		missing=$(lacks "$name" | xargs)
		if [[ $missing ]]; then
			judge <<<"ok - $name # SKIP the kernel has no ${missing// /, }"
		elif is_alone "$name"; then
			alone+=("$name")
		else
			together+=("$name")
		fi
	done
	((${#together[@]} == 0)) || boot "" "${together[@]}"
	for name in "${alone[@]}"; do
		boot "$(arguments_of "$name")" "$name"
	done
}

# begin SLOWER ... end: the tests with the kernel in use, on a machine that takes
# so many times as long.
begin() {
	SLOWER=$1
	PASSED=() FAILED=() SKIPPED=()
	echo "# kernel: $RELEASE"
	step "building for $RELEASE" make_all
}

end() {
	local name
	echo "# kernel: $RELEASE: ${#PASSED[@]} passed, ${#FAILED[@]} failed, ${#SKIPPED[@]} skipped"
	ALL_PASSED+=("${PASSED[@]}")
	ALL_SKIPPED+=("${SKIPPED[@]}")
	for name in "${FAILED[@]}"; do
		ALL_FAILED+=("$RELEASE:$name")
	done
}

test_stock() {
	begin 1
	judge < <(run_host_tests "${HOST_TESTS[@]}")
	run_guest_tests "${GUEST_TESTS[@]}"
	run_debian_tests "${DEBIAN_TESTS[@]}"
	end
}

test_debug() {
	"$TOP/scripts/debug-kernel.sh" "$MINOR"
	use_kernel "$MINOR-debug"
	begin "$DEBUG_SLOWER"
	run_guest_tests "${GUEST_TESTS[@]}"
	end
}

# Tests that one kernel lacks something for and the other does not have been run.
never_run() {
	comm -23 <(printf '%s\n' "${ALL_SKIPPED[@]}" | sort -u) \
		<(printf '%s\n' "${ALL_PASSED[@]}" "${ALL_FAILED[@]##*:}" | sort -u) | sed '/^$/d'
}

main() {
	local skipped
	FULL=""
	[[ ${1:-} != --full ]] || FULL=1
	[[ ${DEBUG:=no} =~ ^(yes|no|only)$ ]] ||
		die "DEBUG=$DEBUG means nothing: DEBUG=yes runs the tests on the debugging kernel, too, DEBUG=only on no other"
	check_names
	mapfile -t HOST_TESTS < <(host_tests | wanted)
	mapfile -t GUEST_TESTS < <(
		guest_tests | wanted
		[[ ! ${T:-} ]] || long_tests | wanted
	)
	mapfile -t DEBIAN_TESTS < <([[ ! ${T:-} && ! $FULL ]] || debian_tests | wanted)

	prepare_kernel
	[[ $DEBUG == only ]] || test_stock
	[[ $DEBUG == no || ${#GUEST_TESTS[@]} == 0 ]] || test_debug

	((${#ALL_FAILED[@]} == 0)) || echo "# failed: ${ALL_FAILED[*]}"
	skipped=$(never_run | wc -l)
	echo "${#ALL_PASSED[@]} passed, ${#ALL_FAILED[@]} failed$( ((skipped == 0)) || echo ", $skipped skipped")"
	((${#ALL_PASSED[@]} > 0 && ${#ALL_FAILED[@]} == 0))
}

main "$@"
