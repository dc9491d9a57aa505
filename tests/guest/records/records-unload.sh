#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# An open file of the records pins the module: rmmod says "in use", the reader reads on, and rmmod
# succeeds when the reader has closed the file. This holds for each of the files.

. "$(dirname "$0")/lib.sh"
plan 44

# Records need no helper.
echo >"$MODPROBE"
for file in recent inflight stats latency autoloaded answers; do
	patch on
	/kmod_rs/load --tasks=1 --rounds=100 "w quick-% $ENOENT" >/dev/null 2>&1
	whole=$(wc -l <"$RECORDS/$file")

	exec 7<"$RECORDS/$file"
	first=""
	((whole == 0)) || read -r first <&7
	echo 0 >"$LIVEPATCH/enabled"
	await test ! -e "$LIVEPATCH"
	matches "$file is open: rmmod" "$(rmmod kmod_rs 2>&1)" "Module kmod_rs is in use"
	is "refcnt" "$(</sys/module/kmod_rs/refcnt)" 1
	is "the reader reads on" "$(($(wc -l <&7) + (${#first} > 0)))" "$whole"
	exec 7<&-
	holds "it is closed" await references 0
	holds "rmmod" rmmod kmod_rs
	is "the files are gone" "$(ls -d "$RECORDS" 2>/dev/null)" ""
	is "and the events" "$(ls -d "$TRACING/events/kmod_rs" 2>/dev/null)" ""
done

# With readers that open and close the files all the time, rmmod succeeds as soon as no file is
# open.
patch on
(
	exec 8>&- 9>&-
	while [[ ! -e /tmp/enough ]]; do cat "$RECORDS"/* 2>/dev/null; done
) >/dev/null &
reader=$!
echo 0 >"$LIVEPATCH/enabled"
await test ! -e "$LIVEPATCH"
holds "rmmod between readers" await rmmod kmod_rs
touch /tmp/enough
wait "$reader"
rm /tmp/enough
holds "and it can be loaded again" take_over

finish
