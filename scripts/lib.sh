# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Paths and functions that the scripts share: where things are, messages, long steps, the lock, and
# which tools and kernel to use. Sourced, never run.
#
# Everything that the scripts make is below $CACHE. A thing is complete only after its last step: it
# has been renamed from NAME.part, or it contains a file `complete`. So a run can be interrupted at
# any time, and the next run continues.

export LC_ALL=C # Some messages of other programs are parsed.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
CACHE=$(realpath -m -- "${XDG_CACHE_HOME:-${HOME:?is not set}/.cache}")/kmod_rs
SYSROOT=$CACHE/sysroot # The tools of Debian 13; for other releases see sysroot_of().
CRATES=$CACHE/crates   # What the command is made of.
KERNELS=$CACHE/kernels

# The minor versions of Linux that the module supports, the preferred one first.
MINORS="7.3 7.2"

# The names that KERNEL= takes. A kernel for Debian 13 (trixie) is named after its minor version. A
# kernel of Debian testing is named after the codename, whatever its version is. A flavour other
# than the usual one is added to the name.
SUPPORTED="7.3 7.2 7.3-cloud 7.2-cloud 7.3-rt 7.2-rt forky forky-cloud forky-rt"

# The packages of Debian 13 that are needed to build, check and boot the module.
PACKAGES=(
	# The tools of the kernel and of the module.
	gcc gcc-14 libc6-dev make rustc rust-src rustfmt rust-clippy bindgen
	clang lld llvm pahole flex bison bc kmod lz4 openssl python3
	libelf-dev libssl-dev libxxhash-dev libdw-dev
	# The virtual machine, and what goes into it.
	qemu-system-x86 qemu-utils ovmf sbsigntool cpio dracut-install xfsprogs strace
	bash-static busybox-static coreutils debianutils diffutils findutils gawk grep
	iproute2 libcap2-bin mount procps sed util-linux xz-utils zstd
	# Checks of the sources, and of what the command makes.
	shellcheck cargo librust-loom-dev
	tmux groff-base mandoc promtool python3-docutils python3-rich librsvg2-bin fonts-dejavu-core
)

# The packages of Debian 13 that the command kmod-rs is made of: crates, in source form. They are
# not installed; see setup/crates.sh.
COMMAND_PACKAGES=(
	librust-anyhow-dev librust-chrono-dev librust-clap-dev librust-clap-mangen-dev
	librust-clap-complete-dev
	librust-crossterm-dev librust-ratatui-dev librust-rustix-dev librust-serde-json-dev
	librust-signal-hook-dev
	# For its tests.
	librust-proptest-dev librust-snapbox-dev librust-tempfile-dev
)

# The packages of Debian 13 that packages are made and checked with.
PACKAGING_PACKAGES=(debhelper dh-dkms dpkg-dev lintian)

# The packages of Debian testing that are needed to build for its own kernels. Everything else is
# done with the tools of Debian 13.
FORKY_PACKAGES=(
	gcc gcc-16 libc6-dev make rustc rust-src bindgen clang
	pahole flex bison bc kmod lz4 openssl python3 xz-utils
	libelf-dev libssl-dev libxxhash-dev libdw-dev
)

# The packages that the Rust metadata of a kernel depends on, by the Debian release that the kernel
# is for.
declare -A COMPILERS=([trixie]="gcc-14 rustc bindgen" [forky]="gcc-16 rustc bindgen")

say() {
	[[ ! -t 2 ]] || printf '\r\e[K' >&2 # Overwrite the seconds of a step.
	printf 'kmod_rs: %s\n' "$*" >&2
}

die() {
	say "$@"
	exit 1
}

[[ $CACHE != *[[:space:]:]* ]] ||
	die "the cache directory $CACHE has a space or colon in its name: set XDG_CACHE_HOME to another one"
[[ $(uname -m) == x86_64 ]] ||
	die "this machine is $(uname -m), and only x86_64 is supported"

# --- Running and stopping -------------------------------------------------

# The process groups that have to end when this script ends.
RUNNING=()

