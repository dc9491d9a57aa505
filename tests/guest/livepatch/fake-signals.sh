#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# When a transition takes long, the kernel hurries it on with fake signals after
# 15 s. They must not end the wait of a request, neither for a slot nor for its
# helper.

. "$(dirname "$0")/lib.sh"
plan 3

use_helper
patch on
echo 1 >"$LIMIT"
close_gate
ask_in_background w hold-exit-1
helped=$ASKER
event start hold-exit-1
ask_in_background w exit-2
queued=$ASKER
await in_queue 1

echo 0 >"$LIVEPATCH/enabled"
holds "there are signals" await logged 'livepatch: signaling remaining tasks$'
open_gate
is "the one that waits for its helper" "$(answer_of "$helped")" $((1 << 8))
is "the one that waits for its slot" "$(answer_of "$queued")" $((2 << 8))

finish
