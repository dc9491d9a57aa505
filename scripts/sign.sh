#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Sign the module with a key of yours, so that a kernel that trusts the key
# loads it under Secure Boot. The kernel's own sign-file does it.
#
# usage: [KDIR=DIR] sign.sh kmod-rs.ko KEY CERT

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

main() {
	local module=$1 key=$2 cert=$3 file
	[[ $key && $cert ]] ||
		die "say what to sign with: make sign KEY=key.pem CERT=cert.pem (how to make and enrol them is in README.md)"
	[[ -f $module ]] || die "$module is not built yet: run \"make\" first"
	for file in "$key" "$cert"; do
		[[ -f $file ]] || die "$file does not exist"
	done
	KDIR=$(choose_kdir)
	[[ -x $KDIR/scripts/sign-file ]] || die "KDIR=$KDIR has no scripts/sign-file"
	"$TOP/scripts/check-module.sh" "$module"
	# What is signed twice has two signatures, of which the kernel sees the last.
	KMOD_RS_BIND=$(dirname "$(realpath "$key")"):$(dirname "$(realpath "$cert")") \
		with_tools "$KDIR/scripts/sign-file" sha256 "$(realpath "$key")" "$(realpath "$cert")" "$module"
	say "signed $module"
}

(($# == 3)) || die "usage: sign.sh kmod-rs.ko KEY CERT"
main "$@"
