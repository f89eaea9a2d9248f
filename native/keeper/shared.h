/*
 * Processes that share our memory from their beginning to execve(2) (CLONE_VM), while we go on: docs/adr/0017-shared-start.md.
 *
 * Nothing of our memory is copied for them, and nobody waits, whatever their program is read from. Each has a place of its own with all that
 * it reads and writes: our tables, the frame that asked and the start that is being handled are others' by then. Its place is free again once
 * it has executed, or was reaped.
 */
#ifndef HOLDFAST_SHARED_H
#define HOLDFAST_SHARED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "launch.h"
#include "start.h"

enum {
	SHARED_PLACES = 16,
	SHARED_STRINGS = 32 * 1024,
	SHARED_STACK = 32 * 1024,
};

struct shared {
	bool taken;
	struct launch launch;
	struct start start;
	int sources[START_PLACEMENTS_MAX];
	char strings[SHARED_STRINGS];
	_Alignas(16) uint8_t stack[SHARED_STACK];
};

struct keeper;

/*
 * A place for such a process, with a copy of its start; NULL where it has to be forked: it becomes another user or has other rights, which is
 * nobody to share memory with; it has an oom_score_adj, which the kernel would give to us as well; it does not fit; there is no place free; or
 * our build cannot.
 */
struct shared *shared_take(struct keeper *keeper, const struct launch *launch);

/* Starts it. The pid, or -1 with errno; the place stays taken. */
pid_t shared_start(struct shared *shared, int *pidfd);

/* NULL: it has none. */
void shared_free(struct shared *shared);

#endif
