# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What the tests share. Sourced by each of them, in the guest.
#
# A test says first how many points it has (plan), then for each whether it
# passed (pass, fail, is, ...), in KTAP. Whatever a test changes it may leave
# changed: on its way out the patch is given back, the path of modprobe is
# restored and helpers that hold are let go.

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
EPERM=-1 ENOENT=-2 ENOEXEC=-8 ENOMEM=-12 EACCES=-13 EBUSY=-16 EINVAL=-22 ENAMETOOLONG=-36 ETIME=-62 ERESTARTSYS=-512 NOT_FOUND=256

# --- Points ---------------------------------------------------------------

plan() {
	ktap_set_plan "$1"
}

pass() {
	ktap_test_pass "$*"
}

# fail WHAT [MORE...]: the point, and lines that explain it.
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

# At the end of each test. Exits with what the test amounts to: each point of
# the plan has passed, and nothing outside of it has failed.
finish() {
	# shellcheck disable=SC2034 # For ktap_finished.
	((KTAP_CNT_FAIL == 0)) || KSFT_NUM_TESTS=-1
	ktap_finished
}

# --- Waiting --------------------------------------------------------------

# Nothing is ever written to it.
exec {SILENCE}<> <(:)

# pause MICROSECONDS: without the cost of a program, which is many times a short pause on
# some kernels.
pause() {
	local seconds
	printf -v seconds '%d.%06d' $(($1 / 1000000)) $(($1 % 1000000))
	! read -r -t "$seconds" -u "$SILENCE"
}

# await COMMAND...: until it succeeds. For what gives no event to wait for. To look takes the
# processor from what is waited for, so the pauses are at least 20 ms, or more where all is
# slower, and an eighth of the time that it has taken.
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

# often N: how often to do what shows a mistake only now and then. A fourth of that
# where all is slower, but once at least; five times as often with FULL=1.
often() {
	local times=$(($1 * (${FULL:-0} ? 5 : 1) / (SLOWER > 1 ? 4 : 1)))
	echo $((times > 0 ? times : 1))
}

# The time in milliseconds.
now() {
	echo $((${EPOCHREALTIME/./} / 1000))
}

# timed COMMAND...: its output in $OUTPUT, the milliseconds it took in $TOOK.
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

# What the module itself gives up waiting for after 5 s is not given up, unless a test sets
# DEFAULTS before it sources this file: how long anything takes is the machine's matter.
take_over() {
	if ! is_loaded; then
		insmod /kmod_rs/kmod-rs.ko || return
		[[ ${DEFAULTS:-} ]] || be_patient
	fi
	await settled
}

be_patient() {
	echo 3600000 >"$KNOBS/busy_timeout_ms"
	echo 3600000 >"$KNOBS/coalesce_timeout_ms"
}

give_back() {
	is_loaded || return 0
	if [[ -e $LIVEPATCH && $(<"$LIVEPATCH/enabled") == 1 ]]; then
		await settled && echo 0 >"$LIVEPATCH/enabled" || return
	fi
	await released && rmmod kmod_rs
}

# references N: are there so many on the module?
references() {
	[[ $(</sys/module/kmod_rs/refcnt) == "$1" ]]
}

# patch on, patch off
patch() {
	if [[ $1 == on ]]; then take_over; else give_back; fi || fail "patch $1"
}

# is_patched PID: does this task call Rust, while the patch is in transition?
is_patched() {
	[[ $(<"/proc/$1/patch_state") == 1 ]]
}

# served FUNCTION N: more requests than that there, since it was counted.
served() {
	(($(calls "$1") > $2))
}

# switch_rounds ROUNDS N: take over and give back so often, each time for more than N
# requests, which others make meanwhile. Two points a round.
switch_rounds() {
	local round
	for ((round = 1; round <= $1; round++)); do
		patch on
		count_calls kmod_rs_request_module
		holds "requests come to Rust, $round" await served kmod_rs_request_module "$2"
		forget_calls
		# Waits for refcnt to be 0, and fails if the module cannot be removed.
		patch off
		count_calls security_kernel_module_request
		holds "requests come to C, $round" await served security_kernel_module_request "$2"
		forget_calls
	done
}

