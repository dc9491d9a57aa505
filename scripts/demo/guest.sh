#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The demonstration, in the guest. Below each command it shows what the kernel did: who requested
# which module, which program was run for it with which arguments, and what request_module()
# returned. All of this is read from the kernel's own tracing, none of it from kmod_rs. The last
# steps ask kmod_rs itself, with the command kmod-rs.

TRACE=/sys/kernel/tracing
MODPROBE=/proc/sys/kernel/modprobe
STEP=0

# --- Tracing --------------------------------------------------------------

watch() {
	# The path and the arguments of every usermode helper.
	echo 'p:kmod_demo/ran call_usermodehelper_exec path=sub_info->path:string a0=+0(+0(sub_info->argv)):string a1=+0(+8(sub_info->argv)):string a2=+0(+16(sub_info->argv)):string a3=+0(+24(sub_info->argv)):string'
	# The place in the entry where the result is known. A probe of its return would hide the
	# address of its caller.
	echo "p:kmod_demo/returned kmod_rs:kmod_rs_request_module+$(</kmod_rs/answer-offset) result=%ax:s32"
}

start_watching() {
	while read -r probe; do echo "$probe" >>"$TRACE/kprobe_events" || exit; done < <(watch)
	echo 1 >"$TRACE/events/module/module_request/enable"
	echo 1 >"$TRACE/events/kmod_demo/enable"
}

stop_watching() {
	echo 0 >"$TRACE/events/enable"
	echo >"$TRACE/kprobe_events"
}

