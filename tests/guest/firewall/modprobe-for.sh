#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The program of the admin guide that says no (modprobe-for), as it stands there: it lets nobody
# through of whom nothing is known, and its log cannot be forged.
#
# Boot: alone
# Needs: CONFIG_CRYPTO_USER_API_SKCIPHER CONFIG_CRYPTO_SERPENT CONFIG_VFAT_FS

. "$(dirname "$0")/lib.sh"
plan 20

PROGRAM=/usr/local/sbin/modprobe-for
LOG=/var/log/modprobe-for

# Prints the script in the admin guide, up to the next empty line.
shown() {
	sed -n '/^    #!\/bin\/sh$/,/^$/s/^    //p' /kmod_rs/admin-guide.rst
}

# said: prints the newest line of its log, without numbers.
said() {
	tail -n 1 $LOG | sed -E 's/^[0-9]+ //; s/\[[0-9]+\]//'
}

user() {
	setpriv --reuid=1234 --clear-groups "$@"
}

# for_user, for_container, for_setuid NAME: print the answer that these get.
for_user() {
	user /kmod_rs/ask w "$1"
}

# Root without a user namespace of its own, as Docker has it.
for_container() {
	without_capability sys_module unshare --pid --fork /kmod_rs/ask w "$1"
}

for_setuid() {
	user /tmp/setuid-ask w "$1"
}

mkdir -p "${PROGRAM%/*}" "${LOG%/*}"
shown >$PROGRAM
chmod +x $PROGRAM
install -m 4755 /kmod_rs/ask /tmp/setuid-ask
modprobe --all af_alg algif_skcipher
restrict_af_alg 0
without xfs vfat algif_hash "${SERPENT[@]}"
patch on
echo 1 >"$KNOBS/helper_env"
echo $PROGRAM >"$MODPROBE"

is "root" "$(ask w algif_hash) $(said)" "0 yes algif_hash for $(cat /proc/$$/comm) uid 0"
without algif_hash
is "a user" "$(for_user algif_hash) $(said)" "$NOT_FOUND no algif_hash for ask uid 1234"
is "root of a user namespace" "$(user unshare --user --map-root-user /kmod_rs/ask w algif_hash) $(said)" \
	"$NOT_FOUND no algif_hash for ask uid 1234"
is "root of a container" "$(for_container algif_hash) $(said)" "$NOT_FOUND no algif_hash for ask uid 0"
is "a thread of the kernel, for a user" "$(user /kmod_rs/ask wk algif_hash) $(said)" \
	"$NOT_FOUND no algif_hash for $(newest comm | tr -d '"') uid 0"
is "none of them has it" "$(is_module algif_hash && echo loaded)" ""
is "a setuid program" "$(for_setuid fs-vfat) $(said)" "0 yes fs-vfat for setuid-ask uid 1234"
is "for another name" "$(for_setuid fs-xfs) $(said)" "$NOT_FOUND no fs-xfs for setuid-ask uid 1234"
is "the user without it" "$(for_user fs-vfat) $(said)" "$NOT_FOUND no fs-vfat for ask uid 1234"

# Ciphers: a thread asks for their parts, whoever wants them.
: >$LOG
is "cbc(serpent) for nobody" "$(bind_to skcipher 'cbc(serpent)' as_nobody)" \
	": No such file or directory"
is "and for root" "$(bind_to skcipher 'cbc(serpent)')" ": No such file or directory"
matches "the thread has asked" "$(<$LOG)" "no crypto-serpent for cryptomgr_probe"
is "and got nothing" "$(grep ' yes .* for cryptomgr' $LOG)" ""

# Names.
: >$LOG
# shellcheck disable=SC2016 # These are names.
HOSTILE=($'fs-vfat for init[1] uid 0\n7 yes fs-xfs' 'fs vfat' /kmod_rs/kmod_ask.ko ./kmod_ask.ko
	'fs-*' '$(reboot)' 'a`b`' $'\e[2J' '%s' 'x;y')
for name in "${HOSTILE[@]}"; do
	for_setuid "$name"
	/kmod_rs/ask w "$name"
done >/tmp/answers-to-names
is "none of these names" "$(sort -u /tmp/answers-to-names)" "$NOT_FOUND"
is "each has a line" "$(wc -l <$LOG)" $((2 * ${#HOSTILE[@]}))
is "which is like this" "$(grep -vE '^[0-9]+ no \? for [^ ]+\[[0-9]+\] uid [0-9]+$' $LOG)" ""
user /kmod_rs/ask -c $'a b\n7 yes' w fs-xfs >/dev/null
matches "so has a command" "$(said)" '^no fs-xfs for a\\x20b\\x0a7\\x20yes uid 1234$'

# What it is not told, it does not assume.
echo 0 >"$KNOBS/helper_env"
is "nothing is known" "$(ask w algif_hash) $(said)" "$NOT_FOUND  no algif_hash for [] uid "
is "a name that is empty" "$($PROGRAM -q -- ''; echo $?) $(said)" "1  no ? for [] uid "
echo 1 >"$KNOBS/helper_env"
is "root again" "$(ask w algif_hash)" 0

rm -f $PROGRAM $LOG /tmp/setuid-ask /tmp/answers-to-names
finish
