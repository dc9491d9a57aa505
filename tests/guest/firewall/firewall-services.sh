#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Entries of the lists for a service: NAME@CGROUP counts for requesters in this cgroup. What a
# helper asks for goes by the cgroup of the request that it runs for. Requests share a helper only
# if the same of these entries are for them.
#
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 41

# nobody_in PATH NAME: an ordinary user in this cgroup asks. Prints the answer and the verdict.
nobody_in() {
	echo "$(in_cgroup "$1" "${AS_NOBODY[@]}" /kmod_rs/ask w "$2") $(verdict)"
}

# root_in PATH NAME: the same of root.
root_in() {
	echo "$(in_cgroup "$1" /kmod_rs/ask w "$2") $(verdict)"
}

# asks_in PATH NAME: root asks in this cgroup, in the background. The answer is added to
# /tmp/answered.
asks_in() {
	in_cgroup "$1" /kmod_rs/ask w "$2" >>/tmp/answered 8>&- 9>&- &
}

A=/system.slice/a.service B=/system.slice/b-b.service
MODE="denied autoload_mode 1"

use_silent_helper
patch on
set_rule autoload_mode 1

# The list that allows.
set_rule autoload_allow "x@$A y-1@$B z"
is "the service" "$(nobody_in $A x)" "0 allowed autoload_allow x@$A"
is "another service" "$(nobody_in $B x)" "$NOT_FOUND $MODE"
is "a cgroup of it" "$(nobody_in $A/sub x)" "$NOT_FOUND $MODE"
is "the cgroup that it is in" "$(nobody_in /system.slice x)" "$NOT_FOUND $MODE"
is "the root" "$(nobody_in / x)" "$NOT_FOUND $MODE"
is "another one of that name" "$(nobody_in /user.slice$A x)" "$NOT_FOUND $MODE"
is "another name" "$(nobody_in $A x1)" "$NOT_FOUND $MODE"
is "- and _ are the same in a name" "$(nobody_in $B y_1)" "0 allowed autoload_allow y-1@$B"
is "but not in a path" "$(nobody_in ${B//-/_} y_1)" "$NOT_FOUND $MODE"
is "a name alone is for anybody" "$(nobody_in $B z) $(nobody_in / z)" \
	"0 allowed autoload_allow z 0 allowed autoload_allow z"
is "a thread of the kernel goes by what it is" \
	"$(in_cgroup $A "${AS_NOBODY[@]}" /kmod_rs/ask wk x) $(verdict)" "0 allowed kernel thread"

# The requester cannot choose what is seen.
is "in a cgroup namespace of its own" \
	"$(in_cgroup $B "${AS_NOBODY[@]}" unshare --user --map-root-user --cgroup /kmod_rs/ask w x) $(verdict)" \
	"$NOT_FOUND $MODE"
is "and the service in one" \
	"$(in_cgroup $A "${AS_NOBODY[@]}" unshare --user --map-root-user --cgroup /kmod_rs/ask w x) $(verdict)" \
	"0 allowed autoload_allow x@$A"
mkdir -p /tmp/cgroup$A
is "with a tree that looks like it" \
	"$(in_cgroup $B unshare --mount bash -c 'mount --bind /tmp/cgroup /sys/fs/cgroup; "$@"' x "${AS_NOBODY[@]}" /kmod_rs/ask w x) $(verdict)" \
	"$NOT_FOUND $MODE"
rm -r /tmp/cgroup
is "nobody cannot move" \
	"$(in_cgroup $B "${AS_NOBODY[@]}" bash -c "echo 0 >/sys/fs/cgroup$A/cgroup.procs; /kmod_rs/ask w x" 2>/dev/null) $(verdict)" \
	"$NOT_FOUND $MODE"

# Patterns.
set_rule autoload_allow 'x@/system.slice/* y@/s?s/getty\@tty[0-9].service z@*'
is "a star matches slashes" "$(nobody_in $A/sub x)" "0 allowed autoload_allow x@/system.slice/*"
is "but not nothing at all" "$(nobody_in /system.slice x)" "$NOT_FOUND $MODE"
is "an @ in a path" "$(nobody_in /s.s/getty@tty1.service y)" \
	"0 allowed autoload_allow y@/s?s/getty\\x5c@tty[0-9].service"
is "a star is any" "$(nobody_in / z) $(nobody_in $A z)" \
	"0 allowed autoload_allow z@* 0 allowed autoload_allow z@*"

