#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A remembered answer is forgotten as soon as something changes on which it depends: the next request
# after the system call has returned has a helper, and hears the truth.
#
# Needs: CONFIG_FSNOTIFY

. "$(dirname "$0")/lib.sh"
plan 67

NAME=kmod-rs-absent
OTHER=/var/kmod_rs-other
CONFIG=/etc/modprobe.d/kmod_rs-test.conf
ALIAS="alias $NAME dummy"
RELEASE=$(uname -r)
UPDATES=/lib/modules/$RELEASE/updates
DIRECTORIES=(/etc/modprobe.d /run/modprobe.d /usr/local/lib/modprobe.d /usr/lib/modprobe.d
	/lib/modprobe.d)

# learn: has modprobe find something, by which it is known that it can.
learn() {
	ask w ext4 >/dev/null
	ask w xfs >/dev/null
}

# remembered: has the answer remembered. True if the last request was answered from memory.
remembered() {
	ask w "$NAME" >/dev/null
	ask w "$NAME" >/dev/null
	[[ $(newest outcome) == remembered ]]
}

# hears WHAT ANSWER COMMAND...: once the answer is remembered, and the command has returned, the next
# request gets this answer from a helper.
hears() {
	local what=$1 answer=$2
	shift 2
	if ! remembered; then
		fail "$what" "not remembered before: $(newest outcome), $(stat_of answers_off)"
		return
	fi
	if ! "$@"; then
		fail "$what" "failed: $*"
		return
	fi
	is "$what" "$(ask w "$NAME") $(newest helper | grep -c '[0-9]')" "$answer 1"
	! is_module dummy || rmmod dummy
}

# hits WHAT COMMAND...: the command changes nothing that matters.
hits() {
	local what=$1
	shift
	remembered
	"$@"
	ask w "$NAME" >/dev/null
	is "$what" "$(newest outcome)" remembered
}

put() {
	printf '%s\n' "$2" >"$1"
}

append() {
	printf '%s\n' "$2" >>"$1"
}

# Writes without changing the size.
overwrite() {
	printf '%s' "$2" | dd of="$1" conv=notrunc status=none
}

in_new_directory() {
	mkdir -p "$1" && put "$1/a.conf" "$ALIAS"
}

patch on
echo 64 >"$KNOBS/answers"
learn
mkdir -p /etc/modprobe.d /usr/local/lib "$OTHER"

# --- The configuration ---

for directory in "${DIRECTORIES[@]}"; do
	rm -rf "$directory"
	hears "$directory is made, with a file" 0 in_new_directory "$directory"
	rm "$directory/a.conf"
	hears "a file comes to $directory" 0 put "$directory/b.conf" "$ALIAS"
	put "$directory/b.conf" "# nothing"
	hears "a file in $directory is removed" "$NOT_FOUND" rm "$directory/b.conf"
	hears "$directory is removed" "$NOT_FOUND" rm -r "$directory"
	mkdir -p "$directory"
done

put "$CONFIG" "# nothing"
hears "a file is written to" 0 append "$CONFIG" "$ALIAS"
put "$CONFIG" "#${ALIAS:1}"
hears "a byte of a file is changed" 0 overwrite "$CONFIG" a
put "$CONFIG" "#"
hears "a file is cut and written" 0 put "$CONFIG" "$ALIAS"
put "$CONFIG" "# nothing"
put /etc/modprobe.d/ready "$ALIAS"
hears "a file is renamed over it" 0 mv /etc/modprobe.d/ready "$CONFIG"
put "$CONFIG" "# nothing"
put "$OTHER/a.conf" "$ALIAS"
hears "a file comes from elsewhere" 0 mv "$OTHER/a.conf" /etc/modprobe.d/c.conf
rm /etc/modprobe.d/c.conf
hears "a file is made elsewhere and linked" 0 eval "put $OTHER/a.conf '$ALIAS'; ln $OTHER/a.conf /etc/modprobe.d/d.conf"
rm /etc/modprobe.d/d.conf "$OTHER/a.conf"

