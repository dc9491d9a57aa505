#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kmod-rs top in a terminal: what it shows, its keys, resizing, and that the terminal is as before
# when it has ended, however it ends.
#
# Uses: kmod-rs
# Debug: --full

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/lib.sh"
plan 22

INSTANCES=$TRACING/instances
export LANG=C.UTF-8

# terminal COMMAND: has a shell of its own in a terminal run the command.
terminal() {
	tmux -f /dev/null new-session -d -x 80 -y 24 'bash --norc --noprofile' 8>&-
	tmux send-keys "PS1='prompt> '; $1" Enter
}

screen() {
	tmux capture-pane -p
}

on_screen() {
	screen | grep -Eq -- "$1"
}

not_on_screen() {
	! on_screen "$1"
}

# Prints how many lines have colours.
coloured() {
	tmux capture-pane -p -e | grep -Ec $'\e\\[[0-9;]*(3|4|9|10)[0-9][;m]'
}

is_coloured() {
	(($(coloured) > 0))
}

press() {
	tmux send-keys "$@"
}

# is_restored: the prompt is there, with the cursor, on the screen that was there before top.
is_restored() {
	tail -n 1 <(screen | grep .) | grep -q '^prompt>$' && not_on_screen 'q quit' &&
		[[ $(tmux display-message -p '#{cursor_flag} #{alternate_on}') == "1 0" ]]
}

no_instance() {
	[[ ! $(ls "$INSTANCES") ]]
}

# first_is NAME: true if this is in the first row of the table.
first_is() {
	screen | sed -n '/REQS/{n;p}' | grep -q "^ *$1 "
}

use_silent_helper
patch on
ask w exit-1 >/dev/null

terminal 'NO_COLOR=1 kmod-rs top'
holds "what was before is shown" await on_screen '^exit-1 +1 +0 +1 .* exit$'
matches "the machine" "$(screen | head -n 1)" "kmod-rs top - .*, Linux $(uname -r | sed 's/+/[+]/'), kmod_rs [0-9.]+"
matches "the keys" "$(screen | tail -n 1)" '^q quit  Tab table '
is "without colours" "$(coloured)" 0
is "it has an instance" "$(find "$INSTANCES" -mindepth 1 -maxdepth 1 | wc -l)" 1

for i in 2 2 2 3; do
	ask w "exit-$i" >/dev/null
done
/kmod_rs/ask -c $'\e[2J\nx' w $'exit-4\x1b\u202e' >/dev/null
holds "requests as they return" await on_screen '^exit-2 +3 '
holds "most of them first" await first_is exit-2
holds "hostile names are shown" await on_screen '^exit-4\\x1b\\xe2\\x80\\xae '
holds "what the counters say" await on_screen '^requests 6 '
press s s s s s s
holds "sorted by name" await first_is exit-1
press r
holds "the other way round" await first_is 'exit-4[^ ]*'
press Tab
holds "requesters" await on_screen '^ +0 \\x1b\[2J\\x0ax +/ '

tmux resize-window -x 120 -y 30
holds "a wider window has more columns" await on_screen " AGO *$"
holds "and shows times" await on_screen 'QUEUE +HELPER'

patch off
holds "unloaded" await on_screen '^kmod_rs is unloaded: waiting'
patch on
use_silent_helper
holds "and loaded" await not_on_screen 'kmod_rs is unloaded'
ask w exit-9 >/dev/null
press BTab
holds "it goes on" await on_screen '^exit-9 +1 '

for end in q Escape C-c; do
	press "$end"
	await is_restored || fail "restored after $end" "$(screen)"
	await no_instance || fail "no instance after $end" "$(ls "$INSTANCES")"
	press 'kmod-rs top' Enter
	await on_screen 'q quit'
done
pass "q, Escape and Ctrl-C restore the terminal"
holds "it has colours without NO_COLOR" is_coloured
kill -TERM "$(pids_of kmod-rs)"
holds "so does SIGTERM" await is_restored
holds "and no instance is left" await no_instance
# tmux leaves out blanks at the end of a line.
press "stty -a | grep -o ' -*echo '" Enter
holds "what is typed is shown" await on_screen '^ echo$'
tmux kill-server
finish
