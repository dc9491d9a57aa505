#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run the tests: those in tests/host on this machine, and those in tests/guest in guests. The guests
# run Debian's kernel and, unless DEBUG=no, the debugging kernel of the same source; with
# DEBUG=only, only the debugging kernel. With --full, the tests then also run on the debugging
# kernel with PREEMPT_RT. With DEBUG=rt, they run on that kernel only.
#
# The output of the tests is KTAP. It is printed, and kept below out/. The last line is "N passed, N
# failed", which counts tests. It goes on with ", N skipped" if some tests could run on no kernel
# that was asked for. If a guest dies, the tests that it had not yet run fail.
#
# A guest often waits, so GUESTS of them run side by side. Half of them run each kernel, while both
# kernels have tests that wait for a guest. The output is in order all the same. The debugging
# kernel gets less processor time than the other one, because some tests on the other one measure
# time. The exception is the boot that takes longest.
#
# With a kernel of Debian testing, the tests in tests/host are skipped. There is a debugging kernel
# only for the usual flavour of a kernel for Debian 13.
#
# usage: [KERNEL=NAME] [DEBUG=yes|no|only|rt] [T="NAME..."] [GUEST_SETTINGS="NAME=VALUE..."]
#        [VM_TIMEOUT=SECONDS] [GUESTS=N] test.sh [--full]

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
# shellcheck source=scripts/guest/files.sh
. "$TOP/scripts/guest/files.sh"
# shellcheck source=scripts/guest/debian.sh
. "$TOP/scripts/guest/debian.sh"
# shellcheck source=scripts/guest/installed.sh
. "$TOP/scripts/guest/installed.sh"

# How many times as long everything takes on the debugging kernel.
DEBUG_SLOWER=4
# The memory that a guest takes at most, in kB.
GUEST_MEMORY=$((4 << 20))
# The number of tests for which one more boot is worth its time.
TESTS_PER_BOOT=8

# The names of the tests: for the kernel that is tested, and for all kernels.
PASSED=() FAILED=() SKIPPED=()
ALL_PASSED=() ALL_FAILED=() ALL_SKIPPED=()

# --- What is tested -------------------------------------------------------

host_tests() {
	find "$TOP/tests/host" -name '*.sh' -printf '%f\n' | sed 's/\.sh$//' | sort
}

# Print those of the names on standard input that run now. A test with the line "# Run: --full" runs
# with --full, or if it is asked for by name.
in_this_run() {
	local name
	while read -r name; do
		[[ ! $FULL && ! ${T:-} ]] && grep -qx '# Run: --full' "$TOP/tests/host/$name.sh" ||
			echo "$name"
	done
}

guest_tests() {
	find "$TOP/tests/guest" -name '*.sh' -printf '%f\n' | sed 's/\.sh$//' | sort
}

# Tests that run only if they are asked for by name.
long_tests() {
	find "$TOP/tests/long" -name '*.sh' -printf '%f\n' | sed 's/\.sh$//' | sort
}

# Tests that run in a whole Debian: with --full, or if they are asked for by name.
debian_tests() {
	find "$TOP/tests/debian" -name 'debian-*.sh' -printf '%f\n' | sed 's/\.sh$//' | sort
}

