/* Collects what has ended: children, the supervisor, and orphans, which nobody asked for. */
#ifndef HOLDFAST_REAPER_H
#define HOLDFAST_REAPER_H

#include <stdbool.h>

#include "loop.h"

struct reaper {
	bool wanted; /* there may be something to collect */
};

/* Collects up to a bound, and leaves `wanted` set if there may be more. */
void reaper_run(struct keeper *keeper);

#endif
