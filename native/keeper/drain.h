/*
 * Log pipes of children, read by the keeper while no supervisor reads them, so that no worker waits for a supervisor.
 *
 *   the supervisor's   it has them from the start that it asked for, or took them over; the keeper does not touch them
 *   the keeper's       from the moment in which the process of a supervisor was reaped: nobody else can be reading
 *   handed over        what was read was given to the supervisor that took the pipe over, which has not settled it yet
 *
 * Two readers of one pipe would take turns at its bytes, so a supervisor that is merely silent still has them: they become
 * the keeper's once it was killed for it and is gone.
 *
 * A ring keeps the newest bytes. What it could not keep is counted, and so is what was handed over to a supervisor that ended
 * before it settled: nobody knows how much of that it has written, and nothing is given twice.
 */
#ifndef HOLDFAST_DRAIN_H
#define HOLDFAST_DRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "loop.h"
#include "start.h"

enum {
	DRAIN_RING_MAX = 64 * 1024,         /* bytes of one pipe, */
	DRAIN_RING_MIN = 1024,              /* less than that where many are drained, */
	DRAIN_TOTAL_MAX = 8 * 1024 * 1024,  /* and bytes of all rings */
};

/* What all drains together have taken. */
struct drain_total {
	size_t pipes; /* that may be drained, whoever has them now */
	size_t bytes; /* of rings that are there */
};

struct child;

struct drain {
	struct watcher watcher;
	int fd;            /* the child's */
	uint16_t index;    /* among its kept ones */
	bool ours;         /* the keeper's */
	bool watched;      /* by the loop: ours, of a process, and not at its end */
	bool handed_over;
	uint64_t dropped;  /* bytes in front of those in the ring */
	uint8_t *ring;     /* owned; NULL = nothing is kept */
	size_t capacity, first, used;
};

struct drains {
	size_t count;
	struct drain each[];
};

/* Makes room for those that `start` says are drained; the supervisor's for now. False without memory. */
bool drains_new(struct keeper *keeper, struct child *child, const struct start *start);

/* The same for these of its kept descriptors. */
bool drains_make(struct keeper *keeper, struct child *child, const uint16_t *indices, size_t count);

/* An empty ring of so many bytes. False without memory, or where all rings together would have too many. */
bool drain_make_ring(struct keeper *keeper, struct drain *drain, size_t capacity);

/* Of a child or an arm; NULL if there is none, or if that descriptor is not drained. */
struct drain *drain_find(struct keeper *keeper, struct bytes key, uint16_t index);

/* What is in the ring, oldest byte first, behind its length (u32). */
void drain_write(struct writer *w, const struct drain *drain);

/* Once the child has its descriptors. */
void drains_name(struct child *child);

/* Before the descriptors are closed. */
void drains_free(struct keeper *keeper, struct child *child);

/* The supervisor is gone, and what it had sent was performed: every pipe is the keeper's. */
void drains_begin_all(struct keeper *keeper);

/* For a child that an arm has started: its pipes are whose the arm's were. */
void drains_started(struct keeper *keeper, struct child *child);

/* The requests; 0 or errno. take: also what was read, from its oldest byte. */
int drain_take(struct keeper *keeper, struct bytes key, uint16_t index, struct writer *body);
int drain_settle(struct keeper *keeper, struct bytes key, uint16_t index);

#endif