# same_as_c FUNCTION EXPECTED: what the function prints, line by line, with the
# patch off and with it on. Two points.
same_as_c() {
	local how
	for how in off on; do
		patch "$how"
		is "$1, patch $how" "$("$1")" "$2"
	done
}

# --- Asking ---------------------------------------------------------------

# ask HOW NAME: what request_module() returned; HOW as in kmod_ask.c.
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

# ask_in_background HOW NAME: from a process of its own, whose id is in $ASKER;
# its answer comes to /tmp/answers/ID, which is empty until then.
ask_in_background() {
	[[ -d /tmp/answers ]] || mkdir /tmp/answers
	(
		# What is read from the events must not be taken from the test.
		exec 8>&- 9>&-
		# Has a handler, so it does not kill.
		trap : TERM
		ask "$1" "$2" >"/tmp/answers/$BASHPID"
	) &
	# shellcheck disable=SC2034 # For the tests.
	ASKER=$!
}

# kill_asker ID: and wait until it is dead, which its helper need not be.
kill_asker() {
	# The shell has something to say about it, too.
	{ kill -KILL "$1" && await is_gone "$1" && wait "$1"; } 2>/dev/null
}

# is_gone PID: children of this shell are, as soon as they have ended.
is_gone() {
	[[ ! -e /proc/$1 ]]
}

# result_of ID: what request_module() returned to this task, which has asked
# with "v" and may have been killed. Waits until it is known.
result_of() {
	await logged "kmod_ask: pid=$1 .*result=" &&
		log | sed -n "s/^kmod_ask: pid=$1 .*result=//p"
}

# answer_of ID: wait for it.
answer_of() {
	local answer=""
	await is_answered "$1"
	[[ ! -e /tmp/answers/$1 ]] || answer=$(<"/tmp/answers/$1")
	echo "${answer:-no answer}"
}

is_answered() {
	[[ -s /tmp/answers/$1 ]] || is_gone "$1"
}

