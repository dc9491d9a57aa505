#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Modules are unloaded as soon as nothing uses them, while requests ask for them: no request fails,
# and whoever has what he asked for keeps it.
#
# Uses: kmod-rs
# Debug: --full

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
plan 5

ROUNDS=300
((${FULL:-0} == 0)) || ROUNDS=10000
NAMES=(tty-ldisc-13 crypto-md4 fs-hfs fs-udf)

# unloaded N: true if at least so many modules have been unloaded.
unloaded() {
	(($(log | grep -c 'kmod_rs: autoclean: unloaded=') >= $1))
}

clean_on_and_on() {
	exec 8>&- 9>&-
	while [[ ! -e /tmp/enough ]]; do
		# In a race, modprobe says that the module is in use. That is no mistake.
		kmod-rs autoclean --yes --idle 0 --gap 0 2>&1 >/dev/null | grep -Ev 'in use|stays: modprobe' >>/tmp/said
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

# What is in use stays.
/kmod_rs/ask w tty-ldisc-13 >/dev/null
keep_up discipline 13
is "a line discipline is set meanwhile" "$(</tmp/kept)" ready
count=$(log | grep -c 'kmod_rs: autoclean: unloaded=')
for ((i = 0; i < 20; i++)); do
	ask w crypto-md4 >/dev/null
	await unloaded $((count + i + 1))
done
holds "its module is still there after 20 others" is_module n_hdlc
let_go
touch /tmp/enough
wait "$CLEANER"
is "nothing else was said" "$(sort /tmp/said | uniq -c | head)" ""
log | sed -n 's/.*autoclean: unloaded="\([^"]*\)".*/\1/p' | sort | uniq -c | sed 's/^/# unloaded/'
rm -rf /tmp/enough /tmp/said /run/kmod-rs
finish
