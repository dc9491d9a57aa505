#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The benchmark, in the guest. It measures C and Rust in turn, for the given number of rounds, and
# prints the figures as
#
#	bench fact NAME VALUE
#	bench ROW WHO VALUE		WHO is "c" or "rust"
#
# report.py makes a table of these lines. All other output is for human readers.
#
# usage: guest.sh instructions|clock ROUNDS

# shellcheck source=tests/lib.sh
. /kmod_rs/lib.sh

# A helper that does nothing, and how many requests for it are measured in one go.
EXIT=/kmod_rs/bench-exit
REQUESTS=200

# The numbers of tasks at the same time, and how many requests each of them makes.
TASKS=("1 100" "10 10" "100 3" "1000 1")

# How many milliseconds the helper runs in the measurements of the queue. It is less than the 5 s
# that C waits, because the length of the queue is measured.
SLOW_MS=2000
# A user without privileges.
NOBODY=65534
# How often a module is requested while it is unloaded.
UNLOADS=200

CONFIG=/etc/modprobe.d/kmod_rs-bench.conf

# --- Output ---------------------------------------------------------------

fact() {
	echo "bench fact $1 $2"
}

# figure ROW VALUE: print a figure of the code that serves requests now.
figure() {
	echo "bench $1 $WHO $2"
}

# wrong WHAT: report that a figure is not what it should be, so that nobody relies on it.
wrong() {
	echo "bench wrong $WHO: $*"
}

# serve_by c|rust [PARAMETER...]: have requests served by C or Rust from now on. The parameters are
# for the module.
serve_by() {
	WHO=$1
	case $WHO in
	c) give_back ;;
	rust) give_back && insmod /kmod_rs/kmod-rs.ko "${@:2}" && await settled ;;
	esac || wrong "cannot switch over"
}

# --- Instructions ---------------------------------------------------------

# measure_one ROW HOW [NAME]: measure one of many calls in a row. HOW is as in kmod_bench.c.
measure_one() {
	local took
	exec {BENCH}<>/dev/kmod_bench || return
	if printf '%s %s %s' "$2" "$REQUESTS" "${3:-bench-exit}" >&"$BENCH" && read -r took <&"$BENCH"; then
		figure "$1" $((took / REQUESTS))
	else
		wrong "a call of the kind \"$2\" did not return 0"
	fi
	exec {BENCH}>&-
}

# Measure with 100 patterns of which none matches, for a privileged requester.
measure_rules() {
	set_rule autoload_deny "$(printf 'net-pf-%d-proto-* ' {1..100})"
	set_rule autoload_mode 1
	measure_one one-rules request
	set_rule autoload_mode 0
	set_rule autoload_deny $'\n'
}

# Measure requests for what is there, which are answered from memory.
measure_remembered() {
	local i
	echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
	echo 64 >"$KNOBS/answers"
	for i in 1 2 3; do ask w dummy >/dev/null; done
	measure_one one-remembered request dummy
	[[ $(stat_of remembered) -gt $REQUESTS ]] || wrong "the answer is not remembered"
	echo 0 >"$KNOBS/answers"
	modprobe -r dummy
	echo "$EXIT" >"$MODPROBE"
}

# Measure sockets of a family whose module has come by a request, with and without its uses noted.
measure_sockets() {
	local module=vsock family=40
	# The first one has come with vsock, and uses it.
	modprobe -qr vsock_loopback
	modprobe -qr "$module"
	[[ ! -d /sys/module/$module ]] || wrong "$module cannot be unloaded"
	echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
	ask w "net-pf-$family" >/dev/null
	echo "$EXIT" >"$MODPROBE"
	measure_one socket socket "$family"
	[[ $WHO == rust ]] || return 0
	echo 1 >"$KNOBS/track_use"
	measure_one socket-noted socket "$family"
	[[ $(field uses "/module=\"$module\"/" <"$RECORDS/autoloaded") -ge $REQUESTS ]] ||
		wrong "the uses of $module are not noted"
	echo 0 >"$KNOBS/track_use"
}

# load ARGUMENT...: run a load, and print how many nanoseconds it took. It must get only the answers
# that are expected.
load() {
	local took rest
	{ read -r took _ && read -r rest; } < <(/kmod_rs/load --time "$@" 2>/dev/null)
	[[ $rest == "no other answers" ]] || wrong "load $*: $rest"
	echo "$took"
}

measure_tasks() {
	local entry tasks rounds
	for entry in "${TASKS[@]}"; do
		read -r tasks rounds <<<"$entry"
		figure "tasks-$tasks" $(($(load --tasks="$tasks" --rounds="$rounds" "w bench-%-exit 0") / (tasks * rounds)))
	done
}

# Wait until the kernel has finished other work, most of it after the boot. It would be measured. So
# would what the first helpers cost more than others.
come_to_rest() {
	await is_idle || wrong "the guest does not become idle"
	measure_one warm-up bare
}

# Was the last second nearly all idle?
is_idle() {
	local before after
	before=$(idle_ticks)
	sleep 1
	after=$(idle_ticks)
	((after - before >= 98))
}

