#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Takes the pictures, in the guest, when the boot has ended.

PICTURES=/run/pictures

# on_screen REGEX: is there a line on the terminal that matches?
on_screen() {
	tmux capture-pane -p | grep -Eq "$1"
}

# Users ask for what is there and for what is not, one after the other.
ask() {
	local i
	for ((i = 0; i < 40; i++)); do
		setpriv --reuid=$((1000 + i % 3)) --clear-groups /kmod_rs/ask w "absent-$((i % 5))"
		/kmod_rs/demo-socket sctp
	done >/dev/null 2>&1
}

mkdir -p "$PICTURES"
export LANG=C.UTF-8
{
	systemctl is-system-running --wait
	udevadm settle
	kmod-rs plot >"$PICTURES/plot.svg"

	tmux -f /dev/null new-session -d -x 100 -y 30 'kmod-rs top'
	until on_screen .; do sleep 0.1; done
	ask
	until on_screen absent-4; do sleep 0.1; done
	tmux capture-pane -e -p >"$PICTURES/top.terminal"
	tmux kill-server
} >/dev/console 2>&1
tar -C "$PICTURES" -c . | base64
