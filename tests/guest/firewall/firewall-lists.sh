#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# autoload_allow and autoload_deny: which list wins, what a pattern matches, and what is refused. No
# request sees a part of a list.
#
# Processors: parallel
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 106

ALLOW=$KNOBS/autoload_allow DENY=$KNOBS/autoload_deny

# matched PATTERN NAME: prints "yes" if the pattern lets an ordinary user have the name.
matched() {
	local answer
	set_rule autoload_allow "$1"
	answer=$(nobody_asks "$2")
	case $answer in
	0) echo yes ;;
	"$NOT_FOUND") echo no ;;
	*) echo "$answer" ;;
	esac
}

use_silent_helper
patch on
set_rule autoload_mode 1

# Which list wins.
set_rule autoload_allow 'fs-* sock-10'
is "allow: one" "$(nobody_asks sock-10) $(verdict)" "0 allowed autoload_allow sock-10"
is "allow: another" "$(nobody_asks fs-none) $(verdict)" "0 allowed autoload_allow fs-*"
is "allow: no other" "$(nobody_asks sock-1) $(verdict)" "$NOT_FOUND denied autoload_mode 1"
set_rule autoload_deny 'fs-a* fs-b*'
is "deny wins over allow" "$(nobody_asks fs-bcd) $(verdict)" "$NOT_FOUND denied autoload_deny fs-b*"
is "for root as well" "$(ask w fs-bcd) $(verdict)" "$NOT_FOUND denied autoload_deny fs-b*"
is "for kernel threads as well" "$(/kmod_rs/ask wk fs-bcd)" "$NOT_FOUND"
is "nothing else is denied" "$(nobody_asks fs-none)" 0
set_rule autoload_allow $'\n'
use_helper
ask w child-fs-bcd >/dev/null
is "for helpers as well" "$(recent | grep 'name="fs-bcd"' | tail -n 1 | sed -n 's/.* policy=\(.*\) path=.*/\1/p')" \
	'denied rule="autoload_deny fs-b*"'
use_silent_helper
set_rule autoload_mode 0
is "in mode 0 as well" "$(nobody_asks fs-bcd) $(ask w fs-bcd) $(verdict)" \
	"$NOT_FOUND $NOT_FOUND denied autoload_deny fs-b*"
is "of which others are not touched" "$(nobody_asks sock-1) $(verdict)" "0 allowed autoload_mode 0"
set_rule autoload_enforce 0
is "unless it is only to be known" "$(nobody_asks fs-bcd) $(verdict)" \
	"0 would-be-denied autoload_deny fs-b*"
set_rule autoload_enforce 1
set_rule autoload_mode 2
set_rule autoload_allow 'fs-*'
is "allow wins over mode 2" "$(nobody_asks fs-none) $(ask w fs-none)" "0 0"
is "deny wins in mode 2" "$(nobody_asks fs-bcd)" "$NOT_FOUND"
set_rule autoload_deny $'\n'
is "an empty list denies nothing" "$(nobody_asks fs-bcd)" 0
set_rule autoload_allow $'\n'
is "an empty list allows nothing" "$(nobody_asks fs-none)" "$NOT_FOUND"
set_rule autoload_mode 1

# What is matched: the pattern, the name, and whether it matches.
while read -r pattern name expected; do
	is "$pattern $name" "$(matched "$pattern" "$name")" "$expected"
