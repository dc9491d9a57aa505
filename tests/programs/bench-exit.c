// SPDX-License-Identifier: GPL-2.0
/*
 * Stands in for modprobe where a request is to cost as little as possible: exits with 0, and does
 * nothing else. Not even the C library is set up.
 */
#include <unistd.h>

int main(void)
{
	_exit(0);
}
