#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A module that autoload_deny has by its own name is not loaded by a request, whatever the request
# is for: another name, a module that depends on it, an install line. What can do without it is
# loaded. The name is known from then on, and costs no helper. modprobe itself is never refused.
#
# Watch: kmemleak

. "$(dirname "$0")/lib.sh"
plan 57

CONFIG=/etc/modprobe.d/kmod_rs-modules.conf
EVENTS=$TRACING/events/kmod_rs

mkdir -p /etc/modprobe.d
cat >"$CONFIG" <<'END'
alias kmod_rs-one dummy
alias kmod_rs-two dummy
alias kmod_rs-hash algif_hash
install kmod_rs-nested /kmod_rs/ask w kmod_rs-one
install kmod_rs-line /sbin/modprobe dummy
install kmod_rs-without /sbin/modprobe dummy || exit 0
install kmod_rs-fails /sbin/modprobe dummy; /sbin/insmod /kmod_rs/slow_exit.ko fail=1
END

# refusal: prints what the newest record says of the module that was refused.
refusal() {
	echo "$(newest outcome) $(newest result) $(newest denied_module) $(newest module_policy) $(newest module_rule)"
}
REFUSED="refused $NOT_FOUND \"dummy\" denied \"autoload_deny dummy\""

# had_helper: prints whether the newest request had a helper.
had_helper() {
	if [[ $(newest helper) == - ]]; then echo no; else echo yes; fi
}

# there MODULE...: prints those that are loaded.
there() {
	local module
	for module; do
		! is_module "$module" || echo "$module"
	done | xargs
}

# said: prints the lines of the firewall since the test began, without process ids.
said() {
	log | sed -n 's/^kmod_rs: autoload \(.*denied: .*\)\[[0-9]*\] \(.*\)/\1 \2/p'
}

# denials SEQ: prints the events of a request that say that something was denied.
denials() {
	sed -En "s/.*: ([a-z]+_denied): seq=$1 /\1: /p" "$TRACING/trace"
}

# more_denied N: true if more than N modules have been refused.
more_denied() {
	(($(stat_of modules_denied) > $1))
}

# A module is counted when it is refused, and is in the list of modules until the system call of the
# modprobe has freed it.
modprobe_gone() {
	[[ ! $(pids_of modprobe) ]]
}

# in_cgroup NAME: prints the answer to a request for the name from the cgroup /kmod_rs-x.
in_cgroup() {
	bash -c 'echo $$ >/sys/fs/cgroup/kmod_rs-x/cgroup.procs; exec /kmod_rs/ask w "$0"' "$1"
}