done <<'END'
* anything yes
sock-10 sock-10 yes
sock-10 sock-1 no
sock-10 sock-100 no
sock-1? sock-10 yes
sock-1? sock-1 no
sock-1? sock-1? yes
fs-* fs-../../etc yes
fs-*/etc fs-../../etc yes
fs-? fs-/ yes
[a-c]x bx yes
[a-c]x dx no
[!a-c]x dx yes
[!a-c]x ax no
[]x]y ]y yes
[!]x]y zy yes
[!]x]y ]y no
x[a-]b x-b yes
[z-a]b mb no
[*]x *x yes
[*]x ax no
ovs_* ovs-datapath yes
ovs-* ovs_datapath yes
a[-]b a_b yes
a[!_]b a-b no
a[+-/]b a_b yes
a[]-]b a_b yes
a\@b a@b yes
a[@]b a@b yes
a@* a yes
a@/ a yes
a@/x a no
\*x *x yes
\*x ax no
\\x \x yes
a\[b a[b yes
*-1*-0 sock-16-proto-0 yes
crypto-cbc(*) crypto-cbc(aes) yes
.* x no
FS-* fs-x no
END
is "a name is no pattern" "$(matched 'sock-10' 'sock-1?') $(matched 'fs-a' 'fs-*')" "no no"
is "a blank in a name" "$(matched 'a?b' 'a b') $(matched 'a b' 'a b')" "yes no"

# What is refused. The old list stays in force.
set_rule autoload_allow 'old-* list'
for bad in '[^a]' 'x[^a]y' '[:alpha:]' '[[:alpha:]]' '[a[:b]' '[[.a.]]' '[[=a=]]' '[' 'x[a' '[]' \
	'[!]' '[a\]b]' $'a\\' 'good [' \
	'a@' '@/x' 'a@b' 'a@/b@c' 'a@/[^x]' $'a@/x\\' \
	$'a\nb' $'a\n'; do
	is "$(printf %q "$bad")" "$(write_to "$ALLOW" "$bad"$'\n') $(<"$ALLOW")" \
		"Invalid argument old-* list"
done
printf 'a\0b\n' >/tmp/list
is "a NUL" "$(dd if=/tmp/list of="$ALLOW" status=none 2>&1 | sed 's/.*: //') $(<"$ALLOW")" \
	"Invalid argument old-* list"

# A list is written in one piece, from the beginning of the file.
is "white space" "$(write_to "$ALLOW" $' a\t b  c \n')$(<"$ALLOW")" "a b c"
printf -v long '%04095d' 0
is "4096 bytes with the newline" "$(write_to "$ALLOW" "$long"$'\n')$(<"$ALLOW")" "$long"
is "4096 bytes, in the other list" "$(write_to "$DENY" "$long"$'\n')$(<"$DENY")" "$long"
is "4097 bytes" "$(write_to "$ALLOW" "0$long"$'\n')$(sum <"$ALLOW")" \
	"Invalid argument$(echo "$long" | sum)"
is "much more" "$(write_to "$ALLOW" "$long$long$long"$'\n')$(sum <"$ALLOW")" \
	"Invalid argument$(echo "$long" | sum)"
set_rule autoload_allow 'fs-*'
is "not at the beginning" "$( (echo more | dd of="$ALLOW" bs=1 seek=5 count=5 conv=notrunc) 2>&1 | grep -c 'Invalid argument') $(<"$ALLOW")" "1 fs-*"
is "two writes: the second is refused" "$( { (echo one; echo two) >"$ALLOW"; } 2>&1 | sed 's/.*: //') $(<"$ALLOW")" "Invalid argument one"
exec 7<>"$ALLOW"
echo four >&7
is "what was written is there" "$(<"$ALLOW")" four
exec 7>&-
printf -v many 'pattern-number-%d ' {1..180}
is "many" "$(write_to "$ALLOW" "$many"$'\n')$(nobody_asks pattern-number-180) $(nobody_asks pattern-number-181)" "0 $NOT_FOUND"
is "read in pieces" "$(dd if="$ALLOW" bs=7 status=none)" "${many% }"

# A list ends in a newline. What a shell writes in pieces changes nothing, neither the first nor the
# last of them.
set_rule autoload_allow 'old-* list'
sayings() {
	log | grep -c "^kmod_rs: autoload_allow not changed ([^ ]*\[[0-9]*\] uid 0): no newline at the end, so it may be a part of a list; use dd bs=16K iflag=fullblock if=LIST of=$ALLOW\$"
}
before=$(sayings)
is "without a newline" "$(write_to "$ALLOW" 'fs-*') $(<"$ALLOW") $(sayings)" \
	"Invalid argument old-* list $((before + 1))"
is "one byte" "$(write_to "$ALLOW" x) $(<"$ALLOW") $(sayings)" \
	"Invalid argument old-* list $((before + 2))"
is "two lines, the last of which does not end" "$(write_to "$ALLOW" $'a\nb') $(<"$ALLOW")" \
	"Invalid argument old-* list"
is "in two pieces" "$( { (printf 'one two'; echo ' three') >"$ALLOW"; } 2>&1 | sed 's/.*: //' | uniq) $(<"$ALLOW")" \
	"Invalid argument old-* list"
before=$(sayings)
# A shell that has written nothing yet, as then its pieces are small.
# shellcheck disable=SC2016 # For the other shell.
is "a long one, by echo" "$(bash -c 'echo "$1" >"$0"' "$ALLOW" "$many" 2>&1 | sed 's/.*: //' | uniq) $(<"$ALLOW")" \
	"Invalid argument old-* list"
is "one line in the log" "$(sayings)" $((before + 1))
# shellcheck disable=SC2016 # For the other shell.
is "by printf" "$(bash -c 'printf "%s\n" "$1" >"$0"' "$ALLOW" "$many" 2>&1 | sed 's/.*: //' | uniq) $(<"$ALLOW")" \
	"Invalid argument old-* list"
# shellcheck disable=SC2016 # For the other shell.
is "by busybox" "$(busybox sh -c 'echo "$1" >"$0"' "$ALLOW" "$many$many$many" 2>&1 | sed 's/.*: //' | uniq) $(<"$ALLOW")" \
	"Invalid argument old-* list"
echo "$many" >/tmp/list
is "the way that is in the guide" "$(dd bs=16K iflag=fullblock if=/tmp/list of="$ALLOW" status=none 2>&1)$(<"$ALLOW")" \
	"${many% }"

# Both lists let a-* pass, and neither lets b-* pass. A list that is half of one and half of the
# other would not let a-* pass, or would let b-* pass.
set_rule autoload_deny $'\n'
printf -v filler 'x-%d ' {1..300}
echo "a-* $filler" >/tmp/first
echo "$filler a-*" >/tmp/second
cp /tmp/first "$ALLOW"
(
	exec 8>&- 9>&-
	while [[ ! -e /tmp/enough ]]; do
		dd if=/tmp/first of="$ALLOW" bs=16K status=none
		dd if=/tmp/second of="$ALLOW" bs=16K status=none
	done
) &
writer=$!
echo 0 >"$KNOBS/coalesce"
rm -f /tmp/serial
is "while it is replaced: a" "$(as_nobody /kmod_rs/load --tasks=4 --rounds=$((100 / SLOWER)) "w a-% 0" "w b-% $NOT_FOUND" 2>&1 | grep -v '^#')" "no other answers"
# The helper that stands in for modprobe takes most of the time. A denied request has none.
is "while it is replaced: b" "$(as_nobody /kmod_rs/load --tasks=4 --rounds=$((4000 / SLOWER)) "w b-% $NOT_FOUND" 2>&1 | grep -v '^#')" "no other answers"
touch /tmp/enough
wait "$writer"
rm -f /tmp/enough /tmp/first /tmp/second /tmp/list /tmp/serial

# A path is no name: modprobe would load the file.
echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
set_rule autoload_allow '*'
for name in /kmod_rs/slow_exit.ko ./kmod_rs/slow_exit.ko; do
	is "$name" "$(ask w "$name") $(newest outcome) $(newest result) $(verdict)" \
		"$NOT_FOUND denied $NOT_FOUND denied path"
done
set_rule autoload_mode 0
is "in mode 0, without a list" "$(ask w /kmod_rs/slow_exit.ko) $(is_module slow_exit && echo loaded)" \
	"0 loaded"
rmmod slow_exit
set_rule autoload_deny x
is "with one" "$(ask w /kmod_rs/slow_exit.ko) $(verdict) $(is_module slow_exit && echo loaded)" \
	"$NOT_FOUND denied path "
set_rule autoload_enforce 0
is "not enforced" "$(ask w /kmod_rs/slow_exit.ko) $(verdict) $(is_module slow_exit && echo loaded)" \
	"0 would-be-denied path loaded"
rmmod slow_exit

finish