# show_requests LINES: the events since the last call, in words, in at most this number of lines.
show_requests() {
	sed -n 's/^ *\(.*\)-\([0-9]*\) *\[[0-9]*\] .* [0-9.]*: \(module_request\|ran\|returned\): /\1[\2]|\3|/p' "$TRACE/trace" |
		awk -F'|' '
		$2 == "module_request" {
			split($3, f, " "); wait = f[2] == "wait=1" ? "waits" : "does not wait"
			printf "  asked     %s by %s, in %s; %s\n", f[1], $1, substr(f[3], 11), wait
		}
		$2 == "ran" {
			match($3, /path=.*/); n = split(substr($3, RSTART), f, /"/)
			printf "  ran       %s with arguments: %s %s %s %s\n", f[2], f[4], f[6], f[8], f[10]
		}
		$2 == "returned" {
			match($3, /result=-?[0-9]+/); r = substr($3, RSTART + 7, RLENGTH - 7)
			what = r == 0 ? "loaded" : r == -1 ? "-EPERM" : r == -2 ? "-ENOENT" : r == -62 ? "-ETIME" : r == -40 ? "-ELOOP" : r > 0 && r % 256 == 0 ? "modprobe ended with exit status " r / 256 : "errno or wait status"
			printf "  returned  %s (%s)\n", r, what
		}' | limit "$1"
	echo >"$TRACE/trace"
}

limit() {
	awk -v most="$1" '
		NR <= most { print }
		$1 == "asked" { requests++ }
		$1 == "ran" { helpers++ }
		$1 == "returned" && $2 == -40 { refused++ }
		END {
			if (NR > most) printf "  ...       and %d more\n", NR - most
			if (refused) printf "  In all    %d helpers ran, %d request was refused with -ELOOP\n", helpers, refused
			else if (NR > most && requests) printf "  In all    %d requests, %d helpers\n", requests, helpers
		}'
}

show_log() {
	dmesg --notime | sed "1,/^kmod_rs demo: $STEP\$/d" | sed 's/^/  kernel    /' | limit 6
}

step() {
	STEP=$((STEP + 1))
	echo "kmod_rs demo: $STEP" >/dev/kmsg
	printf '\n%d. %s\n' "$STEP" "$1"
}

# run COMMAND [LINES]: run a command as a user would type it, then show what the kernel did.
run() {
	printf '\n  # %s\n' "$1"
	# shellcheck disable=SC2294 # A command as it would be typed.
	eval "$1" 2>&1 | sed '/^ *dmesg(1) may have more/d; s/^/  /'
	show_requests "${2:-12}"
}

wait_until() {
	until "$@"; do sleep 0.1; done 2>/dev/null
}

settled() {
	[[ $(</sys/kernel/livepatch/kmod_rs/transition) == 0 ]]
}

# --- The demonstration ----------------------------------------------------

cat <<EOF

kmod_rs: request_module(), the kernel's module autoloader, in Rust
==================================================================
This is Debian's kernel $(uname -r), unchanged. When a
program needs something that is not in the kernel yet, the kernel requests a
module with request_module(), which runs modprobe. From step 1 on, Rust does it.
EOF

modprobe virtio_blk
mkdir -p /etc/modprobe.d

step "Take over: load the module. Livepatch switches the kernel over, task by task."
run 'insmod /kmod_rs/kmod-rs.ko'
wait_until settled
run 'cat /proc/sys/kernel/kmod_rs/active'
show_log
start_watching

step "Mount an XFS file system. Nobody has loaded its driver."
run 'grep -w xfs /proc/filesystems || echo "(no xfs)"'
run 'mount -t xfs /dev/vda /mnt && cat /mnt/hello'
show_log
umount /mnt

step "Open a socket of a protocol that is a module."
run '/kmod_rs/demo-socket sctp'
show_log

step "Bind a socket of the crypto interface to a hash: several modules, one after the other."
run '/kmod_rs/demo-socket alg hash md4'
show_log

step "Request a module that does not exist: modprobe fails, and the caller gets the error."
run 'mount -t absentfs /dev/vda /mnt'
show_log

step "Run another program instead of modprobe: the kernel's own setting applies from the next request."
cat >/kmod_rs/my-modprobe <<'EOF'
#!/bin/bash
echo "$(date +%T) $*" >>/tmp/my-modprobe.log
exec /sbin/modprobe "$@"
EOF
chmod +x /kmod_rs/my-modprobe
ORIGINAL=$(<$MODPROBE)
run 'echo /kmod_rs/my-modprobe >/proc/sys/kernel/modprobe'
run 'mount -t ext4 /dev/vda /mnt  # (holds XFS, so this fails; but ext4 is loaded now)'
run 'cat /tmp/my-modprobe.log'
run "echo $ORIGINAL >/proc/sys/kernel/modprobe"

step "Switch automatic loading off with an empty path: nothing is run."
run 'echo >/proc/sys/kernel/modprobe'
run 'mount -t vfat /dev/vda /mnt'
run "echo $ORIGINAL >/proc/sys/kernel/modprobe"

step "Twenty processes request the same module at once. They share one modprobe. It does
   not find the module, so those that came after its start share the next one."
run 'for i in {1..20}; do mount -t absentfs none /mnt & done 2>/dev/null; wait' 6

step "A loop: modprobe is configured to mount a file system, whose driver needs
   modprobe, which mounts ... The third request for the name is refused."
run 'echo "install fs-zzfs /bin/mount -t zzfs none /mnt" >/etc/modprobe.d/loop.conf'
start=${EPOCHREALTIME/./}
run 'mount -t zzfs none /mnt'
echo "  It took $(((${EPOCHREALTIME/./} - start) / 1000)) ms. The machine still runs."
show_log
rm /etc/modprobe.d/loop.conf

step "See what was requested, and how it ended. Each request leaves a record."
run 'kmod-rs recent --outcome loaded'
run 'kmod-rs who xfs'

step "Ask what the firewall would say of a user, before it is on. Then turn it on: from now
   on, only privileged users can have modules loaded."
run 'kmod-rs check net-pf-40 --as nobody'
run 'echo 1 >/proc/sys/kernel/kmod_rs/autoload_mode'
run 'kmod-rs check net-pf-40 --as nobody'
run 'setpriv --reuid=nobody --clear-groups /kmod_rs/demo-socket vsock'
run '/kmod_rs/demo-socket vsock'
show_log

stop_watching
step "Give request_module() back to the kernel's C code, and unload the module."
run 'kmod-rs off'
run 'kmod-rs status'
run 'mount -t xfs /dev/vda /mnt && cat /mnt/hello && umount /mnt'
show_log
echo
