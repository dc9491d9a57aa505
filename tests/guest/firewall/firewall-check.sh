#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# /proc/kmod_rs/check says of a name what the rules say of it when the same task makes a request: the
# same keys have the same values as in the record. Asking leaves no trace. (firewall-lock.sh asks when
# the rules are locked.)
#
# Needs: CONFIG_IO_URING CONFIG_TMPFS_XATTR
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 76

CHECK=/proc/kmod_rs/check
CONFIG=/etc/modprobe.d/kmod_rs-check.conf
CAP_SYS_MODULE=16
A=/system.slice/a.service B=/system.slice/b.service

# Where the answers and the records must be equal.
KEYS="name policy rule pid comm uid userns cgroup as_uid as_userns denied_module module_policy module_rule"

# values KEY... <LINE: prints the values of these keys, without quotes. If the firewall was not asked, a
# record has no policy and no rule.
values() {
	local line key value values=()
	read -r line
	for key; do
		value=$(field "$key" <<<"$line")
		[[ $value || ($key != policy && $key != rule) ]] || value=-
		values+=("$key=${value//\"/}")
	done
	echo "${values[*]}"
}

# checked COMMAND...: prints what the file says to what the command writes to descriptor 7.
checked() {
	exec 7<>"$CHECK" || return
	"$@" >/dev/null 2>&1
	cat <&7
	exec 7>&-
}

# same_as_record WHAT EXPECTED ANSWER NAME [KEY...]: the answer is as the last record of the name, and
# says this.
same_as_record() {
	local record keys=("${@:5}")
	[[ ${keys[*]} ]] || read -ra keys <<<"$KEYS"
	record=$(recent | grep -F " name=\"$4\" " | tail -n 1)
	is "$1" "$(values policy rule <<<"$3"), $(values "${keys[@]}" <<<"$3")" \
		"$2, $(values "${keys[@]}" <<<"$record")"
}

# same WHAT EXPECTED NAME COMMAND...: the command, which ends in `ask`, checks the name and asks for
# it.
same() {
	same_as_record "$1" "$2" "$(checked "${@:4}" -k 7 w "$3")" "$3"
}

# says POLICY RULE: prints the beginning of what values() prints.
says() {
	echo "policy=$1 rule=$2"
}

# as_uid UID COMMAND...: runs the command as this user, without any capability.
as_uid() {
	setpriv --reuid="$1" --clear-groups --bounding-set=-all --inh-caps=-all "${@:2}"
}

# with_capability NAME COMMAND...: runs the command as an ordinary user with this capability only.
with_capability() {
	as_user --inh-caps="-all,+$1" --ambient-caps="-all,+$1" "${@:2}"
}

# written TEXT: writes the text, a format of printf, to descriptor 7 in one piece. Prints the kernel's
# error, or nothing.
written() {
	local said
	# shellcheck disable=SC2059 # A format.
	said=$(printf "$1" | dd bs=16K iflag=fullblock status=none 2>&1 >&7)
	printf '%s' "${said##*: }"
}

# Prints what is left to read on descriptor 7.
answer() {
	cat <&7
}

# opens COMMAND...: has the command open the file. Prints the kernel's error, or nothing.
opens() {
	local said
	# shellcheck disable=SC2016 # For the other shell.
	said=$("$@" bash -c 'exec 3<>"$0"' "$CHECK" 2>&1)
	echo "${said##*: }"
}

# The traces that requests leave: counters, records, log lines, helpers.
traces() {
	cat "$RECORDS"/{stats,recent}
	log | grep '^kmod_rs:'
	events
}

use_helper
patch on
TASK=/kmod_rs/ask

# Without rules, and with each mode.
same "mode 0: no rules" "$(says - -)" exit-3 as_nobody $TASK
set_rule autoload_deny 'fs-bad'
same "mode 0, with a list that denies" "$(says allowed 'autoload_mode 0')" exit-3 as_nobody $TASK
same "a name in that list" "$(says denied 'autoload_deny fs-bad')" fs_bad $TASK
set_rule autoload_deny ''
set_rule autoload_mode 2
same "mode 2: root" "$(says denied 'autoload_mode 2')" exit-3 $TASK
set_rule autoload_mode 1
ANYBODY=$(says denied 'autoload_mode 1')
same "mode 1: root" "$(says allowed capability)" exit-3 $TASK
same "an ordinary user" "$ANYBODY" exit-3 as_nobody $TASK
same "another command, in a thread" "$ANYBODY" exit-3 as_nobody $TASK -c $'a" \n=\\' -t
set_rule autoload_enforce 0
same "not enforced" "$(says would-be-denied 'autoload_mode 1')" exit-3 as_nobody $TASK
set_rule autoload_enforce 1

