#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A worker or thread of the kernel is not privileged for a name that somebody else has chosen. And
# what a denied request is answered breaks no caller.
#
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 35

# Each with the end that has the helper exit with 3.
CHOSEN=(block-major-exit-3 net-pf-exit-3 nfs-layouttype4-exit-3 rpcexit-3 rpc-auth-gss-exit-3
	snd-card-exit-3 snd-seq-client-exit-3 tty-ldisc-exit-3 w1-family-exit-3)
# The ways in which ask_worker asks, by the letters of ask_worker.h.
declare -A WAYS=([q]="a work" [f]="a work that is freed" [k]="a kthread worker" [t]="a thread")

# by MODULE HOW NAME: prints what came of it when this module asked, and the verdict.
by() {
	echo "$(/kmod_rs/ask -d "/dev/$1" "$2" "$3") $(verdict)"
}

# algorithm MODULE HOW: prints the verdicts on the requests for an algorithm that this module wants.
# The kernel may ask for cryptomgr as well.
algorithm() {
	local seen
	seen=$(newest seq)
	/kmod_rs/ask -d "/dev/$1" "c$2" exit-3 >/dev/null
	recent | sed -nE "1,/^seq=$seen /d; / name=\"crypto-exit-3(-all)?\"/"'{
		s/.* policy=([a-z-]*) rule="([^"]*)".*/\1 \2/p}' | sort -u
}

# each_chosen MODULE HOW: prints what came of it for each chosen name, each kind once.
each_chosen() {
	local name
	for name in "${CHOSEN[@]}"; do
		by "$1" "$2" "$name"
	done | sort -u
}

for module in ask_worker tipc drbd ask_phy; do
	insmod "/kmod_rs/$module.ko"
done
use_helper
patch on

each_chosen ask_worker q >/dev/null
is "mode 0: none is denied" "$(stat_of denied)" 0
set_rule autoload_mode 1

for how in q f k t; do
	is "${WAYS[$how]}: a name of the kernel's" "$(by ask_worker "$how" exit-3)" \
		"768 allowed kernel thread"
	is "${WAYS[$how]}: names that others choose" "$(each_chosen ask_worker "$how")" \
		"$NOT_FOUND denied kernel thread, as anybody"
done
is "who has asked" "$(newest comm) $(newest uid)" '"ask_worker" 0'
holds "the log says it" logged \
	'autoload denied: block-major-exit-3 \(kworker/.*\[[0-9]+\] uid 0\) rule="kernel thread, as anybody"'
is "root's own task" "$(ask w w1-family-exit-3) $(verdict)" "768 allowed capability"
is "a helper's child" "$(ask w child-w1-family-exit-3 >/dev/null; recent |
	grep 'name="w1-family-exit-3"' | tail -n 1 | field rule)" '"nested"'
set_rule autoload_allow 'w1-family-*'
is "a name that anybody may have" "$(by ask_worker q w1-family-exit-3)" \
	"768 allowed autoload_allow w1-family-*"
set_rule autoload_allow 'w1-family-*@/'
is "a name for the root cgroup" "$(by ask_worker q w1-family-exit-3)" \
	"768 allowed autoload_allow w1-family-*@/"
set_rule autoload_allow $'\n'
set_rule autoload_enforce 0
is "not enforced" "$(by ask_worker q tty-ldisc-exit-3)" \
	"768 would-be-denied kernel thread, as anybody"
set_rule autoload_enforce 1
set_rule autoload_mode 2
is "mode 2" "$(by ask_worker q tty-ldisc-exit-3)" "$NOT_FOUND denied autoload_mode 2"
set_rule autoload_mode 1

# The name of an algorithm: who asks tells.
for how in q f k t; do
	is "${WAYS[$how]}: an algorithm" "$(algorithm ask_worker "$how")" "allowed kernel thread"
done
await helpers_gone
events >/dev/null
for module in tipc drbd; do
	for how in q f k t; do
		is "$module, ${WAYS[$how]}: an algorithm that the peer has chosen" \
			"$(algorithm "$module" "$how")" "denied kernel thread, as anybody"
	done
	is "$module: a name of the kernel's" "$(by "$module" q "exit-3-$module")" \
		"768 allowed kernel thread"
done
is "no program was run for the algorithms" "$(events | grep -c crypto-)" 0
set_rule autoload_allow 'crypto-exit-3*'
is "tipc: one that anybody may have" "$(algorithm tipc q)" "allowed autoload_allow crypto-exit-3*"
set_rule autoload_allow $'\n'

# What a network driver gets that wants a PHY.
is "a PHY without a driver, denied" "$(as_nobody bash -c 'echo 4660 >/dev/ask_phy' 2>&1)" ""
is "the driver was asked for" "$(newest result) $(verdict)" "$NOT_FOUND denied autoload_mode 1"

rmmod ask_phy drbd tipc ask_worker
finish
