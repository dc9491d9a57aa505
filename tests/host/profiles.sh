#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The profiles in Documentation/sysctl.d, and the list of modules that belongs to one of them, open
# the modules that are expected, and no others, on the kernel that is tested. profiles.py prints
# what each pattern opens, and says what it looks for. Each kind of mistake is noticed.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

EXPECTED=$TOP/tests/host/profiles.expected
SERVER=sysctl.d/60-kmod_rs-server.conf
CONTAINERS=modules-load.d/kmod_rs-container-host.conf
WORK=$OUT/profiles

mapfile -t found < <(find "$(dirname "$KDIR")/root/" -name modules.alias -printf '%h\n')
((${#found[@]} == 1)) || die "there are ${#found[@]} modules.alias of this kernel: ${found[*]}"
MODULES=${found[0]}

# These kernels have a part of the modules.
PARTIAL=()
[[ ${MODULES##*/} != *-@(cloud|rt)-* ]] || PARTIAL=(--partial)

# judge DIRECTORY: judges the profiles below it.
judge() {
	in_sysroot python3 "$TOP/tests/host/profiles.py" "${PARTIAL[@]}" "$MODULES" "$EXPECTED" \
		"$1"/sysctl.d/*.conf "$1"/modules-load.d/*.conf
}

# noticed REGEX FILE COMMAND...: if the command changes the file, there is a complaint that matches.
noticed() {
	local said
	remove "$WORK"
	mkdir -p "$WORK"
	cp -r "$TOP"/Documentation/{sysctl.d,modules-load.d} "$WORK"
	"${@:3}" "$WORK/$2"
	! cmp -s "$WORK/$2" "$TOP/Documentation/$2" || die "nothing in $2 to be changed by: ${*:3}"
	! said=$(judge "$WORK" 2>&1 >/dev/null) || die "accepted: $2 changed by ${*:3}"
	grep -E -m 1 "$1" <<<"$said" ||
		die "not noticed with $2 changed by ${*:3}: \"$1\"; said was: $said"
}

# change SCRIPT FILE: changes it with sed(1).
change() {
	sed -Ei "$1" "$2"
}

# allow ENTRY FILE: adds an entry to the list of what is allowed.
allow() {
	change "s,^(kernel.kmod_rs.autoload_allow = ),&${1//\\/\\\\} ," "$2"
}

judge "$TOP/Documentation"

# What the profiles had once, and what is like it.
noticed 'autoload_system_uids = 999$' $SERVER \
	change '/_mode/akernel.kmod_rs.autoload_system_uids = 999'
noticed 'ipt_\* opens ip_vs, which no profile may open' $SERVER allow 'ipt_*'
noticed 'nfnetlink-subsys-\* opens ip_set, which no' $SERVER allow 'nfnetlink-subsys-*'
noticed 'snd-\* opens .*, which is not expected' $SERVER allow 'snd-*'
noticed 'type-30 opens tipc, which no profile may' $SERVER allow 'net-pf-16-proto-4-type-30'
noticed 'proto_132 opens sctp, which no profile may' $SERVER allow 'net-pf-2-proto_132'
noticed 'family-\[i-p\]\* opens l2tp_netlink, which no' $SERVER \
	allow 'net-pf-16-proto-16-family-[i-p]*'
noticed 'crypto-cts\(cbc\(serpent\)\) opens serpent_generic, which is not expected' $SERVER \
	allow 'crypto-cts(cbc(serpent))'

# Cgroups.
for cgroup in / '/*' '*' '/system.slice/*' '/system.slice/*.service' '/user.slice/*' \
	'/machine.slice/*' '/system.slice/cron*.service' '/system.slice/docker-1.scope' \
	'/system.slice/a[bc].service' '/system.slice/system-*.slice/x\@1.service' \
	'/system.slice/cron.service'; do
	noticed "char-major-10-200@.* is not for one service" $SERVER \
		allow "char-major-10-200@$cgroup"
done
noticed 'char-major-10-200@/a@b is no valid entry' $SERVER allow 'char-major-10-200@/a@b'

# What is denied.
[[ ${PARTIAL[*]} ]] || noticed 'l2tp_ip6 is denied, but not as net-pf-10-proto-115-type-2' $SERVER \
	change 's/(_deny = )/\1net-pf-10-proto-115 /'
[[ ${PARTIAL[*]} ]] || noticed 'net-pf-9 denies nothing' $SERVER change 's/(_deny = )/\1net-pf-9 /'
[[ ${PARTIAL[*]} ]] || noticed 'fs-nosuch opens nothing' $SERVER allow fs-nosuch

# The files.
noticed 'there is no newline at the end' $SERVER truncate --size=-1
noticed 'autoload_mode = 0$' $SERVER change 's/(_mode = )1/\10/'
noticed 'autoload_deny is not set' $SERVER change '/autoload_deny/d'
noticed 'autoload_allow has [0-9]+ bytes' $SERVER change 's/(_allow = )(.*)/\1\2 \2/'
noticed 'ip_vs opens ip_vs, which no profile may' $CONTAINERS change 's/^tun$/ip_vs/'
noticed 'profiles.expected: no profile has tun' $CONTAINERS change '/^tun$/d'
[[ ${PARTIAL[*]} ]] || noticed 'there is no module nosuch' $CONTAINERS change 's/^tun$/nosuch/'