# Its other link has been there before.
put "$CONFIG" "#${ALIAS:1}"
ln "$CONFIG" "$OTHER/link"
hears "a file is written to by another link" 0 overwrite "$OTHER/link" a
put "$CONFIG" "#${ALIAS:1}"
rm "$OTHER/link"
# It comes later.
hears "by a link that came later" 0 eval "ln $CONFIG $OTHER/later; overwrite $OTHER/later a"
rm "$OTHER/later"
put "$CONFIG" "# nothing"

# The directories on the way.
hears "a directory on the way is replaced" 0 eval "
	mv /usr/local/lib /usr/local/old
	in_new_directory /usr/local/lib/modprobe.d"
put /usr/local/lib/modprobe.d/a.conf "# nothing"
hears "and put back" "$NOT_FOUND" eval "rm -r /usr/local/lib; mv /usr/local/old /usr/local/lib"
mkdir -p "$OTHER/new"
put "$OTHER/new/a.conf" "$ALIAS"
hears "the directory itself is replaced" 0 eval "
	mv /etc/modprobe.d /etc/old; mv $OTHER/new /etc/modprobe.d"
put /etc/modprobe.d/a.conf "# nothing"
hears "and put back" "$NOT_FOUND" eval "rm -r /etc/modprobe.d; mv /etc/old /etc/modprobe.d"

# --- Links ---

put "$OTHER/a.conf" "# nothing"
ln -s "$OTHER/a.conf" /etc/modprobe.d/link.conf
is "with a link that leads elsewhere, nothing is remembered" \
	"$(remembered && echo yes) $(stat_of answers_off)" " elsewhere"
rm /etc/modprobe.d/link.conf
ln -s "${CONFIG##*/}" /etc/modprobe.d/link.conf
is "nor with one to a name that nobody knows" \
	"$(remembered && echo yes) $(stat_of answers_off)" " elsewhere"
rm /etc/modprobe.d/link.conf
hears "without them, answers are remembered again" 0 put "$CONFIG" "$ALIAS"
put "$CONFIG" "# nothing"

# --- Mounts ---

mkdir -p "$OTHER/mount"
put "$OTHER/mount/a.conf" "$ALIAS"
hears "a directory is mounted over the configuration" 0 \
	mount --bind "$OTHER/mount" /etc/modprobe.d
put "$OTHER/mount/a.conf" "# nothing"
hears "a file is written to where that directory is" 0 put "$OTHER/mount/a.conf" "$ALIAS"
put "$OTHER/mount/a.conf" "# nothing"
umount /etc/modprobe.d
put "$CONFIG" "$ALIAS"
mount --bind "$OTHER/mount" /etc/modprobe.d
hears "it is unmounted" 0 umount /etc/modprobe.d
mount --bind "$OTHER/mount" /etc/modprobe.d
hears "it is unmounted lazily" 0 umount -l /etc/modprobe.d
put "$CONFIG" "# nothing"
mount --bind "$OTHER/mount" /mnt
put "$OTHER/mount/a.conf" "$ALIAS"
hears "a mount is moved there" 0 mount --move /mnt /etc/modprobe.d
umount /etc/modprobe.d
hears "a file system is mounted on the way" "$NOT_FOUND" mount -t tmpfs none /usr/local/lib
hears "it is watched as well" 0 in_new_directory /usr/local/lib/modprobe.d
put /usr/local/lib/modprobe.d/a.conf "# nothing"
hears "and unmounted" "$NOT_FOUND" umount /usr/local/lib
hits "mounts in other namespaces do not matter" \
	unshare --mount mount --bind "$OTHER/mount" /etc/modprobe.d

hears "a file system that cannot be watched" "$NOT_FOUND" mount -t proc none /etc/modprobe.d
is "with it, nothing is remembered" "$(remembered && echo yes) $(stat_of answers_off)" " filesystem"
umount /etc/modprobe.d

# --- The modules ---

