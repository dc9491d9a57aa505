#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A helper that runs while a module is unloaded may end without the module: the kernel refuses to
# load it, or modprobe finds it loaded. Then the request waits until the module has left, and has
# another helper. And what a helper has loaded is no answer for requests that came after it was
# unloaded.
#
# Processors: parallel

. "$(dirname "$0")/lib.sh"
plan 22

MODULE=/kmod_rs/slow_exit.ko
LOADER=/tmp/loader
LIVE=/sys/module/slow_exit/initstate

STAY=/sys/module/slow_exit/parameters/stay

# A helper that loads the module, reports itself and does what the name says. If the module cannot
# be loaded, it lets the one that is leaving go.
cat >"$LOADER" <<-EOF
	#!/bin/bash
	if [[ ! -e /tmp/is-loaded ]]; then
		/sbin/insmod $MODULE \$(</tmp/parameters) 2>/dev/null || failed=1
	fi
	[[ -e /tmp/stays ]] || echo 0 2>/dev/null >$STAY
	[[ ! \$failed ]] || exit 1
	exec $HELPER "\$@"
EOF
chmod +x "$LOADER"
: >/tmp/parameters

use_loader() {
	use_helper
	echo "$LOADER" >"$MODPROBE"
}

is_live() {
	[[ -e $LIVE ]]
}

is_going() {
	[[ $(<"$LIVE") == going ]]
} 2>/dev/null

unload() {
	! is_live || rmmod slow_exit
}

# Begins to unload the module. It leaves when it is told to.
leave() {
	insmod "$MODULE" stay=1
	rmmod slow_exit &
	LEAVER=$!
	await is_going
}

let_leave() {
	echo 0 >"$STAY"
	wait "$LEAVER"
}

# ask_counted: makes a request. The answer is in $ANSWER, the number of its helpers in $HELPERS.
ask_counted() {
	count_calls call_usermodehelper_exec
	ANSWER=$(ask w "$1")
	HELPERS=$(calls call_usermodehelper_exec)
	forget_calls
}

# --- A module is unloaded while the helper that has loaded it still runs ---

for how in off on; do
	patch "$how"
	use_loader
	close_gate
	ask_in_background w hold-late
	first=$ASKER
	event start hold-late
	rmmod slow_exit
	ask_in_background w hold-late
	# In C, the other helper is started at once.
	[[ $how == off ]] || await in_queue 1
	open_gate
	is "both are answered, patch $how" "$(answer_of "$first") $(answer_of "$ASKER")" "0 0"
	holds "and the module is there, patch $how" is_live
	await helpers_gone
	unload
done

# --- A request is made while the module is unloaded ---

for how in off on; do
	patch "$how"
	use_loader
	leave
	ask_counted exit-0
	wait "$LEAVER"
	if [[ $how == off ]]; then
		is "C answers that it cannot be loaded" "$ANSWER" 256
		is "by one helper" "$HELPERS" 1
	else
		is "here it is loaded" "$ANSWER" 0
		is "by a second helper" "$HELPERS" 2
		holds "it is there" is_live
	fi
	unload
done

# modprobe may find the module loaded, and do nothing.
use_loader
: >/tmp/is-loaded
leave
ask_counted exit-0
wait "$LEAVER"
is "a helper that has loaded nothing is not believed" "$ANSWER $HELPERS" "0 2"
rm /tmp/is-loaded

# A helper that has loaded something is believed, whatever else is unloaded.
use_loader
insmod /kmod_rs/nest_c.ko
close_gate
ask_in_background w hold-loaded
event start hold-loaded
rmmod nest_c
open_gate
is "a helper that has loaded something is" "$(answer_of "$ASKER")" 0
is "so there is one" "$(events | grep -c '^start')" 0
unload

# The module does not leave: C's answer is the right one.
: >/tmp/stays
leave
ask_counted exit-0
is "a module that does not leave in a second" "$ANSWER" 256
is "costs one helper" "$HELPERS" 1
let_leave

# One that cannot be initialised is no unload.
echo fail=1 >/tmp/parameters
ask_counted exit-0
is "a module whose init fails" "$ANSWER" 256
is "costs one helper" "$HELPERS" 1
: >/tmp/parameters

# Nor is one that was unloaded before.
insmod "$MODULE"
rmmod slow_exit
: >/tmp/is-loaded
ask_counted exit-0
is "a module that left before" "$ANSWER" 0
is "costs one helper" "$HELPERS" 1
rm /tmp/is-loaded

# A killed requester does not wait for it.
leave
ask_in_background wv exit-0
await in_queue 1
kill_asker "$ASKER"
is "a requester that is killed meanwhile has the answer of its helper" "$(result_of "$ASKER")" 256
let_leave
rm /tmp/stays

# --- As fast as it can be ---

use_silent_helper

# How many requests. C fails in some of a few.
declare -A ROUNDS=([off]=$(often 20) [on]=$(often 60))
((${FULL:-0} == 0 || SLOWER > 1)) || ROUNDS[on]=10000

# against ROUNDS MODULE COMMAND...: requests the module, which the command unloads again and again.
# $OTHERS are the answers that were not 0.
against() {
	local unloader
	while :; do "${@:3}"; done 2>/dev/null &
	unloader=$!
	OTHERS=$(/kmod_rs/load --tasks=1 --rounds="$1" "w real-$2 0" 2>/dev/null | xargs)
	kill "$unloader"
	wait "$unloader" 2>/dev/null
}

for how in off on; do
	patch "$how"
	for unload in "dummy rmmod dummy" "algif_hash modprobe -qr algif_hash"; do
		# shellcheck disable=SC2086 # Several words.
		against "${ROUNDS[$how]}" $unload
		if [[ $how == off ]]; then
			ktap_print_msg "${ROUNDS[off]} requests, C, against ${unload#* }: $OTHERS"
		else
			is "of ${ROUNDS[on]} requests none fails against ${unload#* }" "$OTHERS" "no other answers"
		fi
	done
done

modprobe -qr dummy algif_hash
rm -f "$LOADER" /tmp/parameters /tmp/load
holds "it can be unloaded" give_back

finish