# The idle time in hundredths of a second.
idle_ticks() {
	awk '$1 == "cpu" { print $5 }' /proc/stat
}

instructions() {
	insmod /kmod_rs/kmod_bench.ko
	# Only Rust would pay for the kprobes of kmod_ask, because it waits in another way.
	echo 0 >/sys/kernel/debug/kprobes/enabled
	echo "$EXIT" >"$MODPROBE"
	# Otherwise the number of a helper's page tables varies.
	echo 0 >/proc/sys/kernel/randomize_va_space
	fact clocksource "$(</sys/devices/system/clocksource/clocksource0/current_clocksource)"
	in_rounds c rust without_records
	# What a thousand tasks leave in the kernel's caches makes each helper after them dearer.
	in_rounds tasks_c tasks_rust
}

# in_rounds PHASE...: measure these phases in turn. What they print comes after what is measured: the
# kernel looks again and again whether the machine has taken it, and how often depends on the machine.
in_rounds() {
	local round phase
	for ((round = 0; round < ROUNDS; round++)); do
		for phase; do
			"phase_$phase" >/tmp/figures
			cat /tmp/figures
		done
	done
}

phase_c() {
	serve_by c
	come_to_rest
	measure_one one-bare bare
	measure_one one-request request
	measure_sockets
}

phase_rust() {
	serve_by rust
	come_to_rest
	measure_one one-bare bare
	measure_one one-request request
	measure_rules
	measure_remembered
	measure_sockets
}

phase_without_records() {
	serve_by rust records=0
	come_to_rest
	measure_one one-request-off request
}

phase_tasks_c() {
	serve_by c
	come_to_rest
	measure_tasks
}

phase_tasks_rust() {
	serve_by rust
	come_to_rest
	measure_tasks
}

# --- The clock ------------------------------------------------------------

# milliseconds COMMAND...: how long the command takes.
milliseconds() {
	local start
	start=$(now)
	"$@" >/dev/null 2>&1
	echo $(($(now) - start))
}

# measure_equal ROW ANSWER NAME: measure requests for one name, with the real modprobe.
measure_equal() {
	local row=$1 answer=$2 name=$3 took
	modprobe -qr "$name"
	count_calls call_usermodehelper_exec
	took=$(load --tasks=48 --rounds=1 "w $name $answer")
	figure "$row-helpers" "$(calls call_usermodehelper_exec)"
	figure "$row-ms" $((took / 1000000))
	forget_calls
}

measure_loop() {
	mkdir -p "${CONFIG%/*}"
	echo "install fs-zzfs /bin/mount -t zzfs none /mnt" >"$CONFIG"
	count_calls call_usermodehelper_exec
	figure loop-ms "$(milliseconds mount -t zzfs none /mnt)"
	figure loop-helpers "$(calls call_usermodehelper_exec)"
	forget_calls
	rm "$CONFIG"
}

# answered ANSWER: how many requests got this answer, from what a load prints about other answers.
answered() {
	sed -n "s/.*: $1, \([0-9]*\) times\$/\1/p" | grep . || echo 0
}

measure_queue() {
	local refused
	refused=$(/kmod_rs/load --tasks=300 --rounds=1 "w sleep-$SLOW_MS-% 0" 2>/dev/null | answered "$ETIME")
	figure queue-served $((300 - refused))
	figure queue-refused "$refused"
}

# Are at least 400 tasks in the kernel, waiting for a slot or about to?
queue_is_long() {
	(($(in_queue_count) >= 400))
}

in_queue_count() {
	grep -m 1 . /proc/[0-9]*/stack 2>/dev/null |
		grep -cE '\[kmod_rs\]$|late_wait\+|__request_module\+|down_timeout\+'
}

# The uptime in milliseconds, by the clock that the trace uses.
uptime_ms() {
	local seconds
	read -r seconds _ </proc/uptime
	echo "${seconds/./}0"
}

# When the request for exit-0 got a slot: the kernel's event comes right after that.
slot_given() {
	sed -n 's/.* \([0-9]*\)\.\([0-9]\{3\}\)[0-9]*: module_request: exit-0 .*/\1\2/p' \
		"$TRACING/trace"
}

# measure_wait ROW COMMAND...: the command makes some 500 requests for different names. Measure how
# long root then waits for a slot. Root's wait for the answer is not measured, because 50 helpers
# start at the same time.
measure_wait() {
	local row=$1 start flood given
	shift
	echo >"$TRACING/trace"
	echo mono >"$TRACING/trace_clock"
	echo 'name == "exit-0"' >"$TRACING/events/module/module_request/filter"
	echo 1 >"$TRACING/events/module/module_request/enable"
	"$@" >/dev/null 2>&1 &
	flood=$!
	await queue_is_long
	start=$(uptime_ms)
	figure "$row-answer" "$(ask w exit-0)"
	given=$(slot_given)
	# A request that was refused has waited until now.
	figure "$row-ms" $((${given:-$(uptime_ms)} - start))
	echo 0 >"$TRACING/events/module/module_request/enable"
	pkill -x load
	wait "$flood" 2>/dev/null
	# In C, the requests that wait cannot be killed.
	await load_gone
	await helpers_gone
}

