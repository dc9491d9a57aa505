#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel thread that makes a cipher of parts gets the parts loaded that the task may have loaded
# which wants the cipher, whenever the thread starts and whatever others do meanwhile. Nobody waits
# for the thread of somebody who may not have the cipher.
#
# Needs: CONFIG_CRYPTO_USER_API_SKCIPHER CONFIG_CRYPTO_USER_API_AEAD CONFIG_CRYPTO_SERPENT
# Needs: CONFIG_CRYPTO_ECHAINIV CONFIG_CRYPTO_ESSIV

. "$(dirname "$0")/lib.sh"
plan 80

HOLD=/sys/module/hold_cipher/parameters/hold
WORKER=/sys/module/hold_cipher/parameters/worker
MISSING=": No such file or directory"

# Puts the requests for algorithms since the last call into $ASKED: requester, name, outcome, policy
# and rule.
look() {
	ASKED=$(recent | sed "1,/^seq=$SEEN /d" | grep ' name="crypto-' |
		sed -E 's/.* name="([^"]*)" .* comm="([^"]*)" .* outcome=([a-z]*) .* policy=([a-z-]*) rule="([^"]*)".*/\2 \1 \3 \4 \5/')
	SEEN=$(newest seq)
}

# Print those that a user made, and those that the kernel's threads made.
by_user() {
	grep '^demo-socket ' <<<"$ASKED"
}

by_thread() {
	grep '^cryptomgr_probe ' <<<"$ASKED"
}

# Prints those of threads that were not denied.
passed() {
	by_thread | grep -v ' denied denied '
}

# user_asks NAME: an ordinary user asks for the cipher in the background, and is held. The answer
# comes to /tmp/answer.
user_asks() {
	bind_to skcipher "$1" as_nobody >/tmp/answer &
	USER_ASKS=$!
	await is_holding 1
}

is_holding() {
	[[ $(<"$HOLD") == "$1" ]]
}

# hold_name [NAME]: who asks for this cipher is held from now on; nobody without a name.
hold_name() {
	echo "${1:-}" >"$HOLD"
}

# Lets the user go on. The answer is in $ANSWER.
let_go() {
	hold_name
	wait "$USER_ASKS"
	ANSWER=$(</tmp/answer)
}

# Prints for each cipher of this name that is not there yet whether others find it.
found() {
	local key value name flags
	while read -r key _ value; do
		[[ $key != name ]] || name=$value
		[[ $key == flags && $name == "$1" ]] || continue
		flags=$value
		if ((flags & 0x40)); then echo hidden; else echo found; fi
	done </proc/crypto | xargs
}

# waits_for_cipher PID: true if the process waits until somebody else's cipher is made.
waits_for_cipher() {
	grep -q crypto_larval_wait "/proc/$1/stack"
}

modprobe --all af_alg algif_skcipher algif_aead ctr
restrict_af_alg 0
AUTHENC=(authencesn authenc)
insmod /kmod_rs/hold_cipher.ko

patch on
SEEN=0
without "${SERPENT[@]}" "${AUTHENC[@]}"

# Without rules, everybody may have it.
is "mode 0: cbc(serpent)" "$(bind_to skcipher 'cbc(serpent)' as_nobody)" ": done"
holds "serpent is loaded" is_module serpent_generic
without "${SERPENT[@]}"

# Mode 1.
set_rule autoload_mode 1
SEEN=$(newest seq)
is "mode 1, uid 65534: cbc(serpent)" "$(bind_to skcipher 'cbc(serpent)' as_nobody)" "$MISSING"
look
is "he asks" "$(by_user)" "demo-socket crypto-cbc(serpent) denied denied autoload_mode 1
demo-socket crypto-cbc(serpent)-all denied denied autoload_mode 1"
is "a thread asks, and gets what he got" "$(by_thread | head -n 1)" \
	"cryptomgr_probe crypto-serpent denied denied crypto cbc(serpent)"
is "each time" "$(passed)" ""
holds "serpent is not loaded" eval '! is_module serpent_generic'
is "root: cbc(serpent)" "$(bind_to skcipher 'cbc(serpent)')" ": done"
look
is "root asks" "$(by_user | head -n 1 | cut -d' ' -f2,4-)" "crypto-cbc(serpent) allowed capability"
is "the thread gets what root got" "$(by_thread | grep -m 1 ' crypto-serpent ')" \
	"cryptomgr_probe crypto-serpent loaded allowed crypto cbc(serpent)"
holds "serpent is loaded" is_module serpent_generic
is "now he may use it" "$(bind_to skcipher 'cbc(serpent)' as_nobody)" ": done"
is "and have what is made of what is there" "$(bind_to skcipher 'ctr(serpent)' as_nobody)" ": done"
without "${SERPENT[@]}"

