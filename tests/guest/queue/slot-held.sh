#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# When a requester that waits is killed, its slot is not free before its helper
# has ended. In C the slot is free at once, so that more helpers run than the
# limit allows.

. "$(dirname "$0")/lib.sh"
plan 5

use_helper

patch off
close_gate
hold 50
kill_asker "$ASKER"
is "patch off: free at once" "$(ask w exit-1)" $((1 << 8))
open_gate
await helpers_gone

patch on
echo 1 >"$LIMIT"
echo 300 >"$KNOBS/busy_timeout_ms"
use_helper
close_gate
ask_in_background wv hold-0
event start hold-0
kill_asker "$ASKER"
is "killed" "$(result_of "$ASKER")" "$ERESTARTSYS"
is "patch on: not free while its helper runs" "$(ask w exit-1)" "$ETIME"
be_patient
ask_in_background w exit-2
await in_queue 1
open_gate
is "it goes to who waits" "$(answer_of "$ASKER")" $((2 << 8))
is "and to who comes then" "$(ask w exit-3)" $((3 << 8))

finish