# The whole path counts, whatever of it is in the record.
LONG=/$(printf 'l%.0s' {1..200})/$(printf 'm%.0s' {1..200})
set_rule autoload_allow "x@/ll*m/end"
is "a long path" "$(nobody_in "$LONG/end" x)" "0 allowed autoload_allow x@/ll*m/end"
is "what the record has of it is no path" "$(newest cgroup | tr -d '"' | cut -c1-3)" "..."

# A path that is too long to be known: no allowance counts, and each denial does.
deep() {
	local name
	name=$(printf 'd%.0s' {1..250})
	cd /sys/fs/cgroup || return
	for _ in {1..17}; do
		mkdir -p "$name"
		cd "$name" || return
	done
	echo 0 >cgroup.procs
	cd /
	"$@"
	echo 0 >/sys/fs/cgroup/cgroup.procs
}
set_rule autoload_allow 'x@*'
set_rule autoload_deny 'y@/never'
is "not known: not allowed" "$(deep as_nobody /kmod_rs/ask w x) $(verdict)" "$NOT_FOUND $MODE"
is "not known: denied" "$(deep /kmod_rs/ask w y) $(verdict)" \
	"$NOT_FOUND denied autoload_deny y@/never"
is "other names are not concerned" "$(deep /kmod_rs/ask w z)" 0

# The list that denies.
set_rule autoload_allow 'x y'
set_rule autoload_deny "x@$A"
is "denied to the service" "$(root_in $A x)" "$NOT_FOUND denied autoload_deny x@$A"
is "and to nobody else" "$(root_in $B x)" "0 allowed autoload_allow x"
set_rule autoload_mode 0
is "in mode 0 as well" "$(root_in $A x)" "$NOT_FOUND denied autoload_deny x@$A"
is "a thread of the kernel is in no service" \
	"$(in_cgroup $A /kmod_rs/ask wk x) $(verdict)" "0 allowed autoload_allow x"

# What a helper asks for: the cgroup of the outermost request counts.
use_helper
nested() {
	recent | grep "name=\"$1\"" | tail -n 1 | sed -n 's/.* policy=\(.*\) path=.*/\1/p'
}
set_rule autoload_deny "exit-5@$A"
in_cgroup $A /kmod_rs/ask w child-exit-5 >/dev/null
is "a helper of the service" "$(nested exit-5)" "denied rule=\"autoload_deny exit-5@$A\""
in_cgroup $B /kmod_rs/ask w child-exit-5 >/dev/null
is "a helper of another one" "$(nested exit-5)" 'allowed rule="autoload_mode 0"'
in_cgroup $A /kmod_rs/ask w child-child-exit-5 >/dev/null
is "a helper of a helper" "$(nested exit-5)" "denied rule=\"autoload_deny exit-5@$A\""
set_rule autoload_mode 2
set_rule autoload_deny ''
set_rule autoload_allow "child-* exit-5@$A"
in_cgroup $A /kmod_rs/ask w child-exit-5 >/dev/null
is "allowed to the service's" "$(nested exit-5)" "allowed rule=\"autoload_allow exit-5@$A\""
in_cgroup $B /kmod_rs/ask w child-exit-5 >/dev/null
is "and to no other" "$(nested exit-5)" 'denied rule="autoload_mode 2"'

# Sharing. The service asks while another helper runs for the same name.
set_rule autoload_mode 1
set_rule autoload_allow ''
shared_by() {
	events >/dev/null
	: >/tmp/answered
	close_gate
	asks_in "$1" hold-x
	event start hold-x
	asks_in "$2" hold-x
	await second_is_there
	open_gate
	await all_answered
	await helpers_gone
	wait
	events | grep -c '^start'
}
second_is_there() {
	in_queue 1 || [[ $(pids_of helper | wc -l) == 2 ]]
}
all_answered() {
	[[ $(wc -l </tmp/answered) == 2 ]]
}
C=/system.slice/c.service
is "no entry for a cgroup: shared" "$(shared_by $A $B)" 0
set_rule autoload_allow "other@$A"
is "one for the second: not shared" "$(shared_by $B $A)" 1
is "one for the first: not shared" "$(shared_by $A $B)" 1
is "one for neither: shared" "$(shared_by $B $C)" 0
is "one for both: shared" "$(shared_by $A $A)" 0
set_rule autoload_allow "other@$A other@$B"
is "different ones: not shared" "$(shared_by $A $B)" 1
set_rule autoload_allow ''
set_rule autoload_deny "other@$A"
is "the same of the other list" "$(shared_by $A $B) $(shared_by $B $C)" "1 0"
is "all had the answer of a helper" "$(sort -u /tmp/answered)" 0

finish
