// SPDX-License-Identifier: GPL-2.0
#define NEST_NEXT "nest_self"
#include "nest.h"
