/* What `adopt` says of a process that another keeper started, in place of what we would have seen ourselves. */
#ifndef HOLDFAST_ADOPTED_H
#define HOLDFAST_ADOPTED_H

#include <stddef.h>

#include "request.h"

/* The whole payload: the record with its key, the tag, what is kept. Pure. */
void adopted_decode(struct reader *r, size_t frame_fds, struct request *request, struct start *start);

#endif
