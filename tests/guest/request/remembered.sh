#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Answers are remembered: a request that found nothing, or what is there already, costs no helper when
# it is made again. What is remembered, what is not, for whom there is room, and what the module keeps
# meanwhile.
#
# Needs: CONFIG_FSNOTIFY

. "$(dirname "$0")/lib.sh"
plan 45

CONFIG=/etc/modprobe.d/kmod_rs-remembered.conf
ABSENT=kmod-rs-absent

# Makes a request. Its answer, its outcome and the number of its helpers are in $ANSWER.
ask_counted() {
	local answer
	count_calls call_usermodehelper_exec
	answer=$(ask w "$ABSENT")
	ANSWER="$answer $(newest outcome) $(calls call_usermodehelper_exec)"
	forget_calls
}

# learn: has a helper find something. Without that, nobody knows that modprobe can.
learn() {
	ask w dummy >/dev/null
	modprobe -r dummy
}

# remember [NAME]: has the answer remembered, if it can be: the second request waits for the look.
remember() {
	ask w "${1:-$ABSENT}" >/dev/null
	ask w "${1:-$ABSENT}" >/dev/null
}

# not_remembered WHAT NAME EXPECTED: EXPECTED is the answer and the outcome.
not_remembered() {
	remember "$2"
	is "$1 is not remembered" "$(ask w "$2") $(newest outcome)" "$3"
}

mkdir -p /etc/modprobe.d
patch on

# --- Nothing is remembered if nobody wants it ---

references=$(</sys/module/kmod_rs/refcnt)
learn
remember
ask_counted
is "by default each request has a helper" "$ANSWER" "$NOT_FOUND exit 1"
is "and nothing is watched" \
	"$(</sys/module/kmod_rs/refcnt) $(stat_of remembered) $(stat_of answers_looks)" "$references 0 0"

# --- Before anything was found ---

echo 64 >"$KNOBS/answers"
not_remembered "an answer, as long as modprobe has found nothing," "$ABSENT" "$NOT_FOUND exit"
is "and it is said why" "$(stat_of answers_off)" nothingfound

# --- A thousand requests ---

learn
echo >"$TRACING/trace"
echo 1 >"$TRACING/events/module/module_request/enable"
count_calls call_usermodehelper_exec
others=$(/kmod_rs/load --tasks=1 --rounds=1000 "w $ABSENT $NOT_FOUND" 2>/dev/null | xargs)
helpers=$(calls call_usermodehelper_exec)
# This empties the buffer.
traced=$(grep -c "module_request: $ABSENT " "$TRACING/trace")
forget_calls
echo 0 >"$TRACING/events/module/module_request/enable"
is "a thousand requests are answered as one is" "$others" "no other answers"
holds "they cost $helpers helpers" [ "$helpers" -le 3 ]
is "999 were answered from memory" "$(stat_of remembered)" 999
is "one answer is remembered, after two looks" "$(stat_of answers_now) $(stat_of answers_looks)" "1 2"
is "each request was traced" "$traced" 1000
is "the record of one of them" \
	"$(newest name) $(newest outcome) $(newest result) $(newest helper) $(newest path)" \
	"\"$ABSENT\" remembered $NOT_FOUND - -"
matches "the file answers" "$(cat "$RECORDS/answers")" \
	"^name=\"$ABSENT\" result=$NOT_FOUND why=miss age_ms=[0-9]+ hits=999\$"
is "it is not off" "$(stat_of answers_off)" -
is "the watch keeps the module" "$(</sys/module/kmod_rs/refcnt)" $((references + 1))

# --- The steps before it ---

set_rule autoload_deny "$ABSENT"
ask_counted
is "what is denied is not answered from memory" "$ANSWER" "$NOT_FOUND denied 0"
set_rule autoload_deny ""
ask_counted
is "what is allowed again is" "$ANSWER" "$NOT_FOUND remembered 0"
echo >"$MODPROBE"
ask_counted
is "an empty path is an empty path" "$ANSWER" "$ENOENT off 0"
echo "$ORIGINAL_MODPROBE" >"$MODPROBE"
ask_counted
is "it is remembered all the time" "$ANSWER" "$NOT_FOUND remembered 0"

# --- What is there already ---

# there NAME: the answer and the outcome of the third of three requests.
there() {
	remember "$1"
	echo "$(ask w "$1") $(newest outcome)"
}

is "a module that was loaded" "$(ask w dummy) $(newest outcome)" "0 loaded"
looks=$(stat_of answers_looks)
ask w dummy >/dev/null
is "is not there for the first request that finds it" "$(newest outcome)" nothing
is "but for the next" "$(ask w dummy) $(newest outcome) $(newest helper)" "0 remembered -"
is "no look was needed, as modprobe is known" "$(stat_of answers_looks)" "$looks"
matches "the file answers, there" "$(grep dummy "$RECORDS/answers")" \
	"^name=\"dummy\" result=0 why=there age_ms=[0-9]+ hits=1\$"