# Who asks.
same "root of a user namespace" "$ANYBODY" exit-3 as_nobody unshare --user --map-root-user $TASK
same "root without any capability" "$ANYBODY" exit-3 as_uid 0 $TASK
same "CAP_SYS_MODULE" "$(says allowed capability)" exit-3 with_capability sys_module $TASK
same "CAP_NET_ADMIN" "$ANYBODY" exit-3 with_capability net_admin $TASK
same "which is enough for netdev-*" "$(says allowed capability)" netdev-x \
	with_capability net_admin $TASK
set_rule autoload_system_uids 999
same "a user of the system" "$(says allowed autoload_system_uids)" exit-3 as_uid 33 $TASK
same "in another pid namespace" "$ANYBODY" exit-3 unshare --pid --fork setpriv --reuid=33 \
	--clear-groups --inh-caps=-all --bounding-set=-all $TASK
same "who is none" "$ANYBODY" exit-3 as_uid 1000 $TASK
set_rule autoload_system_uids 0

# Programs that have more rights than their users.
mkdir /tmp/programs
cp $TASK /tmp/programs/setuid
cp $TASK /tmp/programs/may-load
chmod 4755 /tmp/programs/setuid
/kmod_rs/fcap $CAP_SYS_MODULE /tmp/programs/may-load
same "a setuid program" "$(says allowed capability)" exit-3 as_user /tmp/programs/setuid
set_rule autoload_setuid 0
SETUID=$(says denied 'autoload_setuid 0')
same "with autoload_setuid 0" "$SETUID" exit-3 as_user /tmp/programs/setuid
same "a program with the capability" "$SETUID" exit-3 as_user /tmp/programs/may-load
same "a setuid program that root runs" "$(says allowed capability)" exit-3 /tmp/programs/setuid
set_rule autoload_setuid 1
rm -r /tmp/programs

# Two sets of credentials. Workers of io_uring may write.
for how in root nobody container worker; do
	same_as_record "io_uring: $how" "$ANYBODY" "$(checked /kmod_rs/override $how 28 7)" net-pf-28 \
		policy rule uid userns as_uid as_userns
done

# The names.
NAME=1234567890123456789012345678901234567890123456789012345
same "the longest name" "$ANYBODY" $NAME as_nobody $TASK
same "the path of a file" "$(says denied path)" /x $TASK
same "another one" "$(says denied path)" ./x $TASK
same_as_record "a hostile name" "$ANYBODY" \
	"$(checked as_nobody $TASK -k 7 w $'a" policy=allowed\n\\ x')" 'a\x22 policy=allowed\x0a\x5c x'

# Entries with a cgroup.
set_rule autoload_allow "x@$A y"
set_rule autoload_deny "y@$B"
same "a service" "$(says allowed "autoload_allow x@$A")" x in_cgroup $A "${AS_NOBODY[@]}" $TASK
same "another one" "$ANYBODY" x in_cgroup $B "${AS_NOBODY[@]}" $TASK
same "in a cgroup namespace" "$(says allowed "autoload_allow x@$A")" x \
	in_cgroup $A "${AS_NOBODY[@]}" unshare --user --map-root-user --cgroup $TASK
same "what everybody may have" "$(says allowed 'autoload_allow y')" y as_nobody $TASK
same "but that service" "$(says denied "autoload_deny y@$B")" y in_cgroup $B $TASK
LONG=/$(printf 'l%.0s' {1..200})
same "a long path" "$ANYBODY" x in_cgroup "$LONG" "${AS_NOBODY[@]}" $TASK
set_rule autoload_allow ''
set_rule autoload_deny ''

# A helper asks: its request would be nested.
cat >/tmp/nest <<'END'
#!/bin/bash
[[ $3 == outer ]] || exit 0
exec 7<>/proc/kmod_rs/check
/kmod_rs/ask -k 7 w inner >/dev/null
cat <&7 >/tmp/nested
END
chmod 755 /tmp/nest
echo /tmp/nest >"$MODPROBE"
ask w outer >/dev/null
same_as_record "a helper" "$(says allowed nested)" "$(</tmp/nested)" inner
rm /tmp/nest /tmp/nested

# A module that is denied by its own name, when it is known that a name brings it.
mkdir -p /etc/modprobe.d
echo "alias kmod_rs-one dummy" >"$CONFIG"
echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
set_rule autoload_deny dummy
same "the module's name" "$(says denied 'autoload_deny dummy')" dummy $TASK
KNOWN=$(says denied 'autoload_deny dummy')
is "a name that brings it, which nobody knows" \
	"$(checked $TASK -k 7 w kmod_rs-one | values policy rule denied_module)" \
	"$(says allowed capability) denied_module="
