#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Wait for the end of the boot and say what it has come to, in lines of one word
# for what it is, and the rest:
#
#   state STATE      of the system, as systemd sees it
#   failed UNIT
#   module NAME      all but kmod_rs itself
#   asked NAME       what the kernel has asked modprobe for, since the initramfs
#   answer ...       as kmod_rs-ask has written it
#   C NAME           who has served such a request, as its stack shows: the kernel,
#   Rust NAME        or kmod_rs

systemctl is-system-running --wait | sed 's/^/state /'
udevadm settle

systemctl list-units --failed --plain --no-legend | sed 's/^\([^ ]*\).*/failed \1/' | sort
sed 's/^\([^ ]*\).*/module \1/' /proc/modules | grep -vx 'module kmod_rs' | sort
sed 's/^/answer /' /run/kmod_rs/answers | sort

# Between an event and its stack there may be those of the other processor.
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
