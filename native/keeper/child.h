/*
 * The record of one process, from the request for it until its end is acknowledged.
 *
 *   armed     in the table of arms; `armed` says what it waits for
 *   starting  forked; the status pipe has said nothing yet
 *   running   the status pipe ended without a word: execve(2) succeeded
 *   exited    reaped after that
 *   failed    reaped after a word on the status pipe, or never forked
 *   lost      ended, and nobody could tell how: it was somebody else's child (adopt.h)
 *
 * A word on the status pipe wins over the exit status that follows it, whichever of the two the keeper meets first.
 * A process has ended when it was reaped, not before.
 */
#ifndef HOLDFAST_CHILD_H
#define HOLDFAST_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "descriptors.h"
#include "loop.h"
#include "request.h"
#include "table.h"

enum child_state {
	CHILD_ARMED = 0,
	CHILD_STARTING = 1,
	CHILD_RUNNING = 2,
	CHILD_EXITED = 3,
	CHILD_FAILED = 4,
	CHILD_LOST = 5,
};

/* Bits. */
enum child_origin { BY_SPAWN = 0, BY_ARM = 1, CHILD_ADOPTED = 2, BY_CONNECTION = 4, CHILD_MOVED = 8, CHILD_ORIGINS = 15 };

struct armed;
struct drains;
struct shared;

struct child {
	struct entry entry;
	enum child_state state;
	unsigned by;                /* enum child_origin */
	pid_t pid;
	int pidfd;                  /* -1 unless starting or running */
	int status_fd;              /* -1 once it has spoken or ended */
	struct shared *shared;      /* its place while it shares our memory; NULL = it does not */
	struct watcher status;      /* of one that is watched by its pidfd: that */
	uint64_t started, ended;
	int wait_status;
	uint8_t stage;              /* 0 = no failure was told */
	int error;
	uint64_t signals;
	struct rusage usage;
	struct armed *armed;        /* owned, when armed */
	struct drains *drains;      /* owned; NULL = none of its descriptors is drained */
	bool has_news;
	struct child *next, *previous; /* among those that have news */
	size_t kept_count;
	int kept[];                 /* owned; the key's bytes follow */
};

/* Children whose state the attached supervisor has not been told, in the order in which they got it. */
struct news {
	struct child *first, *last;
};

/* A record with room for so many kept descriptors, which the caller puts there. NULL without memory. Not in a table yet. */
struct child *child_make(struct keeper *keeper, struct bytes key, struct bytes tag, size_t kept_count);

/* Takes the descriptors that `start` keeps. NULL without memory, and then takes none. Not in a table yet. */
struct child *child_new(struct keeper *keeper, const struct request *request, const struct start *start,
			struct descriptors *descriptors);

/* Closes and frees all that the record owns. The caller has removed it from its table. */
void child_free(struct keeper *keeper, struct child *child);

bool child_keeps(const struct child *child, int fd);
bool child_is_alive(const struct child *child);

/* Its process is perhaps not our child: its end is what its pidfd says (adopt.h). */
bool child_is_by_pidfd(const struct child *child);

/* Another process takes the place of the one so far, which may have ended. `pidfd` is the record's now, and the caller watches it. */
void child_become(struct keeper *keeper, struct child *child, pid_t pid, int pidfd);

/* Ends that were met. `child_failed_to_fork` is for one that has no process. */
void child_failed_to_fork(struct keeper *keeper, struct child *child, uint8_t stage, int error);
void child_reaped(struct keeper *keeper, struct child *child, int wait_status, const struct rusage *usage);
struct child *child_by_pid(struct keeper *keeper, pid_t pid);

/* Watches the status pipe, if there is one. 0 or errno. */
int child_watch(struct keeper *keeper, struct child *child);

void child_tell(struct keeper *keeper, struct child *child);   /* put among the news */
void child_told(struct keeper *keeper, struct child *child);   /* take from the news */
void children_tell_all(struct keeper *keeper);                 /* for a supervisor that knows nothing */
size_t children_alive(const struct keeper *keeper);
void children_signal_all(struct keeper *keeper, int number);

/* The requests; 0 or errno. */
int child_signal(struct keeper *keeper, struct bytes key, int number);
int child_acknowledge(struct keeper *keeper, struct bytes key);

void child_encode(struct writer *w, const struct child *child);

#endif