is "its request" "$(newest outcome) $(newest denied_module)" 'refused "dummy"'
same "now it is known" "$KNOWN" kmod_rs-one $TASK
is "and why" "$(checked $TASK -k 7 w kmod_rs_one | values denied_module module_policy module_rule)" \
	"denied_module=dummy module_policy=denied module_rule=autoload_deny dummy"
is "all keys are documented" "$(checked $TASK -k 7 w kmod_rs-one | keys)" \
	"$(documented_keys "$CHECK" | sed 's/as_uid as_userns //')"
same "an ordinary user" "$ANYBODY" kmod_rs-one as_nobody $TASK
echo /bin/true >"$MODPROBE"
same "known for another program" "$(says allowed capability)" kmod_rs-one $TASK
echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
same "known for this one" "$KNOWN" kmod_rs-one $TASK
echo 1 >"$KNOBS/helper_env"
same_as_record "with helper_env" "$(says allowed capability)" "$(checked $TASK -k 7 w kmod_rs-one)" \
	kmod_rs-one policy rule
echo 0 >"$KNOBS/helper_env"
set_rule autoload_deny dummy
is "forgotten, and not remembered by asking" \
	"$(exec 7<>"$CHECK"; for _ in 1 2 3; do written kmod_rs-one; answer | values policy rule; done | sort -u)" \
	"$(says allowed capability)"
set_rule autoload_deny ''

# Asking leaves no trace.
use_helper
ask w exit-0 >/dev/null
await helpers_gone
events >/dev/null
before=$(traces)
exec 7<>"$CHECK"
for ((i = $(often 12); i > 0; i--)); do
	as_nobody bash -c 'printf exit-4 >&7; printf /x >&7'
	written exit-4
done
is "the last answer" "$(answer | values policy rule comm)" "$(says allowed capability) comm=dd"
is "no counter, no record, no line, no helper" "$(traces)" "$before"
is "the first request is logged" "$(nobody_asks exit-4) $(log | grep -c 'autoload denied: exit-4 (.*"$')" \
	"$NOT_FOUND 1"

# What is read and written.
is "nothing left" "$(answer)" ""
is "a second name" "$(written first)$(written second; answer | field name)" '"second"'
is "a newline" "$(written 'third\n'; answer | field name)" '"third"'
is "two newlines" "$(written 'fourth\n\n'; answer | field name)" '"fourth\x0a"'
is "in pieces" "$(written fifth; dd bs=5 count=1 status=none <&7; dd bs=5 count=1 status=none <&7)" \
	'name="fift'
is "55 bytes and a newline" "$(written "$NAME\n"; answer | field name)" "\"$NAME\""
for text in "x$NAME" "x$NAME\n" "$(printf 'x%.0s' {1..5000})"; do
	is "too long" "$(written sixth; written "$text"; answer)" "File name too long"
done
for text in '\n' '\0' 'a\0' '\0a' 'a\0\n'; do
	is "no name: '$text'" "$(written sixth; written "$text"; answer)" "Invalid argument"
done
exec 7>&- 6<>"$CHECK" 7<>"$CHECK"
is "nothing was asked" "$(answer)" ""
is "each open file has its own answer" "$(written seventh; cat <&6; answer | field name)" '"seventh"'
exec 6>&-

# Who may open it.
is "its permissions" "$(stat -c '%a %u %g' "$CHECK")" "600 0 0"
is "root" "$(opens)" ""
is "an ordinary user" "$(opens as_nobody)" "Permission denied"
is "root of a user namespace" "$(opens as_nobody unshare --user --map-root-user)" "Permission denied"
is "root without CAP_SYS_MODULE" "$(opens without_capability sys_module)" "Operation not permitted"

# Given back: no rules are in force. The open file does not keep the module.
echo 0 >"$LIVEPATCH/enabled"
await test ! -e "$LIVEPATCH"
is "given back: it cannot be opened" "$(opens)" "No such device"
is "which the log says" "$(log | grep -c '^kmod_rs: autoload rules not checked (bash\[[0-9]*\] uid 0): the kernel serves requests, without rules; load kmod_rs again$')" 1
is "nor asked" "$(written x; answer)" "No such device"
holds "it is open, and keeps nothing" await references 0
holds "rmmod" rmmod kmod_rs
is "then it is gone" "$(ls -d /proc/kmod_rs 2>/dev/null; answer 2>&1 | sed 's/.*: //'; written x)" \
	"Input/output error
Input/output error"
exec 7>&-
rm "$CONFIG"

finish
