/* Starts that are kept until a held descriptor becomes readable: once, or for each connection that is accepted on it (acceptor.h). */
#ifndef HOLDFAST_ARM_H
#define HOLDFAST_ARM_H

#include <stddef.h>

#include "acceptor.h"
#include "descriptors.h"
#include "loop.h"
#include "request.h"

enum { ARMS_MAX = 1024 };

struct child;

/* What an arm keeps beside the record that becomes its child's. */
struct armed {
	struct bytes start;   /* as it came; decoded again when it fires */
	struct bytes watched; /* the keys of held entries, as they came */
	enum trigger trigger;
	struct acceptor acceptor; /* of one for connections */
	size_t fd_count;
	int fds[];            /* as the frame had them. Owned, but for those that the child keeps; -1: of no use, as one more at the end. The bytes follow */
};

/* Copies the bytes; the caller puts the descriptors there. NULL without memory. */
struct armed *armed_make(struct keeper *keeper, struct bytes start, struct bytes watched, size_t fd_count);

/* Watches what all arms in the table name, none of which is watched yet. 0 or errno. */
int arms_watch(struct keeper *keeper);

/* The requests; 0 or errno. EPERM: a named entry has a descriptor that cannot be watched (a regular file). */
int arm_request(struct keeper *keeper, const struct request *request, const struct start *start,
		struct descriptors *descriptors);
int arm_disarm(struct keeper *keeper, struct bytes key);

/* One that waits for connections stops and begins to watch its entries. 0 or errno; those that are not held now are watched once they are. */
int arm_watch(struct keeper *keeper, struct child *arm);
void arm_unwatch(struct keeper *keeper, struct child *arm);

/* How often arms that watch name the held entry `key`, whether it is there or not. */
size_t arms_naming(struct keeper *keeper, struct bytes key);

struct held;

/* Starts every arm that names the held entry. */
void arms_fire(struct keeper *keeper, struct held *held);
void arms_drop_all(struct keeper *keeper);

#endif
