#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Sign the module with the user's key, so that a kernel that trusts this key loads the module under
# Secure Boot. The kernel's own sign-file makes the signature.
#
# usage: [KDIR=DIR] sign.sh kmod-rs.ko KEY CERT

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

main() {
	local module=$1 key=$2 cert=$3 file
	[[ $key && $cert ]] ||
		die "a key and a certificate are needed: run make sign KEY=key.pem CERT=cert.pem (README.md says how to make and enrol them)"
	[[ -f $module ]] || die "$module is not built yet: run \"make\" first"
	for file in "$key" "$cert"; do
		[[ -f $file ]] || die "$file does not exist"
	done
	KDIR=$(choose_kdir)
	[[ -x $KDIR/scripts/sign-file ]] || die "KDIR=$KDIR has no scripts/sign-file"
	with_tools "$TOP/scripts/check-module.sh" "$module"
	# A module that is signed again has two signatures. The kernel looks only at the last one.
	KMOD_RS_BIND=$(dirname "$(realpath "$key")"):$(dirname "$(realpath "$cert")") \
		with_tools "$KDIR/scripts/sign-file" sha256 "$(realpath "$key")" \
		"$(realpath "$cert")" "$module"
	say "signed $module"
}

(($# == 3)) || die "usage: sign.sh kmod-rs.ko KEY CERT"
main "$@"
