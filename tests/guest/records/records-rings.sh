#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Denials, loops and timeouts have a ring of their own, which other requests do not flush. In each
# ring, a user who floods it pushes out their own records only. What was pushed out is counted, and
# "kmod-rs learn" says so.
#
# Uses: kmod-rs

. "$(dirname "$0")/lib.sh"
plan 27

SIZE=8

# seqs REGEX: prints the numbers of the records that match.
seqs() {
	recent | grep -E "$1" | field seq | xargs
}

# names REGEX: prints their names.
names() {
	recent | grep -E "$1" | field name | xargs
}

# own UID: prints how many records there are of this user's own requests.
own() {
	recent | grep -c " uid=$1 "
}

# many N NAME ANSWER [COMMAND...]: makes requests for NAME-1, NAME-2, ...
many() {
	is "$1 requests for $2-*" \
		"$("${@:4}" /kmod_rs/load --tasks=1 --rounds="$1" "w $2-% $3" 2>/dev/null)" \
		"no other answers"
}

learn() {
	kmod-rs learn 2>&1
}

# Without a program, requests take no time.
program_on() {
	echo "$HELPER" >"$MODPROBE"
}

program_off() {
	echo >"$MODPROBE"
}

# One of each of the three, then many others.
insmod /kmod_rs/kmod-rs.ko records=$SIZE
patch on
be_patient
use_helper
set_rule autoload_mode 1
nobody_asks exit-0 >/dev/null
set_rule autoload_mode 0
/kmod_rs/ask w again-child >/dev/null
await helpers_gone
echo 1 >"$LIMIT"
echo 200 >"$KNOBS/busy_timeout_ms"
close_gate
hold 1
ask w exit-0 >/dev/null
be_patient
echo 50 >"$LIMIT"
open_gate
answer_of "$ASKER" >/dev/null
rare=$(seqs 'outcome=(denied|loop|timeout)')
is "one of each" "$(recent | field outcome | grep -xE 'denied|loop|timeout' | xargs)" \
	"denied loop timeout"
is "nothing was pushed out" "$(grep -h pushed_out "$RECORDS/stats" | xargs)" \
	"records_pushed_out 0 records_pushed_out_until - denials_pushed_out 0 denials_pushed_out_until -"
before=$(($(recent | wc -l) - 3))
program_off
many 300 off "$ENOENT"
is "they push no denial out" "$(seqs 'outcome=(denied|loop|timeout)')" "$rare"
is "but others" "$(seqs outcome=off | wc -w) $(newest name) $(recent | wc -l)" \
	"$SIZE \"off-300\" $((SIZE + 3))"
is "which are counted" "$(stat_of records_pushed_out) $(stat_of denials_pushed_out)" \
	"$((before + 300 - SIZE)) 0"
is "the oldest of each ring" "$(stat_of records_oldest) $(stat_of denials_oldest)" \
	"$(recent | field t '/outcome=off/' | head -n 1) $(recent | field t | head -n 1)"
holds "what was pushed out is older" awk -v until="$(stat_of records_pushed_out_until)" \
	-v oldest="$(stat_of records_oldest)" 'BEGIN { exit !(0 < until && until < oldest) }'

# A request that returns late stands where it began.
program_on
close_gate
hold 1
program_off
many 3 later "$ENOENT"
open_gate
answer_of "$ASKER" >/dev/null
is "the order is that of seq" "$(recent | tail -n 4 | field name | xargs)" \
	"hold-0 later-1 later-2 later-3"
is "of both rings" "$(recent | field seq)" "$(recent | field seq | sort -n)"

# In each ring a user's flood pushes out the user's own.
many $SIZE root "$ENOENT"
many 100 user "$ENOENT" as_nobody
is "the others: half of them are root's" "$(names 'name="(root|user)-')" \
	"root-5 root-6 root-7 root-8 user-97 user-98 user-99 user-100"
use_silent_helper
many 5 child-exit-0 0 as_nobody
is "nested requests are on the account of the outermost" "$(names 'name="root-')" \
	"root-5 root-6 root-7 root-8"
set_rule autoload_mode 2
many 4 no-root "$NOT_FOUND"
many 100 no-user "$NOT_FOUND" as_nobody
is "denials: half of them are root's" "$(names 'outcome=denied')" \
	"no-root-1 no-root-2 no-root-3 no-root-4 no-user-97 no-user-98 no-user-99 no-user-100"
setpriv --reuid=1234 --clear-groups /kmod_rs/ask w no-third >/dev/null
is "a third user has room at once" "$(names 'outcome=denied.* path=-' | tr ' ' '\n' | tail -n 1) $(own 1234)" \
	"no-third 1"
is "no more than $SIZE in each ring" "$(recent | wc -l)" $((2 * SIZE))

# Learning.
give_back
insmod /kmod_rs/kmod-rs.ko records=$SIZE
patch on
set_rule autoload_mode 1
set_rule autoload_enforce 0
nobody_asks exit-0-needed >/dev/null
program_off
many 300 off "$ENOENT" as_nobody
is "what would have been denied is learned" "$(learn)" exit-0-needed
program_on
many $SIZE exit-0-also 0 as_nobody
is "if too much would have been, learn says so" "$(learn | grep '^kmod-rs')" \
	"kmod-rs: denials pushed out of the records: 1, the newest from $(stat_of denials_pushed_out_until) s after boot; the list may lack names, so learn again with a greater records=N"
set_rule autoload_allow exit-0-kept
is "and if others were, it keeps the whole list" \
	"$(learn | tail -n 1 | tr ' ' '\n' | grep -cx exit-0-kept)" 1
is "and says so" "$(learn | grep '^kmod-rs: other')" \
	"kmod-rs: other requests pushed out of the records: $(stat_of records_pushed_out), the newest from $(stat_of records_pushed_out_until) s after boot; it is not known which entries of the present autoload_allow were used, so all are kept"

finish
