#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# "kmod-rs check" says what becomes of a request, for whoever would make it, and why, whether or not
# the rules are enforced: what a request gets. Nothing is requested.
#
# Uses: kmod-rs
# Debug: --full

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
plan 22

A=/system.slice/a.service
MODE="would-be-denied autoload_mode 1"

# check NAME [OPTION...]: prints the exit status, the policy and the rule.
check() {
	local answer status=0
	answer=$(kmod-rs --json check "$@") || status=$?
	echo "$status $(sed -E 's/.*"policy":("([^"]*)"|null),"rule":("([^"]*)"|null).*/\2 \4/' <<<"$answer")"
}

# said COMMAND...: prints the exit status, and what the command says.
said() {
	local text status=0
	text=$("$@" 2>&1) || status=$?
	echo "$status $text"
}

matches "without the module" "$(said kmod-rs check x)" "^4 kmod-rs: kmod_rs is not loaded"
use_silent_helper
patch on
is "rules that can deny nothing" "$(check x)" "0  "
is "in words" "$(said kmod-rs check x --as 65534)" "0 allowed: x for nobody in /, as the rules can deny nothing"

set_rule autoload_mode 1
set_rule autoload_enforce 0
set_rule autoload_allow "x@$A exit-*"
set_rule autoload_deny "bad ba?-one"
mkdir -p "/sys/fs/cgroup$A"
before=$(stat_of requests)
is "root" "$(check x)" "0 allowed capability"
is "another user, by name and by ID" "$(check x --as nobody) $(check x --as 65534)" "1 $MODE 1 $MODE"
is "root without capabilities" "$(check x --no-capabilities)" "1 $MODE"
is "in the cgroup of a service" "$(check x --as nobody --cgroup $A)" "0 allowed autoload_allow x@$A"
is "root in it, without capabilities" "$(check x --no-capabilities --cgroup $A/)" \
	"0 allowed autoload_allow x@$A"
is "another name in it" "$(check y --as nobody --cgroup $A)" "1 $MODE"
is "what is denied to all" "$(check bad) $(check bad-one --cgroup $A)" \
	"1 would-be-denied autoload_deny bad 1 would-be-denied autoload_deny ba?-one"
is "a path" "$(check /x)" "1 would-be-denied path"
is "a setuid program is no matter, and no group is" "$(said kmod-rs check x --as root)" \
	"0 allowed: x for root in /, by the rule capability"
is "in words" "$(said kmod-rs check $'a "\e\\' --as nobody)" \
	'1 would be denied, if autoload_enforce were 1: a "\x1b\x5c for nobody in /, by the rule autoload_mode 1'
matches "a cgroup that is not there" "$(said kmod-rs check x --cgroup /none)" \
	"^1 kmod-rs: there is no cgroup /none now"
matches "a user who is not there" "$(said kmod-rs check x --as no:such)" "^2 kmod-rs: there is no user"
matches "a name that is too long" "$(said kmod-rs check "$(printf 'n%.0s' {1..56})" --as nobody)" \
	"^1 kmod-rs: the rules cannot be asked"
matches "for an ordinary user" "$(said as_nobody kmod-rs check x)" "^1 kmod-rs: .* is for root only"
is "nothing was requested" "$(stat_of requests)" "$before"

# A request gets the same.
set_rule autoload_enforce 1
for name in exit-0 y bad; do
	nobody_asks $name >/dev/null
	is "like a request: $name" "$(check $name --as nobody | cut -d' ' -f2-)" "$(verdict)"
done

give_back
matches "after giving back" "$(said kmod-rs check x)" "^[34] kmod-rs: kmod_rs (does not serve|is not loaded)"

rmdir "/sys/fs/cgroup$A" "/sys/fs/cgroup${A%/*}"
finish
