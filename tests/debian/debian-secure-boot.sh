#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Debian's kernel under Secure Boot, booted by a firmware that checks its signature. The module loads
# if it is signed with a key that the firmware trusts, and the lockdown leaves its records readable.
# Without a signature it is refused.
#
# Uses: secure-boot
# Boots: 1

# shellcheck disable=SC2034 # For lib.sh.
NO_KMOD_ASK=1
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
plan 15

UNSIGNED=/kmod_rs/kmod-rs.ko SIGNED=/kmod_rs/signed.ko

said_at_boot() {
	dmesg --notime | grep -Eq -- "$1"
}

holds "the firmware has Secure Boot on" said_at_boot 'secureboot: Secure boot enabled'
matches "so the kernel is locked down" "$(</sys/kernel/security/lockdown)" '\[integrity\]'
holds "a keyring has the certificate of the firmware" grep -q "asymmetri SnakeOil Test Key" /proc/keys

output=$(insmod "$UNSIGNED" 2>&1)
is "insmod fails without a signature" "$?" 1
matches "and says why" "$output" 'Key was rejected by service|Operation not permitted|Required key not available'
holds "the kernel says why" logged 'Loading of unsigned module is rejected|Lockdown: insmod: unsigned module loading is restricted'
is "nothing is left behind" "$(ls -d /sys/module/kmod_rs "$LIVEPATCH" "$KNOBS" 2>/dev/null)" ""

# What comes after that byte is the signature.
cp "$SIGNED" /tmp/changed.ko
printf '\377' | dd of=/tmp/changed.ko bs=1 seek=$(($(stat -c %s "$UNSIGNED") - 1)) conv=notrunc status=none
is "one byte is changed" "$(cmp -l "$SIGNED" /tmp/changed.ko | wc -l)" 1
output=$(insmod /tmp/changed.ko 2>&1)
matches "insmod fails when a byte is changed" "$?: $output" '^1: .*Key was rejected by service'

holds "with a signature it loads" insmod "$SIGNED"
holds "it takes over" await settled
holds "a request is made" mount -t xfs LABEL=kmod_rs /mnt
matches "its record can be read" "$(recent 2>&1)" 'name="fs-xfs" .*outcome=loaded'
for file in "$RECORDS"/*; do
	cat "$file" >/dev/null 2>&1 || echo "$file"
done >/tmp/unreadable
is "and all other files of records" "$(</tmp/unreadable)" ""
umount /mnt
holds "it can be given back" give_back

finish
