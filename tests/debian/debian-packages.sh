#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The packages, as somebody installs them who has never heard of kmod_rs before: in a Debian with
# apt, with no file of this checkout but the packages and this test.
#
# 1. They are installed; the module is turned on, and says who brought XFS.
# 2. It is there from the boot on. It gets rules, which are locked, and is upgraded under them.
# 3. A boot without it. Removal gives requests back; with locked rules it says what it leaves.
# 4. After the packages have been purged, nothing is left.
#
# Uses: packages
# Uses: upgrade
# Boots: 4
# Boot 3: kmod_rs=off

# shellcheck disable=SC2034 # For lib.sh.
NO_KMOD_ASK=1 LOADED=/sys/module/kmod_rs
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
# What a boot leaves is there for the next one.
trap - EXIT

export DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8
BOOT=$(sed 's/.*\btest\.boot=\([0-9]*\).*/\1/' /proc/cmdline)
SAID=/tmp/said
# The package that depends on the module for the newest kernel of this flavour.
METAPACKAGE=kmod-rs-modules$(uname -r | sed 's/.*+deb13//')
# From "apt install" to the answer, in seconds.
MOST=300

# apt COMMAND...: what apt says is in $SAID.
apt() {
	apt-get -q -y -o Dpkg::Use-Pty=false "$@" >"$SAID" 2>&1 || {
		cat "$SAID"
		return 1
	}
}

# take_from DIRECTORY: has apt take packages from there, and from nowhere else.
take_from() {
	echo "deb [trusted=yes] file:/kmod_rs/$1 ./" >/etc/apt/sources.list.d/kmod-rs.list
	apt update
}

# is_status STATUS REGEX: kmod-rs status ends like that, and one of its lines is like that.
is_status() {
	local status=0
	kmod-rs status >"$SAID" 2>&1 || status=$?
	if ((status != $1)) || ! grep -Eq -- "$2" "$SAID"; then
		echo "exit status $status"
		cat "$SAID"
		return 1
	fi
}

# has_come_up: the boot has come to its end, and no unit has failed.
has_come_up() {
	[[ $(systemctl is-system-running --wait) == running ]] || {
		systemctl list-units --failed --no-legend
		return 1
	}
}

not_loaded() {
	[[ ! -e $LOADED ]]
}

# The files of the system that stay what they are when packages come and go, and the packages.
snapshot() {
	find /boot /etc /usr /var -xdev \
		! -path '/var/backups/*' ! -path '/var/cache/*' ! -path '/var/log/*' \
		! -path '/var/lib/apt/*' ! -path '/var/lib/dpkg/*' ! -path '/var/lib/systemd/*' \
		! -path '/var/tmp/*' \
		! -path /etc/apt/sources.list.d/kmod-rs.list | sort
	dpkg-query -W -f '${Package} ${db:Status-Abbrev}\n'
}

# Makes a request for XFS.
mount_xfs() {
	mount -t xfs LABEL=kmod_rs /mnt && umount /mnt
}

on_screen() {
	tmux capture-pane -p | grep -Eq -- "$1"
}

no_tmux() {
	! tmux has-session 2>/dev/null
}

no_complaint() {
	is "the kernel has not complained" "$(dmesg --notime | grep -E "$SPLAT")" ""
}

# started UNIT, ended UNIT: when it did, in microseconds since the start of the kernel.
started() {
	systemctl show --value --property ExecMainStartTimestampMonotonic "$1"
}

ended() {
	systemctl show --value --property ExecMainExitTimestampMonotonic "$1"
}

# --- The boots ------------------------------------------------------------

boot_1() {
	local start took
	plan 17
	holds "the system has come up" has_come_up
	is "nothing has the name of kmod_rs" "$(find / -xdev -iname '*kmod[-_]rs*' ! -path /kmod_rs)" ""
	snapshot >/var/tmp/before
	holds "apt finds the packages" take_from first

	start=$SECONDS
	holds "it installs them" apt install kmod-rs "$METAPACKAGE"
	ktap_print_msg "installed in $((SECONDS - start)) s"
	holds "nothing is loaded yet" is_status 4 '^kmod_rs is not loaded$'
	is "no unit is enabled" "$(systemctl is-enabled kmod-rs.service kmod-rs-journal.service \
		kmod-rs-metrics.timer | xargs)" "disabled disabled disabled"
	holds "it is turned on" kmod-rs on
	holds "a request is made" mount_xfs
	kmod-rs who xfs >"$SAID" 2>&1
	took=$((SECONDS - start))
	matches "who asked for XFS" "$(<"$SAID")" 'xfs came at .* by request [0-9]+, for fs-xfs'
	matches "it was mount" "$(<"$SAID")" 'asked by +mount\[[0-9]+\], user root'
	sed "s/^/# /" "$SAID"
	ktap_print_msg "from apt install to the answer: $took s"
	holds "in $MOST s" test "$took" -le "$MOST"

	holds "there is a page for the command" grep -q learn <(man 8 kmod-rs 2>/dev/null)
	holds "and one for the module" grep -q autoload_mode <(man 4 kmod_rs 2>/dev/null)
	holds "it is turned off" kmod-rs off
	holds "and is not loaded" not_loaded
	holds "it is to be there at each boot" systemctl enable kmod-rs.service
	no_complaint
}

