#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Print the list for autoload_allow that a run with autoload_enforce=0 would have needed. It has an
# entry for each name that would have been denied, and those entries of the present list that were
# used. With --apply, set this list as well: all of it or, if anything goes wrong, nothing.
#
# The input is records (/sys/kernel/debug/kmod_rs/recent if no file is given), and nothing else:
# users can put lines of their own into the log. "-" is standard input. If the file stats beside
# that file says that records have been pushed out, so does learn.sh.
#
# An entry matches exactly the name that was asked for. If only services asked for it, there is an
# entry for the cgroup of each of them; if only threads of the kernel did, one for theirs. What no entry can match exactly is left out, and reported.
#
# usage: learn.sh [--apply] [FILE...]

set -euo pipefail
export LC_ALL=C

# The number of bytes that the kernel accepts, without the newline.
LONGEST=4095

RECENT=/sys/kernel/debug/kmod_rs/recent
ALLOW=/proc/sys/kernel/kmod_rs/autoload_allow

say() {
	printf 'learn.sh: %s\n' "$*" >&2
}

die() {
	say "$@"
	exit 1
}

# Print the entries of the present list, one a line.
present() {
	[[ ! -r $ALLOW ]] || tr ' ' '\n' <"$ALLOW"
}

# Read records from standard input. Print lines of two fields with a tab between them: "entry" and
# an entry of the list, or "say" and what is to be reported.
learn() {
	PRESENT=$(present) awk '
		# Set field[KEY] for all keys of a record. Text in quotes has no quote inside.
		function parse(line,    pair, key) {
			split("", field)
			while (match(line, /^[a-z_]+=("[^"]*"|[^ "]*)( |$)/)) {
				pair = substr(line, 1, RLENGTH)
				sub(/ $/, "", pair)
				line = substr(line, RLENGTH + 1)
				key = pair
				sub(/=.*/, "", key)
				field[key] = substr(pair, length(key) + 2)
				gsub(/^"|"$/, "", field[key])
			}
			return line == "" && "seq" in field && "name" in field
		}

		# The text that is shown like this in a record, or "" if a list cannot have it: it has a
		# blank, or a character that is not printable.
		function decode(shown,    text, code) {
			text = ""
			while (match(shown, /\\x[0-9a-f][0-9a-f]/)) {
				code = substr(shown, RSTART, RLENGTH)
				if (code != "\\x5c" && code != "\\x22") return ""
				text = text substr(shown, 1, RSTART - 1) (code == "\\x22" ? "\"" : "\\")
				shown = substr(shown, RSTART + RLENGTH)
			}
			text = text shown
			return text ~ /[^!-~]/ ? "" : text
		}

		# The pattern that matches this text alone.
		function pattern(text,    out, i, c) {
			out = ""
			for (i = 1; i <= length(text); i++) {
				c = substr(text, i, 1)
				out = out (index("*?[\\@", c) ? "\\" : "") c
			}
			return out
		}

		# Is this the path of the cgroup of a service, or of one below it? Not if the service runs
		# programs of users: then its cgroup says nothing of who asks.
		function is_service(path) {
			return path ~ "^/system[.]slice/([^/]+[.]slice/)*[^/]+[.]service(/|$)" &&
				path !~ "/(anacron|atd|containerd|cron|dbus|docker|podman|ssh)(@[^/]*)?[.]service(/|$)"
		}

		function report(text) {
			if (!said[text]++) print "say\t" text
		}

		# The rule shows the first 55 bytes of an entry of the list.
		function used(entry,    i, found) {
			if (length(entry) < 55) {
				print "entry\t" entry
				return
			}
			for (i in list) if (index(list[i], entry) == 1) {
				print "entry\t" list[i]
				found = 1
			}
			if (!found) report("an entry of autoload_allow was used that is not known as a whole, and is left out: " entry)
		}

		function needed(    name, cgroup) {
			name = decode(field["name"])
			if (field["rule"] ~ /^autoload_deny /)
				report(field["name"] " is in autoload_deny, by " substr(field["rule"], 15) ", which no other list overrides")
			else if (field["rule"] == "path")
				report(field["name"] " is a path to modprobe, which no list allows")
			# The cipher of which it is a part is in the list.
			else if (field["rule"] ~ /^crypto/)
				return
			else if (name == "")
				report("no entry can match this name alone, and it is left out: " field["name"])
			# Threads of the kernel are in the root; where systemd runs, no program is.
			else if (field["rule"] ~ /^kernel thread/)
				services[name, "/"]
			else {
				cgroup = decode(field["cgroup"])
				if (cgroup !~ "^/") unknown[name]
				else if (is_service(cgroup)) services[name, cgroup]
				else anybody[name]
			}
		}

		BEGIN { split(ENVIRON["PRESENT"], list, "\n") }
		!parse($0) { others++; next }
		field["policy"] == "would-be-denied" { needed() }
		field["policy"] == "allowed" && field["rule"] ~ /^autoload_allow / {
			entry = decode(substr(field["rule"], 16))
			if (entry != "") used(entry)
		}
		END {
			for (name in anybody) print "entry\t" pattern(name)
			for (name in unknown) if (!(name in anybody))
				report("it is not known who asked for this name, as the path of a cgroup is not known as a whole; for this requester it is left out: " name)
			for (both in services) {
				split(both, part, SUBSEP)
				if (!(part[1] in anybody)) print "entry\t" pattern(part[1]) "@" pattern(part[2])
			}
			if (others) report("lines that are no records were left out: " others)
		}'
}

