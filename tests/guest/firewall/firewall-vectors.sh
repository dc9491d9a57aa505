#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# All known ways in which an ordinary user, in a user namespace of his own or not, makes the kernel
# request a module: with the firewall, none of them reaches the program that loads it, except for
# the names that are allowed.
#
# The test first finds out without the firewall which of these ways a kernel has. Many exist only
# when others have succeeded, so everything is done twice: on the bare kernel, and with modules
# loaded. Such a user brings most of them by the ways of the first round, while the firewall is off;
# root loads the rest. A few ways are there only in between. One that was never there must be one
# for which this kernel has no code.
#
# The debugging kernel has few of the ways. There the test is about what the requesters hold
# meanwhile, and runs once, without lists.
#
# Boot: alone
# Debug: --full

. "$(dirname "$0")/lib.sh"

VECTORS=/kmod_rs/vectors
REACHED=/tmp/reached
# At least so many ways are there on Debian's kernels.
AT_LEAST=200
# The ways whose modules the second round needs, those that are there only between the rounds, and
# modules that only root can load.
OUTER=(
	net-pf-8 net-pf-15 net-pf-24 net-pf-29 net-pf-31 net-pf-35 net-pf-38 net-pf-40
	net-pf-2-proto-132-type-5 net-pf-16-proto-6 net-pf-16-proto-20 net-pf-16-proto-4-type-2
	net-pf-16-proto-16-family-l2tp net-pf-16-proto-16-family-IPVS crypto-streebog256
	fs-jfs fs-udf fs-hfs fs-hfsplus fs-9p char-major-108-0 char-major-116-33 char-major-116-1
	rtnl-link-team net-sch-ingress net-cls-basic
	nfnetlink-subsys-1 nfnetlink-subsys-6 nfnetlink-subsys-10 nfnetlink-subsys-11
)
INNER=(
	algif-aead algif-hash algif-skcipher net-act-ife ematch-kind-5
	nft-expr-2-ct nft-expr-2-log nft-expr-2-notrack ipt_string ipt_physdev
	xfrm-type-10-50 crypto-deflate
)
MODULES=(rds tipc tls ip_tables ip6_tables arp_tables)

is_debugging() {
	[[ $(uname -r) == *-debug* ]]
}

# With "make test-full", lists are tried as well, and mode 2 in the first round, too.
is_thorough() {
	[[ ${FULL:-0} != 0 ]] && ! is_debugging
}

if is_debugging; then
	plan 12
elif is_thorough; then
	plan $((14 + 2 + 14 + 2))
else
	plan $((8 + 2 + 10 + 2))
fi

"$VECTORS" list >/tmp/vectors
mapfile -t CLASSES < <(cut -d' ' -f1 /tmp/vectors | grep -vx guarded | uniq)

# vectors_of CLASS: reads names, and prints those of this class.
vectors_of() {
	grep -xFf <(awk -v class="$1" '$1 == class { print $2 }' /tmp/vectors)
}

listed() {
	grep -xFf <(cut -d' ' -f2 /tmp/vectors)
}

# patterns_of CLASS...
patterns_of() {
	"$VECTORS" patterns | sed -n "$(printf 's/^%s //p;' "$@")" | tr ' ' '\n' | sort -u | xargs
}

# matched PATTERNS: reads names, and prints those that a pattern matches.
matched() {
	grep -xf <(tr ' ' '\n' <<<"$1" | sed 's/\*/.*/g')
}

# same WHAT GOT EXPECTED: these are the same names. Shows only those that are not.
same() {
	is "$1" "$(diff <(echo "$3") <(echo "$2") | sed -n 's/^> /more: /p; s/^< /missing: /p')" ""
}

# reached_by COMMAND...: puts all names for which the program was run because of the command into
# $NAMES, and how often the kernel started a program into $STARTED.
reached_by() {
	renew
	: >"$REACHED"
	SEEN=$(stat_of requests) STARTED=$(calls call_usermodehelper_exec)
	"$@" || ktap_print_msg "failed: $*"
	# Some requests do not wait for the program.
	await nothing_in_flight
	await is_over
	NAMES=$(sort -u "$REACHED")
	STARTED=$(($(calls call_usermodehelper_exec) - STARTED))
}

is_over() {
	[[ ! $(pids_of vectors) ]]
}

# Makes the kernel forget what it requests only once.
renew() {
	local module
	for module in snd_seq xt_physdev; do
		! is_module "$module" || { rmmod "$module" && modprobe "$module"; }
	done
}

# recorded POLICY KEY: prints this value of the records since then that are about requests of the
# user's own tasks, and have this policy. A ring of io_uring has tasks of its own.
recorded() {
	recent | awk -v seen="$SEEN" '{ split($1, seq, "="); if (seq[2] > seen) print }' |
		grep -E ' comm="(vectors|iou-(wrk|sqp)-[0-9]+)" uid=65534 ' |
		field "$2" "/ policy=$1 /" | tr -d '"' | sort -u
}

# Prints those that are there for root only.
guarded() {
	set_rule autoload_mode 0
	reached_by "$VECTORS" run guarded
	vectors_of guarded <<<"$NAMES"
}

