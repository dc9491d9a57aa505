#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# "kmod-rs learn" makes a list from a run in which nothing is enforced. Once the rules are
# enforced, this list lets the same requests pass, and no others: services get what they have asked
# for, and nobody else does. It sets the list as a whole or not at all.
#
# Boot: alone
# Uses: kmod-rs
# Needs: CONFIG_CRYPTO_USER_API_SKCIPHER CONFIG_CRYPTO_SERPENT CONFIG_LDISC_AUTOLOAD

. "$(dirname "$0")/lib.sh"
plan 40

learn() {
	kmod-rs learn "$@"
}

# learn_since SEQ: makes the list from the records after that one.
learn_since() {
	recent | sed "1,/^seq=$1 /d" | learn -
}

# Names that the user needs, each for a different kind of module, and names that he does not need.
NEEDED=(net-pf-9 tty-ldisc-3 fs-xfs rtnl-link-hsr)
OTHERS=(net-pf-11 tty-ldisc-5 fs-jfs rtnl-link-gre)

# run NAME...: the user does what makes the kernel request these names.
run() {
	as_nobody /kmod_rs/vectors run "$@"
}

echo /kmod_rs/vectors >"$MODPROBE"
insmod /kmod_rs/kmod-rs.ko records=8192
patch on
echo 0 >"$KNOBS/coalesce"

# Learn.
set_rule autoload_mode 1
set_rule autoload_enforce 0
is "not enforced: all" "$(reached run "${NEEDED[@]}")" "$(sorted "${NEEDED[@]}")"
is "root" "$(ask w root-needs)" 0
list=$(learn)
is "learned: the user's, not root's" "$list" "$(sorted "${NEEDED[@]}")"
recent >/tmp/records
is "from a file, from two, and from standard input" \
	"$(learn /tmp/records) $(learn /tmp/records "$RECORDS/recent") $(learn - </tmp/records)" \
	"$list $list $list"
rm /tmp/records
is "not from the log, and it says so" "$(log | learn - 2>&1)" \
	"kmod-rs: lines that are no records were left out: $(log | wc -l)"

# Enforce.
set_rule autoload_allow "$list"
set_rule autoload_enforce 1
is "enforced: all of them" "$(reached run "${NEEDED[@]}")" "$(sorted "${NEEDED[@]}")"
is "no others" "$(reached run "${OTHERS[@]}")" ""

# Learn more: the list has what it had, and what is new.
set_rule autoload_enforce 0
mark=$(newest seq)
run "${NEEDED[@]}" "${OTHERS[@]}"
is "with a list: it, and more" "$(learn_since "$mark")" "$(sorted "${NEEDED[@]}" "${OTHERS[@]}")"
mark=$(newest seq)
run "${NEEDED[@]:1}"
is "what is not used any more is not there" "$(learn_since "$mark")" "$(sorted "${NEEDED[@]:1}")"

# A name that no list can allow.
set_rule autoload_deny 'net-pf-*'
mark=$(newest seq)
run net-pf-9
is "a name nobody may have" "$(learn_since "$mark" 2>&1)" \
	"kmod-rs: net-pf-9 is in autoload_deny, by net-pf-*, which no other list overrides"
set_rule autoload_deny $'\n'

# A name that others choose, in a thread of the kernel.
mark=$(newest seq)
ask wk w1-family-0x7 >/dev/null
is "a thread of the kernel: nothing for anybody" "$(learn_since "$mark")" "w1-family-0x7@/"

# Names with characters that are special in a pattern, in a record or in a list.
HOSTILE=('a[b]*?c' 'say"hi"' 'back\slash' '[^x' ']' '@x' 'a@/b' 'plain' "$(printf 'n%.0s' {1..55})")
# What no entry can match alone.
UNLISTED=('x y' $'new\nline' $'\e[m')
NEAR=('a[b]xxc' 'abxxc' 'sayxhix' 'backslash' 'Xx' '^' 'plainer' 'xx' "$(printf 'n%.0s' {1..54})")
mark=$(newest seq)
for name in "${HOSTILE[@]}" "${UNLISTED[@]}"; do nobody_asks "$name" >/dev/null; done
list=$(learn_since "$mark" 2>/tmp/said)
is "hostile names" "$list" \
	"\\@x \\[^x ] a\\@/b a\\[b]\\*\\?c back\\\\slash $(printf 'n%.0s' {1..55}) plain say\"hi\""
is "others are reported" "$(cut -d: -f2- /tmp/said | sed 's/.*: //' | paste -s -d '|')" \
	'\x1b[m|new\x0aline|x y'
set_rule autoload_allow "$list"
set_rule autoload_enforce 1
for name in "${HOSTILE[@]}"; do
	is "allowed: $name" "$(nobody_asks "$name")" 0
done
denied=""
for name in "${NEAR[@]}" "${UNLISTED[@]}"; do
	[[ $(nobody_asks "$name") == "$NOT_FOUND" ]] || denied+=" $name"
