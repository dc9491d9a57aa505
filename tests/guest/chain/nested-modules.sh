#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Modules whose init asks for another module, three levels deep, through the
# real modprobe; and one that asks for itself. If modprobe has a child load it,
# that waits until it is killed, as in C. If modprobe itself loads it, C waits in
# the same way; Rust sees that it would wait for itself.

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

# How often it has been asked for by itself.
times_asked() {
	log | grep -c "nest_self: pid="
}

# once_more N: more often than that?
once_more() {
	(($(times_asked) > $1))
}

# own_answer N: what nest_self got last.
own_answer() {
	[[ $(log | sed -n "s/^nest_self: nest_self result=//p" | tail -n 1) == "$1" ]]
}

# running NAME N: so many programs.
running() {
	(($(pids_of "$1" | wc -l) == $2))
}

for how in off on; do
	patch "$how"
	# shellcheck disable=SC2034 # Used below, through eval.
	[[ $how == off ]] || references=$(</sys/module/kmod_rs/refcnt)

	is "asked for the first, patch $how" "$(ask w nest_a)" 0
	is "each asked for the next" "$(log | grep -cE '^nest_(a: nest_b|b: nest_c) result=0$')" \
		"$([[ $how == off ]] && echo 2 || echo 4)"
	holds "and all are there" test -d /sys/module/nest_a -a -d /sys/module/nest_b -a -d /sys/module/nest_c

	# The waiter of the second request is the insmod that runs its init.
	before=$(times_asked)
	ask_in_background w nest_self
	holds "one asks for itself" await once_more "$before"
	waiter=$(log | sed -n 's/^nest_self: pid=\([0-9]*\) asks.*/\1/p' | tail -n 1)
	holds "modprobe waits for it, and it for modprobe" await running insmod 2
	kill -KILL "$waiter"
	holds "killed, it gets $ERESTARTSYS" await own_answer "$ERESTARTSYS"
	is "so the first has the answer of a killed modprobe" "$(answer_of "$ASKER" | grep -cE '^[0-9]+$')" 1
	await running insmod 0
	await running modprobe 0
	unload

	# With one process that does it all.
	echo "$LOADER" >"$MODPROBE"
	ask_in_background w nest_self
	if [[ $how == off ]]; then
		holds "in C it waits for itself" await running insmod 2
		pkill -KILL -o -x insmod
		await running insmod 0
	else
		holds "here it is refused" await own_answer "$ELOOP"
	fi
	matches "the first is answered" "$(answer_of "$ASKER")" "$([[ $how == off ]] && echo '^[0-9]+$' || echo '^0$')"
	is "the log says it" "$(log | grep -c 'loop assumed and stopped: nest_self -> nest_self (insmod')" \
		"$([[ $how == off ]] && echo 0 || echo 1)"
	echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
	unload
done
holds "no reference is left" await references "$references"
holds "it can be unloaded" give_back

rm -f "$CONFIG" "$LOADER"
finish