# End these groups, and wait for all of their processes. A process that went on writing would
# disturb the next run.
stop_running() {
	local status=$? pid tries
	trap - EXIT
	trap '' INT TERM HUP
	for pid in "${RUNNING[@]}"; do
		kill -TERM -- "-$pid" 2>/dev/null || true
	done
	for pid in "${RUNNING[@]}"; do
		wait "$pid" || true
		for ((tries = 100; tries > 0; tries--)); do
			kill -0 -- "-$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL -- "-$pid" 2>/dev/null || true
	done
	exit "$status"
}
trap stop_running EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# spawn COMMAND...: start the command in a process group of its own. Its ID is in $!.
spawn() {
	set -m
	"$@" </dev/null &
	set +m
	RUNNING+=("$!")
}

# join PID: wait for a command that was spawned, and return its status.
join() {
	local pid left=() status=0
	wait "$1" || status=$?
	for pid in "${RUNNING[@]}"; do
		[[ $pid == "$1" ]] || left+=("$pid")
	done
	RUNNING=("${left[@]}")
	return "$status"
}

tick() {
	local start=$SECONDS
	while sleep 1; do
		printf '\r\e[Kkmod_rs: %s ... %s s' "$1" "$((SECONDS - start))" >&2
	done
}

logged() {
	local log=$1
	shift
	"$@" >"$log" 2>&1
}

# step MESSAGE COMMAND...: run a long command or a function, with its output in a log. A terminal
# shows the seconds. Elsewhere, and for a step that runs beside another one (KMOD_RS_ASIDE), there
# is one line at the end. When a package is built, its log has everything.
step() {
	local message=$1 log pid ticker="" start=$SECONDS status=0
	shift
	if [[ ${KMOD_RS_NATIVE:-} ]]; then
		"$@"
		return
	fi
	log=$CACHE/log/${message//[^[:alnum:].]/-}.log
	mkdir -p "$CACHE/log"
	spawn logged "$log" "$@"
	pid=$!
	if [[ -t 2 && ! ${KMOD_RS_ASIDE:-} ]]; then
		spawn tick "$message"
		ticker=$!
	fi
	join "$pid" || status=$?
	if [[ $ticker ]]; then
		kill -TERM -- "-$ticker" 2>/dev/null || true
		join "$ticker" || true
	fi
	((status == 0)) || step_failed "$message" "$log"
	say "$message: $((SECONDS - start)) s"
}

# step_failed MESSAGE LOG: explain a usual failure in one sentence. For any other failure, show the
# end of the log.
step_failed() {
	local message=$1 log=$2 last stale
	last=$(tail -n 1 "$log")
	if [[ $last == "kmod_rs: "* ]]; then
		printf '%s\n' "$last" >&2
		exit 1
	fi
	if grep -q 'No space left on device' "$log"; then
		die "the disk is full ($message): make room in $CACHE and run this again"
	fi
	stale=$(grep -Eom1 'Release file for [^ ]* is (expired|not valid yet)' "$log" || true)
	if [[ $stale ]]; then
		die "apt refuses the Debian archive, because the $stale ($message): use another mirror, or set Acquire::Check-Valid-Until \"false\" for apt"
	fi
	if grep -Eq 'Temporary failure resolving|Could not resolve|[Cc]ould not connect|Unable to connect|Network is unreachable|Connection (timed out|failed)' "$log"; then
		die "the Debian archive cannot be reached ($message): check the network and run this again; details are in $log"
	fi
	tail -n 15 "$log" >&2
	die "this step failed: $message; all of its output is in $log"
}

# Allow one run at a time. The scripts that this one starts run under its lock.
take_lock() {
	[[ ! ${KMOD_RS_LOCKED:-} ]] || return 0
	mkdir -p "$CACHE" || true
	[[ -w $CACHE ]] ||
		die "cannot write to $CACHE: set XDG_CACHE_HOME to a directory that you can write to"
	exec {LOCK}>"$CACHE/lock"
	if ! flock -n "$LOCK"; then
		say "waiting for another run in $CACHE to finish"
		flock "$LOCK"
	fi
	export KMOD_RS_LOCKED=1
}

# --- Files ----------------------------------------------------------------

# need_space MB WHAT: stop now if there is too little space, rather than fail in the middle.
need_space() {
	local free
	free=$(df --output=avail --block-size=1M "$CACHE" | tail -n 1)
	((free >= $1)) ||
		die "$2 needs $1 MB in $CACHE, but ${free// /} MB are free: make room, or set XDG_CACHE_HOME to a larger disk"
}

# Remove files and directories, but nothing that is still mounted below them.
remove() {
	rm -rf --one-file-system -- "$@"
}

# is_complete DIR [WORD]: is it complete, and was it made for this WORD?
is_complete() {
	[[ -f $1/complete && $(<"$1/complete") == "${2:-}" ]]
}

# remap_flags OPTION DIR...: the options of a compiler with which the paths of files below the
# directories are relative in what it makes.
remap_flags() {
	local directory flags=()
	for directory in "${@:2}"; do
		flags+=("$1=$(realpath -- "$directory")/=")
	done
	echo "${flags[*]}"
}

# --- Where the tools are --------------------------------------------------

is_debian_13() (
	[[ -r /etc/os-release ]] || return
	# shellcheck source=/dev/null
	. /etc/os-release
	[[ ${ID:-} == debian && ${VERSION_CODENAME:-} == trixie ]]
)

# sysroot_of CODENAME: the directory for the tools of that Debian release, if they are in a sysroot.
sysroot_of() {
	if [[ $1 == trixie ]]; then echo "$SYSROOT"; else echo "$SYSROOT-$1"; fi
}

# tool_packages CODENAME: the packages of that Debian release that must be installed. For `crates`,
# those of trixie with crates.
tool_packages() {
	case $1 in
	trixie) printf '%s\n' "${PACKAGES[@]}" "${PACKAGING_PACKAGES[@]}" ;;
	crates) printf '%s\n' "${COMMAND_PACKAGES[@]}" ;;
	*) printf '%s\n' "${FORKY_PACKAGES[@]}" ;;
	esac
}

