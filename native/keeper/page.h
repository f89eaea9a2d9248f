/* The three tables as the supervisor sees them: listed in pages, fetched one by one with descriptors, and their tags. */
#ifndef HOLDFAST_PAGE_H
#define HOLDFAST_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "loop.h"
#include "request.h"

/* What goes back: written in place, sent at the end. The descriptors are borrowed from the tables. */
struct reply {
	uint32_t id;
	uint32_t place;
	bool later; /* by somebody else, once it is known */
	struct writer body;
	size_t fd_count;
	int fds[FRAME_FDS_MAX];
};

/* 0 or errno. */
int page_list(struct keeper *keeper, const struct request *request, struct reply *reply);
int page_fetch(struct keeper *keeper, const struct request *request, struct reply *reply);
int page_tag(struct keeper *keeper, const struct request *request);

#endif
