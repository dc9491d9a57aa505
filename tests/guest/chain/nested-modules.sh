#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Modules whose init requests another module, three levels deep, through the real modprobe, and a
# module that requests itself. In Rust one slot is enough for that. If a child of modprobe loads that module, its request waits until it
# is killed, as in C. If modprobe loads it itself, C waits in the same way. Rust sees that the
# request would wait for itself, and refuses it.

. "$(dirname "$0")/lib.sh"
plan 22

CONFIG=/etc/modprobe.d/kmod_rs-nest.conf
LOADER=/tmp/loader
ELOOP=-40

unload() {
	local module
	for module in nest_a nest_b nest_c nest_self; do
		[[ ! -d /sys/module/$module ]] || rmmod "$module"
	done
}


mkdir -p /etc/modprobe.d
for module in nest_a nest_b nest_c nest_self; do
	echo "install $module /sbin/insmod /kmod_rs/$module.ko"
done >"$CONFIG"
# shellcheck disable=SC2016 # For that script.
printf '#!/bin/sh\nexec /sbin/insmod "/kmod_rs/$3.ko"\n' >"$LOADER"
chmod +x "$LOADER"

# Prints how often nest_self has requested itself.
times_asked() {
	log | grep -c "nest_self: pid="
}

# once_more N: true if it has done so more than N times.
once_more() {
	(($(times_asked) > $1))
}

# own_answer N: true if the last request of nest_self got N.
own_answer() {
	[[ $(log | sed -n "s/^nest_self: nest_self result=//p" | tail -n 1) == "$1" ]]
}

# running NAME N: true if N processes run this program.
running() {
	(($(pids_of "$1" | wc -l) == $2))
}

for how in off on; do
	patch "$how"
	# shellcheck disable=SC2034 # Used below, through eval.
	[[ $how == off ]] || references=$(</sys/module/kmod_rs/refcnt)
	if [[ $how == on ]]; then
		echo 1 >"$LIMIT"
		echo 5000 >"$KNOBS/busy_timeout_ms"
	fi

	is "asked for the first, patch $how" "$(ask w nest_a)" 0
	is "each asked for the next" "$(log | grep -cE '^nest_(a: nest_b|b: nest_c) result=0$')" \
		"$([[ $how == off ]] && echo 2 || echo 4)"
	holds "and all are there" test -d /sys/module/nest_a -a -d /sys/module/nest_b -a -d \
		/sys/module/nest_c

	# The task that waits for the second request is the insmod that runs the module's init.
	before=$(times_asked)
	ask_in_background w nest_self
	holds "one asks for itself" await once_more "$before"
	waiter=$(log | sed -n 's/^nest_self: pid=\([0-9]*\) asks.*/\1/p' | tail -n 1)
	holds "modprobe waits for it, and it for modprobe" await running insmod 2
	kill -KILL "$waiter"
	holds "killed, it gets $ERESTARTSYS" await own_answer "$ERESTARTSYS"
	is "so the first has the answer of a killed modprobe" \
		"$(answer_of "$ASKER" | grep -cE '^[0-9]+$')" 1
	await running insmod 0
	await running modprobe 0
	unload

	# The process that the kernel runs as modprobe loads the module itself.
	echo "$LOADER" >"$MODPROBE"
	ask_in_background w nest_self
	if [[ $how == off ]]; then
		holds "in C it waits for itself" await running insmod 2
		pkill -KILL -o -x insmod
		await running insmod 0
	else
		holds "here it is refused" await own_answer "$ELOOP"
	fi
	matches "the first is answered" "$(answer_of "$ASKER")" \
		"$([[ $how == off ]] && echo '^[0-9]+$' || echo '^0$')"
	is "the log says it" \
		"$(log | grep -c 'loop assumed and stopped: nest_self -> nest_self (insmod')" \
		"$([[ $how == off ]] && echo 0 || echo 1)"
	echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
	unload
done
holds "no reference is left" await references "$references"
holds "it can be unloaded" give_back

rm -f "$CONFIG" "$LOADER"
finish
