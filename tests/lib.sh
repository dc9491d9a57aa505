# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What the tests share. Each of them sources this file, in the guest.
#
# A test first says how many points it has (plan), then for each point whether it passed (pass,
# fail, is, ...), in KTAP. A test may leave changed whatever it changes: on its way out the patch is
# given back, the path of modprobe is restored, and helpers that hold are let go.

# shellcheck source=/dev/null
. /selftests/kselftest/ktap_helpers.sh
# shellcheck source=tests/complaints.sh
. "$(dirname "${BASH_SOURCE[0]}")/complaints.sh"

# shellcheck disable=SC2034 # For the tests.
KNOBS=/proc/sys/kernel/kmod_rs LIMIT=/proc/sys/kernel/kmod-limit
MODPROBE=/proc/sys/kernel/modprobe
LIVEPATCH=/sys/kernel/livepatch/kmod_rs
HELPER=/kmod_rs/helper
TRACING=/sys/kernel/tracing
RECORDS=/sys/kernel/debug/kmod_rs
# How many times as long things take here as on a stock kernel.
SLOWER=${SLOWER:-1}
TIMEOUT=${TIMEOUT:-$((180 * SLOWER))}

# errno and wait status as request_module() returns them.
# shellcheck disable=SC2034 # For the tests.
EPERM=-1 ENOENT=-2 ENOEXEC=-8 ENOMEM=-12 EACCES=-13 EBUSY=-16 EINVAL=-22 ENAMETOOLONG=-36 \
	ETIME=-62 ERESTARTSYS=-512 NOT_FOUND=256

# --- Points ---------------------------------------------------------------

plan() {
	ktap_set_plan "$1"
}

pass() {
	ktap_test_pass "$*"
}

# fail WHAT [MORE...]: the point has failed. The lines MORE explain it.
fail() {
	local line
	ktap_test_fail "$1"
	shift
	for line in "$@"; do
		printf '# %s\n' "${line//$'\n'/$'\n'# }"
	done
}

# is WHAT GOT EXPECTED
is() {
	if [[ $2 == "$3" ]]; then pass "$1"; else fail "$1" "expected: $3" "got:      $2"; fi
}

# matches WHAT GOT REGEX
matches() {
	if [[ $2 =~ $3 ]]; then pass "$1"; else fail "$1" "expected to match: $3" "got: $2"; fi
}

# holds WHAT COMMAND...: the command succeeds.
holds() {
	local what=$1 output
	shift
	if output=$("$@" 2>&1); then pass "$what"; else fail "$what" "failed: $*" "$output"; fi
}

# Ends each test. Exits with its result: each point of the plan has passed, and nothing outside of
# it has failed.
finish() {
	# shellcheck disable=SC2034 # For ktap_finished.
	((KTAP_CNT_FAIL == 0)) || KSFT_NUM_TESTS=-1
	ktap_finished
}

# --- Waiting --------------------------------------------------------------

# Nothing is ever written to it.
exec {SILENCE}<> <(:)

# pause MICROSECONDS: pauses without starting a program, which on some kernels takes many times as
# long as a short pause.
pause() {
	local seconds
	printf -v seconds '%d.%06d' $(($1 / 1000000)) $(($1 % 1000000))
	! read -r -t "$seconds" -u "$SILENCE"
}

# await COMMAND...: repeats the command until it succeeds. For conditions that give no event to wait
# for. The command takes the processor from what is waited for, so each pause is an eighth of the
# time that has passed, and at least 20 ms, or more where everything is slower.
await() {
	local start=${EPOCHREALTIME/./} least=$((20000 * SLOWER)) waited
	until "$@" >/dev/null 2>&1; do
		waited=$((${EPOCHREALTIME/./} - start))
		if ((waited >= TIMEOUT * 1000000)); then
			ktap_print_msg "gave up after $TIMEOUT s waiting for: $*"
			return 1
		fi
		pause $((waited / 8 > least ? waited / 8 : least))
	done
}

# often N: prints how often to do what shows a mistake only now and then. This is a fourth of N
# where everything is slower, but at least once, and five times as often with FULL=1.
often() {
	local times=$(($1 * (${FULL:-0} ? 5 : 1) / (SLOWER > 1 ? 4 : 1)))
	echo $((times > 0 ? times : 1))
}

