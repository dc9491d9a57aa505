# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Whether the guest's clock goes as fast as the host's. Sourced by run.sh.
#
# QEMU's RTC has the host's time, in seconds. It is read again and again until it
# goes on; that moment lies between two readings of the guest's own clock. So how
# long some seconds of the host's took in the guest is known within bounds, however
# little processor time the guest gets, and only what is certainly wrong counts.

HOST_CLOCK=/sys/class/rtc/rtc0/since_epoch
# How long to wait between two looks, in seconds: to leave the processor to others.
LOOK=0.005
# In percent.
TOLERANCE=5

# edge: wait until a second of the host's begins. It is in $SECOND, and began between
# $EARLIEST and $LATEST, by the guest's own clock and in microseconds.
edge() {
	local before second
	EARLIEST=${EPOCHREALTIME/./}
	read -r second <"$HOST_CLOCK" || return
	while :; do
		before=${EPOCHREALTIME/./}
		read -r SECOND <"$HOST_CLOCK" || return
		LATEST=${EPOCHREALTIME/./}
		[[ $SECOND == "$second" ]] || return 0
		EARLIEST=$before
		read -r -t "$LOOK" -u "$SILENCE" || true
	done
}

# since_start: how long the guest's clock took, at least and at most, for $SPAN seconds of
# the host's; in $LEAST and $MOST, in microseconds.
since_start() {
	edge || return
	SPAN=$((SECOND - START)) LEAST=$((EARLIEST - START_LATEST)) MOST=$((LATEST - START_EARLIEST))
}

# is_wrong MICROSECONDS: is the guest's clock off by more than 5 % and more than that?
is_wrong() {
	local us=$((SPAN * 1000000)) allowed
	allowed=$((us * TOLERANCE / 100))
	((allowed >= $1)) || allowed=$1
	((LEAST > us + allowed || MOST < us - allowed))
}

clock_says() {
	printf '%s s of the host took between %d.%03d and %d.%03d s here\n' "$SPAN" \
		$((LEAST / 1000000)) $((LEAST / 1000 % 1000)) $((MOST / 1000000)) $((MOST / 1000 % 1000))
}

# start_clock: two seconds, or, until they are known to 5 %, up to ten. Says what was seen,
# and fails if that is wrong.
start_clock() {
	exec {SILENCE}<> <(:)
	edge || return
	START=$SECOND START_EARLIEST=$EARLIEST START_LATEST=$LATEST SPAN=0 LEAST=0 MOST=1000000
	while ((SPAN < 2 || SPAN < 10 && (MOST - LEAST) * 100 > SPAN * 1000000 * TOLERANCE)); do
		since_start || return
	done
	clock_says
	! is_wrong 0
}

# end_clock: all seconds since then. More than one has to be lost or won.
end_clock() {
	since_start || return
	clock_says
	! is_wrong 1000000
}
