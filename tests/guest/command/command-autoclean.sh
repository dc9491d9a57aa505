#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Modules are unloaded as soon as nothing uses them, while requests ask for them: no request fails,
# and whoever has what he asked for keeps it.
#
# Processors: parallel
# Uses: kmod-rs
# Debug: --full

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
plan 4

ROUNDS=100
((${FULL:-0} == 0)) || ROUNDS=10000
NAMES=(tty-ldisc-13 crypto-md4 fs-hfs fs-udf)
# What is said when somebody uses a module while a pass is about to unload it.
REFUSED='is in use|Resource temporarily unavailable|Device or resource busy'

# unloaded N: true if at least so many modules have been unloaded.
unloaded() {
	(($(log | grep -c 'kmod_rs: autoclean: unloaded=') >= $1))
}

# clean_on_and_on: passes, one after the other, until there is a file `enough`. Each holds a lock, so
# the test can have a moment without one. What they say is in /tmp/said.
clean_on_and_on() {
	exec 8>&- 9>&-
	while [[ ! -e /tmp/enough ]]; do
		flock /tmp/pass kmod-rs autoclean --yes --idle 0 --gap 0 2>>/tmp/said >/dev/null
	done
}

patch on
: >/tmp/said
clean_on_and_on &
CLEANER=$!
failed=0 answers=()
for ((i = 0; i < ROUNDS; i++)); do
	name=${NAMES[i % ${#NAMES[@]}]}
	answer=$(ask w "$name")
	if [[ $answer != 0 ]]; then
		failed=$((failed + 1))
		answers+=("$name=$answer")
	fi
done
is "$ROUNDS requests, of which failed" "$failed" 0
((failed == 0)) || printf '# %s\n' "${answers[@]}"
holds "modules were unloaded meanwhile" unloaded 10

# What is in use stays, and is left alone. Between passes, nobody takes it away before it is used.
exec {PASS}>/tmp/pass
flock "$PASS"
keep_up discipline 13
mv /tmp/said /tmp/said.before
: >/tmp/said
count=$(log | grep -c 'kmod_rs: autoclean: unloaded=')
flock --unlock "$PASS"
for ((i = 0; i < 20; i++)); do
	ask w crypto-md4 >/dev/null
	await unloaded $((count + i + 1)) || break
done
touch /tmp/enough
wait "$CLEANER"
is "a line discipline in use is left alone while 20 others go" \
	"$i $(</tmp/kept) $(is_module n_hdlc && echo there)$(grep n_hdlc /tmp/said)" "20 ready there"
let_go
# In a race the kernel refuses, and modprobe says so. That is no mistake.
is "nothing else was said" \
	"$(cat /tmp/said.before /tmp/said | grep -Ev "$REFUSED" | sort | uniq -c | head)" ""
cat /tmp/said.before /tmp/said | sort | uniq -c | sed 's/^/# said/'
log | sed -n 's/.*autoclean: unloaded="\([^"]*\)".*/\1/p' | sort | uniq -c | sed 's/^/# unloaded/'
rm -rf /tmp/enough /tmp/said* /tmp/pass /run/kmod-rs
finish
