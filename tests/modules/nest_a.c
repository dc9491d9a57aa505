// SPDX-License-Identifier: GPL-2.0
#define NEST_NEXT "nest_b"
#include "nest.h"
