#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel thread that puts a cipher together gets the cipher's parts loaded if the user may have
# the cipher, and not otherwise.
#
# Needs: CONFIG_CRYPTO_USER_API_SKCIPHER CONFIG_CRYPTO_USER_API_AEAD CONFIG_CRYPTO_SERPENT

. "$(dirname "$0")/lib.sh"
plan 37

# Puts the requests for algorithms since the last call into $ASKED: requester, name, outcome, policy
# and rule.
look() {
	ASKED=$(recent | sed "1,/^seq=$SEEN /d" | grep ' name="crypto-' |
		sed -E 's/.* name="([^"]*)" .* comm="([^"]*)" .* outcome=([a-z]*) .* policy=([a-z-]*) rule="([^"]*)" .*/\2 \1 \3 \4 \5/')
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

modprobe --all af_alg algif_skcipher algif_aead
restrict_af_alg 0
AUTHENC=(authencesn authenc)

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
is "mode 1, uid 65534: cbc(serpent)" "$(bind_to skcipher 'cbc(serpent)' as_nobody)" \
	": No such file or directory"
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
without "${SERPENT[@]}"

# Several templates, one of them inside another.
NAME='authencesn(hmac(sha256),cbc(aes))'
without "${AUTHENC[@]}"
look
is "uid 65534: $NAME" "$(bind_to aead "$NAME" as_nobody)" ": No such file or directory"
look
is "he asks" "$(by_user | grep -c ' denied denied autoload_mode 1$')" 2
is "the thread asks" "$(by_thread)" "cryptomgr_probe crypto-authencesn denied denied crypto $NAME"
holds "authencesn is not loaded" eval '! is_module authencesn'
is "root: $NAME" "$(bind_to aead "$NAME")" ": done"
look
is "the thread gets what root got" "$(by_thread | head -n 1)" \
	"cryptomgr_probe crypto-authencesn loaded allowed crypto $NAME"
holds "authencesn is loaded" is_module authencesn
without "${AUTHENC[@]}"

# A cipher that is allowed by name.
set_rule autoload_allow 'crypto-cbc(serpent)'
look
is "allowed: cbc(serpent)" "$(bind_to skcipher 'cbc(serpent)' as_nobody)" ": done"
look
is "its part, too" "$(by_thread | grep -m 1 ' crypto-serpent ')" \
	"cryptomgr_probe crypto-serpent loaded allowed crypto cbc(serpent)"
without "${SERPENT[@]}"
is "no other: ctr(serpent)" "$(bind_to skcipher 'ctr(serpent)' as_nobody)" \
	": No such file or directory"
look
is "nor a part of that" "$(passed)" ""
set_rule autoload_deny 'crypto-serpent'
is "a part that nobody may have" "$(bind_to skcipher 'cbc(serpent)')" ": No such file or directory"
look
is "is denied to the thread" "$(by_thread | grep -m 1 ' crypto-serpent ')" \
	"cryptomgr_probe crypto-serpent denied denied autoload_deny crypto-serpent"
set_rule autoload_deny $'\n'
set_rule autoload_allow $'\n'

# Rules that are not enforced.
set_rule autoload_enforce 0
look
is "not enforced: cbc(serpent)" "$(bind_to skcipher 'cbc(serpent)' as_nobody)" ": done"
look
holds "it is known" [ "$(grep -c ' would-be-denied ' <<<"$ASKED")" -ge 3 ]
without "${SERPENT[@]}"
set_rule autoload_enforce 1

# Names that a hostile user could choose. No program may be run for any of them.
modprobe --all xts pcrypt lrw
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
aead pcrypt(authencesn(hmac(sha256),cbc(serpent-generic)))
END
# So many names that the table is full, while other requests wait for their cipher.
for ((i = 0; i < 4; i++)); do
	(
		exec 8>&- 9>&-
		for ((j = 0; j < 20; j++)); do \
			bind_to skcipher "flood-$i-$j(serpent)" as_nobody; done
	) >/dev/null &
done
for ((i = 0; i < 5; i++)); do bind_to skcipher "cbc(serpent)" as_nobody >/dev/null; done
wait
is "so many that some are forgotten" "$(calls call_usermodehelper_exec)" 0
forget_calls
echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
is "root goes on" "$(bind_to skcipher 'cbc(serpent)')" ": done"
without "${SERPENT[@]}"

# Mode 2: nobody may have it.
set_rule autoload_mode 2
is "mode 2, root: cbc(serpent)" "$(bind_to skcipher 'cbc(serpent)')" ": No such file or directory"
set_rule autoload_allow 'crypto-cbc(serpent)*'
is "but by name" "$(bind_to skcipher 'cbc(serpent)' as_nobody)" ": done"
without "${SERPENT[@]}"

restrict_af_alg 1
modprobe --remove algif_skcipher algif_aead af_alg
finish
