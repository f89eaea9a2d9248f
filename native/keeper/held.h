/* Descriptors that are held under a key, and notes: entries without any. */
#ifndef HOLDFAST_HELD_H
#define HOLDFAST_HELD_H

#include <stddef.h>

#include "descriptors.h"
#include "loop.h"
#include "request.h"
#include "table.h"

struct held;

struct held_fd {
	struct watcher watcher;
	struct held *held;
	int fd; /* owned */
};

struct held {
	struct entry entry;
	size_t arms;    /* how often arms name this entry; it is watched unless 0 */
	size_t count;
	struct held_fd fds[]; /* the key's bytes follow */
};

/* The requests; 0 or errno. EPERM: the entry is watched by an arm and a new descriptor cannot be (a regular file). */
int held_hold(struct keeper *keeper, const struct request *request, struct descriptors *descriptors);
int held_release(struct keeper *keeper, struct bytes key);

/* A new entry in no table, which names descriptors that it does not own yet. NULL without memory. */
struct held *held_make(struct keeper *keeper, struct bytes key, struct bytes tag, const int *fds, size_t count);

struct held *held_find(struct keeper *keeper, struct bytes key);

/* For one arm that names the entry. 0 or errno; after an error nothing has changed. */
int held_watch(struct keeper *keeper, struct held *held);
void held_unwatch(struct keeper *keeper, struct held *held);

#endif
