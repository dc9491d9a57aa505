# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Make what goes into a guest: the module, the programs, the tests. Sourced after lib.sh.

prepare_kernel() {
	"$TOP/scripts/setup/prepare.sh" "${KERNEL:-}"
	KERNEL_NAME=$(known_name "${KERNEL:-}")
	use_kernel "$KERNEL_NAME"
}

# use_kernel NAME[-debug[-rt]]: use this kernel from now on. What is built from the sources for it
# is below out/RELEASE.
use_kernel() {
	RELEASE=$(readlink "$KERNELS/$1")
	KERNEL_DIRECTORY=$KERNELS/$RELEASE
	export KDIR=$KERNEL_DIRECTORY/build
	OUT=$TOP/out/$RELEASE
	mkdir -p "$OUT/programs" "$OUT/modules"
}

make_module() {
	"$TOP/scripts/build.sh" --in "$OUT" W=1
}

# sign_module FILE KEY CERTIFICATE: make the file of the module and a signature.
sign_module() {
	cp "$OUT/kmod-rs.ko" "$1"
	"$TOP/scripts/sign.sh" "$@"
}

# The key that the build of the kernel has made, with its certificate, if it is there. Debian keeps its
# own.
signing_key() {
	echo "$KDIR/certs/signing_key.pem"
}

has_signing_key() {
	[[ -f $(signing_key) ]]
}

# Make the module with a signature as well, if the key of the kernel is there.
make_signed_module() {
	! has_signing_key ||
		sign_module "$OUT/modules/signed.ko" "$(signing_key)" "$(signing_key)"
}

make_test_modules() {
	cp --update --preserve=timestamps "$TOP"/tests/modules/* "$OUT/modules/"
	with_tools make --no-print-directory -C "$KDIR" M="$OUT/modules" modules
}

# make_program NAME FILE...: make a program of these sources and headers.
make_program() {
	local program=$OUT/programs/$1 file newer="" sources=()
	shift
	for file; do
		[[ $program -nt $file ]] || newer=1
		[[ $file == *.h ]] || sources+=("$file")
	done
	[[ ! $newer ]] || in_sysroot gcc -std=gnu11 -Wall -Wextra -Werror -O2 -static \
		-o "$program" "${sources[@]}"
}

# A directory has the sources of one program.
make_programs() {
	local source
	for source in "$TOP"/tests/programs/*.c "$TOP/scripts/demo/demo-socket.c"; do
		make_program "$(basename "$source" .c)" "$source"
	done
	for source in "$TOP"/tests/programs/*/; do
		make_program "$(basename "$source")" "$source"*.[ch]
	done
}

make_all() {
	make_module
	make_test_modules
	make_signed_module
	make_programs
}

# command_files: add the command to the overlay, with the libraries that it needs, and tmux as a
# terminal for it, with what tmux needs for UTF-8.
command_files() {
	local install=(in_sysroot /usr/lib/dracut/dracut-install -D "$OVERLAY" -l)
	"${install[@]}" "$TOP/out/kmod-rs" /usr/bin/kmod-rs
	# A whole Debian has the rest.
	[[ ! -d $OVERLAY/kmod_rs/debian ]] ||
		install -D "$TOP/out/kmod-rs" "$OVERLAY/kmod_rs/debian/usr/bin/kmod-rs"
	"${install[@]}" -a tmux /usr/share/terminfo/{s/screen,t/tmux-256color,x/xterm-256color} \
		/usr/lib/locale/C.utf8/LC_CTYPE
}

# List the unit tests in the sources, as SUITE.TEST.
unit_tests() {
	awk 'FNR == 1 { suite = "" }
		/kunit_tests\(/ { suite = $0; gsub(/.*kunit_tests\(|\).*/, "", suite) }
		suite && /#\[test\]/ { getline; gsub(/^.*fn |\(.*/, ""); print suite "." $0 }' "$TOP"/*.rs "$TOP"/*/*.rs
}

# List the knobs in sysctl.rs, one on each line: the path of the file below /proc/sys, its kind, who
# may write to it, the smallest and the greatest number (for a text: of bytes), and the default. A
# dash means that there is none.
knobs() {
	awk -F '[(,]' '
		/^const [A-Z_]+: &CStr = c"/ { split($0, part, /"/); sub(/^const /, ""); sub(/:.*/, ""); directory[$0] = part[2] }
		/^static KNOBS/ { in_table = 1 }
		/^\];/ { in_table = 0 }
		in_table && /^ *(number|status|text) *\(/ {
			gsub(/_/, "", $4); gsub(/_/, "", $5)
			for (i = 1; i <= NF; i++) gsub(/^ *(c")?|[ ")]*$/, "", $i)
			split($4, range, /\.\.=/)
			if ($1 == "number") print directory[$2] "/" $3, $1, $6, range[1], range[2], $5
			if ($1 == "text") print directory[$2] "/" $3, $1, $6, 0, $4, $5 == "" ? "-" : $5
			if ($1 == "status") print directory[$2] "/" $3, $1, "-", "-", "-", "-"
		}' "$TOP/sysctl.rs"
}

# new_overlay NAME: make a directory for what goes into the guest, $OVERLAY, and one for what comes
# out of it, $WORK.
new_overlay() {
	OVERLAY=$OUT/$1/overlay
	WORK=$OUT/$1
	remove "$WORK"
	mkdir -p "$OVERLAY/kmod_rs"
	cp "$TOP"/tests/*.sh "$TOP"/tests/{guest/*,long}/*.sh "$OUT"/{kmod-rs,not-post-linked}.ko \
		"$OUT"/modules/*.ko "$OUT"/programs/* "$TOP"/Documentation/admin-guide.rst \
		"$OVERLAY/kmod_rs/"
	cp -r "$TOP"/Documentation/{sysctl.d,modules-load.d,examples} "$OVERLAY/kmod_rs/"
	cp "$KDIR/include/config/auto.conf" "$OVERLAY/kmod_rs/kernel.config"
	unit_tests >"$OVERLAY/kmod_rs/unit-tests"
	knobs >"$OVERLAY/kmod_rs/knobs"
}

prepare_guest_files() {
	prepare_kernel
	step "building for $RELEASE" make_all
	new_overlay "$1"
}
