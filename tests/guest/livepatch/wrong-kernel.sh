#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A module is refused if it does not fit the kernel, if it was not linked to the
# end, or if it comes at the wrong time. A message says why, and nothing of the
# module is left behind.

. "$(dirname "$0")/lib.sh"
plan 18

MODULE=/tmp/kmod-rs.ko

# refused WHAT FILE OUTPUT MESSAGE: insmod of the file fails with OUTPUT, and
# the log has MESSAGE.
refused() {
	matches "$1 is refused" "$(insmod "$2" 2>&1)" "$3"
	holds "and the log says why" logged "$4"
	is "and nothing is left behind" \
		"$(ls -d /sys/module/kmod_rs "$LIVEPATCH" "$LIMIT" "$KNOBS" 2>/dev/null)" ""
}

# changed OLD NEW: makes a module with some bytes replaced by as many others.
changed() {
	LC_ALL=C /usr/bin/sed --binary "s/$1/$2/g" /kmod_rs/kmod-rs.ko >"$MODULE"
	! cmp -s /kmod_rs/kmod-rs.ko "$MODULE" || fail "$1 is not in the module"
}

refused "without the last step of linking" /kmod_rs/not-post-linked.ko \
	'Invalid module format|Exec format error' \
	'^kmod_rs: built without "objtool klp post-link"'

changed 'vermagic=7' 'vermagic=8'
refused "another release" "$MODULE" 'Invalid module format' \
	"kmod_rs: version magic '8.*' should be '7"

changed '\.klp\.sym\.vmlinux\.modprobe_path,0' '.klp.sym.vmlinux.modprobe_patH,0'
refused "an unknown variable" "$MODULE" 'Invalid (argument|parameters)' \
	"livepatch: symbol 'modprobe_patH' not found in symbol table"

changed '\.klp\.sym\.vmlinux\.security_kernel_module_request,0' \
	'.klp.sym.vmlinux.security_kernel_module_requesT,0'
refused "an unknown function" "$MODULE" 'Invalid (argument|parameters)' \
	"livepatch: symbol 'security_kernel_module_requesT' not found in symbol table"

# Another livepatch, of the function that this request is in.
OTHER=/sys/kernel/livepatch/klp_ask
other_gone() {
	[[ ! -e $OTHER && $(</sys/module/klp_ask/refcnt) == 0 ]]
}

use_helper
close_gate
ask_in_background w hold-exit-5
event start hold-exit-5
insmod /kmod_rs/klp_ask.ko
is "another livepatch is in transition" "$(<"$OTHER/transition")" 1
refused "a second one" /kmod_rs/kmod-rs.ko 'Device or resource busy' \
	'^kmod_rs: another livepatch is in transition: try again when it is done$'
open_gate
is "the request gets its answer" "$(answer_of "$ASKER")" $((5 << 8))
await grep -qx 0 "$OTHER/transition"
echo 0 >"$OTHER/enabled"
await other_gone
rmmod klp_ask

holds "what fits is loaded" take_over

rm "$MODULE"
finish
