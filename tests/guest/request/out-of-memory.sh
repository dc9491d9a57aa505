#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# When there is no memory for something that a request needs, it gets -ENOMEM, nothing is run, and
# neither the slot nor the reference on the module is lost. Each allocation fails in turn.
#
# Watch: kmemleak

. "$(dirname "$0")/lib.sh"
plan 11

# fail_one_by_one FUNCTION: makes its first call fail, then the second, until there are no more.
# Prints how often each answer came.
fail_one_by_one() {
	local n
	for ((n = 1; n < 50; n++)); do
		echo "$1 $n" >/dev/kmod_ask_fail || return
		ask wf exit-7
		(($(</dev/kmod_ask_fail) >= n)) || break
	done | uniq -c | sed 's/^ *//'
	echo "$1 0" >/dev/kmod_ask_fail
}

count_helpers() {
	count_calls call_usermodehelper_exec
}

OK=$((7 << 8))

use_helper

# What the C code allocates: the argument vector and the struct subprocess_info.
patch off
count_helpers
is "call_usermodehelper_setup, patch off" "$(fail_one_by_one call_usermodehelper_setup)" "1 $ENOMEM
1 $OK"
is "memory, patch off" "$(fail_one_by_one __kmalloc_cache_noprof)" "2 $ENOMEM
1 $OK"
is "nothing was run" "$(calls call_usermodehelper_exec)" 2

# Rust allocates everything with krealloc(). The first allocation is for the record, and the request
# goes on without it. So is the last one, which keeps the record when the request returns. The other
# nodes of trees are those of the requests before, and without KASAN one of the three pieces of
# memory of a helper is that of the helper before. As there is only one slot, a lost slot shows.
PIECES=2
! has_option CONFIG_KASAN || PIECES=3
patch on
echo 1 >"$LIMIT"
echo 500 >"$KNOBS/busy_timeout_ms"
references=$(</sys/module/kmod_rs/refcnt)
count_helpers
is "call_usermodehelper_setup, patch on" "$(fail_one_by_one call_usermodehelper_setup)" "1 $ENOMEM
1 $OK"
is "memory, patch on" "$(fail_one_by_one krealloc_node_align_noprof)" "1 $OK
$PIECES $ENOMEM
2 $OK"
is "nothing was run" "$(calls call_usermodehelper_exec)" 4
is "two records are lost" "$(stat_of records_lost)" 2

# What Rust allocates for the queue. The first two allocations are for the record, as another one is
# in flight, and so are the last three: it is the first one of a denial, and on this account.
close_gate
hold 1
answers=$(fail_one_by_one krealloc_node_align_noprof)
matches "memory, in the queue" "$answers" "^2 $ETIME
[3-9] $ENOMEM
4 $ETIME\$"
is "nothing was run" "$(calls call_usermodehelper_exec)" 5
open_gate
await helpers_gone

is "no slot is lost" "$(ask w exit-7)" "$OK"
is "nor a reference" "$(</sys/module/kmod_rs/refcnt)" "$references"

finish
