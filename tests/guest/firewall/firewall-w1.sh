#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A user has the thread of a 1-Wire bus make a request, with a name that the user chooses.
#
# Needs: CONFIG_W1 CONFIG_W1_CON

. "$(dirname "$0")/lib.sh"
plan 6

# add FAMILY: adds a slave to the bus, and waits for the request.
add() {
	local bus
	bus=$(sed -n 's/^w1_bus_master//p' <<<"$(basename /sys/bus/w1/devices/w1_bus_master*)")
	as_nobody /kmod_rs/w1_add "$bus" "$1"
	await eval "recent | grep -q 'name=\"w1-family-$1\" .* comm=\"w1_bus_master$bus\"'"
}

modprobe wire
insmod /kmod_rs/w1_bus.ko || exit 1
use_silent_helper
patch on

holds "mode 0: uid 65534 adds a slave" add 0x10
is "the thread of the bus asks for what the user has chosen" "$(newest comm) $(newest outcome)" \
	'"w1_bus_master1" nothing'
set_rule autoload_mode 1
holds "mode 1: another one" add 0x22
is "is denied" "$(newest result) $(verdict)" "$NOT_FOUND denied kernel thread, as anybody"
set_rule autoload_allow 'w1-family-0x28'
holds "one that anybody may have" add 0x28
is "is allowed" "$(newest outcome) $(verdict)" "nothing allowed autoload_allow w1-family-0x28"

rmmod w1_bus wire
finish