mkdir -p "$UPDATES"
NAME=nest-c
hears "depmod finds a new module" 0 eval "cp /kmod_rs/nest_c.ko $UPDATES/ && depmod"
rmmod nest_c
rm "$UPDATES/nest_c.ko"
depmod
NAME=kmod-rs-absent
hears "depmod is run" "$NOT_FOUND" depmod
hears "an index is written to" "$NOT_FOUND" append "/lib/modules/$RELEASE/modules.softdep" "# nothing"
ln "/lib/modules/$RELEASE/modules.softdep" "$OTHER/softdep"
hears "by another link" "$NOT_FOUND" append "$OTHER/softdep" "# nothing"
rm "$OTHER/softdep"
hears "an index is gone, as when depmod is killed" "$NOT_FOUND" eval "
	mv /lib/modules/$RELEASE/modules.alias.bin $OTHER/"
hears "and is there again" "$NOT_FOUND" mv "$OTHER/modules.alias.bin" "/lib/modules/$RELEASE/"
depmod
hears "the directory of the modules is renamed" "$NOT_FOUND" eval "
	mv /lib/modules/$RELEASE $OTHER/modules"
mv "$OTHER/modules" "/lib/modules/$RELEASE"
learn
hears "a module comes" "$NOT_FOUND" insmod /kmod_rs/nest_c.ko
hears "a module is unloaded" "$NOT_FOUND" rmmod nest_c
remembered
insmod /kmod_rs/slow_exit.ko fail=1 2>/dev/null
ask w "$NAME" >/dev/null
is "one that cannot be initialised does not matter" "$(newest outcome)" remembered

# --- modprobe ---

hears "another path" "$NOT_FOUND" eval "echo /usr/sbin/modprobe >$MODPROBE"
echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
program=$(readlink -f "$ORIGINAL_MODPROBE")
hears "the program is replaced" "$NOT_FOUND" eval "cp $program $program.new; mv $program.new $program"

# --- Knobs ---

hears "answers is written to" "$NOT_FOUND" eval "echo 64 >$KNOBS/answers"
echo 1000 >"$KNOBS/answers_ttl_ms"
remembered
times=$(stat_of forgotten_time)
past() {
	local age
	age=$(field age_ms <"$RECORDS/answers")
	((age >= 1000))
}
await past
ask w "$NAME" >/dev/null
is "an answer is not older than answers_ttl_ms" \
	"$(newest outcome) $(($(stat_of forgotten_time) - times))" "exit 1"
echo 60000 >"$KNOBS/answers_ttl_ms"

# --- What does not matter ---

hits "another name in a directory on the way" eval "put /etc/kmod_rs-nothing x; rm /etc/kmod_rs-nothing"
hits "a requester in another root" chroot / true

# --- Under load ---

# Others ask for the same all the time. They may hear what was there a moment ago.
ROUNDS=$(often 100)
((${FULL:-0} == 0 || SLOWER > 1)) || ROUNDS=10000
rm -f /tmp/enough
/kmod_rs/load --tasks=3 --until=/tmp/enough "w $NAME 0 $NOT_FOUND" >/dev/null 2>&1 &
load=$!
hits=$(stat_of remembered) stale=0
put "$CONFIG" "# nothing"
for ((round = 1; round <= ROUNDS; round++)); do
	ask w "$NAME" >/dev/null
	ask w "$NAME" >/dev/null
	put "$CONFIG" "$ALIAS"
	[[ $(ask w "$NAME") == 0 ]] || stale=$((stale + 1))
	put "$CONFIG" "# nothing"
done
: >/tmp/enough
wait "$load"
is "in $ROUNDS rounds under load, no answer is stale" "$stale" 0
holds "$(($(stat_of remembered) - hits)) were remembered" [ "$(stat_of remembered)" -gt "$hits" ]

# --- The root of PID 1 ---

# Nothing that is watched changes: no mount, and no directory on the way. There is no modprobe there.
mkdir -p "$OTHER"
hears "PID 1 has another root" "$ENOENT" /kmod_rs/init_chroot "$OTHER"
/kmod_rs/init_chroot .
is "and its own one again" "$(ask w "$NAME")" "$NOT_FOUND"

rm -rf "$OTHER" "$CONFIG" /tmp/enough
holds "the module is unloaded" give_back
finish
