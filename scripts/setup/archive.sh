# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Access to the Debian archive: which mirror to use, and what trixie-backports and Debian testing
# have, and for `crates` what trixie has. Sourced after lib.sh.
#
# The machine's own apt fetches the kernels and the crates, with a state and sources of its own in
# $CACHE/apt/CODENAME. So the machine's sources stay as they are, root is not needed, and downloads
# can start before there is a sysroot. The machine's settings for apt apply: its proxies are used,
# and an expired Release file is refused unless Acquire::Check-Valid-Until is off.

ARCHIVE=$CACHE/apt
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# The machine's settings for downloads, as an apt configuration file.
acquire_settings() {
	apt-config dump --no-empty Acquire |
		grep -E '^Acquire::((http|https|ftp)::|Retries|ForceIPv|Check-Valid-Until|Check-Date|Proxy)' || true
}

# List LABEL and URI of the archives that the machine's apt is set up with. If apt has no package
# lists, as in most container images, fetch them to $ARCHIVE/host.
host_archives() {
	local lists=()
	if [[ -z $(apt-get indextargets) ]]; then
		lists=(-o "Dir::State::lists=$ARCHIVE/host")
		if [[ ! -d $ARCHIVE/host ]]; then
			mkdir -p "$ARCHIVE/host/partial"
			apt-get -q "${lists[@]}" -o APT::Sandbox::User=root -o \
				APT::Update::Error-Mode=any update >&2 ||
				remove "$ARCHIVE/host"
		fi
	fi
	# shellcheck disable=SC2016 # apt expands these.
	apt-get "${lists[@]}" indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
		sort -u
}

# mirror LABEL SUITE: the machine's mirror of the archive with this label, or else the mirror that
# mmdebstrap uses for SUITE.
mirror() {
	local list uri
	list=$(host_archives)
	uri=$(sed -n "s|^$1 \(https\{0,1\}:.*\)|\1|;T;p;q" <<<"$list")
	[[ $uri ]] || uri=$(default_sources | sed -n "s/^deb .*\(http[^ ]*\) $2 main\$/\1/p")
	[[ $uri ]] || die "apt has no mirror of $1: add one to its sources, or install mmdebstrap"
	echo "${uri%/}"
}

# The sources that mmdebstrap uses by default. Its setup hook prints them before anything is
# fetched.
default_sources() {
	# shellcheck disable=SC2016 # The shell of the hook expands this.
	mmdebstrap --quiet --format=null --variant=custom \
		--setup-hook='cat "$1/etc/apt/sources.list" >&2; exit 1' trixie /dev/null 2>&1 ||
		true
}

# sysroot_sources CODENAME: the lines of sources.list for the sysroot of that Debian release.
sysroot_sources() {
	local main security
	main=$(mirror Debian trixie)
	if [[ $1 != trixie ]]; then
		echo "deb $main $1 main"
		return
	fi
	security=$(mirror Debian-Security trixie-security)
	printf 'deb %s main\n' "$main trixie" "$main trixie-updates" \
		"$security trixie-security" "$main trixie-backports"
}

# suite_of CODENAME: the suite that has the kernels 7.x for that Debian release, or the crates.
suite_of() {
	case $1 in
	trixie) echo trixie-backports ;;
	crates) echo trixie ;;
	*) echo "$1" ;;
	esac
}

# archive_config DIRECTORY: the settings that are added to the machine's own apt configuration.
archive_config() {
	cat <<-EOT
		Dir::Etc::SourceList "$1/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Dir::Etc::Preferences "/dev/null";
		Dir::Etc::PreferencesParts "/dev/null";
		Dir::State "$1/state";
		Dir::State::Status "$1/status";
		Dir::Cache "$1/cache";
		APT::Architecture "amd64";
		APT::Architectures { "amd64"; };
		APT::Default-Release "";
		APT::Sandbox::User "root";
		APT::Update::Error-Mode "any";
		#clear APT::Update::Pre-Invoke;
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		#clear Acquire::IndexTargets::deb::DEP-11;
		#clear Acquire::IndexTargets::deb::DEP-11-icons;
		Acquire::Languages "none";
		Acquire::Retries "2";
	EOT
}

# archive CODENAME TOOL ARGS...: run a program of apt on the state for that Debian release, or for
# the crates.
archive() {
	local codename=$1 tool=$2
	shift 2
	"$tool" -q -c "$ARCHIVE/$codename/apt.conf" "$@"
}

archive_update() {
	local codename=$1 directory=$ARCHIVE/$1 main
	main=$(mirror Debian trixie)
	mkdir -p "$directory/state/lists/partial" "$directory/cache/archives/partial"
	: >"$directory/status"
	archive_config "$directory" >"$directory/apt.conf"
	echo "deb [signed-by=$KEYRING] $main $(suite_of "$codename") main" \
		>"$directory/sources.list"
	archive "$codename" apt-get update
}

# archive_releases NAME: the releases of this kernel for which there are headers, the newest first.
archive_releases() {
	local name=$1 codename minor="" flavour="" deb=13
	codename=$(codename_of "$name")
	[[ $name != *-* ]] || flavour=-${name#*-}
	if [[ $codename == trixie ]]; then minor=${name%%-*}.; else deb=14; fi
	archive "$codename" apt-cache pkgnames "linux-headers-$minor" |
		sed -n "s/^linux-headers-\([0-9.]*+deb$deb$flavour-amd64\)\$/\1/p" | sort -rV
}

# archive_has CODENAME PACKAGE[=VERSION]
archive_has() {
	archive "$1" apt-cache show --no-all-versions "$2" >/dev/null 2>&1
}

archive_version() {
	archive "$1" apt-cache policy "$2" | awk '/Candidate:/ { print $2 }'
}