# loading N: true if that many tasks are in the kernel to load a module.
loading() {
	local tasks
	mapfile -t tasks < <(grep -l 'finit_module\|load_module' /proc/[0-9]*/stack 2>/dev/null)
	((${#tasks[@]} == $1))
}

patch on
set_rule autoload_deny dummy
echo 1 >"$EVENTS/enable"
: >"$TRACING/trace"

# Another name of the module.
is "asked for by an alias" "$(nobody_asks kmod_rs-one) $(there dummy)" "$NOT_FOUND "
is "its record" "$(refusal)" "$REFUSED"
is "the name was allowed, and had a helper" "$(newest policy) $(had_helper)" "allowed yes"
is "the last keys of the line" "$(recent | keys | grep -o 'path.*')" \
	"path denied_module module_policy module_rule"
is "in the log" "$(said)" \
	'denied: kmod_rs-one (ask uid 65534) rule="autoload_deny dummy" module=dummy'
is "the event" "$(denials "$(newest seq)")" \
	'module_denied: name="kmod_rs-one" module=dummy rule="autoload_deny dummy"'
is "counted" "$(stat_of refused) $(stat_of denied) $(stat_of modules_denied)" "1 0 1"
is "no module has appeared" "$(newest modules) $(cat "$RECORDS/autoloaded")" "- "

# The name is known.
is "again" "$(nobody_asks kmod_rs-one) $(had_helper)" "$NOT_FOUND no"
is "its record" "$(newest outcome) $(verdict) $(newest denied_module) $(newest module_rule)" \
	'denied denied autoload_deny dummy "dummy" "autoload_deny dummy"'
is "its event" "$(denials "$(newest seq)")" \
	"request_denied: name=\"kmod_rs-one\" result=$NOT_FOUND rule=\"autoload_deny dummy, module dummy\""
is "for root as well, and as modprobe reads it" "$(ask w kmod_rs_one) $(newest outcome)" \
	"$NOT_FOUND denied"
is "one that does not wait" "$(ask n kmod_rs-one) $(newest outcome)" "$NOT_FOUND denied"
is "no module was read for these" "$(stat_of modules_denied)" 1
is "another name is not known" "$(nobody_asks kmod_rs-two) $(refusal)" "$NOT_FOUND $REFUSED"
is "until it is" "$(nobody_asks kmod_rs-two) $(newest outcome)" "$NOT_FOUND denied"

# It is forgotten when the live modules change, but users cannot have that happen.
insmod /kmod_rs/slow_exit.ko fail=1 2>/dev/null
is "a module whose init fails changes nothing" "$(ask w kmod_rs-one) $(newest outcome)" \
	"$NOT_FOUND denied"
insmod /kmod_rs/slow_exit.ko
is "a module has come" "$(ask w kmod_rs-one) $(refusal)" "$NOT_FOUND $REFUSED"
is "known again" "$(ask w kmod_rs-one) $(newest outcome)" "$NOT_FOUND denied"
rmmod slow_exit
is "a module has gone" "$(ask w kmod_rs-one) $(refusal)" "$NOT_FOUND $REFUSED"
set_rule autoload_deny dummy
is "the rules were written" "$(ask w kmod_rs-one) $(refusal)" "$NOT_FOUND $REFUSED"

# What an administrator loads is not asked about, and is not refused.
holds "modprobe itself" modprobe dummy
is "a request for what is there" "$(ask w kmod_rs-one) $(newest outcome)" "0 nothing"
modprobe -r dummy

# Ways to the module.
is "an install line" "$(ask w kmod_rs-line) $(refusal)" "$NOT_FOUND $REFUSED"
is "one that does without" "$(ask w kmod_rs-without) $(newest outcome) $(newest denied_module)" \
	'0 nothing "dummy"'
is "which is not denied for that" "$(ask w kmod_rs-without) $(newest outcome) $(newest denied_module)" \
	'0 nothing "dummy"'
is "one that fails for another reason is not known" \
	"$(ask w kmod_rs-fails) $(newest outcome) $(ask w kmod_rs-fails) $(had_helper)" \
	"$NOT_FOUND refused $NOT_FOUND yes"
without algif_hash af_alg
set_rule autoload_deny af_alg
is "a dependency" "$(nobody_asks algif-hash) $(newest outcome) $(newest denied_module)" \
	"$NOT_FOUND refused \"af_alg\""
is "neither is there" "$(there algif_hash af_alg)" ""
set_rule autoload_deny algif_hash
is "what a denied module depends on comes" "$(ask w kmod_rs-hash) $(there algif_hash af_alg)" \
	"$NOT_FOUND af_alg"
restrict_af_alg 0
is "the module's name, where the kernel has a dash" \
	"$(/kmod_rs/demo-socket alg hash sha256 2>&1 | grep -c 'No such file') $(newest name) $(newest outcome) $(newest rule)" \
	'1 "algif-hash" denied "autoload_deny algif_hash"'
set_rule autoload_deny dummy
for how in pre post; do
	without algif_hash
	echo "softdep algif_hash $how: dummy" >>"$CONFIG"
	is "a soft dependency, $how" "$(ask w algif_hash) $(there algif_hash dummy)" "0 algif_hash"
	is "said all the same" "$(newest outcome) $(newest denied_module) $(newest module_policy)" \
		'loaded "dummy" denied'
	without algif_hash
	is "it can be asked for again" "$(ask w algif_hash) $(there algif_hash dummy)" "0 algif_hash"
	sed -i '/softdep/d' "$CONFIG"
done
before=$(stat_of modules_denied)
ask n kmod_rs-two >/dev/null
holds "a request that does not wait" await more_denied "$before"
await modprobe_gone
is "it is not there" "$(there dummy)" ""

# No mode and no other list allows it.
set_rule autoload_mode 1
set_rule autoload_allow 'kmod_rs-* dummy'
is "whatever autoload_allow says" "$(nobody_asks kmod_rs-one) $(newest policy) $(newest denied_module)" \
	"$NOT_FOUND allowed \"dummy\""
is "the name that is denied itself" "$(ask w dummy) $(newest outcome) $(newest denied_module)" \
	"$NOT_FOUND denied "
set_rule autoload_mode 0

# Rules that are not enforced.
set_rule autoload_enforce 0
is "would be denied, and comes" "$(ask w kmod_rs-one) $(there dummy)" "0 dummy"
is "its record says so" "$(newest outcome) $(newest policy) $(newest denied_module) $(newest module_policy)" \
	'loaded allowed "dummy" would-be-denied'
is "and the log" "$(said | tail -n 1)" \
	'would be denied: kmod_rs-one (bash uid 0) rule="autoload_deny dummy" module=dummy'
is "counted" "$(stat_of modules_would_be_denied)" 1
modprobe -r dummy
set_rule autoload_enforce 1

# Entries for a cgroup: that of the requester counts, of the outermost one if requests are nested.
mkdir /sys/fs/cgroup/kmod_rs-x
set_rule autoload_deny 'dummy@/kmod_rs-x'
is "from that cgroup" "$(in_cgroup kmod_rs-one) $(newest outcome) $(newest module_rule)" \
	"$NOT_FOUND refused \"autoload_deny dummy@/kmod_rs-x\""
is "and again" "$(in_cgroup kmod_rs-one) $(newest outcome)" "$NOT_FOUND denied"
is "from another one it is not known as denied" "$(ask w kmod_rs-one) $(newest outcome) $(there dummy)" \
	"0 loaded dummy"
modprobe -r dummy
in_cgroup kmod_rs-nested >/dev/null
is "for a helper's request" \
	"$(recent | grep 'name="kmod_rs-one"' | tail -n 1 | field denied_module) $(there dummy)" '"dummy" '
ask w kmod_rs-nested >/dev/null
is "for a helper's request from elsewhere" "$(there dummy)" dummy
modprobe -r dummy
rmdir /sys/fs/cgroup/kmod_rs-x
set_rule autoload_deny dummy

# Helpers that decide by the requester have nothing remembered.
echo 1 >"$KNOBS/helper_env"
is "with helper_env" "$(ask w kmod_rs-two; had_helper; ask w kmod_rs-two; had_helper)" \
	"$NOT_FOUND
yes
$NOT_FOUND
yes"
echo 0 >"$KNOBS/helper_env"

# Nothing is left of what was refused, however often.
for ((i = $(often 20); i > 0; i--)); do
	set_rule autoload_deny dummy
	ask w kmod_rs-one
done | sort -u >/tmp/answers-of-all
is "many times" "$(</tmp/answers-of-all)" "$NOT_FOUND"
rm /tmp/answers-of-all
set_rule autoload_deny $'\n'
is "allowed, it comes" "$(ask w kmod_rs-one) $(there dummy)" "0 dummy"
modprobe -r dummy

# The kernel loads a file once for all who load it at the same time. The answer of another helper is
# not taken for one's own.
give_back
insmod /kmod_rs/hold_coming.ko name=dummy hold=1
patch on
set_rule autoload_deny dummy
ask_in_background w kmod_rs-one
first=$ASKER
await logged 'hold_coming: holds dummy'
modprobe dummy 2>/tmp/said-by-modprobe &
explicit=$!
await loading 2
ask_in_background w kmod_rs-two
await loading 3
echo 0 >/sys/module/hold_coming/parameters/hold
is "two helpers at the same time" "$(answer_of "$first") $(answer_of "$ASKER")" \
	"$NOT_FOUND $NOT_FOUND"
is "each was refused the module itself" \
	"$(recent | grep 'outcome=refused' | field denied_module | xargs) $(stat_of modules_denied)" \
	"dummy dummy 2"
wait "$explicit"
is "a modprobe at the same time shares the failure" "$? $(grep -c 'not permitted' /tmp/said-by-modprobe)" \
	"1 1"
holds "and not a moment later" modprobe dummy
modprobe -r dummy
rmmod hold_coming
rm /tmp/said-by-modprobe
without algif_hash af_alg

rm "$CONFIG"
finish
