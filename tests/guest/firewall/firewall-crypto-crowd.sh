#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Root gets its ciphers each time, however many users ask for the same ones, or for others with the
# same parts. Nothing is loaded for these users.
#
# Processors: parallel
# Needs: CONFIG_CRYPTO_USER_API_SKCIPHER CONFIG_CRYPTO_SERPENT
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 12

ROUNDS=$((${FULL:-0} ? 1000 : $(often 10)))
# Each of so many has a thread, and may have to wait for the others'. The kernel lets nobody wait for
# more than a minute.
MANY=$((SLOWER > 1 ? 16 : 64))

# Prints how many helpers have been run for an ordinary user, or for a thread that works for one.
for_users() {
	recent | grep -E ' comm="(cipher|cryptomgr_probe)" ' |
		grep -cvE ' outcome=denied .* policy=denied | policy=allowed rule="crypto '
}

# crowd TASKS ROUNDS NAME: that many users ask so often for the cipher, in the background. The
# answers come to /tmp/crowd.
crowd() {
	/kmod_rs/cipher --tasks="$1" --rounds="$2" --uids=60001 skcipher "$3" >/tmp/crowd &
	CROWD=$!
}

modprobe --all af_alg algif_skcipher
restrict_af_alg 0
patch on
set_rule autoload_mode 1
without "${SERPENT[@]}"

# Users only.
denied=$(stat_of denied_by_policy)
crowd 4 $((ROUNDS * 5)) 'cbc(serpent)'
wait "$CROWD"
is "four users: cbc(serpent)" "$(</tmp/crowd)" "$((ROUNDS * 20)) No such file or directory"
holds "they have asked" [ "$(stat_of denied_by_policy)" -ge $((denied + ROUNDS * 20)) ]
is "nothing is loaded" "$(is_module serpent_generic && echo serpent)$(for_users)" 0
crowd $MANY "$(often 4)" 'cbc(serpent)'
wait "$CROWD"
is "$MANY users at once" "$(</tmp/crowd)" "$((MANY * $(often 4))) No such file or directory"
is "nothing is loaded" "$(is_module serpent_generic && echo serpent)$(for_users)" 0
crowd $MANY "$(often 4)" 'x%(serpent)'
wait "$CROWD"
is "$MANY different ciphers" "$(</tmp/crowd)" "$((MANY * $(often 4))) No such file or directory"
is "nothing is loaded" "$(is_module serpent_generic && echo serpent)$(for_users)" 0

# Root beside them.
got=0
for ((i = 0; i < ROUNDS; i++)); do
	crowd 4 5 'cbc(serpent)'
	[[ $(bind_to skcipher 'cbc(serpent)') != ": done" ]] || got=$((got + 1))
	wait "$CROWD"
	without "${SERPENT[@]}"
done
is "root beside four users who ask for the same, $ROUNDS times" "$got" "$ROUNDS"
is "nothing is loaded for them" "$(for_users)" 0

# As in cases that have gone wrong: users ask for other ciphers all the time.
rm -f /tmp/stop
/kmod_rs/cipher --tasks=4 --until=/tmp/stop --uids=60001 skcipher 'x%(serpent)' >/tmp/crowd &
CROWD=$!
got=0
for ((i = 0; i < 5; i++)); do
	without "${SERPENT[@]}"
	[[ $(bind_to skcipher 'cbc(serpent)') != ": done" ]] || got=$((got + 1))
done
is "root beside four users who ask for other ciphers, 5 times" "$got" 5
: >/tmp/stop
wait "$CROWD"
matches "they get none" "$(</tmp/crowd)" "^[0-9]+ No such file or directory$"
crowd $MANY 1 'cbc(serpent)'
without "${SERPENT[@]}"
is "root beside $MANY users" "$(bind_to skcipher 'cbc(serpent)')" ": done"
wait "$CROWD"
without "${SERPENT[@]}"

rm -f /tmp/stop /tmp/crowd
patch off
restrict_af_alg 1
modprobe --remove algif_skcipher af_alg
finish