is "a module that is built in" "$(there cryptomgr)" "0 remembered"
cat >"$CONFIG" <<-"EOF"
	alias kmod-rs-blacklisted xfs
	blacklist xfs
	install kmod-rs-does /bin/true
	alias kmod-rs-two slow_exit
	alias kmod-rs-two dummy
	options slow_exit fail=1
EOF
is "an alias that is blacklisted" "$(there kmod-rs-blacklisted)" "0 remembered"
is "an install line is run each time" "$(there kmod-rs-does)" "0 nothing"

# Its module has to be where modprobe finds it.
updates=/lib/modules/$(uname -r)/updates
mkdir -p "$updates"
cp /kmod_rs/slow_exit.ko "$updates/"
depmod
remember dummy
remember
insmod /kmod_rs/nest_c.ko
is "a module that comes leaves what is there" "$(ask w dummy) $(newest outcome)" "0 remembered"
is "but not what was not found" "$(ask w "$ABSENT") $(newest outcome)" "$NOT_FOUND exit"
remember dummy
holds "what is tried in vain is tried each time" [ "$(there kmod-rs-two | cut -d' ' -f2)" != remembered ]
rmmod nest_c
is "a module that is unloaded makes an end of it" "$(ask w dummy) $(newest outcome)" "0 nothing"
insmod "$updates/slow_exit.ko" stay=1
remember dummy
rmmod slow_exit &
leaving=$!
going() {
	[[ $(</sys/module/slow_exit/initstate) == going ]]
}
await going
hits=$(stat_of remembered)
is "while one is being unloaded, modprobe is asked" "$(ask w dummy) $(($(stat_of remembered) - hits))" "0 0"
echo 0 >/sys/module/slow_exit/parameters/stay
wait "$leaving"
remember dummy
modprobe -r dummy
is "one that was there is loaded again" "$(ask w dummy) $(newest outcome)" "0 loaded"
modprobe -r dummy
rm -r "$updates" "$CONFIG"
depmod

# --- What is not remembered ---

echo "install kmod-rs-fails exit 1" >"$CONFIG"
looks=$(stat_of answers_looks)
not_remembered "the failure of an install line" kmod-rs-fails "$NOT_FOUND exit"
is "nor is it looked for again" "$(field why <"$RECORDS/answers" | xargs) $(stat_of answers_looks)" "found $((looks + 2))"
rm "$CONFIG"
not_remembered "a name with a colon" kmod:rs "$NOT_FOUND exit"
not_remembered "a name with a slash" kmod/rs "$NOT_FOUND exit"
not_remembered "a name with a full stop" kmod.rs "$NOT_FOUND exit"
echo 1 >"$KNOBS/helper_env"
not_remembered "what a helper says that is told of its request" kmod-rs-env "$NOT_FOUND exit"
echo 0 >"$KNOBS/helper_env"
echo 0 >"$KNOBS/coalesce"
not_remembered "the answer to a request that does not share" kmod-rs-alone "$NOT_FOUND exit"
echo 1 >"$KNOBS/coalesce"
use_silent_helper
not_remembered "what another program says" exit-1 "$NOT_FOUND exit"
echo "$ORIGINAL_MODPROBE" >"$MODPROBE"

# A program that loads what it is to load, and does not know -R.
program=$(readlink -f "$ORIGINAL_MODPROBE")
cp "$program" /tmp/kmod
ln -sf kmod /tmp/modprobe
cat >/tmp/program <<-"EOF"
	#!/bin/bash
	[[ $2 != -R ]] || exit 1
	exec /tmp/modprobe "$@"
EOF
chmod +x /tmp/program
rm "$program"
cp /tmp/program "$program"
ask w dummy >/dev/null
/tmp/modprobe -r dummy
not_remembered "what a program says that cannot only look" "$ABSENT" "$NOT_FOUND exit"
is "and it is said why" "$(stat_of answers_off)" nolook
not_remembered "nor that something is there" cryptomgr "0 nothing"
rm "$program"
cp /tmp/kmod "$program"
rm /tmp/kmod /tmp/modprobe /tmp/program

# --- Room ---

echo 4 >"$KNOBS/answers"
learn
room=$(stat_of forgotten_room)
for i in 1 2 3 4; do
	/kmod_rs/load --uids=1000,0 --tasks=1 --rounds=2 "w kmod-rs-user$i $NOT_FOUND" >/dev/null 2>&1
done
is "a user's answers take half of the room" \
	"$(stat_of answers_now) $(($(stat_of forgotten_room) - room))" "2 2"
for i in 1 2 3; do
	remember "kmod-rs-root$i"
done
is "root's take the rest" "$(field name <"$RECORDS/answers" | tr -d '"' | xargs)" \
	"kmod-rs-user3 kmod-rs-user4 kmod-rs-root2 kmod-rs-root3"

# --- Unloading ---

holds "the module is unloaded while answers are remembered" give_back
finish
