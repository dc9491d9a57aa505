#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The admin guide documents each knob of sysctl.rs, with the permissions, the range and the default
# that it has there, and no other knob. Each kind of difference is noticed.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"
# shellcheck source=scripts/guest/files.sh
. "$TOP/scripts/guest/files.sh"

GUIDE=$TOP/Documentation/admin-guide.rst
WORK=$OUT/knobs
remove "$WORK"
mkdir -p "$WORK"
KNOBS=$WORK/knobs
knobs >"$KNOBS"

# entries GUIDE: prints what the guide says about each knob, one a line: the path below /proc/sys,
# the permissions or a dash, and the text. An entry is a line that begins with the whole path or,
# for the knobs of the firewall, with the name, and the indented lines right below it.
entries() {
	awk '
		function flush() { if (text) print path, mode, text; path = text = "" }
		!/^ / && !(text && /^$/) { flush() }
		/^``(\/proc\/sys\/kernel\/|autoload_[a-z_]+``)/ && !(/^``auto/ && seen[$0]++) {
			path = $0
			sub(/^``/, "", path)
			sub(/``.*/, "", path)
			sub(/^autoload_/, "/proc/sys/kernel/kmod_rs/&", path)
			sub(/^\/proc\/sys\//, "", path)
			mode = match($0, /\(0[0-7]+\)/) ? substr($0, RSTART + 1, RLENGTH - 2) : "-"
		}
		path && /^ / { gsub(/[*`]|^ +/, ""); text = text " " $0 }
		END { flush() }' "$1"
}

# named GUIDE: prints the paths of the knobs that the guide names anywhere.
named() {
	grep -oE '(kernel/kmod_rs/|kernel\.kmod_rs\.)[a-z_]+' "$1" | tr . / | sort -u
}

# numbers TEXT REGEX: prints the numbers in all places that match, one line for each different one.
numbers() {
	grep -oiE "$2" <<<"$1" | grep -oE '[0-9]+( to [0-9]+)?' | sort -u
}

# check WHAT GOT EXPECTED
check() {
	[[ $2 == "$3" ]] || echo "$1 is \"${2//$'\n'/\" and \"}\", not \"$3\""
}

# complaints GUIDE: prints what differs from sysctl.rs, one difference a line.
complaints() {
	local guide=$1 entries all path kind writer written least greatest default entry mode text
	entries=$(entries "$guide")
	all=$(sed -n 's/^kernel\/kmod_rs\/autoload_\* \(0[0-7]*\).*/\1/p' <<<"$entries")
	while read -r path kind writer least greatest default; do
		entry=$(grep "^$path " <<<"$entries" || true)
		if [[ $(grep -c . <<<"$entry") != 1 ]]; then
			echo "$path is documented $(grep -c . <<<"$entry") times"
			continue
		fi
		read -r _ mode text <<<"$entry"
		[[ $path != */autoload_* || $mode != - ]] || mode=$all
		written=0644
		[[ $writer != RULES ]] || written=0600
		case $kind in
		status)
			check "$path: mode" "$mode" 0444
			;;
		number)
			check "$path: mode" "$mode" "$written"
			check "$path: range" "$(numbers "$text" 'range:? (is |of )?[0-9]+ to [0-9]+')" "$least to $greatest"
			check "$path: default" "$(numbers "$text" 'default:? (is )?[0-9]+|[0-9]+, the default|[0-9]+ \(default\)')" "$default"
			;;
		text)
			check "$path: mode" "$mode" "$written"
			check "$path: bytes" "$(numbers "$text" 'at most [0-9]+ bytes|[0-9]+ bytes at most')" "$greatest"
			check "$path: default" "$(grep -oiE 'default:? (is )?empty|empty, the default' <<<"$text" | sed 's/.*/-/' | sort -u)" "$default"
			;;
		esac
	done <"$KNOBS"
	# The kernel's own file is no knob of the module, and one line stands for all knobs of the
	# firewall.
	comm -23 <({
		cut -d' ' -f1 <<<"$entries" | grep -vxE 'kernel/modprobe|kernel/kmod_rs/autoload_\*'
		named "$guide" | grep -vx 'kernel/kmod_rs/autoload_'
	} | sort -u) <(cut -d' ' -f1 "$KNOBS" | sort) | sed 's/$/ is no knob/'
}

# noticed REGEX SED: if the guide is changed in this way, there is a complaint that matches.
noticed() {
	local said
	sed -E "$2" "$GUIDE" >"$WORK/guide.rst"
	! cmp -s "$GUIDE" "$WORK/guide.rst" || die "nothing in the guide to be changed by: $2"
	said=$(complaints "$WORK/guide.rst")
	grep -xE "$1" <<<"$said" ||
		die "not noticed with the guide changed by $2: \"$1\"; said was: $said"
}

# change_entry NAME SED: prints a script for sed(1) that makes this change in the entry of a knob
# alone.
change_entry() {
	echo "/^\`\`(.*\/)?$1\`\`/,/^\$/{$2}"
}

size=$(sed -n 's/^static KNOBS: \[Knob; \([0-9]*\)\].*/\1/p' "$TOP/sysctl.rs")
[[ $(wc -l <"$KNOBS") == "$size" ]] ||
	die "of the $size knobs in sysctl.rs, $(wc -l <"$KNOBS") are understood: keep the first line of each entry like the others"

said=$(complaints "$GUIDE")
[[ ! $said ]] || die "Documentation/admin-guide.rst and sysctl.rs differ: $said"

noticed 'kernel/kmod-limit: range is "1 to 1001", not "1 to 1000"' \
	"$(change_entry kmod-limit 's/1000/1001/')"
noticed 'kernel/kmod_rs/chain_limit: range is "0 to 32", not "1 to 32"' \
	"$(change_entry chain_limit 's/1 to/0 to/')"
noticed 'kernel/kmod_rs/loop_repeats: default is "3", not "2"' \
	"$(change_entry loop_repeats 's/default 2/default 3/')"
noticed 'kernel/kmod_rs/coalesce: default is "", not "1"' \
	"$(change_entry coalesce 's/default/usual/')"
noticed 'kernel/kmod_rs/autoload_enforce: range is "", not "0 to 1"' \
	"$(change_entry autoload_enforce 's/Range/From/')"
noticed 'kernel/kmod_rs/autoload_allow: bytes is "4095", not "4096"' \
	"$(change_entry autoload_allow 's/4096/4095/')"
noticed 'kernel/kmod_rs/autoload_deny: default is "", not "-"' \
	"$(change_entry autoload_deny 's/empty/full/')"
noticed 'kernel/kmod_rs/log_requests: mode is "0600", not "0644"' \
	"$(change_entry log_requests 's/\(0644\)/(0600)/')"
noticed 'kernel/kmod_rs/active: mode is "0644", not "0444"' "$(change_entry active 's/0444/0644/')"
noticed 'kernel/kmod_rs/autoload_lock: mode is "0644", not "0600"' \
	's/^(.*autoload_\*.. \(0)600/\1644/'
noticed 'kernel/kmod_rs/helper_env is documented 0 times' 's/^..\/proc.*helper_env/other/'
noticed 'kernel/kmod_rs/helper_environment is no knob' 's/^(..\/proc.*helper_env)/\1ironment/'
noticed 'kernel/kmod_rs/autoload_all is no knob' 's/^(..autoload_all)ow/\1/'
noticed 'kernel/kmod_rs/busy_timeout is no knob' \
	's/kernel\.kmod_rs\.busy_timeout_ms/kernel.kmod_rs.busy_timeout/'