# Prints the time in milliseconds.
now() {
	echo $((${EPOCHREALTIME/./} / 1000))
}

# timed COMMAND...: runs the command. Its output is in $OUTPUT, the milliseconds that it took are in
# $TOOK.
timed() {
	local start
	start=$(now)
	# shellcheck disable=SC2034 # For the tests.
	OUTPUT=$("$@" 2>&1)
	# shellcheck disable=SC2034 # For the tests.
	TOOK=$(($(now) - start))
}

# --- The patch ------------------------------------------------------------

is_loaded() {
	[[ -d /sys/module/kmod_rs ]]
}

settled() {
	[[ $(<"$LIVEPATCH/transition") == 0 ]]
}

released() {
	[[ ! -e $LIVEPATCH && $(</sys/module/kmod_rs/refcnt) == 0 ]]
}

# Says which tasks the livepatch waits for, of the first ten.
stalled() {
	local task old
	[[ -e $LIVEPATCH ]] || return
	# 0 or 1; -1 is a task that has nothing to wait for.
	old=$((1 - $(<"$LIVEPATCH/enabled")))
	for task in /proc/[0-9]*/task/[0-9]*; do
		[[ $(<"$task/patch_state") == "$old" ]] &&
			ktap_print_msg "still to be switched: $(<"$task/comm")[${task##*/}] $(head -n 8 "$task/stack" | xargs)"
	done 2>/dev/null | head -n 10
	return 1
}

# The module gives up some waits after 5 s. Here it does not, unless a test sets DEFAULTS before it
# sources this file, because how long anything takes depends on the machine.
take_over() {
	if ! is_loaded; then
		insmod /kmod_rs/kmod-rs.ko || return
		[[ ${DEFAULTS:-} ]] || be_patient
	fi
	await settled || stalled
}

be_patient() {
	echo 3600000 >"$KNOBS/busy_timeout_ms"
	echo 3600000 >"$KNOBS/coalesce_timeout_ms"
}

give_back() {
	is_loaded || return 0
	if [[ -e $LIVEPATCH && $(<"$LIVEPATCH/enabled") == 1 ]]; then
		{ await settled || stalled; } && echo 0 >"$LIVEPATCH/enabled" || return
	fi
	{ await released || stalled; } && rmmod kmod_rs
}

# references N: true if there are that many references on the module.
references() {
	[[ $(</sys/module/kmod_rs/refcnt) == "$1" ]]
}

# patch on, patch off
patch() {
	if [[ $1 == on ]]; then take_over; else give_back; fi || fail "patch $1"
}

# is_patched PID: true if this task calls Rust while the patch is in transition.
is_patched() {
	[[ $(<"/proc/$1/patch_state") == 1 ]]
}

# served FUNCTION N: true if more than N requests have come there since count_calls.
served() {
	(($(calls "$1") > $2))
}

# switch_rounds ROUNDS N: takes over and gives back ROUNDS times. Each waits for more than N
# requests, which other tasks make. Two points a round.
switch_rounds() {
	local round
	for ((round = 1; round <= $1; round++)); do
		patch on
		count_calls kmod_rs_request_module
		holds "requests come to Rust, $round" await served kmod_rs_request_module "$2"
		forget_calls
		# This waits until refcnt is 0, and fails if the module cannot be removed.
		patch off
		count_calls security_kernel_module_request
		holds "requests come to C, $round" await served security_kernel_module_request "$2"
		forget_calls
	done
}

# same_as_c FUNCTION EXPECTED: the function prints EXPECTED with the patch off and with it on. Two
# points.
same_as_c() {
	local how
	for how in off on; do
		patch "$how"
		is "$1, patch $how" "$("$1")" "$2"
	done
}

# --- Requests -------------------------------------------------------------

# ask HOW NAME: prints what request_module() returned, with HOW as in kmod_ask.c.
ask() {
	local answer
	exec {ASK}<>/dev/kmod_ask || return
	if printf '%s %s' "$1" "$2" >&"$ASK"; then
		read -r answer <&"$ASK"
		echo "$answer"
	else
		echo "not asked"
	fi
	exec {ASK}>&-
}