# Several templates, one of them inside another.
NAME='authencesn(hmac(sha256),cbc(aes))'
without "${AUTHENC[@]}"
look
is "uid 65534: $NAME" "$(bind_to aead "$NAME" as_nobody)" "$MISSING"
look
is "he asks" "$(by_user | grep -c ' denied denied autoload_mode 1$')" 2
is "the thread asks" "$(by_thread)" "cryptomgr_probe crypto-authencesn denied denied crypto $NAME"
holds "authencesn is not loaded" eval '! is_module authencesn'
is "root: $NAME" "$(bind_to aead "$NAME")" ": done"
look
is "the thread gets what root got" "$(by_thread | head -n 1)" \
	"cryptomgr_probe crypto-authencesn loaded allowed crypto $NAME"
holds "authencesn is loaded" is_module authencesn

# Four templates deep. Each thread inherits from the one that causes it.
without "${SERPENT[@]}"
modprobe --all echainiv essiv authenc
NAME='echainiv(authenc(hmac(sha256),essiv(cbc(serpent),sha256)))'
look
is "uid 65534: $NAME" "$(bind_to aead "$NAME" as_nobody)" "$MISSING"
look
is "the innermost part is denied" "$(by_thread | grep ' crypto-serpent .* crypto cbc(')" \
	"cryptomgr_probe crypto-serpent denied denied crypto cbc(serpent)"
is "all parts are" "$(passed)" ""
is "root: $NAME" "$(bind_to aead "$NAME")" ": done"
look
is "the innermost part is loaded" "$(by_thread | grep ' crypto-serpent ' | head -n 1)" \
	"cryptomgr_probe crypto-serpent loaded allowed crypto cbc(serpent)"
without echainiv essiv "${AUTHENC[@]}" "${SERPENT[@]}"

# A cipher that is allowed by name.
set_rule autoload_allow 'crypto-cbc(serpent)'
look
is "allowed: cbc(serpent)" "$(bind_to skcipher 'cbc(serpent)' as_nobody)" ": done"
look
is "its part, too" "$(by_thread | grep -m 1 ' crypto-serpent ')" \
	"cryptomgr_probe crypto-serpent loaded allowed crypto cbc(serpent)"
without "${SERPENT[@]}"
is "no other: ctr(serpent)" "$(bind_to skcipher 'ctr(serpent)' as_nobody)" "$MISSING"
look
is "nor a part of that" "$(passed)" ""
set_rule autoload_deny 'crypto-serpent'
is "a part that nobody may have" "$(bind_to skcipher 'cbc(serpent)')" "$MISSING"
look
is "is denied to the thread" "$(by_thread | grep -m 1 ' crypto-serpent ')" \
	"cryptomgr_probe crypto-serpent denied denied autoload_deny crypto-serpent"
set_rule autoload_deny $'\n'
set_rule autoload_allow $'\n'

# A worker of the kernel is privileged.
look
holds "a worker: cbc(serpent)" eval "echo 'cbc(serpent)' >$WORKER"
look
is "the thread gets what the worker got" "$(by_thread | grep -m 1 ' crypto-serpent ')" \
	"cryptomgr_probe crypto-serpent loaded allowed crypto cbc(serpent)"
without "${SERPENT[@]}"

# The thread starts late. Meanwhile root asks for the same cipher.
hold_name 'cbc(serpent)'
user_asks 'cbc(serpent)'
is "uid 65534 asks: others do not find what will be his" "$(found 'cbc(serpent)')" hidden
is "root gets it at once" "$(bind_to skcipher 'cbc(serpent)')" ": done"
is "and another one with this part" "$(bind_to skcipher 'ctr(serpent)')" ": done"
without "${SERPENT[@]}"
look
let_go
is "his thread starts: he does not get it" "$ANSWER" "$MISSING"
look
is "the thread gets what he got" "$(by_thread | head -n 1)" \
	"cryptomgr_probe crypto-serpent denied denied crypto cbc(serpent)"
is "each time" "$(passed)" ""

# What root wants is found by everybody.
look
hold_name 'cbc(serpent)'
set_rule autoload_allow 'crypto-cbc(serpent)*'
user_asks 'cbc(serpent)'
is "who is allowed is not hidden" "$(found 'cbc(serpent)')" found
set_rule autoload_allow $'\n'
let_go
is "and gets it, though it is not allowed any more" "$ANSWER" ": done"
without "${SERPENT[@]}"

# Nothing is hidden while rules are not enforced.
for what in mode enforce; do
	hold_name 'cbc(serpent)'
	set_rule "autoload_$what" 0
	user_asks 'cbc(serpent)'
	is "autoload_$what 0: nothing is hidden" "$(found 'cbc(serpent)')" found
	set_rule "autoload_$what" 1
	look
	let_go
	is "autoload_$what 1 before the thread starts: he does not get it" "$ANSWER" "$MISSING"
	look
	case $what in
		# Nothing was decided about him.
		mode) rule="kernel thread, as anybody" ;;
		enforce) rule="crypto cbc(serpent)" ;;
	esac
	is "the thread's rule" "$(by_thread | head -n 1)" \
		"cryptomgr_probe crypto-serpent denied denied $rule"
done
set_rule autoload_enforce 0
look
is "not enforced: cbc(serpent)" "$(bind_to skcipher 'cbc(serpent)' as_nobody)" ": done"
look
holds "it is known" [ "$(grep -c ' would-be-denied ' <<<"$ASKED")" -ge 3 ]
without "${SERPENT[@]}"
set_rule autoload_enforce 1