# missing_packages CODENAME DIR: which of these packages are not installed in the system below DIR.
# If DIR is "", that is this machine.
missing_packages() {
	local packages
	mapfile -t packages < <(tool_packages "$1")
	comm -23 <(printf '%s\n' "${packages[@]}" | sort -u) \
		<(dpkg-query --admindir="$2/var/lib/dpkg" -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null |
			sed -n 's/^installed //p' | sort -u)
}

# has_tools CODENAME: does this machine itself have the tools of that Debian release? Debian 13 with
# every package has its own. The tools of Debian testing are never taken from the machine. When a
# package is built, $KMOD_RS_NATIVE says that the tools are there which its source asks for.
has_tools() {
	[[ ! ${KMOD_RS_NATIVE:-} ]] || return 0
	[[ $1 == trixie ]] && is_debian_13 && [[ -z $(missing_packages trixie "") ]]
}

# Where crates are when they are installed.
REGISTRY=/usr/share/cargo/registry

# crates: the directory of the crates of Debian 13, if they are there. A machine that has them
# installed, with the tools, has its own. A package is built with those in $KMOD_RS_CRATES, or else
# with those that are installed.
crates() {
	if [[ ${KMOD_RS_NATIVE:-} ]]; then
		echo "${KMOD_RS_CRATES:-$REGISTRY}"
	elif has_tools trixie && [[ -z $(missing_packages crates "") ]]; then
		echo "$REGISTRY"
	elif is_complete "$CRATES" "${COMMAND_PACKAGES[*]}"; then
		echo "$CRATES$REGISTRY"
	else
		return 1
	fi
}