# in_queue N: do that many tasks wait in the kernel for a slot? Of those that
# sleep, the stack begins where they called the scheduler or a lock.
in_queue() {
	local waiters
	mapfile -t waiters < <(/usr/bin/grep -lzP '(?m)\A.*(\[kmod_rs\]$|late_wait\+|__request_module\+|down_timeout\+)' \
		/proc/[0-9]*/stack 2>/dev/null)
	((${#waiters[@]} == $1))
}

# --- The helper -----------------------------------------------------------

# Have requests run tests/programs/helper.c, and listen to it.
use_helper() {
	echo "$HELPER" >"$MODPROBE"
	rm -f /tmp/events
	mkfifo /tmp/events
	exec 8<>/tmp/events
}

# For helpers in such numbers that nobody wants to hear of them.
use_silent_helper() {
	echo "$HELPER" >"$MODPROBE"
	rm -f /tmp/events
}

# event WHAT NAME: wait for "start" or "end" of the helper for NAME, other
# events being passed over; the helper's process id is in $EVENT_PID.
event() {
	local what name
	# shellcheck disable=SC2034 # For the tests.
	while read -r -t "$TIMEOUT" what EVENT_PID name <&8; do
		[[ $what == "$1" && $name == "$2" ]] && return
	done
	ktap_print_msg "no $1 of a helper for $2 in $TIMEOUT s"
	return 1
}

# started N [NAMES]: wait for the start of that many helpers, whose names match the pattern;
# events of others are passed over.
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

# Which helpers have started or ended, so far and since it was last asked:
# "WHAT NAME" in lines, in their order.
events() {
	local what name
	while read -r -t 0 <&8 && read -r what _ name <&8; do
		echo "$what $name"
	done
}

# hold N [NAME]: have that many helpers run, which wait at the gate, and requests
# that wait for them; NAME tells them from others. Close it before.
hold() {
	local i
	for ((i = 0; i < $1; i++)); do
		ask_in_background w "hold-${2:-}$i"
	done
	# What has started before may not have been listened to.
	started "$1" "hold-${2:-}[0-9]*"
}

# slots_are_there N: that many, and no more, and they are given on. Two points.
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

# Programs, that is, not kernel workers.
processes() {
	readlink /proc/[0-9]*/exe | wc -l
}

# processes_gone N: are there that many, or fewer?
processes_gone() {
	(($(processes) <= $1))
}

# pids_of NAME: of all processes that are called so, one a line. As pgrep has them, but
# that reads so much of each process that it takes a second on the debugging kernel.
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

# field KEY [ADDRESS]: the value in each line on standard input, or in those that sed(1)
# finds there.
field() {
	sed -En "${2:-}s/^(.* )?$1=(\"[^\"]*\"|[^ ]*).*/\2/p"
}

# The keys of the last line on standard input. In quotes there is no quote.
keys() {
	tail -n 1 | sed -E 's/"[^"]*"//g' | tr ' ' '\n' | cut -d= -f1 | xargs
}

# newest KEY: the value in the newest record.
newest() {
	field "$1" '$' <"$RECORDS/recent"
}

# stat_of KEY: a number of the file stats.
stat_of() {
	sed -n "s/^$1 //p" "$RECORDS/stats"
}

nothing_in_flight() {
	[[ ! $(in_flight) ]]
}

# loaded SEQ MODULE: has it appeared because of this request?
loaded() {
	recent | grep -q "^seq=$1 .* outcome=loaded .*[\" ]$2\"$"
}

# missing_for MODULE: what modprobe will load for it, in that order.
missing_for() {
	local module
	for module in $(modprobe --show-depends "$1" | sed 's/.*\///; s/\.ko.*//'); do
		[[ -d /sys/module/$module ]] || echo "$module"
	done | xargs
}

# symbol_size FUNCTION: of the kernel, in hexadecimal: how far the next one is.
symbol_size() {
	local from to
	{
		read -r from
		read -r to
	} < <(awk -v name="$1" 'found { print $1; exit } $3 == name { print $1; found = 1 }' /proc/kallsyms)
	printf '0x%x\n' "$((0x$to - 0x$from))"
}

# --- The kernel's memory --------------------------------------------------

# So that caches are as small as they can be.
shrink_caches() {
	local cache
	sync
	echo 3 >/proc/sys/vm/drop_caches
	for cache in /sys/kernel/slab/*/shrink; do
		echo 1 >"$cache"
	done 2>/dev/null
}

# memory KEY: of /proc/meminfo, in kB.
memory() {
	awk -v key="$1:" '$1 == key { print $2 }' /proc/meminfo
}

# Objects in use, by cache: those that a request could have left there.
objects() {
	shrink_caches
	awk '/^(kmalloc|task_struct|pid|cred|files_cache|signal_cache|filp|vm_area|anon_vma|mm_struct|maple)/ { print $1, $2 }' /proc/slabinfo
}

remember_objects() {
	objects | sort >/tmp/objects
}

# grown N: the caches with over N objects more than there were.
grown() {
	join /tmp/objects <(objects | sort) | awk -v more="$1" '$3 - $2 > more { print $1, $2, $3 }'
}

nothing_grown() {
	[[ ! $(grown "$1") ]]
}

# --- Knobs ----------------------------------------------------------------

# write_to FILE VALUE: in one piece, and what the kernel says, or nothing.
write_to() {
	local output
	output=$(printf '%s' "$2" | dd of="$1" bs=16K iflag=fullblock status=none 2>&1)
	echo "${output##*: }"
}

# without_capability NAME COMMAND...: as root that has all but this one.
without_capability() {
	setpriv --bounding-set="-$1" --inh-caps="-$1" "${@:2}"
}

# writes FILE VALUE COMMAND...: what the kernel says when it writes that, run by
# the command, and what the file is afterwards.
writes() {
	local said
	# shellcheck disable=SC2016 # For the other shell.
	said=$("${@:3}" bash -c 'printf "%s\n" "$1" | dd of="$0" bs=16K status=none' "$1" "$2" 2>&1)
	echo "${said##*: }|$(<"$1")"
}

# --- The firewall ---------------------------------------------------------

# as_nobody COMMAND...: as an ordinary user without any capability.
AS_NOBODY=(setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all --inh-caps=-all)
as_nobody() {
	"${AS_NOBODY[@]}" "$@"
}

# nobody_asks NAME: what such a user gets.
nobody_asks() {
	as_nobody /kmod_rs/ask w "$1"
}

# verdict: what the firewall said of the newest request, and why.
verdict() {
	echo "$(newest policy) $(newest rule | tr -d '"')"
}

# reached COMMAND...: the names that /kmod_rs/vectors, which stands in for modprobe, was run
# for because of it.
reached() {
	: >/tmp/reached
	"$@"
	sort -u /tmp/reached | xargs
}

# sorted NAME...: as they come from there.
sorted() {
	printf '%s\n' "$@" | sort | xargs
}

# rules_of_file FILE, rules_of_kernel FILE: what a file for sysctl.d(5) sets, and what
# these knobs are: KNOB VALUE.
rules_of_file() {
	sed -n 's/^kernel\.kmod_rs\.\([a-z_]*\) = /\1 /p' "$1" | sort
}

rules_of_kernel() {
	local knob
	rules_of_file "$1" | while read -r knob _; do
		echo "$knob $(<"$KNOBS/$knob")"
	done
}

# set_rule NAME VALUE: of the module; fails the test if the kernel refuses.
set_rule() {
	local said
	said=$(write_to "$KNOBS/$1" "$2")
	[[ ! $said ]] || fail "$1=$2" "$said"
}

# --- The log --------------------------------------------------------------

# What the kernel said since the test began.
log() {
	log_since "$KMOD_RS_MARK"
}

# logged REGEX: is there such a line?
logged() {
	log | grep -Eq -- "$1"
}

# --- Ciphers --------------------------------------------------------------

# What serpent comes in.
# shellcheck disable=SC2034 # For the tests.
SERPENT=(serpent_avx2 serpent_avx_x86_64 serpent_sse2_x86_64 serpent_generic)

# restrict_af_alg N: Linux 7.3 has a list of those that may be used, unless N is 0; it is 1
# when it has booted.
restrict_af_alg() {
	local file=/proc/sys/crypto/af_alg_restrict
	[[ ! -e $file ]] || echo "$1" >"$file"
}

# bind_to TYPE NAME [COMMAND...]: an AF_ALG socket; says whether that is done.
bind_to() {
	"${@:3}" /kmod_rs/demo-socket alg "$1" "$2" 2>&1 | sed -n 's/^bind()//p'
}

# without NAME...: have none of these modules loaded.
without() {
	local module
	for module; do
		# A test of what it brought may still go on.
		! is_module "$module" || await modprobe --remove "$module"
	done
}

is_module() {
	grep -q "^$1 " /proc/modules
}

# --- The kernel -----------------------------------------------------------

# has_option CONFIG_...: was it built with that?
has_option() {
	grep -qx "$1=[ym]" /kmod_rs/kernel.config
}

# --- Calls ----------------------------------------------------------------

# count_calls FUNCTION...: of the kernel, from now on. calls FUNCTION says how
# many there have been.
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

# announce REGEX: lines of the log that are meant to be there, in a test that
# provokes a splat.
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
	rm -rf /tmp/answers /tmp/events /tmp/gate /tmp/description /tmp/objects /tmp/reached
	exit "$status"
}
trap clean_up EXIT

# Where the log of this test begins: run.sh says so.
if [[ ! ${KMOD_RS_MARK:-} ]]; then
	KMOD_RS_MARK="kmod_rs test $$: ${0##*/}"
	echo "$KMOD_RS_MARK" >/dev/kmsg
fi

# A test sets NO_KMOD_ASK before it sources this file if it does not ask.
[[ ${NO_KMOD_ASK:-} || -e /dev/kmod_ask ]] || insmod /kmod_rs/kmod_ask.ko
ktap_print_header