boot_2() {
	local version
	plan 25
	holds "the system has come up" has_come_up
	holds "kmod_rs is there" is_status 0 '^kmod_rs serves requests$'
	is "because of its unit" "$(systemctl is-active kmod-rs.service)" active
	holds "before rules are set" test "$(ended kmod-rs.service)" -le "$(started systemd-sysctl.service)"
	holds "a request is made" mount_xfs
	matches "who asked for XFS" "$(kmod-rs who xfs)" 'asked by +mount\[[0-9]+\], user root'

	tmux -f /dev/null new-session -d -x 100 -y 30 'kmod-rs top'
	holds "top shows it" await on_screen '^fs-xfs +1 '
	tmux send-keys q
	holds "and ends" await no_tmux

	holds "a profile is enabled" kmod-rs profiles enable server --enforce --now
	is "the rules are those of the file" "$(rules_of_kernel /etc/sysctl.d/60-kmod_rs.conf)" \
		"$(rules_of_file /etc/sysctl.d/60-kmod_rs.conf)"
	as_nobody unshare --user --map-root-user --mount mount -t jfs none /mnt 2>/dev/null
	is "an ordinary user has not everything now" \
		"$(recent | grep 'name="fs-jfs"' | field policy)" denied
	# The same scripts run as for an upgrade.
	holds "the packages are installed again" apt install --reinstall kmod-rs "kmod-rs-modules-$(uname -r)"
	matches "kmod_rs has not been unloaded: it still knows who asked for XFS" "$(kmod-rs who xfs)" \
		'asked by +mount\[[0-9]+\], user root'
	sysctl --quiet kernel.kmod_rs.autoload_lock=1
	holds "they are locked" is_status 0 'firewall .*locked until reboot'

	version=$(<"$LOADED/version")
	holds "apt finds a new version" take_from second
	holds "it upgrades to it" apt upgrade
	is "all packages" "$(dpkg-query -W -f '${Version}\n' kmod-rs 'kmod-rs-modules-*' | grep -cv '[.]99')" 0
	holds "kmod_rs has not been unloaded" is_status 0 '^kmod_rs serves requests$'
	is "it is the old one" "$(<"$LOADED/version")" "$version"
	matches "status says so" "$(<"$SAID")" "version +${version} loaded, ${version}[.]99 installed"
	matches "and when the new one comes" "$(<"$SAID")" "-> +${version}[.]99 is loaded at the next boot"
	is "the rules have not changed" "$(rules_of_kernel /etc/sysctl.d/60-kmod_rs.conf)" \
		"$(rules_of_file /etc/sysctl.d/60-kmod_rs.conf)"
	is "the unit is active, and enabled" \
		"$(systemctl is-active kmod-rs.service) $(systemctl is-enabled kmod-rs.service)" "active enabled"
	is "no unit has failed" "$(systemctl list-units --failed --no-legend)" ""
	no_complaint
}

boot_3() {
	plan 18
	holds "the system has come up" has_come_up
	holds "without kmod_rs, as kmod_rs=off says" not_loaded
	is "because of its unit" "$(systemctl show --value --property ConditionResult kmod-rs.service)" no
	holds "it is turned on" kmod-rs on
	matches "it is the new one" "$(<"$LOADED/version")" '[.]99$'
	holds "status says nothing of another" is_status 0 '^ *version +[0-9.]*[.]99 loaded, [0-9.]*[.]99 installed$'

	holds "the packages are removed" apt remove kmod-rs 'kmod-rs-modules-*'
	holds "kmod_rs has given back and is unloaded" not_loaded
	is "nothing is said of it" "$(grep '^kmod-rs: ' "$SAID")" ""
	holds "C serves" mount_xfs

	holds "they are installed again" apt install kmod-rs "$METAPACKAGE"
	holds "it is turned on" kmod-rs on
	sysctl --quiet kernel.kmod_rs.autoload_lock=1
	holds "with locked rules they are removed as well" apt remove kmod-rs 'kmod-rs-modules-*'
	is "one line says that kmod_rs stays" "$(grep '^kmod-rs: ' "$SAID")" \
		"kmod-rs: kmod_rs is in use, or its rules are locked: it stays until the next boot"
	is "it does" "$(<"$KNOBS/active")" 1
	holds "they are purged" apt purge kmod-rs 'kmod-rs-modules-*'
	is "no unit has failed" "$(systemctl list-units --failed --no-legend)" ""
	no_complaint
}

boot_4() {
	plan 5
	holds "the system has come up" has_come_up
	holds "without kmod_rs" not_loaded
	rm /etc/apt/sources.list.d/kmod-rs.list
	snapshot >/var/tmp/after
	is "no file and no package is left" "$(diff /var/tmp/before /var/tmp/after)" ""
	is "nor anything of that name" "$(find / -xdev -iname '*kmod[-_]rs*' \
		! -path /kmod_rs ! -path '/var/cache/apt/*' ! -path '/var/lib/apt/lists/*')" ""
	no_complaint
}

"boot_$BOOT"
finish