# ask_in_background HOW NAME: makes the request from a process of its own, whose id is in $ASKER.
# The answer comes to /tmp/answers/ID, which is empty until then.
ask_in_background() {
	[[ -d /tmp/answers ]] || mkdir /tmp/answers
	(
		# The process must not take events from the test.
		exec 8>&- 9>&-
		# SIGTERM has a handler, so it does not kill.
		trap : TERM
		ask "$1" "$2" >"/tmp/answers/$BASHPID"
	) &
	# shellcheck disable=SC2034 # For the tests.
	ASKER=$!
}

# kill_asker ID: kills the process and waits until it is dead. Its helper need not be.
kill_asker() {
	# The shell writes a message about it as well.
	{ kill -KILL "$1" && await is_gone "$1" && wait "$1"; } 2>/dev/null
}

# is_gone PID: true if the process is gone. A child of this shell is gone as soon as it has ended.
is_gone() {
	[[ ! -e /proc/$1 ]]
}

# result_of ID: prints what request_module() returned to this task, which has made its request with
# "v" and may have been killed. Waits until that is known.
result_of() {
	await logged "kmod_ask: pid=$1 .*result=" &&
		log | sed -n "s/^kmod_ask: pid=$1 .*result=//p"
}

# answer_of ID: waits for the answer and prints it.
answer_of() {
	local answer=""
	await is_answered "$1"
	[[ ! -e /tmp/answers/$1 ]] || answer=$(<"/tmp/answers/$1")
	echo "${answer:-no answer}"
}

is_answered() {
	[[ -s /tmp/answers/$1 ]] || is_gone "$1"
}