# stat FILE KEY: print a number of the file stats beside this file recent.
stat() {
	sed -n "s/^$2 //p" "$(dirname -- "$1")/stats"
}

# report_losses FILE: say what may be missing from the list if FILE is a file recent that does not
# have all records. Print the entries that are kept for that reason.
report_losses() {
	local lost file=$1
	[[ ${file##*/} == recent && -r $(dirname -- "$file")/stats ]] || return 0
	lost=$(stat "$file" denials_pushed_out)
	((${lost:-0} == 0)) ||
		say "denials pushed out of the records: $lost, the newest from $(stat "$file" denials_pushed_out_until) s after boot; the list may lack names, so learn again with a greater records=N"
	lost=$(stat "$file" records_lost)
	((${lost:-0} == 0)) ||
		say "requests without a record, as there was no memory: $lost; the list may lack names"
	lost=$(stat "$file" records_pushed_out)
	# Only these say which entries of the present list were used.
	if ((${lost:-0} > 0)) && [[ $(present) ]]; then
		say "other requests pushed out of the records: $lost, the newest from $(stat "$file" records_pushed_out_until) s after boot; it is not known which entries of the present autoload_allow were used, so all are kept"
		present | sed '/^$/d; s/^/entry\t/'
	fi
}

# write LIST: write the list in one piece, with its newline. A shell would write it in several.
write() {
	printf '%s\n' "$1" | dd bs=16K iflag=fullblock status=none
}

# apply LIST: set the list, and make sure that it is the one in force.
apply() {
	local old
	[[ $1 ]] || die "no record says that anything is needed: nothing is set"
	old=$(<"$ALLOW") || die "the present list cannot be read: nothing is set"
	write "$1" >"$ALLOW" || die "the kernel refuses the list: the old one is in force"
	[[ $(<"$ALLOW") != "$1" ]] || return 0
	write "$old" >"$ALLOW" || die "another list is in force, and the old one cannot be set again"
	die "another list than this one was in force: the old one is set again"
}

main() {
	local lines list text file apply=""
	if [[ ${1:-} == --apply ]]; then
		apply=1
		shift
	fi
	(($# > 0)) || set -- "$RECENT"
	for file; do
		[[ $file == - || -r $file ]] || die "$file cannot be read: mount debugfs, and run this as root"
	done
	lines=$(cat -- "$@" | learn)
	for file; do
		lines+=$'\n'$(report_losses "$file")
	done
	sed -n 's/^say\t//p' <<<"$lines" | sort | while IFS= read -r text; do say "$text"; done
	list=$(sed -n 's/^entry\t//p' <<<"$lines" | sort -u | paste -s -d ' ')
	if ((${#list} > LONGEST)); then
		text="the list is longer than $LONGEST bytes: replace several of its entries by one"
		[[ ! $apply ]] || die "$text; nothing is set"
		say "$text"
	fi
	[[ ! $apply ]] || apply "$list"
	write "$list"
}

main "$@"
