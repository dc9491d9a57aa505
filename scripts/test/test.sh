#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run the tests: those in tests/host here, those in tests/guest in guests, with Debian's
# kernel and, unless DEBUG=no, with the debugging one of the same source. With --full,
# or with DEBUG=rt and then on no other, they run after that on the debugging one with
# PREEMPT_RT. What they say, in KTAP, is printed and kept below out/; the last line is
# "N passed, N failed", counted in tests, and "N skipped" after that if some could run on
# no kernel that was asked for. A guest that dies fails the tests that it had not yet run.
#
# A guest often waits, so GUESTS run side by side, half of them with each kernel while both
# have tests that wait. What is printed is in order all the same. The debugging kernel gets
# less processor time than the other one, some tests of which measure time, but for the boot
# that takes longest.
#
# With a kernel of Debian testing there are no tests of tests/host, and with any but the
# usual flavour of a kernel for Debian 13 there is no debugging one.
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

VM_TIMEOUT=${VM_TIMEOUT:-3600}
# The debugging kernel does everything so much slower.
DEBUG_SLOWER=4
# In kB: what a guest takes, at most.
GUEST_MEMORY=$((4 << 20))
# A boot has to be worth it.
TESTS_PER_BOOT=8

# The names of the tests: of the kernel that is tested, and of all.
PASSED=() FAILED=() SKIPPED=()
ALL_PASSED=() ALL_FAILED=() ALL_SKIPPED=()

# --- What is tested -------------------------------------------------------

host_tests() {
	find "$TOP/tests/host" -name '*.sh' -printf '%f\n' | sed 's/\.sh$//' | sort
}

