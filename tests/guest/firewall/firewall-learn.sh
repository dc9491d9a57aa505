#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scripts/learn.sh makes a list from a run in which nothing is enforced. Once the rules are
# enforced, this list lets the same requests pass, and no others.
#
# Boot: alone
# Needs: CONFIG_CRYPTO_USER_API_SKCIPHER CONFIG_CRYPTO_SERPENT

. "$(dirname "$0")/lib.sh"
plan 24

learn() {
	bash /kmod_rs/scripts/learn.sh "$@"
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
is "the same from the log" "$(log | learn -)" "$list"
log >/tmp/lines
is "from a file, and from two" "$(learn /tmp/lines) $(learn /tmp/lines "$RECORDS/recent")" \
	"$list $list"
rm /tmp/lines

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
	"learn.sh: net-pf-9 is in autoload_deny, by net-pf-*, which no other list overrides"
set_rule autoload_deny $'\n'

# Names with characters that are special in a pattern, in a record or in a list.
HOSTILE=('a[b]*?c' 'x y' 'say"hi"' 'back\slash' $'new\nline' '[^x' ']' 'plain')
NEAR=('a[b]xxc' 'abxxc' 'x y ' 'x' 'y' 'backslash' 'Xx' '^' 'plainer')
mark=$(newest seq)
for name in "${HOSTILE[@]}"; do nobody_asks "$name" >/dev/null; done
list=$(learn_since "$mark")
is "hostile names" "$list" '\[^x ] a\[b]\*\?c back?slash new?line plain say?hi? x?y'
set_rule autoload_allow "$list"
set_rule autoload_enforce 1
for name in "${HOSTILE[@]}"; do
	is "allowed: ${name//$'\n'/ }" "$(nobody_asks "$name")" 0
done
denied=""
for name in "${NEAR[@]}"; do [[ $(nobody_asks "$name") == "$NOT_FOUND" ]] || denied+=" $name"; done
is "what is like them is not" "$denied" ""

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
