/*
 * Arms that accept connections and start a process for each, until they are disarmed.
 *
 *   accepting  its held entries are watched
 *   full       as many of its processes run as may, and it does not refuse: connections wait in the kernel's queue until one has ended
 *   paused     it has started as many in this interval as it may: they wait until the interval is over
 *   short      the system had no descriptor or memory for one more: they wait a moment
 *
 * Its processes are the children whose key is its own, a slash, a number, a slash and the peer, and whose record says that they came by a
 * connection. So everything that is counted can be counted again from the tables, by whoever takes over.
 */
#ifndef HOLDFAST_ACCEPTOR_H
#define HOLDFAST_ACCEPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acceptor_limits.h"
#include "frame.h"

/* A key has to leave room for what is put behind it. */
enum { ACCEPTOR_KEY_MAX = 160 };

enum acceptor_phase { ACCEPTOR_ACCEPTING = 0, ACCEPTOR_FULL = 1, ACCEPTOR_PAUSED = 2, ACCEPTOR_SHORT = 3 };

struct acceptor {
	struct acceptor_limits limits;
	enum acceptor_phase phase;
	uint64_t until;                /* of paused and short */
	uint64_t interval_from;
	uint32_t in_interval;
	uint64_t number;               /* of the last connection */
	uint64_t accepted, refused, refused_source, vanished;
	size_t alive;
	bool untold;
	uint64_t told_at, tell_at;
};

struct keeper;
struct child;

/* What all of them need of the keeper. */
struct acceptors {
	uint64_t at;  /* the earliest deadline of any; 0 = none */
	bool untold;  /* one of them has news */
};

/* Begins, with the counts of the one whose place it takes (NULL: none). The arm is in no table, or watched already. */
void acceptor_begin(struct keeper *keeper, struct child *arm, const struct acceptor_limits *limits, const struct acceptor *before);

/* A descriptor of one of its entries may be readable: takes one connection from it. */
void acceptor_ready(struct keeper *keeper, struct child *arm, int listener);

bool acceptor_is_watching(const struct acceptor *acceptor);

/* Another process is a child of one of them, or is not any more. */
void acceptors_ended(struct keeper *keeper, const struct child *child);

/* After the tables were filled by a takeover, before anything is watched. */
void acceptors_resume(struct keeper *keeper);

void acceptors_tick(struct keeper *keeper, uint64_t now);
void acceptors_tell_all(struct keeper *keeper);
void acceptor_encode(struct writer *w, const struct child *arm);

#endif
