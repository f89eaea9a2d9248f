/* The keeper's side of a start. */
#ifndef HOLDFAST_SPAWN_H
#define HOLDFAST_SPAWN_H

#include "child.h"

/* The request; 0 or errno. What becomes of the process is told by events. */
int spawn_request(struct keeper *keeper, const struct request *request, struct start *start, struct descriptors *descriptors);

/* Whether a start may be accepted at all: 0, ESHUTDOWN, EEXIST, ENOMEM, or ENOENT for a held descriptor that is not there. */
int spawn_check(struct keeper *keeper, struct bytes key, const struct start *start);

/*
 * Puts `child` in the table of children and starts it. `fds` are the descriptors of the frame that asked; they stay the
 * caller's, who may close them on return. Cannot fail: a start that does not succeed is a child in state failed.
 */
void spawn(struct keeper *keeper, struct child *child, struct start *start, const int *fds);

#endif
