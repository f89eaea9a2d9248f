/*
 * Processes that are not our children, or not surely: those that an earlier keeper started, and those that took the place of one that we started.
 * Their end is learned from their pidfds. How they ended we are told if we are their parent by now, else as exit_status.h says; where nobody
 * tells they are lost: ended, not known how.
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

/*
 * The request by which a record goes on with another process, also if the one so far has ended and was not acknowledged. That one is an orphan like
 * others then. 0 or errno: ENOENT, EBUSY (it has not executed yet), ESRCH (it never has, or the other process has been reaped), EBADF (no pidfd).
 */
int adopt_move(struct keeper *keeper, const struct request *request, struct descriptors *descriptors);

/* Watches for the end of one that runs. 0 or errno. */
int adopt_watch(struct keeper *keeper, struct child *child);

/* Those whose parent does not reap them are not waited for. */
void adopt_tick(struct keeper *keeper, uint64_t now);

#endif
