# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Checks whether the guest's clock goes as fast as the host's. Sourced by run.sh.
#
# QEMU's RTC has the host's time, in seconds. It is read again and again until it changes. That
# moment lies between two readings of the guest's own clock. So it is known within bounds how long
# some seconds of the host took in the guest, however little processor time the guest gets. Only a
# clock that is certainly wrong fails.

HOST_CLOCK=/sys/class/rtc/rtc0/since_epoch
# The pause between two readings, in seconds. It leaves the processor to others.
LOOK=0.005
# In percent.
TOLERANCE=5

# edge: waits until a second of the host begins. Its number is in $SECOND. It began between
# $EARLIEST and $LATEST, in microseconds by the guest's own clock.
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

# since_start: puts the least and the most microseconds that $SPAN seconds of the host took by the
# guest's clock into $LEAST and $MOST.
since_start() {
	edge || return
	SPAN=$((SECOND - START)) LEAST=$((EARLIEST - START_LATEST)) \
		MOST=$((LATEST - START_EARLIEST))
}

# is_wrong MICROSECONDS: true if the guest's clock is off by more than 5 % and by more than that.
is_wrong() {
	local us=$((SPAN * 1000000)) allowed
	allowed=$((us * TOLERANCE / 100))
	((allowed >= $1)) || allowed=$1
	((LEAST > us + allowed || MOST < us - allowed))
}

clock_says() {
	printf '%s s of the host took between %d.%03d and %d.%03d s here\n' "$SPAN" \
		$((LEAST / 1000000)) $((LEAST / 1000 % 1000)) $((MOST / 1000000)) \
		$((MOST / 1000 % 1000))
}

# start_clock: measures for two seconds, or for up to ten, until the result is known to 5 %. Prints
# what it has measured, and fails if that is wrong.
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

# end_clock: measures all seconds since then. It fails only if more than one was lost or gained.
end_clock() {
	since_start || return
	clock_says
	! is_wrong 1000000
}