# allow_some WHAT ALL REST: allows half of the classes, those whose number has this rest. Two test
# points.
allow_some() {
	local what=$1 all=$2 classes=() i patterns
	for ((i = $3; i < ${#CLASSES[@]}; i += 2)); do
		classes+=("${CLASSES[i]}")
	done
	patterns=$(patterns_of "${classes[@]}")
	set_rule autoload_allow "$patterns"$'\n'
	reached_by as_nobody "$VECTORS" run
	same "$what, ${classes[*]}: allowed" "$(listed <<<"$NAMES")" \
		"$(matched "$patterns" <<<"$all")"
	is "and no others" "$(comm -23 <(echo "$NAMES") <(matched "$patterns" <<<"$NAMES"))" ""
	set_rule autoload_allow $'\n'
}

# all_modes WHAT: eight test points, four more with lists, and two more in mode 2.
all_modes() {
	local what=$1 all guarded reachable
	guarded=$(guarded)
	reached_by as_nobody "$VECTORS" run
	all=$(listed <<<"$NAMES")
	mapfile -t reachable <<<"$all"
	ktap_print_msg "$what: $(wc -l <<<"$all") of $(wc -l </tmp/vectors)"
	SHOWN+=$'\n'$all$'\n'$guarded
	is "$what, mode 0: none that the kernel guards" "$(vectors_of guarded <<<"$all")" ""
	holds "a program was started for each" [ "$STARTED" -ge "$(wc -l <<<"$all")" ]

	set_rule autoload_mode 1
	reached_by as_nobody "$VECTORS" run
	is "$what, mode 1: none" "$NAMES" ""
	is "no program was started" "$STARTED" 0
	same "each is recorded as denied" "$(recorded denied name | listed)" "$all"
	is "and none as allowed" "$(recorded allowed name)" ""
	CALLERS+=$'\n'$(recorded denied call_site | sed 's/[+].*//')
	reached_by "$VECTORS" run guarded "${reachable[@]}"
	is "root: all" "$(listed <<<"$NAMES" | comm -13 - <(echo "$all"))" ""
	is "and those that the kernel guards" "$(vectors_of guarded <<<"$NAMES")" "$guarded"

	if is_thorough; then
		allow_some "$what" "$all" 0
		allow_some "$what" "$all" 1
	elif [[ $what == bare ]]; then
		return
	fi

	set_rule autoload_mode 2
	reached_by as_nobody "$VECTORS" run "${reachable[@]}"
	is "$what, mode 2: none" "$NAMES" ""
	reached_by "$VECTORS" run guarded "${reachable[@]}"
	is "not for root either" "$NAMES" ""
}

# load NAME...: the user has the modules loaded that these ways bring.
load() {
	set_rule autoload_mode 0
	echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
	as_nobody "$VECTORS" run "$@"
	await nothing_in_flight
	echo "$VECTORS" >"$MODPROBE"
}

# Loads what the second round needs. Two test points.
load_modules() {
	local module inner
	# With this, the kernel's old names of sound devices are requested, too.
	modprobe --quiet soundcore preclaim_oss=1
	load "${OUTER[@]}"
	restrict_af_alg 0

	reached_by as_nobody "$VECTORS" run "${INNER[@]}"
	inner=$(listed <<<"$NAMES")
	SHOWN+=$'\n'$inner
	set_rule autoload_mode 1
	reached_by as_nobody "$VECTORS" run "${INNER[@]}"
	is "$(wc -l <<<"$inner") between, mode 1: none" "$NAMES" ""
	same "each is recorded as denied" "$(recorded denied name | listed)" "$inner"

	load "${INNER[@]}"
	for module in "${MODULES[@]}"; do
		modprobe --quiet "$module" || ktap_print_msg "$module is not there"
	done
}

mkdir -p /tmp/nodes
"$VECTORS" nodes | sort -u | while IFS=: read -r major minor; do
	mknod -m 666 "/tmp/nodes/$major:$minor" "${major::1}" "${major:1}" "$minor"
done

insmod /kmod_rs/kmod-rs.ko records=2048
patch on
count_calls call_usermodehelper_exec
echo "$VECTORS" >"$MODPROBE"
SHOWN="" CALLERS=""
is_debugging || all_modes "bare"
load_modules
all_modes "with modules"

SHOWN=$(sort -u <<<"$SHOWN" | sed '/^$/d')
if ! is_debugging; then
	number=$(wc -l <<<"$SHOWN")
	ktap_print_msg "functions that make the requests: $(sort -u <<<"$CALLERS" | xargs)"
	holds "$number of them, at least $AT_LEAST" [ "$number" -ge "$AT_LEAST" ]
	unseen=""
	while read -r _ name option; do
		if [[ $option != - ]] && ! has_option "$option"; then
			ktap_print_msg "no $name: the kernel has no $option"
		else
			unseen+=" $name"
		fi
	done < <(awk 'NR == FNR { seen[$1]; next } !($2 in seen)' <(echo "$SHOWN") /tmp/vectors)
	is "all for which this kernel has code" "$unseen" ""
fi

rm -rf /tmp/nodes /tmp/vectors
finish