# in_queue N: true if that many tasks wait in the kernel for a slot. The stack of a task that sleeps
# begins where it called the scheduler or a lock.
in_queue() {
	local waiters
	mapfile -t waiters < <(/usr/bin/grep -lzP '(?m)\A.*(\[kmod_rs\]$|late_wait\+|__request_module\+|down_timeout\+)' \
		/proc/[0-9]*/stack 2>/dev/null)
	((${#waiters[@]} == $1))
}

# --- The helper -----------------------------------------------------------

# Makes requests run tests/programs/helper.c, and listens to it.
use_helper() {
	echo "$HELPER" >"$MODPROBE"
	rm -f /tmp/events
	mkfifo /tmp/events
	exec 8<>/tmp/events
}

# Makes requests run it, but does not listen: for large numbers of helpers.
use_silent_helper() {
	echo "$HELPER" >"$MODPROBE"
	rm -f /tmp/events
}

# event WHAT NAME: waits for "start" or "end" of the helper for NAME, and drops other events. The
# helper's process id is in $EVENT_PID.
event() {
	local what name
	# shellcheck disable=SC2034 # For the tests.
	while read -r -t "$TIMEOUT" what EVENT_PID name <&8; do
		[[ $what == "$1" && $name == "$2" ]] && return
	done
	ktap_print_msg "no $1 of a helper for $2 in $TIMEOUT s"
	return 1
}

# started N [NAMES]: waits for the start of that many helpers whose names match the pattern, and
# drops other events.
started() {
	local what name left=$1
	while ((left > 0)); do
		if ! read -r -t "$TIMEOUT" what _ name <&8; then
			ktap_print_msg "$left of $1 helpers did not start in $TIMEOUT s"
			return 1
		fi
		# shellcheck disable=SC2053 # A pattern.
		[[ $what != start || $name != ${2:-*} ]] || left=$((left - 1))
	done
}

# Prints which helpers have started or ended since the last call: "WHAT NAME" in lines, in order.
events() {
	local what name
	while read -r -t 0 <&8 && read -r what _ name <&8; do
		echo "$what $name"
	done
}

# hold N [NAME]: makes that many requests whose helpers wait at the gate. NAME tells them from
# others. Close the gate before.
hold() {
	local i
	for ((i = 0; i < $1; i++)); do
		ask_in_background w "hold-${2:-}$i"
	done
	# Helpers that started before may not have been listened to.
	started "$1" "hold-${2:-}[0-9]*"
}

# take_one: leaves one slot, and takes it.
take_one() {
	: >/tmp/answered
	echo 1 >"$LIMIT"
	close_gate
	hold 1
	QUEUED=0
}

# queue_as UID NAME: makes a request as this user, which waits behind $QUEUED others. Its process
# must not take events from the test, nor keep the gate closed. The answer is added to
# /tmp/answered.
queue_as() {
	setpriv --reuid="$1" --clear-groups /kmod_rs/ask w "$2" >>/tmp/answered 8>&- 9>&- &
	QUEUED=$((QUEUED + 1))
	await in_queue "$QUEUED"
}

# has_own_userns PID: true if the process has another user namespace than this shell.
has_own_userns() {
	[[ $(readlink "/proc/$1/ns/user") != "$(readlink /proc/self/ns/user)" ]]
}

# slots_are_there N: there are that many slots and no more, and they are given on. Two points.
slots_are_there() {
	use_helper
	close_gate
	hold "$1"
	ask_in_background w exit-6
	holds "all $1 slots are there, and no more" await in_queue 1
	open_gate
	is "and they are given on" "$(answer_of "$ASKER")" $((6 << 8))
	await helpers_gone
}

# Helpers for hold-* wait at the gate while it is closed.
close_gate() {
	: >>/tmp/gate
	exec 9</tmp/gate
	flock 9
}

open_gate() {
	exec 9>&-
}

helpers_gone() {
	[[ ! $(pids_of helper) ]]
}

# Prints the number of processes that have a program, so without kernel threads.
processes() {
	readlink /proc/[0-9]*/exe | wc -l
}

# processes_gone N: true if there are that many of them, or fewer.
processes_gone() {
	(($(processes) <= $1))
}

# pids_of NAME: prints the ids of all processes with this name, one a line. pgrep does the same, but
# reads so much of each process that it takes a second on the debugging kernel.
pids_of() {
	local process name
	for process in /proc/[0-9]*; do
		if read -r name <"$process/comm" && [[ $name == "$1" ]]; then
			echo "${process#/proc/}"
		fi
	done 2>/dev/null
}

# --- Records --------------------------------------------------------------

recent() {
	cat "$RECORDS/recent"
}

in_flight() {
	cat "$RECORDS/inflight"
}

# field KEY [ADDRESS]: prints the value in each line on standard input, or in the lines that sed(1)
# finds with the address.
field() {
	sed -En "${2:-}s/^(.* )?$1=(\"[^\"]*\"|[^ ]*).*/\2/p"
}

# Prints the keys of the last line on standard input. A quoted value has no quote inside.
keys() {
	tail -n 1 | sed -E 's/"[^"]*"//g' | tr ' ' '\n' | cut -d= -f1 | xargs
}

# documented_keys FILE: prints the keys that the admin guide lists for a file of records or a trace
# event. A later version has a row of its own, with the keys that it has added.
documented_keys() {
	awk -v file="\`\`$1\`\`" '
		/^   \* - / { is_row = index($0, file); column = 1; next }
		/^     - / { column++ }
		!/^     / { is_row = 0 }
		is_row && column == 3 { gsub(/[-`]/, ""); print }' /kmod_rs/admin-guide.rst | xargs
}

# newest KEY: prints the value in the newest record.
newest() {
	field "$1" '$' <"$RECORDS/recent"
}

# stat_of KEY: prints a number of the file stats.
stat_of() {
	sed -n "s/^$1 //p" "$RECORDS/stats"
}

nothing_in_flight() {
	[[ ! $(in_flight) ]]
}

# loaded SEQ MODULE: true if the module has appeared because of this request.
loaded() {
	recent | grep -q "^seq=$1 .* outcome=loaded .* modules=\"\([^\"]* \)\?$2[\" ]"
}

# missing_for MODULE: prints what modprobe will load for it, in order.
missing_for() {
	local module
	for module in $(modprobe --show-depends "$1" | sed 's/.*\///; s/\.ko.*//'); do
		[[ -d /sys/module/$module ]] || echo "$module"
	done | xargs
}

# symbol_size FUNCTION: prints the size of a function of the kernel in hexadecimal, which is how far
# the next one is.
symbol_size() {
	local from to
	{
		read -r from
		read -r to
	} < <(awk -v name="$1" 'found { print $1; exit } $3 == name { print $1; found = 1 }' /proc/kallsyms)
	printf '0x%x\n' "$((0x$to - 0x$from))"
}

# --- The kernel's memory --------------------------------------------------

# Makes caches as small as they can be.
shrink_caches() {
	local cache
	sync
	echo 3 >/proc/sys/vm/drop_caches
	for cache in /sys/kernel/slab/*/shrink; do
		echo 1 >"$cache"
	done 2>/dev/null
}

# memory KEY: prints a value of /proc/meminfo, in kB.
memory() {
	awk -v key="$1:" '$1 == key { print $2 }' /proc/meminfo
}

# Prints the number of objects in use in each cache in which a request could have left some.
objects() {
	shrink_caches
	awk '/^(kmalloc|task_struct|pid|cred|files_cache|signal_cache|filp|vm_area|anon_vma|mm_struct|maple)/ { print $1, $2 }' /proc/slabinfo
}

remember_objects() {
	objects | sort >/tmp/objects
}

# grown N: prints the caches that have over N objects more than before.
grown() {
	join /tmp/objects <(objects | sort) | awk -v more="$1" '$3 - $2 > more { print $1, $2, $3 }'
}

nothing_grown() {
	[[ ! $(grown "$1") ]]
}

# --- Knobs ----------------------------------------------------------------

# write_to FILE VALUE: writes the value in one piece. Prints the kernel's error, or nothing.
write_to() {
	local output
	output=$(printf '%s' "$2" | dd of="$1" bs=16K iflag=fullblock status=none 2>&1)
	echo "${output##*: }"
}

# without_capability NAME COMMAND...: runs the command as root with all capabilities but this one.
without_capability() {
	setpriv --bounding-set="-$1" --inh-caps="-$1" "${@:2}"
}

# writes FILE VALUE COMMAND...: has the command write the value. Prints the kernel's error, and the
# content of the file afterwards.
writes() {
	local said
	# shellcheck disable=SC2016 # For the other shell.
	said=$("${@:3}" bash -c 'printf "%s\n" "$1" | dd of="$0" bs=16K status=none' "$1" "$2" 2>&1)
	echo "${said##*: }|$(<"$1")"
}

# --- The firewall ---------------------------------------------------------

# as_nobody COMMAND...: runs the command as an ordinary user without any capability.
AS_NOBODY=(setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all --inh-caps=-all)
as_nobody() {
	"${AS_NOBODY[@]}" "$@"
}

# as_user COMMAND...: runs the command as an ordinary user who can have capabilities.
as_user() {
	setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

# nobody_asks NAME: prints the answer that such a user gets.
nobody_asks() {
	as_nobody /kmod_rs/ask w "$1"
}

# in_cgroup PATH COMMAND...: runs the command in this cgroup.
in_cgroup() {
	mkdir -p "/sys/fs/cgroup$1"
	# shellcheck disable=SC2016 # For the other shell.
	bash -c 'echo 0 >"/sys/fs/cgroup$0/cgroup.procs"; exec "$@"' "$1" "${@:2}"
}

# verdict: prints what the firewall decided on the newest request, and by which rule.
verdict() {
	echo "$(newest policy) $(newest rule | tr -d '"')"
}

# reached COMMAND...: prints the names for which /kmod_rs/vectors, which stands in for modprobe, was
# run because of the command.
reached() {
	: >/tmp/reached
	"$@"
	sort -u /tmp/reached | xargs
}

# sorted NAME...: prints the names in the same order as reached().
sorted() {
	printf '%s\n' "$@" | sort | xargs
}

# rules_of_file FILE, rules_of_kernel FILE: print what a file for sysctl.d(5) sets, and the values
# that these knobs have, as KNOB VALUE.
rules_of_file() {
	sed -n 's/^kernel\.kmod_rs\.\([a-z_]*\) = /\1 /p' "$1" | sort
}

rules_of_kernel() {
	local knob
	rules_of_file "$1" | while read -r knob _; do
		echo "$knob $(<"$KNOBS/$knob")"
	done
}

# set_rule NAME VALUE: sets a knob of the module, with a newline at the end. Fails the test if the
# kernel refuses.
set_rule() {
	local said
	said=$(write_to "$KNOBS/$1" "${2%$'\n'}"$'\n')
	[[ ! $said ]] || fail "$1=$2" "$said"
}

# --- The log --------------------------------------------------------------

# Prints what the kernel has logged since the test began.
log() {
	log_since "$KMOD_RS_MARK"
}

# logged REGEX: true if there is such a line.
logged() {
	log | grep -Eq -- "$1"
}

# --- Ciphers --------------------------------------------------------------

# The modules of serpent.
# shellcheck disable=SC2034 # For the tests.
SERPENT=(serpent_avx2 serpent_avx_x86_64 serpent_sse2_x86_64 serpent_generic)

# restrict_af_alg N: Linux 7.3 has a list of the ciphers that may be used, which is in force unless
# N is 0. It is 1 after a boot.
restrict_af_alg() {
	local file=/proc/sys/crypto/af_alg_restrict
	[[ ! -e $file ]] || echo "$1" >"$file"
}

# bind_to TYPE NAME [COMMAND...]: binds an AF_ALG socket, and prints whether that worked.
bind_to() {
	"${@:3}" /kmod_rs/demo-socket alg "$1" "$2" 2>&1 | sed -n 's/^bind()//p'
}

# without NAME...: unloads these modules if they are loaded.
without() {
	local module
	for module; do
		# A test of its ciphers may still be in progress.
		! is_module "$module" || await modprobe --remove "$module"
	done
}

is_module() {
	grep -q "^$1 " /proc/modules
}

# Unloads the modules that the test has left and that nothing uses, so that the next test finds what
# this one found.
unload_others() {
	local module again=yes
	while [[ $again ]]; do
		again=
		while read -r module; do
			! rmmod "$module" 2>/dev/null || again=yes
		done < <(awk '$3 == 0 { print $1 }' /proc/modules | grep -vxFf /tmp/modules)
	done
}

# --- Modules in use -------------------------------------------------------

# keep_up ARGUMENT...: has /kmod_rs/keep use a module until let_go.
keep_up() {
	: >/tmp/kept
	/kmod_rs/keep "$@" <&"$SILENCE" >/tmp/kept 2>&1 8>&- 9>&- &
	KEPT=$!
	await grep -qx ready /tmp/kept
}

let_go() {
	kill "$KEPT"
	wait "$KEPT" 2>/dev/null
	rm -f /tmp/kept
}

# --- The kernel -----------------------------------------------------------

# has_option CONFIG_...: true if the kernel was built with this option.
has_option() {
	grep -qx "$1=[ym]" /kmod_rs/kernel.config
}

# --- Calls ----------------------------------------------------------------

# count_calls FUNCTION...: counts the calls of these functions of the kernel from now on. calls
# FUNCTION prints how many there have been.
count_calls() {
	local function
	forget_calls
	for function; do
		echo "p:kmod_rs_test/$function $function" >>"$TRACING/kprobe_events" || return
		echo 1 >"$TRACING/events/kmod_rs_test/$function/enable" || return
	done
}

calls() {
	awk -v name="$1" '$1 == name { print $2 }' "$TRACING/kprobe_profile"
}

forget_calls() {
	[[ -e $TRACING/events/kmod_rs_test ]] || return 0
	echo 0 >"$TRACING/events/kmod_rs_test/enable"
	echo '-:kmod_rs_test/' >>"$TRACING/kprobe_events" || : >"$TRACING/kprobe_events"
}

# announce REGEX: the test provokes complaints of the kernel. Lines of the log that match are meant
# to be there.
announce() {
	echo "$1" >>/tmp/announced
}

# --- Begin and end --------------------------------------------------------

ORIGINAL_MODPROBE=$(<"$MODPROBE")

clean_up() {
	local status=$?
	open_gate
	echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
	forget_calls
	await helpers_gone
	give_back
	unload_others
	rm -rf /tmp/answers /tmp/events /tmp/gate /tmp/description /tmp/objects /tmp/reached \
		/tmp/modules
	exit "$status"
}
trap clean_up EXIT

# Where the log of this test begins. run.sh sets it.
if [[ ! ${KMOD_RS_MARK:-} ]]; then
	KMOD_RS_MARK="kmod_rs test $$: ${0##*/}"
	echo "$KMOD_RS_MARK" >/dev/kmsg
fi

# A test that does not use /dev/kmod_ask sets NO_KMOD_ASK before it sources this file.
[[ ${NO_KMOD_ASK:-} || -e /dev/kmod_ask ]] || insmod /kmod_rs/kmod_ask.ko
cut -d ' ' -f 1 /proc/modules >/tmp/modules
ktap_print_header
