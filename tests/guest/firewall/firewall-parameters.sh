#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The rules as parameters of the module: they are in force from the first request on, and the module
# is not loaded if they cannot be understood. The log says which rules there are.
#
# Processors: parallel
# Watch: kmemleak
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 34

STOP=/tmp/stop

# loads PARAMETER...: loads the module with these parameters, and waits until it is in place.
loads() {
	insmod /kmod_rs/kmod-rs.ko "$@" && be_patient && await settled
}

# rules: prints the rules that are set.
rules() {
	(cd "$KNOBS" && cat autoload_{mode,enforce,allow,deny} | paste -s -d '|')
}

# at_load: prints what the log says about the rules, the last time.
at_load() {
	log | sed -n 's/^kmod_rs: autoload rules at load: //p' | tail -n 1
}

# refused PARAMETER: prints what insmod says, and whether the module is loaded.
refused() {
	local said
	said=$(insmod /kmod_rs/kmod-rs.ko "$1" 2>&1)
	echo "${said##*: }$(is_loaded && echo ", loaded")"
}

# denied_more_than N: true if that many requests have been denied.
denied_more_than() {
	(($(stat_of denied) > $1))
}

is "each is listed, with what it is for" \
	"$(modinfo -F parm /kmod_rs/kmod-rs.ko | grep -cE '^(records|autoload_(mode|enforce|allow|deny)):.{20,} \((uint|charp|u32)\)$')" 5

# What cannot be understood. Some is refused by the kernel, some by the module.
printf -v long '%04095d' 0
for bad in autoload_mode=3 autoload_mode=-1 autoload_mode=x autoload_mode= autoload_mode \
	autoload_enforce=2 autoload_enforce=yes autoload_allow autoload_deny \
	'autoload_allow=[' 'autoload_deny="a [^b]"' "autoload_deny=a\\" "autoload_allow=0$long" \
	$'autoload_deny="a\nb"'; do
	is "$(printf %.40q "$bad")" "$(refused "$bad")" "Invalid parameters"
done
is "a number that is given twice" \
	"$(insmod /kmod_rs/kmod-rs.ko autoload_mode=1 autoload_mode=0 2>/dev/null; is_loaded || echo "not loaded")" "not loaded"
is "a list that is given twice" \
	"$(insmod /kmod_rs/kmod-rs.ko autoload_deny=a autoload_deny=b 2>/dev/null; is_loaded || echo "not loaded")" "not loaded"
is "the log says which" "$(log | grep -cE '^kmod_rs: autoload_(mode=3 is out of range: 0 to 2|enforce=2 is out of range: 0 to 1|(allow|deny) is no valid list of patterns: correct it, or leave it out)$')" 7

# What can be.
use_silent_helper
holds "without parameters" loads
is "nothing is denied" "$(rules) $(nobody_asks exit-0)" "0|1|| 0"
is "the log says so" "$(at_load)" 'mode=0 enforce=1 allow="" deny=""'
patch off
holds "with all of them" loads autoload_mode=1 autoload_enforce=0 autoload_allow='"fs-* \*x"' \
	autoload_deny=fs-bad
is "they are set" "$(rules)" '1|0|fs-* \*x|fs-bad'
is "and in the log" "$(at_load)" 'mode=1 enforce=0 allow="fs-* \x5c*x" deny="fs-bad"'
is "they can be changed" "$(write_to "$KNOBS/autoload_mode" $'2\n')$(rules)" '2|0|fs-* \*x|fs-bad'
is "there is no file for them" "$(ls /sys/module/kmod_rs/parameters 2>/dev/null)" ""
patch off
holds "the longest list" loads autoload_deny="$long"
is "it is set" "$(sum <"$KNOBS/autoload_deny")" "$(echo "$long" | sum)"
is "and is too long for the log" "$(at_load)" 'mode=0 enforce=1 allow="" deny=" +1"'
patch off

# The kernel ignores what it does not know, so what is missing in our line is not in force.
is "quotes of the shell" "$(loads autoload_allow='fs-* net-pf-10'; at_load)" \
	'mode=0 enforce=1 allow="fs-* net-pf-10" deny=""'
patch off
holds "without quotes" loads autoload_mode=1 autoload_allow='fs-*' net-pf-10
is "the rest is lost" "$(at_load) $(log | grep -c "unknown parameter 'net-pf-10' ignored")" \
	'mode=1 enforce=1 allow="fs-*" deny="" 1'
patch off

# Requests come all the time. From the first one that comes to the module on, each is decided on.
rm -f "$STOP"
as_nobody /kmod_rs/load --tasks=8 --until="$STOP" "w exit-0-% 0 $NOT_FOUND" >/tmp/load 2>/dev/null &
load=$!
loads records=65536 autoload_mode=1
await denied_more_than 16
touch "$STOP"
wait "$load"
is "all requests were answered" "$(</tmp/load)" "no other answers"
is "and each that came to the module was denied" \
	"$(recent | field policy | sort -u) $(recent | grep -vc policy=)" "denied 0"
rm -f "$STOP" /tmp/load

finish