one_user() {
	setpriv --reuid="$NOBODY" --clear-groups /kmod_rs/load --tasks=500 --rounds=1 \
		"w sleep-$SLOW_MS-% 0"
}

# As one_user, by 50 subordinate ids of that user.
subordinate_ids() {
	local person id namespace
	setpriv --reuid="$NOBODY" --regid="$NOBODY" --clear-groups unshare --user sleep 10000 &
	person=$!
	await has_own_userns "$person"
	echo "0 100000 100" | tee "/proc/$person/uid_map" >"/proc/$person/gid_map"
	exec {namespace}<"/proc/$person/ns/user"
	kill "$person"
	for ((id = 1; id <= 50; id++)); do
		nsenter --user="/proc/self/fd/$namespace" setpriv --reuid="$id" --keep-groups \
			/kmod_rs/load --tasks=10 --rounds=1 "w sleep-$SLOW_MS-$id-% 0" &
	done
	exec {namespace}<&-
	wait
}

# One helper for a name hangs. Measure four requests for that name, one after the other, whose own
# helpers would end at once.
measure_stuck() {
	local i start answer
	cat >/tmp/stuck <<-'EOF'
		#!/bin/sh
		mkdir /tmp/stuck-first 2>/dev/null && exec sleep 10000
		exit 0
	EOF
	chmod +x /tmp/stuck
	echo /tmp/stuck >"$MODPROBE"
	ask_in_background w stuck
	await test -d /tmp/stuck-first
	start=$(now)
	for i in 1 2 3 4; do
		answer=$(ask w stuck)
		[[ $answer == 0 ]] || wrong "request $i beside a helper that hangs: $answer"
	done
	figure stuck-ms $(($(now) - start))
	pkill -x sleep
	await is_answered "$ASKER"
	rm -r /tmp/stuck /tmp/stuck-first
	use_silent_helper
}

# 50 helpers make a request each. Count how many of these are refused.
measure_nested() {
	figure nested-refused "$(/kmod_rs/load --tasks=50 --rounds=1 \
		"w child-sleep-$SLOW_MS-% 0" 2>/dev/null | answered "$NOT_FOUND")"
}

# A module is requested and unloaded as fast as possible. Count the requests that fail.
measure_unloads() {
	local unloader
	echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
	while :; do rmmod dummy; done 2>/dev/null &
	unloader=$!
	figure unloads-failed "$(/kmod_rs/load --tasks=1 --rounds="$UNLOADS" 'w dummy 0' 2>/dev/null |
		answered "$NOT_FOUND")"
	kill "$unloader"
	wait "$unloader" 2>/dev/null
}

load_gone() {
	! pgrep -x load
}

# The bytes of the kernel's heap that are in use. The caches are shrunk first, because what they
# keep back would count as used.
heap() {
	local cache
	for cache in /sys/kernel/slab/kmalloc-*/shrink; do
		echo 1 >"$cache"
	done
	awk '$1 ~ /^kmalloc-/ { sum += $2 * $4 } END { print sum }' /proc/slabinfo
}

# Measure the memory that 1000 requests hold while their helpers run.
measure_memory() {
	local before load
	[[ $WHO == c ]] || echo 1000 >"$LIMIT"
	close_gate
	before=$(heap)
	(
		exec 9>&-
		exec /kmod_rs/load --tasks=1000 --rounds=1 "w hold-% 0"
	) >/dev/null 2>&1 &
	load=$!
	await all_run
	figure memory $((($(heap) - before) / 1000))
	open_gate
	wait "$load" || wrong "not all of the 1000 requests were served"
	[[ $WHO == c ]] || echo 50 >"$LIMIT"
}

all_run() {
	(($(pgrep -cx helper) == 1000))
}

clock() {
	local round who
	TIMEOUT=300
	for ((round = 0; round < ROUNDS; round++)); do
		for who in c rust; do
			serve_by "$who"
			measure_equal absent "$NOT_FOUND" nothing-of-that-name
			measure_equal present 0 dummy
			measure_loop
			use_silent_helper
			measure_queue
			measure_wait turns one_user
			measure_wait subids subordinate_ids
			measure_nested
			measure_stuck
			measure_unloads
			echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
		done
	done

	# This comes last, because C's limit has to be changed for it.
	insmod /kmod_rs/kmod_bench.ko \
		concurrent_max="0x$(awk '$3 == "kmod_concurrent_max" { print $1 }' /proc/kallsyms)"
	use_silent_helper
	for ((round = 0; round < ROUNDS; round++)); do
		for who in c rust; do
			serve_by "$who"
			measure_memory
		done
	done
}

# --------------------------------------------------------------------------

ROUNDS=$2
fact release "$(uname -r)"
fact cpus "$(nproc)"
fact cpu "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)"
"$1"
echo "bench end"
