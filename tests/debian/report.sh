#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Waits for the end of the boot, and prints its results, one a line. The first word says what the
# rest of the line is:
#
#   state STATE      of the system, as systemd sees it
#   failed UNIT
#   module NAME      each loaded module but kmod_rs itself
#   asked NAME       a name that the kernel has requested from modprobe, since the initramfs
#   answer ...       as kmod_rs-ask has written it
#   C NAME           such a request was served by the kernel, as its stack shows,
#   Rust NAME        or by kmod_rs

systemctl is-system-running --wait | sed 's/^/state /'
udevadm settle

systemctl list-units --failed --plain --no-legend | sed 's/^\([^ ]*\).*/failed \1/' | sort
sed 's/^\([^ ]*\).*/module \1/' /proc/modules | grep -vx 'module kmod_rs' | sort
sed 's/^/answer /' /run/kmod_rs/answers | sort

# Events and stacks of the other processor may come between an event and its stack.
awk '
	match($0, /-[0-9]+ +\[[0-9]+\]/) {
		task = substr($0, RSTART + 1, RLENGTH - 1)
		sub(/ .*/, "", task)
	}
	/ tracing_mark_write: kmod_rs: from here on/ { on = 1 }
	/ module_request: / && on {
		name = $0
		sub(/.* module_request: /, "", name)
		sub(/ wait=[01] call_site=.*/, "", name)
		last[task] = ++events
		names[events] = name
		by[events] = "nobody"
	}
	/^ => __request_module$/ && task in last { by[last[task]] = "C" }
	/^ => kmod_rs_request_module$/ && task in last { by[last[task]] = "Rust" }
	END {
		for (i = 1; i <= events; i++) {
			print "asked " names[i]
			print by[i] " " names[i]
		}
	}' /sys/kernel/tracing/trace | sort -u
