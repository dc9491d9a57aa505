// SPDX-License-Identifier: GPL-2.0
#include "ask_worker.h"