hold_name 'cbc(serpent)'
echo 0 >"$LIVEPATCH/enabled"
await released
user_asks 'cbc(serpent)'
is "given back: nothing is hidden" "$(found 'cbc(serpent)')" found
let_go
is "given back: cbc(serpent)" "$ANSWER" ": done"
patch off
without "${SERPENT[@]}"

# A module is loaded and unloaded while somebody is in a notifier.
hold_name 'cbc(serpent)'
user_asks 'cbc(serpent)'
for what in insmod rmmod; do
	case $what in
		insmod) insmod /kmod_rs/kmod-rs.ko & ;;
		rmmod) rmmod kmod_rs & ;;
	esac
	changer=$!
	holds "$what says whom it waits for" \
		await logged "kmod_rs: $what\[.*\] waits .*: demo-socket\[.*\] uid 65534 and 0 others"
	is "$what: others use ciphers meanwhile" "$(bind_to skcipher 'ctr(serpent)')" ": done"
	holds "$what: it waits" kill -0 "$changer"
	if [[ $what == insmod ]]; then
		kill "$changer"
		wait "$changer"
		holds "insmod can be interrupted" eval '! is_loaded'
		insmod /kmod_rs/kmod-rs.ko &
		changer=$!
	fi
	let_go
	is "$what: who was waited for gets the cipher" "$ANSWER" ": done"
	wait "$changer"
	is "$what: it succeeds" "$?" 0
	[[ $what == insmod ]] || break
	await settled
	be_patient
	hold_name 'cbc(serpent)'
	without "${SERPENT[@]}"
	user_asks 'cbc(serpent)'
	echo 0 >"$LIVEPATCH/enabled"
	await released
done
holds "it is unloaded" eval '! is_loaded'
without "${SERPENT[@]}"
rmmod hold_cipher

# Somebody else has found the cipher before it was hidden. This needs a notifier that is called
# first.
insmod /kmod_rs/hold_cipher.ko early=1
patch on
set_rule autoload_mode 1
hold_name 'cbc(serpent)'
user_asks 'cbc(serpent)'
is "before anything is decided: others find it" "$(found 'cbc(serpent)')" found
bind_to skcipher 'cbc(serpent)' >/tmp/roots &
root=$!
holds "root waits for it" await eval "grep -lq crypto_larval_wait /proc/[0-9]*/stack"
SEEN=$(newest seq)
let_go
is "he does not get it" "$ANSWER" "$MISSING"
wait "$root"
is "root does" "$(</tmp/roots)" ": done"
look
is "by a thread of root's own" \
	"$(by_thread | sed -n 's/^.* crypto-serpent \(.*\) crypto cbc(serpent)$/\1/p' | sort -u)" \
	"denied denied
loaded allowed"
without "${SERPENT[@]}"

# Names that a hostile user could choose. No program may be run for any of them.
modprobe --all xts pcrypt lrw authenc
use_silent_helper
count_calls call_usermodehelper_exec
while read -r type name; do
	look
	bind_to "$type" "$name" as_nobody >/dev/null
	look
	is "$name" "$(passed)$(calls call_usermodehelper_exec)" 0
done <<'END'
skcipher cbc(serpent)-all
skcipher cbc(serpent)x
skcipher xts(serpent)
skcipher lrw(serpent)
aead pcrypt(pcrypt(authencesn(hmac(sha256),cbc(serpent))))
aead pcrypt(pcrypt(authenc(hmac(sha256),cbc(serpent-generic))))
END
forget_calls
echo "$ORIGINAL_MODPROBE" >"$MODPROBE"

# What a security module denies to the requester, the thread does not get for it.
if has_option CONFIG_BPF_LSM; then
	coproc /kmod_rs/lsm_deny crypto-c
	read -r -t "$TIMEOUT" ready <&"${COPROC[0]}"
	is "a security module refuses crypto-c*" "$ready" ready
	look
	is "root: cbc(serpent)" "$(bind_to skcipher 'cbc(serpent)')" "$MISSING"
	look
	is "the thread gets what root got" "$(by_thread | head -n 1)" \
		"cryptomgr_probe crypto-serpent denied denied crypto cbc(serpent)"
	kill "$COPROC_PID"
	wait "$COPROC_PID" 2>/dev/null
else
	for ((i = 0; i < 3; i++)); do pass "no security module # SKIP no CONFIG_BPF_LSM"; done
fi
is "root goes on" "$(bind_to skcipher 'cbc(serpent)')" ": done"
without "${SERPENT[@]}"

# Mode 2: nobody may have it.
set_rule autoload_mode 2
is "mode 2, root: cbc(serpent)" "$(bind_to skcipher 'cbc(serpent)')" "$MISSING"
set_rule autoload_allow 'crypto-cbc(serpent)*'
is "but by name" "$(bind_to skcipher 'cbc(serpent)' as_nobody)" ": done"
without "${SERPENT[@]}"

patch off
rmmod hold_cipher
restrict_af_alg 1
modprobe --remove algif_skcipher algif_aead af_alg ctr
finish
