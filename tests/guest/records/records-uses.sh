#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# With the knob track_use it is known of a module that came from a request how often it was used and
# how long it was not. Without it nothing is known.
#

. "$(dirname "$0")/lib.sh"
plan 19

AUTOLOADED=$RECORDS/autoloaded
TRACK=$KNOBS/track_use

# of KEY: prints the value of algif_hash.
of() {
	grep '^module="algif_hash" ' "$AUTOLOADED" | field "$1"
}

# Opens a socket of the module, and closes it.
use_it() {
	bind_to hash sha256 >/dev/null
}

# idles FROM TO: true if it has been idle since a time between these two of now().
idles() {
	local before after idle
	before=$(now)
	idle=$(of idle_ms)
	after=$(now)
	# The kernel's milliseconds are rounded down.
	((idle + 1 >= before - $2 && idle <= after - $1))
}

patch on
without algif_hash
is "the default" "$(<"$TRACK")" 0
is "it comes by a request" "$(ask w algif_hash)" 0
is "nothing is known" "$(of idle_ms) $(of uses)" "- -"
use_it
is "nor when it was used" "$(of idle_ms) $(of uses)" "- -"

from=$(now)
is "uses are noted" "$(write_to "$TRACK" 1)" ""
to=$(now)
is "now none" "$(of uses)" 0
holds "it is idle since then" idles "$from" "$to"
from=$(now)
use_it
to=$(now)
uses=$(of uses)
holds "it was used: $uses times" [ "$uses" -ge 1 ]
holds "it is idle since then" idles "$from" "$to"
use_it
is "each use counts the same" "$(of uses)" $((2 * uses))

is "not any more" "$(write_to "$TRACK" 0)" ""
is "nothing is known" "$(of idle_ms) $(of uses)" "- -"
use_it
is "noted again" "$(write_to "$TRACK" 1)" ""
is "it begins with none" "$(of uses)" 0
use_it
rmmod algif_hash
ask w algif_hash >/dev/null
is "so does the module when it comes back" "$(of uses)" 0

# Modules that come, are used and go, while uses begin and cease to be noted.
rounds=$(often 20)
(
	exec 8>&- 9>&-
	while [[ ! -e /tmp/enough ]]; do use_it; done
) &
user=$!
(
	exec 8>&- 9>&-
	while [[ ! -e /tmp/enough ]]; do rmmod algif_hash 2>/dev/null; done
) &
remover=$!
for ((i = 0; i < rounds; i++)); do
	echo 0 >"$TRACK"
	cat "$AUTOLOADED" >/dev/null
	echo 1 >"$TRACK"
done
touch /tmp/enough
wait "$user" "$remover"
rm /tmp/enough
use_it
uses=$(of uses)
use_it
holds "$rounds times on and off, beside a module in use: uses are noted" [ "$(of uses)" -gt "$uses" ]

# The patch is given back, and the module goes, while uses are noted.
echo 0 >"$LIVEPATCH/enabled"
await test ! -e "$LIVEPATCH"
use_it
holds "uses are noted while the patch is off" [ "$(of uses)" -gt "$((uses + 1))" ]
holds "rmmod" await rmmod kmod_rs
use_it
is "the module can still be used" "$(bind_to hash sha256)" ": done"

finish
