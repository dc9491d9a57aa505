#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# No file of the module imports one that is above it, and no two files import each other. imports.py
# has the rule, and notices each way to break it.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

WORK=$OUT/imports

check() {
	in_sysroot python3 "$TOP/tests/host/imports.py" "$1"
}

# refused FILE LINE REGEX: with this line added to the file, the sources are refused with a message
# that matches.
refused() {
	local said
	remove "$WORK"
	mkdir "$WORK"
	(cd "$TOP" && find . -maxdepth 2 \( -name '*.rs' -o -name '*.[chS]' \) ! -path './tests/*' \
		! -path './scripts/*' ! -path './out/*' -exec cp --parents -t "$WORK" {} +)
	printf '%s\n' "$2" >>"$WORK/$1"
	! said=$(check "$WORK" 2>&1) || die "not refused: $1 with $2"
	[[ $said =~ $3 ]] || die "$1 with $2 is refused with other words: $said"
	grep -E "$3" <<<"$said"
}

check "$TOP"

refused firewall.rs 'use crate::{request::Kmod, wrappers::wait};' \
	"firewall.rs imports request.rs, which is above it"
refused wrappers/log.rs 'use crate::concurrency::{Slot, Slots};' \
	"wrappers/log.rs imports concurrency.rs, which is above it"
refused chosen_names.rs 'use crate::log_limits::LogLimits;' \
	"chosen_names.rs imports log_limits.rs, which is above it"
refused wrappers/pid.rs 'fn f() { crate::records::record::f() }' \
	"wrappers/pid.rs imports records/record.rs, which is above it"
refused concurrency.rs 'use crate::usermode_helper;' \
	"concurrency.rs imports usermode_helper.rs, which is beside it"
refused check.rs 'use crate::sysctl::Knobs;' "check.rs imports sysctl.rs, which is beside it"
refused request/target.rs 'use super::sharing::Role;' \
	"request/sharing.rs, request/target.rs.* import each other"
refused firewall/policy.rs $'mod tests {\n    use super::super::Firewall;\n}' \
	"firewall.rs, .*firewall/policy.rs import each other"
refused wrappers/name.rs $'extern "C" {\n    fn kmod_rs_events_enabled() -> bool;\n}' \
	"wrappers/name.rs imports records/events.c, which is above it"
refused wrappers/trace.c 'int f(void) { return kmod_rs_livepatch_enable(); }' \
	"wrappers/trace.c imports livepatch/entry.c, which is above it"
refused wrappers/trace.c '#include "../records/events.h"' \
	"wrappers/trace.c imports records/events.h, which is above it"
