// SPDX-License-Identifier: GPL-2.0
/*
 * Print the rate of the time stamp counter in kHz, measured against
 * CLOCK_MONOTONIC_RAW. An emulated guest cannot measure it well by itself (see
 * vm.sh). "cpu MHz" in /proc/cpuinfo is the clock of the core, which is a
 * different clock.
 *
 * usage: tsc-khz
 */

#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

/* How long to measure, and within what time to read both clocks. */
#define SPAN_NS 300000000
#define SPREAD_NS 1000
#define TRIES 1000000

struct moment {
	uint64_t tsc;
	int64_t ns;
};

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC_RAW, &time);
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* Read both clocks so close to each other that nothing comes in between. */
static struct moment read_both(void)
{
	struct moment moment = { 0 };
	int64_t before, after, spread = INT64_MAX;

	for (int i = 0; i < TRIES && spread > SPREAD_NS; i++) {
		uint64_t tsc;

		before = now();
		tsc = __rdtsc();
		after = now();
		if (after - before < spread) {
			spread = after - before;
			moment.tsc = tsc;
			moment.ns = before + spread / 2;
		}
	}
	return moment;
}

int main(void)
{
	const struct timespec span = { .tv_nsec = SPAN_NS };
	struct moment first, last;

	first = read_both();
	nanosleep(&span, NULL);
	last = read_both();
	printf("%.0f\n", (double)(last.tsc - first.tsc) * 1e6 / (double)(last.ns - first.ns));
	return 0;
}