file_of() {
	local file
	for file in "$TOP"/tests/{guest/*,long,debian}/"$1.sh"; do
		[[ ! -f $file ]] || echo "$file"
	done
}

is_debian() {
	[[ -f $TOP/tests/debian/$1.sh ]]
}

# boot_of NAME: what a test says about its boot in the line "# Boot: ...". It is "first" or "last"
# of the tests that share a boot, or "alone", or kernel arguments, with which it is alone as well.
boot_of() {
	sed -n 's/^# Boot: //p' "$(file_of "$1")"
}

# placed WHERE NAME...: those of the tests that say this about their boot.
placed() {
	local where=$1 name
	shift
	for name; do
		[[ $(boot_of "$name") != "$where" ]] || echo "$name"
	done
}

# The arguments of boots in which kmemleak watches. SLUB hands out objects from arrays that keep the
# addresses of these objects, and kmemleak takes the addresses for references. With SLUB's checks
# on, there are no such arrays.
WATCHED="kmemleak=on slab_debug=F"

arguments_of() {
	boot_of "$1" | sed -E '/^(first|last|alone)$/d'
	! is_watched "$1" || echo "$WATCHED"
}

# is_left_out NAME: do the debugging kernels leave this test out? If it has the line
# "# Debug: --full", they run it only with --full, or if it is asked for by name. Other tests take
# the same paths of the module.
is_left_out() {
	[[ $SUITE == debug* && ! $FULL && ! ${T:-} ]] &&
		grep -qx '# Debug: --full' "$(file_of "$1")"
}

# is_watched NAME: does kmemleak watch this test? It makes everything two to three times as slow. So
# it is on in the boots of tests with the line "# Watch: kmemleak", and with --full in all boots.
is_watched() {
	has_option CONFIG_DEBUG_KMEMLEAK=y &&
		{ [[ $FULL ]] || grep -qx '# Watch: kmemleak' "$(file_of "$1")"; }
}

# takes_turns NAME: do the processors of the guest take turns in this test? They do, except in tests
# with the line "# Processors: parallel", in which tasks race each other, and in a whole Debian. A
# processor that waits for another one spins, and there are more guests with two processors than the
# machine has processors: mostly that other one is not running.
takes_turns() {
	! is_debian "$1" && ! grep -qx '# Processors: parallel' "$(file_of "$1")"
}

# like YES|NO PREDICATE NAME...: those of the tests for which the predicate is true, or false.
like() {
	local wanted=$1 predicate=$2 name
	shift 2
	for name; do
		[[ $("$predicate" "$name" && echo yes || echo no) != "$wanted" ]] || echo "$name"
	done
}

# needs_of NAME: the options that a test needs, one on each line. The test has them in lines
# "# Needs: CONFIG_...". Each option must be y or m. "# Needs: signing-key" means the key with which
# the build of the kernel has signed its modules.
needs_of() {
	sed -n 's/^# Needs: //p' "$(file_of "$1")" | xargs -n 1
}

# has NEED: does the kernel have this option, or its key?
has() {
	if [[ $1 == signing-key ]]; then
		has_signing_key
	else
		has_option "$1=[ym]"
	fi
}

# lacks NAME: what the test needs and the kernel lacks.
lacks() {
	local need
	for need in $(needs_of "$1"); do
		has "$need" || echo "$need"
	done
}

# uses_command NAME...: does one of the tests use the command kmod-rs? It has the line "# Uses:
# kmod-rs". The guest then has the command.
uses_command() {
	local name files=()
	for name; do
		files+=("$(file_of "$name")")
	done
	((${#files[@]} > 0)) && grep -qx '# Uses: kmod-rs' "${files[@]}"
}

# skipped NAME: if the kernel lacks something for this test, say so in KTAP. Otherwise fail.
skipped() {
	local missing
	missing=$(lacks "$1" | xargs)
	[[ $missing ]] && echo "ok - $1 # SKIP the kernel has no ${missing// /, }"
}

# Print those of the names on standard input that the user asked for, or all of them without T.
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
		[[ $known == *" $name "* ]] ||
			die "there is no test \"$name\"; the tests are:$known"
	done
}

# --- Side by side ---------------------------------------------------------

# aside FILE COMMAND...: start a command as a process group of its own, with its output in the file.
# It cleans up as the script itself does.
aside() {
	local file=$1
	shift
	mkdir -p "$(dirname "$file")"
	: >"$file"
	spawn as_script "$file" "$@"
}

as_script() {
	local file=$1
	shift
	RUNNING=()
	trap stop_running EXIT
	trap 'exit 143' TERM
	"$@" >"$file"
}

# follow PID FILE: print what a command that was started aside prints, as it comes, to its end.
follow() {
	tail --pid="$1" --sleep-interval=0.2 --lines=+1 --follow "$2"
}

# Jobs run side by side. A job is an index of JOBS. It needs a token while it runs a guest. The
# output of the jobs is printed in the order in which they were started.
JOBS=() JOB_FILES=()
# For each suite: how many tokens it has at first, and the numbers of two open FIFOs. TOKENS has the
# tokens. WAITING has a character for each job for which nobody has put a token there yet.
declare -A SHARE=() TOKENS=() WAITING=()

# start NAME COMMAND...: start a job at once.
start() {
	local file=$OUT/$1.ktap
	shift
	aside "$file" "$@"
	JOBS+=("$!") JOB_FILES+=("$file")
}

# queue NAME COMMAND...: start a job that begins as soon as a guest may run.
queue() {
	printf . >&"${WAITING[$SUITE]}"
	start "$1" with_token "${@:2}"
}

with_token() {
	read -r -n 1 -u "${TOKENS[$SUITE]}"
	"$@"
	pass_token
}

# Give the token to a job that waits in this suite, or else to the other suite, if there is one.
pass_token() {
	local to=$SUITE suite
	if ! read -r -n 1 -t 0.1 -u "${WAITING[$SUITE]}"; then
		for suite in "${!TOKENS[@]}"; do
			[[ $suite == "$SUITE" ]] || to=$suite
		done
	fi
	printf + >&"${TOKENS[$to]}"
}

# share_guests SUITE...: make as many tokens as guests may run at once, and share them among the
# suites. The first suite gets the odd one.
share_guests() {
	local suite guests=$GUESTS unserved=$#
	SHARE=() TOKENS=() WAITING=()
	for suite; do
		SHARE[$suite]=$(((guests + unserved - 1) / unserved))
		guests=$((guests - SHARE[$suite])) unserved=$((unserved - 1))
		open_fifo "$suite.tokens"
		TOKENS[$suite]=$FIFO
		open_fifo "$suite.waiting"
		WAITING[$suite]=$FIFO
	done
}

# open_fifo NAME: make a FIFO and open it. Its number is in $FIFO.
open_fifo() {
	rm -f "$TOP/out/$1"
	mkfifo "$TOP/out/$1"
	exec {FIFO}<>"$TOP/out/$1"
}

# Let the queued jobs begin, and print the output of all jobs. Fail if one of them fails.
finish_jobs() {
	local i
	for ((i = 0; i < SHARE[$SUITE]; i++)); do pass_token; done
	for i in "${!JOBS[@]}"; do
		follow "${JOBS[i]}" "${JOB_FILES[i]}"
		join "${JOBS[i]}"
	done
}

# One guest for each processor and two more, if there is room.
how_many_guests() {
	local available room guests
	available=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
	room=$((available / GUEST_MEMORY)) guests=$(($(nproc) + 2))
	((guests <= room)) || guests=$room
	echo $((guests > 1 ? guests : 1))
}

# --- Running --------------------------------------------------------------

# Print the lines of KTAP about one kernel, and note how each test ended.
judge() {
	local line
	PASSED=() FAILED=() SKIPPED=()
	while IFS= read -r line; do
		printf '%s\n' "$line"
		case $line in
		"# kernel: "*) RELEASE=${line#"# kernel: "} ;;
		"ok "*"# SKIP"*) SKIPPED+=("$(cut -d' ' -f3 <<<"$line")") ;;
		"ok "*) PASSED+=("$(cut -d' ' -f3 <<<"$line")") ;;
		"not ok "*) FAILED+=("$(cut -d' ' -f4 <<<"$line")") ;;
		esac
	done
	echo "# kernel: $RELEASE: ${#PASSED[@]} passed, ${#FAILED[@]} failed, ${#SKIPPED[@]} skipped"
	ALL_PASSED+=("${PASSED[@]}")
	ALL_SKIPPED+=("${SKIPPED[@]}")
	ALL_FAILED+=("${FAILED[@]/#/$RELEASE:}")
}

# These tests are about the sources, and need the tools of Debian 13.
run_host_tests() {
	local name number=0 log=$OUT/host.log
	if [[ $(codename_of "$KERNEL_NAME") != trixie ]]; then
		printf 'ok - %s # SKIP it needs the tools of Debian 13, that is KERNEL=7.x\n' "$@"
		return
	fi
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

# common_arguments ARGUMENTS: what the kernel is told in each boot besides these. Unit tests would
# run whenever the module is loaded, so they are switched off in all boots but their own. Without
# kasan_multi_shot, KASAN would report only the first fault.
common_arguments() {
	! has_option CONFIG_KUNIT=y || [[ $1 == *kunit.enable=* ]] || echo kunit.enable=0
	! has_option CONFIG_KASAN=y || echo kasan_multi_shot
	! has_option CONFIG_DEBUG_KMEMLEAK=y || [[ $1 == *kmemleak=on* ]] || echo kmemleak=off
}

# Is the boot void? It is if it failed for a reason that is not the module's: its clock is wrong, or
# it ended before its first test and before the kernel had loaded the module.
is_void() {
	! grep -q '^ *# Subtest: ' "$WORK/results.ktap" &&
		{ grep -q '^Bail out!' "$WORK/results.ktap" ||
			! grep -q 'kmod_rs: loading out-of-tree module' "$WORK/console.log"; }
}

# boot_once ARGUMENTS: boot a guest. Its output is printed and kept.
boot_once() {
	# shellcheck disable=SC2086 # Several arguments.
	"$TOP/scripts/guest/vm.sh" --timeout "$((VM_TIMEOUT * SLOWER))" "${MACHINE[@]}" \
		"$KERNEL_DIRECTORY" "$OVERLAY" "$WORK" \
		log_buf_len=4M $1 | tee "$WORK/results.ktap" || true
}

# boot ARGUMENTS NAME...: run these tests in one guest, whose processors take turns in all of them or
# in none. run.sh adds the test `clock` and, if kmemleak watches, the test `kmemleak`. A void boot is
# repeated once. Nothing else is repeated.
boot() {
	local arguments=$1 name names
	shift
	names=("$@" clock)
	[[ $arguments != *kmemleak=on* ]] || names+=(kmemleak)
	new_overlay "guest-$1"
	MACHINE=() MACHINE_ARGUMENTS=""
	! takes_turns "$1" || MACHINE+=(--in-turn)
	! is_debian "$1" || debian_files
	! uses_command "$@" || command_files
	printf '#!/bin/bash\nFULL=%s SLOWER=%s %s exec bash /kmod_rs/run.sh %s\n' \
		"$FULL" "$SLOWER" "${GUEST_SETTINGS:-}" "$*" >"$OVERLAY/kmod_rs/run"
	chmod +x "$OVERLAY/kmod_rs/run"

	say "booting $RELEASE ${arguments:+($arguments) }for $# tests"
	arguments+=" $MACHINE_ARGUMENTS $(common_arguments "$arguments" | xargs)"
	boot_once "$arguments"
	if is_void; then
		mv "$WORK/console.log" "$WORK/console-void.log"
		echo "# this boot ended before its first test and is repeated; its console is in $WORK/console-void.log"
		boot_once "$arguments"
	fi
	rm -f "$WORK/initrd"

	for name in "${names[@]}"; do
		! grep -Eq "^(not )?ok [0-9]+ $name( |$)" "$WORK/results.ktap" || continue
		tail -n 30 "$WORK/console.log" | sed 's/^/    # /'
		echo "not ok - $name # the guest ended before this test did; its console is in $WORK/console.log"
	done
}

# run_debian_tests NAME...: run each in a boot of its own, after one boot without the module.
run_debian_tests() {
	local name
	"$TOP/scripts/setup/debian-root.sh" "$KERNEL_NAME"
	say "booting $RELEASE, a whole Debian without the module"
	debian_without
	for name in "$@"; do
		boot "kmod_rs.load $(arguments_of "$name" | xargs)" "$name"
	done
}

# queue_together ARGUMENTS NAME...: share the tests out among as many boots as can run at once. Each
# boot has at most one test that is to be its first, and one that is to be its last.
queue_together() {
	local arguments=$1 first last others boots i names name
	shift
	mapfile -t first < <(placed first "$@")
	mapfile -t last < <(placed last "$@")
	mapfile -t others < <(placed "" "$@")
	boots=$(((${#others[@]} + TESTS_PER_BOOT - 1) / TESTS_PER_BOOT))
	((boots <= GUESTS)) || boots=$GUESTS
	for ((i = 0; i < boots; i++)); do
		mapfile -t names < <(printf '%s\n' "${others[@]}" | awk -v boots="$boots" -v i="$i" 'NR % boots == i')
		names=("${first[@]:i:1}" "${names[@]}" "${last[@]:i:1}")
		queue "tests-with-${names[0]}" boot "$arguments" "${names[@]}"
	done
	for name in "${first[@]:boots}" "${last[@]:boots}"; do
		queue "test-$name" boot "$arguments" "$name"
	done
}

# queue_guest_tests NAME...: queue the tests together, except those that get a boot of their own.
queue_guest_tests() {
	local together=() alone=() name watched in_turn names
	for name in "$@"; do
		if skipped "$name"; then
			continue
		elif is_left_out "$name"; then
			echo "ok - $name # SKIP with this kernel only in make test-full, or with T=$name"
		elif [[ ! $(boot_of "$name") =~ ^(first|last|)$ ]]; then
			alone+=("$name")
		else
			together+=("$name")
		fi
	done
	# Those that are watched take longest, so they come first.
	for watched in yes no; do
		[[ $watched == yes || $SUITE != debug* ]] || give_way
		for in_turn in no yes; do
			mapfile -t names < <(like "$in_turn" takes_turns "${together[@]}")
			mapfile -t names < <(like "$watched" is_watched "${names[@]}")
			queue_together "$([[ $watched == no ]] || echo "$WATCHED")" "${names[@]}"
		done
	done
	for name in "${alone[@]}"; do
		queue "test-$name" boot "$(arguments_of "$name" | xargs)" "$name"
	done
}

# begin SLOWER: begin the tests on the kernel in use, which takes SLOWER times as long as Debian's.
begin() {
	SLOWER=$1
	echo "# kernel: $RELEASE"
	step "building for $RELEASE" make_all
}

# give_way: run with a lower priority from now on.
give_way() {
	renice --priority 5 --pid "$BASHPID" >/dev/null
}

test_stock() {
	local name debian=()
	SUITE=stock
	begin 1
	((${#HOST_TESTS[@]} == 0)) || start host-tests run_host_tests "${HOST_TESTS[@]}"
	queue_guest_tests "${GUEST_TESTS[@]}"
	for name in "${DEBIAN_TESTS[@]}"; do
		if skipped "$name"; then
			continue
		elif ! is_installed "$name"; then
			debian+=("$name")
		elif [[ $(codename_of "$KERNEL_NAME") != trixie ]]; then
			echo "ok - $name # SKIP there are packages for Debian 13 only, that is KERNEL=7.x"
		else
			queue "test-$name" run_installed_test "$name"
		fi
	done
	((${#debian[@]} == 0)) || queue debian-tests run_debian_tests "${debian[@]}"
	finish_jobs
}

# test_debugging SUITE [rt]: run the tests on a kernel that debug-kernel.sh makes.
test_debugging() {
	SUITE=$1
	export KMOD_RS_ASIDE=1
	(give_way && exec "$TOP/scripts/setup/debug-kernel.sh" "$KERNEL_NAME" "${@:2}")
	use_kernel "$KERNEL_NAME-debug${2:+-$2}"
	begin "$DEBUG_SLOWER"
	queue_guest_tests "${GUEST_TESTS[@]}"
	finish_jobs
}

test_debug() {
	test_debugging debug
}

test_debug_rt() {
	test_debugging debug_rt rt
}

# There is a debugging kernel only for the usual flavour of a kernel for Debian 13.
check_debug() {
	[[ $DEBUG != no && ${KERNEL:-} ]] && ! is_minor "$KERNEL" || return 0
	check_name "$KERNEL"
	[[ $DEBUG == yes ]] ||
		die "there is no debugging kernel for KERNEL=$KERNEL: use DEBUG=no, or a KERNEL that is one of: $MINORS"
	say "KERNEL=$KERNEL has no debugging kernel: only Debian's own is tested"
	DEBUG=no
}

# run_suites SUITE...: run at most two suites side by side.
run_suites() {
	local pids=() suite i suites=("$@")
	share_guests "${suites[@]}"
	for suite in "${suites[@]}"; do
		aside "$TOP/out/$suite.ktap" "test_$suite"
		pids+=("$!")
	done
	for i in "${!suites[@]}"; do
		judge < <(follow "${pids[i]}" "$TOP/out/${suites[i]}.ktap")
		join "${pids[i]}"
	done
}

# The tests that no kernel has run. A test that one kernel skips may have run on the other one.
never_run() {
	comm -23 <(printf '%s\n' "${ALL_SKIPPED[@]}" | sort -u) \
		<(printf '%s\n' "${ALL_PASSED[@]}" "${ALL_FAILED[@]##*:}" | sort -u) | sed '/^$/d'
}

main() {
	local suites=() skipped
	FULL="" GUESTS=${GUESTS:-$(how_many_guests)}
	[[ ${1:-} != --full ]] || FULL=1
	VM_TIMEOUT=${VM_TIMEOUT:-$((${FULL:-0} ? 36000 : 3600))}
	[[ ${DEBUG:=yes} =~ ^(yes|no|only|rt)$ ]] ||
		die "DEBUG=$DEBUG is unknown: DEBUG=no leaves out the debugging kernels, DEBUG=only uses only the debugging kernel, DEBUG=rt only the one with PREEMPT_RT"
	check_names
	mapfile -t HOST_TESTS < <(host_tests | wanted | in_this_run)
	mapfile -t GUEST_TESTS < <(
		guest_tests | wanted
		[[ ! ${T:-} ]] || long_tests | wanted
	)
	mapfile -t DEBIAN_TESTS < <([[ ! ${T:-} && ! $FULL ]] || debian_tests | wanted)

	check_debug
	prepare_kernel
	! uses_command "${GUEST_TESTS[@]}" "${DEBIAN_TESTS[@]}" || "$TOP/scripts/command.sh" --program
	mkdir -p "$TOP/out"
	[[ $DEBUG == @(only|rt) ]] || suites+=(stock)
	[[ $DEBUG == @(no|rt) || ${#GUEST_TESTS[@]} == 0 ]] || suites+=(debug)
	((${#suites[@]} == 0)) || run_suites "${suites[@]}"
	# This comes last: it would take processor time from tests that measure time.
	if [[ ${#GUEST_TESTS[@]} != 0 && ($DEBUG == rt || ($FULL && $DEBUG != no)) ]]; then
		run_suites debug_rt
	fi

	((${#ALL_FAILED[@]} == 0)) || echo "# failed: ${ALL_FAILED[*]}"
	skipped=$(never_run | wc -l)
	echo "${#ALL_PASSED[@]} passed, ${#ALL_FAILED[@]} failed$( ((skipped == 0)) || echo ", $skipped skipped")"
	((${#ALL_PASSED[@]} > 0 && ${#ALL_FAILED[@]} == 0))
}

main "$@"
