#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Newlines, quotes, backslashes and control characters in the names of requests, tasks and cgroups
# stay in their fields, in the files, the trace events, the log and the environment of the helper.
# No line and no field can be forged.

. "$(dirname "$0")/lib.sh"
plan 13

KEYS="seq t name wait pid tgid comm uid loginuid userns nspid cgroup call_site chain helper queue_us helper_us outcome result modules path"
COMM=$'a"\nseq=9 \\'
NAME=$'describe-"\nseq=9 t=1\x1b[2J\xff\\ wait=7'
SHOWN='describe-\x22\x0aseq=9 t=1\x1b[2J\xff\x5c wait=7'
ONE_WORD=${SHOWN// /\\x20}

use_helper
patch on
echo 1 >"$KNOBS/helper_env"
echo 2 >"$KNOBS/log_requests"
: >"$TRACING/trace"
echo 1 >"$TRACING/events/kmod_rs/enable"
# The kernel makes the column with the task, and shows the task's name as it is.
echo 0 >"$TRACING/options/context-info"

/kmod_rs/ask -c "$COMM" w "$NAME" >/dev/null
is "one record" "$(recent | wc -l)" 1
is "with the usual keys" "$(recent | keys)" "$KEYS"
is "name" "$(newest name)" "\"$SHOWN\""
is "comm" "$(newest comm)" '"a\x22\x0aseq=9 \x5c"'
is "wait" "$(newest wait)" 1
is "seq" "$(recent | field seq)" 1

is "two events" "$(grep -c 'request_[a-z]*: ' "$TRACING/trace")" 2
is "one of them the beginning" "$(sed -n 's/^ *request_begin: //p' "$TRACING/trace" | field name)" \
	"\"$SHOWN\""
is "the other the end" "$(sed -n 's/^ *request_end: //p' "$TRACING/trace" | field name)" \
	"\"$SHOWN\""
is "no line is longer or shorter" "$(grep -v -e '^#' -e '^ *request_begin: seq=.*chain=-$' -e '^ *request_end: seq=.*helper_us=[0-9]* path="[^"]*"$' "$TRACING/trace")" ""

is "the log" "$(log | grep -c '^kmod_rs: request ')" 1
is "with both in one word" "$(log | sed -n "s/^kmod_rs: request \(.*\)\[[0-9]*\] uid 0).*/\1/p")" \
	"$ONE_WORD (a\x22\x0aseq=9\x20\x5c"
is "the environment" "$(sed -n 's/.*KMOD_REQUESTER_COMM=//p' /tmp/description)" \
	'a\x22\x0aseq=9\x20\x5c'

echo 1 >"$TRACING/options/context-info"
echo 0 >"$TRACING/events/kmod_rs/enable"
finish
