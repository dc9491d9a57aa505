#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# If modprobe cannot be executed, the requester gets the errno of execve(2),
# also if it does not wait for the end.
#
# Watch: kmemleak

. "$(dirname "$0")/lib.sh"
plan 2

DIRECTORY=/tmp/exec-errors
mkdir -p "$DIRECTORY"
touch "$DIRECTORY/not-executable" "$DIRECTORY/no-program"
chmod +x "$DIRECTORY/no-program"
ln -sf loop "$DIRECTORY/loop"

errors() {
	local path
	for path in absent not-executable . no-program not-executable/below loop; do
		echo "$DIRECTORY/$path" >"$MODPROBE"
		echo "$path: $(ask w x) $(ask n x)"
	done
}

# -20 is ENOTDIR, -40 is ELOOP.
same_as_c errors "absent: $ENOENT $ENOENT
not-executable: $EACCES $EACCES
.: $EACCES $EACCES
no-program: $ENOEXEC $ENOEXEC
not-executable/below: -20 -20
loop: -40 -40"

rm -r "$DIRECTORY"
finish