done
is "what is like them is not" "$denied" ""

# Services.
A=/system.slice/a.service
B='/system.slice/system-b\x2db.slice/b-b@1.service'
LONG=/system.slice/$(printf 'l%.0s' {1..120}).service
# asks_in CGROUP NAME: an ordinary user asks in this cgroup.
asks_in() {
	in_cgroup "$1" "${AS_NOBODY[@]}" /kmod_rs/ask w "$2"
}
set_rule autoload_allow $'\n'
set_rule autoload_enforce 0
mark=$(newest seq)
{
	asks_in $A one
	asks_in $A two
	asks_in "$B" two
	asks_in $A also-a-user
	nobody_asks also-a-user
	asks_in /system.slice/cron.service cron
	asks_in /user.slice$A session
	asks_in /machine.slice$A container
	asks_in "$LONG" long
} >/dev/null
list=$(learn_since "$mark" 2>/tmp/said)
is "what one service asks for is for it" "$list" \
	"also-a-user container cron one@$A session two@$A "'two@/system.slice/system-b\\x2db.slice/b-b\@1.service'
matches "a path that is not known is reported" "$(</tmp/said)" "^kmod-rs: it is not known .*: long$"
set_rule autoload_allow "$list"
set_rule autoload_enforce 1
is "the services have it" "$(asks_in $A one) $(asks_in $A two) $(asks_in "$B" two)" "0 0 0"
is "others do not" "$(asks_in "$B" one) $(nobody_asks two) $(asks_in /user.slice$A one)" \
	"$NOT_FOUND $NOT_FOUND $NOT_FOUND"
set_rule autoload_enforce 0
mark=$(newest seq)
asks_in "$B" two >/dev/null
is "an entry that records do not show as a whole" "$(learn_since "$mark" 2>&1)" \
	'two@/system.slice/system-b\\x2db.slice/b-b\@1.service'

# Setting it. A shell writes so long a list in pieces.
set_rule autoload_allow old
mark=$(newest seq)
mapfile -t many < <(seq -f "$(printf 'm%.0s' {1..40})%05g" 40)
for name in "${many[@]}"; do nobody_asks "$name" >/dev/null; done
list=$(learn_since "$mark")
is "a long list" "$(wc -w <<<"$list") $((${#list} > 1024))" "40 1"
recent | sed "1,/^seq=$mark /d" >/tmp/records
learn /tmp/records >"$KNOBS/autoload_allow"
is "is written as a whole" "$(<"$KNOBS/autoload_allow")" "$list"
set_rule autoload_allow old
is "and is set so" "$(learn --apply /tmp/records) $(<"$KNOBS/autoload_allow")" "$list $list"
set_rule autoload_allow old
is "what the kernel refuses leaves the old one" \
	"$(without_capability sys_module kmod-rs learn --apply /tmp/records >/tmp/said 2>&1; echo $?) $(<"$KNOBS/autoload_allow")" \
	"1 old"
matches "and is said" "$(</tmp/said)" "^kmod-rs: the kernel refuses the list: the old one is in force"
is "so does no record" "$(learn --apply - </dev/null 2>/dev/null; echo $?) $(<"$KNOBS/autoload_allow")" \
	"1 old"
mapfile -t many < <(seq -f "$(printf 'k%.0s' {1..40})%05g" 60)
for name in "${many[@]}"; do nobody_asks "$name" >/dev/null; done
recent | sed "1,/^seq=$mark /d" >/tmp/records
is "and a list that is too long" \
	"$(learn --apply /tmp/records 2>/tmp/said; echo $?) $(<"$KNOBS/autoload_allow")" "1 old"
matches "which is said" "$(</tmp/said)" "longer than 4095 bytes.*; nothing is set"
rm /tmp/records /tmp/said

# Ciphers. Threads of the kernel request their parts.
set_rule autoload_allow $'\n'
set_rule autoload_enforce 0
echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
modprobe --all af_alg algif_skcipher
restrict_af_alg 0
mark=$(newest seq)
is "not enforced: cbc(serpent)" "$(bind_to skcipher 'cbc(serpent)' as_nobody)" ": done"
list=$(learn_since "$mark")
is "learned: it, and not its part" \
	"$(grep -o 'crypto-cbc(serpent) ' <<<"$list")$(grep -w crypto-serpent <<<"$list")" \
	"crypto-cbc(serpent) "
without "${SERPENT[@]}"
set_rule autoload_allow "$list"
set_rule autoload_enforce 1
is "enforced: cbc(serpent)" "$(bind_to skcipher 'cbc(serpent)' as_nobody)" ": done"
without "${SERPENT[@]}"
is "no other: ctr(serpent)" "$(bind_to skcipher 'ctr(serpent)' as_nobody)" \
	": No such file or directory"

finish