guest_tests() {
	find "$TOP/tests/guest" -name '*.sh' -printf '%f\n' | sed 's/\.sh$//' | sort
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
	for file in "$TOP"/tests/{guest/*,long,debian}/"$1.sh"; do
		[[ ! -f $file ]] || echo "$file"
	done
}

is_debian() {
	[[ -f $TOP/tests/debian/$1.sh ]]
}

# What a test wants of its boot: to be "first" or "last" of those that share it, or
# "alone", or kernel arguments, and to be alone: "# Boot: ...".
boot_of() {
	sed -n 's/^# Boot: //p' "$(file_of "$1")"
}

# placed WHERE NAME...: those of them that are to be there.
placed() {
	local where=$1 name
	shift
	for name; do
		[[ $(boot_of "$name") != "$where" ]] || echo "$name"
	done
}

# The arrays from which SLUB hands out objects keep their addresses, which are references
# for kmemleak; with SLUB's checks on there are no such arrays.
WATCHED="kmemleak=on slab_debug=F"

arguments_of() {
	boot_of "$1" | sed -E '/^(first|last|alone)$/d'
	! is_watched "$1" || echo "$WATCHED"
}

# Whether the debugging kernels run it only with --full, or when it is asked for by name:
# "# Debug: --full". Which path of the module it goes is gone by others, too.
is_left_out() {
	[[ $SUITE == debug* && ! $FULL && ! ${T:-} ]] && grep -qx '# Debug: --full' "$(file_of "$1")"
}

# Whether kmemleak watches: "# Watch: kmemleak". With it all takes two to three times as
# long, so it is on in the boots of these tests, and with --full in all.
is_watched() {
	has_option CONFIG_DEBUG_KMEMLEAK=y &&
		{ [[ $FULL ]] || grep -qx '# Watch: kmemleak' "$(file_of "$1")"; }
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

# skipped NAME: if the kernel lacks something for this test, says so in KTAP; else fails.
skipped() {
	local missing
	missing=$(lacks "$1" | xargs)
	[[ $missing ]] && echo "ok - $1 # SKIP the kernel has no ${missing// /, }"
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

# --- Side by side ---------------------------------------------------------

# aside FILE COMMAND...: start it as a process group of its own, which cleans up
# like the script itself; what it prints comes to the file.
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

# follow PID FILE: what was started aside, as it comes, to its end.
follow() {
	tail --pid="$1" --sleep-interval=0.2 --lines=+1 --follow "$2"
}

# Jobs, each an index of JOBS, are run side by side; one that runs a guest needs a token
# for that. What they print comes in the order in which they were started.
JOBS=() JOB_FILES=()
# Of each suite: how many tokens it has at first, and the numbers of two open FIFOs: one with
# tokens, one with a character for each job that nobody has put a token there for.
declare -A SHARE=() TOKENS=() WAITING=()

# start NAME COMMAND...: at once.
start() {
	local file=$OUT/$1.ktap
	shift
	aside "$file" "$@"
	JOBS+=("$!") JOB_FILES+=("$file")
}

# queue NAME COMMAND...: as soon as a guest may run.
queue() {
	printf . >&"${WAITING[$SUITE]}"
	start "$1" with_token "${@:2}"
}

with_token() {
	read -r -n 1 -u "${TOKENS[$SUITE]}"
	"$@"
	pass_token
}

# To one who waits in this suite, or else to the other suite, if there is one.
pass_token() {
	local to=$SUITE suite
	if ! read -r -n 1 -t 0.1 -u "${WAITING[$SUITE]}"; then
		for suite in "${!TOKENS[@]}"; do
			[[ $suite == "$SUITE" ]] || to=$suite
		done
	fi
	printf + >&"${TOKENS[$to]}"
}

# share_guests SUITE...: as many tokens as guests may run at once, the first suite having
# the odd one.
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

# open_fifo NAME: its number is in $FIFO.
open_fifo() {
	rm -f "$TOP/out/$1"
	mkfifo "$TOP/out/$1"
	exec {FIFO}<>"$TOP/out/$1"
}

# Lets those begin that are queued, and prints what all jobs print; fails if one does.
finish_jobs() {
	local i
	for ((i = 0; i < SHARE[$SUITE]; i++)); do pass_token; done
	for i in "${!JOBS[@]}"; do
		follow "${JOBS[i]}" "${JOB_FILES[i]}"
		join "${JOBS[i]}"
	done
}

# One for each processor and one more, if there is room.
how_many_guests() {
	local available room guests
	available=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
	room=$((available / GUEST_MEMORY)) guests=$(($(nproc) + 1))
	((guests <= room)) || guests=$room
	echo $((guests > 1 ? guests : 1))
}

# --- Running --------------------------------------------------------------

# Files the lines of KTAP that say how a test ended; of one kernel.
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

# They are about the sources, and take the tools of Debian 13.
run_host_tests() {
	local name number=0 log=$OUT/host.log
	if [[ $(codename_of "$KERNEL_NAME") != trixie ]]; then
		printf 'ok - %s # SKIP with the tools of Debian 13 only, that is with KERNEL=7.x\n' "$@"
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

# What a kernel is told in each boot. Unit tests would run whenever the module is
# loaded, so all boots but theirs say that they shall not. KASAN would only report
# the first mistake that it sees.
common_arguments() {
	! has_option CONFIG_KUNIT=y || [[ $1 == *kunit.enable=* ]] || echo kunit.enable=0
	! has_option CONFIG_KASAN=y || echo kasan_multi_shot
	! has_option CONFIG_DEBUG_KMEMLEAK=y || [[ $1 == *kmemleak=on* ]] || echo kmemleak=off
}

# Whether a boot has come to nothing for a reason that is not ours: its clock is wrong, or it
# ended before its first test and before the kernel had loaded the module.
is_void() {
	! grep -q '^ *# Subtest: ' "$WORK/results.ktap" &&
		{ grep -q '^Bail out!' "$WORK/results.ktap" ||
			! grep -q 'kmod_rs: loading out-of-tree module' "$WORK/console.log"; }
}

# boot_once ARGUMENTS: what the guest prints, which is kept as well.
boot_once() {
	# shellcheck disable=SC2086 # Several arguments.
	"$TOP/scripts/guest/vm.sh" --timeout "$((VM_TIMEOUT * SLOWER))" "${MACHINE[@]}" "$KERNEL_DIRECTORY" "$OVERLAY" "$WORK" \
		log_buf_len=4M $1 | tee "$WORK/results.ktap" || true
}

# boot ARGUMENTS NAME...: run these tests in one guest. run.sh adds one for the clock and, if
# kmemleak watches, one for it. A void boot is repeated, once, and nothing else is.
boot() {
	local arguments=$1 name names
	shift
	names=("$@" clock)
	[[ $arguments != *kmemleak=on* ]] || names+=(kmemleak)
	new_overlay "guest-$1"
	MACHINE=() MACHINE_ARGUMENTS=""
	! is_debian "$1" || debian_files
	printf '#!/bin/bash\nFULL=%s SLOWER=%s %s exec bash /kmod_rs/run.sh %s\n' \
		"$FULL" "$SLOWER" "${GUEST_SETTINGS:-}" "$*" >"$OVERLAY/kmod_rs/run"
	chmod +x "$OVERLAY/kmod_rs/run"

	say "booting $RELEASE ${arguments:+($arguments) }for $# tests"
	arguments+=" $MACHINE_ARGUMENTS $(common_arguments "$arguments" | xargs)"
	boot_once "$arguments"
	if is_void; then
		mv "$WORK/console.log" "$WORK/console-void.log"
		echo "# booted again, as that ended before its first test; its console is in $WORK/console-void.log"
		boot_once "$arguments"
	fi
	rm -f "$WORK/initrd"

	for name in "${names[@]}"; do
		! grep -Eq "^(not )?ok [0-9]+ $name( |$)" "$WORK/results.ktap" || continue
		tail -n 30 "$WORK/console.log" | sed 's/^/    # /'
		echo "not ok - $name # the guest ended before; its console is in $WORK/console.log"
	done
}

# run_debian_tests NAME...: in boots of their own, after one without the module.
run_debian_tests() {
	local name
	"$TOP/scripts/setup/debian-root.sh" "$KERNEL_NAME"
	say "booting $RELEASE, a whole Debian without the module"
	debian_without
	for name in "$@"; do
		boot "kmod_rs.load $(arguments_of "$name" | xargs)" "$name"
	done
}

# queue_together ARGUMENTS NAME...: in as many boots as can run at once, by turns. Each of
# these has at most one test that is to be its first, and one that is to be its last.
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

# queue_guest_tests NAME...: but for those that want a boot of their own, together.
queue_guest_tests() {
	local together=() watched=() alone=() name
	for name in "$@"; do
		if skipped "$name"; then
			continue
		elif is_left_out "$name"; then
			echo "ok - $name # SKIP with this kernel only in make test-full, or with T=$name"
		elif [[ ! $(boot_of "$name") =~ ^(first|last|)$ ]]; then
			alone+=("$name")
		elif is_watched "$name"; then
			watched+=("$name")
		else
			together+=("$name")
		fi
	done
	# These take longest, so they come first.
	queue_together "$WATCHED" "${watched[@]}"
	[[ $SUITE != debug* ]] || give_way
	queue_together "" "${together[@]}"
	for name in "${alone[@]}"; do
		queue "test-$name" boot "$(arguments_of "$name" | xargs)" "$name"
	done
}

# begin SLOWER: the tests with the kernel in use, on a machine that takes so many
# times as long.
begin() {
	SLOWER=$1
	echo "# kernel: $RELEASE"
	step "building for $RELEASE" make_all
}

# give_way: to what else runs here, from now on.
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
		skipped "$name" || debian+=("$name")
	done
	((${#debian[@]} == 0)) || queue debian-tests run_debian_tests "${debian[@]}"
	finish_jobs
}

# test_debugging SUITE [rt]: as debug-kernel.sh makes it.
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

# There is a debugging kernel of the usual flavour, with the tools of Debian 13.
check_debug() {
	[[ $DEBUG != no && ${KERNEL:-} ]] && ! is_minor "$KERNEL" || return 0
	check_name "$KERNEL"
	[[ $DEBUG == yes ]] ||
		die "there is no debugging kernel for KERNEL=$KERNEL: use DEBUG=no, or one of: $MINORS"
	say "KERNEL=$KERNEL has no debugging kernel: only Debian's own is tested"
	DEBUG=no
}

# run_suites SUITE...: side by side, at most two.
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

# Tests that one kernel lacks something for and the other does not have been run.
never_run() {
	comm -23 <(printf '%s\n' "${ALL_SKIPPED[@]}" | sort -u) \
		<(printf '%s\n' "${ALL_PASSED[@]}" "${ALL_FAILED[@]##*:}" | sort -u) | sed '/^$/d'
}

main() {
	local suites=() skipped
	FULL="" GUESTS=${GUESTS:-$(how_many_guests)}
	[[ ${1:-} != --full ]] || FULL=1
	[[ ${DEBUG:=yes} =~ ^(yes|no|only|rt)$ ]] ||
		die "DEBUG=$DEBUG means nothing: DEBUG=no leaves out the debugging kernels, DEBUG=only all others, DEBUG=rt all but the one with PREEMPT_RT"
	check_names
	mapfile -t HOST_TESTS < <(host_tests | wanted)
	mapfile -t GUEST_TESTS < <(
		guest_tests | wanted
		[[ ! ${T:-} ]] || long_tests | wanted
	)
	mapfile -t DEBIAN_TESTS < <([[ ! ${T:-} && ! $FULL ]] || debian_tests | wanted)

	check_debug
	prepare_kernel
	mkdir -p "$TOP/out"
	[[ $DEBUG == @(only|rt) ]] || suites+=(stock)
	[[ $DEBUG == @(no|rt) || ${#GUEST_TESTS[@]} == 0 ]] || suites+=(debug)
	((${#suites[@]} == 0)) || run_suites "${suites[@]}"
	# Not before the others are done: it would take the time from those that measure it.
	if [[ ${#GUEST_TESTS[@]} != 0 && ($DEBUG == rt || ($FULL && $DEBUG != no)) ]]; then
		run_suites debug_rt
	fi

	((${#ALL_FAILED[@]} == 0)) || echo "# failed: ${ALL_FAILED[*]}"
	skipped=$(never_run | wc -l)
	echo "${#ALL_PASSED[@]} passed, ${#ALL_FAILED[@]} failed$( ((skipped == 0)) || echo ", $skipped skipped")"
	((${#ALL_PASSED[@]} > 0 && ${#ALL_FAILED[@]} == 0))
}

main "$@"
