/*
 * Processes that an earlier keeper started. They are not our children: their end is learned from their pidfds, and how they ended as
 * exit_status.h says. Where nobody tells they are lost: ended, not known how.
 */
#ifndef HOLDFAST_ADOPT_H
#define HOLDFAST_ADOPT_H

#include <stddef.h>
#include <stdint.h>

#include "child.h"
#include "descriptors.h"
#include "loop.h"
#include "request.h"

/* The request; 0 or errno. EBADF: the first descriptor is no pidfd. */
int adopt_request(struct keeper *keeper, const struct request *request, struct start *start,
		  struct descriptors *descriptors);

/* Watches for the end of one that runs. 0 or errno. */
int adopt_watch(struct keeper *keeper, struct child *child);

/* Those whose parent does not reap them are not waited for. */
void adopt_tick(struct keeper *keeper, uint64_t now);

#endif
