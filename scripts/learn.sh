#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Print the list for autoload_allow that a run with autoload_enforce=0 would have needed. It has a
# pattern for each name that would have been denied, and those patterns of the present list that
# were used.
#
# The input is records (/sys/kernel/debug/kmod_rs/recent if no file is given) or lines of the log,
# which gets no more than 10 different lines of a user in 5 seconds. "-" is standard input. If the
# file stats beside that file says that records have been pushed out, so does learn.sh.
#
# usage: learn.sh [FILE...]

set -euo pipefail
export LC_ALL=C

# The number of bytes that the kernel accepts, without the newline.
LONGEST=4095

RECENT=/sys/kernel/debug/kmod_rs/recent
ALLOW=/proc/sys/kernel/kmod_rs/autoload_allow

# A text in a record, and keys of a record with their values. What is in quotes is not taken for a
# key.
TEXT='"([^"]*)"'
KEYS='( [a-z_]+=("[^"]*"|[^ "]*))*'

# Print three fields for each line that counts, with tabs between them: "name", "pattern" or "deny";
# the rule; the name or the pattern. No value in records or in the log has a tab.
relevant() {
	sed -En \
		-e "s/^seq=[0-9]+$KEYS name=$TEXT$KEYS policy=would-be-denied rule=$TEXT$KEYS\$/\6\t\3/" \
		-e 't found' \
		-e "s/^seq=[0-9]+$KEYS policy=allowed rule=\"autoload_allow ([^\"]*)\"$KEYS\$/pattern\t\t\3/p" \
		-e t \
		-e 's/^.*kmod_rs: autoload would be denied: ([^ ]+) .* rule="([^"]*)"( again=[0-9]+)?$/\2\t\1/; t found' \
		-e 'd' \
		-e ':found' \
		-e 's/^autoload_deny /deny\t/; t print' \
		-e '/^crypto [^\t]/d' \
		-e 's/^/name\t/' \
		-e ':print' \
		-e 'p'
}

# A special character gets a backslash. A character that was not printable becomes "?", and so does
# a blank, because blanks separate patterns.
pattern_of_name() {
	sed -E 's/[*?[]/\\&/g; s/\\x[0-9a-f]{2}| /?/g'
}

pattern_as_it_was() {
	sed -E 's/\\x5c/\\/g; s/\\x22/"/g; s/\\x[0-9a-f]{2}/?/g'
}

# report_loss DIR KEY WHAT CONSEQUENCE: say how many of these records have been pushed out, if any.
report_loss() {
	local lost until
	lost=$(sed -n "s/^$2_pushed_out //p" "$1/stats")
	until=$(sed -n "s/^$2_pushed_out_until //p" "$1/stats")
	((${lost:-0} == 0)) ||
		echo "learn.sh: $3 pushed out of the records: $lost, the newest from $until s after boot; $4" >&2
}

# report_losses FILE: say what may be missing from the list if FILE is a file recent whose rings were
# too small.
report_losses() {
	local directory
	directory=$(dirname -- "$1")
	[[ ${1##*/} == recent && -r $directory/stats ]] || return 0
	report_loss "$directory" denials denials \
		"the list may lack names, so learn again with a greater records=N"
	# Only these say which patterns of the present list were used.
	[[ -r $ALLOW && ! $(<"$ALLOW") ]] || report_loss "$directory" records \
		"other requests" \
		"the list may lack patterns of the present autoload_allow that were used"
}

main() {
	local lines list denied file
	(($# > 0)) || set -- "$RECENT"
	lines=$(cat -- "$@" | relevant)
	for file; do report_losses "$file"; done
	list=$({
		sed -n 's/^name\t[^\t]*\t//p' <<<"$lines" | pattern_of_name
		sed -n 's/^pattern\t[^\t]*\t//p' <<<"$lines" | pattern_as_it_was
	} | sed '/^$/d' | sort -u | paste -s -d ' ')
	denied=$(sed -n 's/^deny\t//p' <<<"$lines" | sort -u)
	[[ ! $denied ]] || while IFS=$'\t' read -r pattern name; do
		echo "learn.sh: $name is in autoload_deny, by $pattern, which no other list overrides" >&2
	done <<<"$denied"
	((${#list} <= LONGEST)) ||
		echo "learn.sh: the list is longer than $LONGEST bytes: replace several of its patterns by one" >&2
	printf '%s\n' "$list"
}

main "$@"