# toolchain CODENAME [PACKAGE...]: the versions of these packages of that Debian release, in one
# line. Without a PACKAGE, these are the packages that the Rust metadata depends on.
toolchain() {
	local codename=$1 admindir
	shift
	admindir=$(sysroot_of "$codename")/var/lib/dpkg
	! has_tools "$codename" || admindir=/var/lib/dpkg
	# shellcheck disable=SC2086 # A list of words.
	(($# > 0)) || set -- ${COMPILERS[$codename]}
	dpkg-query --admindir="$admindir" -W -f '${Package}=${Version} ' "$@" 2>/dev/null
}

# in_sysroot COMMAND...: run it with the tools of Debian 13.
in_sysroot() {
	in_sysroot_of trixie "$@"
}

# in_sysroot_of CODENAME COMMAND...: run it with the tools of that Debian release.
in_sysroot_of() {
	"$TOP/scripts/setup/in-sysroot.sh" --of "$@"
}

# --- Which kernel ---------------------------------------------------------

# minor_of RELEASE
minor_of() {
	cut -d. -f1-2 <<<"$1"
}

# is_minor MINOR: does the module support this minor version?
is_minor() {
	[[ " $MINORS " == *" $1 "* ]]
}

check_name() {
	[[ " $SUPPORTED " == *" $1 "* ]] ||
		die "KERNEL=$1 is not supported; use one of: $SUPPORTED"
}

# known_name [NAME]: the name of the kernel that the user's KERNEL= means, without asking the
# archive. If NAME is empty, it is the first minor version that is set up, or nothing.
known_name() {
	local minor
	if [[ ${1:-} ]]; then
		check_name "$1"
		echo "$1"
		return
	fi
	for minor in $MINORS; do
		if [[ -f $KERNELS/$minor/complete ]]; then
			echo "$minor"
			return
		fi
	done
}

# codename_of NAME: the Debian release with whose tools this kernel is built.
codename_of() {
	if [[ $1 == forky* ]]; then echo forky; else echo trixie; fi
}

# name_of RELEASE: the name of this kernel of Debian, or nothing if it is not supported.
name_of() {
	local name
	[[ $1 =~ ^([0-9]+\.[0-9]+)\.[0-9]+\+deb(13|14)(-[a-z]+)?-amd64$ ]] || return 0
	name=${BASH_REMATCH[1]}${BASH_REMATCH[3]}
	[[ ${BASH_REMATCH[2]} == 13 ]] || name=forky${BASH_REMATCH[3]}
	! is_minor "${BASH_REMATCH[1]}" || [[ " $SUPPORTED " != *" $name "* ]] || echo "$name"
}

# The build directory of the kernel that KDIR= or KERNEL= names, or else of the running kernel.
choose_kdir() {
	local release own name
	release=$(uname -r)
	own=/lib/modules/$release/build
	if [[ ${KDIR:-} ]]; then
		realpath -m -- "$KDIR"
	elif [[ ${KERNEL:-} ]]; then
		check_name "$KERNEL"
		[[ -f $KERNELS/$KERNEL/complete ]] || die "kernel $KERNEL is not set up yet: run \"make prepare KERNEL=$KERNEL\" first"
		realpath -- "$KERNELS/$KERNEL/build"
	elif [[ -f $KERNELS/$release/complete ]]; then
		realpath -- "$KERNELS/$release/build"
	elif [[ -f $own/rust/libkernel.rmeta ]]; then
		realpath -- "$own"
	else
		name=$(name_of "$release")
		die "there is no kernel tree with Rust metadata for the running kernel $release: ${name:+run \"make prepare KERNEL=$name\", or }set KERNEL= or KDIR="
	fi
}

# has_option REGEX: does a whole line in the configuration of KDIR match?
has_option() {
	grep -qx "$1" "$KDIR/include/config/auto.conf" 2>/dev/null
}

# with_tools COMMAND...: run it with the tools for KDIR. A tree that "make prepare" made needs the
# tools of its Debian release, any other tree those of this machine. A kernel that was built with
# clang needs modules that were built with clang.
with_tools() {
	local variables=() codename
	! has_option CONFIG_CC_IS_CLANG=y || variables+=("LLVM=${LLVM:-1}")
	if [[ $KDIR == "$KERNELS"/* ]]; then
		codename=$(sed -n 's/^codename=//p' "$(dirname "$KDIR")/info")
		in_sysroot_of "$codename" env DEBIAN_KERNEL_NO_CC_VERSION_CHECK=y \
			"${variables[@]}" "$@"
	else
		env "${variables[@]}" "$@"
	fi
}
