#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Many requests are made while readers are at work: each line is whole and consistent, the counters
# add up, and the memory is what it was, by the module's own account and by the kernel's. There are
# at least as many requests as the readers need to read often. FULL=1 makes at least 100,000.
#
# Processors: parallel
# Debug: --full

. "$(dirname "$0")/lib.sh"
plan 15

WITH_HELPER=$((1200 / SLOWER)) WITHOUT=$((8000 / SLOWER))
[[ ! ${FULL:-} ]] || WITH_HELPER=20000 WITHOUT=80000
TASKS=8
READERS=3 READINGS=10
OUTCOMES='loaded|exit|signal|errno|denied|shared|loop|timeout|killed|started|off|toolong|nothing'
TEXT='"[^"]*"'
LINE="seq=[0-9]+ t=[0-9]+[.][0-9]{6} name=$TEXT wait=[01] pid=[0-9]+ tgid=[0-9]+ comm=$TEXT uid=[0-9]+ \
loginuid=([0-9]+|-) userns=(initial|other) nspid=[0-9]+ cgroup=$TEXT call_site=$TEXT \
chain=($TEXT|-) \
helper=([0-9]+|-) queue_us=([0-9]+|-) helper_us=([0-9]+|-) outcome=($OUTCOMES|-) \
result=(-?[0-9]+|-) modules=($TEXT|-) path=($TEXT|-)"
# The values that go together in the requests of this test that have returned, and in those that
# have not.
RETURNED="name=\"q-[0-9]+\" (wait=1 .* helper=[0-9]+ queue_us=[0-9]+ helper_us=[0-9]+ outcome=nothing result=0 modules=- path=\"$HELPER\"|\
wait=0 .* helper=[0-9]+ queue_us=[0-9]+ helper_us=- outcome=started result=0 modules=- path=\"$HELPER\"|\
wait=[01] .* helper=- queue_us=- helper_us=- outcome=off result=-2 modules=- path=-)\$"
NOT_YET='name="q-[0-9]+" .* outcome=- result=- modules=- path=[^ ]*$'

# reader N: reads the files as often as it can until it is told to end. Keeps the lines that are not
# whole or not consistent, and those that come twice in one reading. Writes a line for each time that
# it has read them.
reader() {
	exec 8>&- 9>&-
	LINE=$LINE RETURNED=$RETURNED NOT_YET=$NOT_YET awk -v records="$RECORDS" '
		function check(file, consistent,    line, words, seen) {
			while ((getline line <file) > 0) {
				if (line !~ whole || line !~ consistent)
					print line >>"/tmp/torn"
				split(line, words)
				if (seen[words[1]]++)
					print line >>"/tmp/twice"
			}
			close(file)
		}
		function pass_over(file) {
			while ((getline <file) > 0);
			close(file)
		}
		function is_over() {
			return (getline <"/tmp/enough") >= 0
		}
		BEGIN {
			whole = "^" ENVIRON["LINE"] "$"
			while (!is_over()) {
				check(records "/recent", ENVIRON["RETURNED"])
				check(records "/inflight", ENVIRON["RETURNED"] "|" ENVIRON["NOT_YET"])
				pass_over(records "/stats")
				pass_over(records "/latency")
				pass_over(records "/autoloaded")
				print "read"
				fflush()
			}
		}' >"/tmp/readings.$1"
}

# Reads on from where the file ended, so that it reads most records when they have just been kept.
follower() {
	exec 8>&- 9>&-
	while [[ ! -e /tmp/enough ]]; do cat; done <"$RECORDS/recent" >/tmp/followed
}

# Prints how often the slowest reader has read.
readings() {
	wc -l /tmp/readings.* | awk '$2 != "total" { print $1 }' | sort -n | head -n 1
}

# many N ANSWER: all tasks together make that many requests.
many() {
	/kmod_rs/load --tasks="$TASKS" --rounds="$(($1 / TASKS / 2))" "w q-% $2" "n q-% $2" \
		2>/tmp/asked
}

# Prints how many requests the last call of many() made.
asked() {
	sed -En 's/^# asked ([0-9]+) times, .*/\1/p' /tmp/asked
}

sum() {
	head -n 13 "$RECORDS/stats" | awk '{ sum += $2 } END { print sum }'
}

# counted COLUMN: prints the sum of a column of the histogram.
counted() {
	sed -En "s/.* $1=([0-9]+).*/\1/p" "$RECORDS/latency" | awk '{ sum += $1 } END { print sum }'
}

rm -f /tmp/enough /tmp/torn /tmp/twice
: >/tmp/torn
: >/tmp/twice
use_silent_helper
patch on
# None that does not wait is kept.
echo 1000 >"$LIMIT"
readers=()
for ((i = 0; i < READERS; i++)); do
	reader "$i" &
	readers+=($!)
done
follower &
readers+=($!)

is "$WITH_HELPER with helpers" "$(many "$WITH_HELPER" 0)" "no other answers"
await helpers_gone
await nothing_in_flight
asked=$(asked)
full=$(stat_of records_bytes)
remember_objects
echo >"$MODPROBE"
without=0 answers=
until [[ $answers && $(readings) -ge $READINGS ]]; do
	answers+="$(many "$WITHOUT" "$ENOENT"), "
	without=$((without + $(asked)))
done
is "at least $WITHOUT without" "${answers//no other answers, /}" ""
echo "$HELPER" >"$MODPROBE"
is "a few more with helpers" "$(many 320 0)" "no other answers"
await helpers_gone
await nothing_in_flight

touch /tmp/enough
for reader in "${readers[@]}"; do wait "$reader"; done
grep -vxE "$LINE" /tmp/followed >>/tmp/torn
grep -vE "$RETURNED" /tmp/followed >>/tmp/torn
field seq </tmp/followed | sort | uniq -d >>/tmp/twice
is "no torn line" "$(sort /tmp/torn | uniq | head -n 5)" ""
holds "one reader followed: $(wc -l </tmp/followed) records" [ -s /tmp/followed ]
is "none twice in one reading" "$(head -n 5 /tmp/twice)" ""
holds "all readers read: the slowest $(readings) times" [ "$(readings)" -ge "$READINGS" ]

total=$((asked + without + $(asked)))
is "each is counted" "$(stat_of requests)" "$total"
is "the outcomes add up" "$(sum)" "$total"
is "those without a helper" "$(stat_of off)" "$without"
is "those that did not wait" "$(stat_of started)" "$(((total - without) / 2))"
is "each that had one has a time" "$(counted queue) $(counted helper)" \
	"$((total - without)) $(((total - without) / 2))"
is "none was lost" "$(stat_of records_lost) $(recent | wc -l)" "0 256"
is "the memory is what it was" "$(stat_of records_bytes)" "$full"
if has_kmemleak; then
	ktap_test_skip "by the kernel's account: kmemleak, which looks for what is lost, has memory of its own"
else
	await nothing_grown $((without / 2))
	is "by the kernel's account as well" "$(grown $((without / 2)))" ""
fi
rm -f /tmp/enough /tmp/torn /tmp/twice /tmp/asked /tmp/followed /tmp/readings.*

finish
