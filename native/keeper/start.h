/*
 * What a process is started with: the payload `start` after its key and tag, decoded in place.
 *
 * All strings point into the bytes it was decoded from, which must outlive it. An armed start keeps those bytes and is
 * decoded again when it fires, so that a thousand of them cost their bytes and no pointers.
 */
#ifndef HOLDFAST_START_H
#define HOLDFAST_START_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "frame.h"

enum {
	START_GROUPS_MAX = 256,
	START_LIMITS_MAX = 16,
	START_ARGUMENTS_MAX = 4096,
	START_ENVIRONMENT_MAX = 4096,
	START_PLACEMENTS_MAX = 512,
	START_PROCESSORS_MAX = 1024, /* bytes of a mask */
	START_KEEP_MAX = 252, /* with the pidfd in front they must fit one frame */
};

enum start_flag {
	START_SETSID = 1,
	START_NO_NEW_PRIVS = 2,
	START_UMASK = 4,
	START_NICE = 8,
	START_OOM_SCORE_ADJ = 16,
	START_GROUPS = 32,
	START_LISTEN_PID = 64,
	START_IGNORE_SIGPIPE = 128,
	START_WATCHDOG_PID = 256,
	START_PROCESSORS = 512,
	START_IO_PRIORITY = 1024,
	START_POLICY = 2048,
	START_CAPABILITIES = 4096,
	START_BOUNDING = 8192,
	START_FLAGS = 16383,
};

#define START_KEEP_ID UINT32_MAX /* a uid or gid that says: as it is */

/* One descriptor of the new process: `target` there; here a descriptor of the frame, or one of a held entry. */
struct placement {
	int target;
	bool from_held;
	struct bytes held_key; /* when from_held */
	uint16_t index; /* of a descriptor of the frame; behind the last one: the connection that was accepted */
};

/* A descriptor of the frame that stays with the child. */
struct keep {
	uint16_t index;
	bool drained; /* a log pipe: read by the keeper while no supervisor reads it */
};

struct limit {
	int resource;
	struct rlimit value;
};

struct start {
	uint32_t flags;
	uint32_t uid, gid;
	uint32_t umask;
	int32_t nice;
	int32_t oom_score_adj;
	size_t group_count, limit_count, argument_count, environment_count, placement_count, keep_count;
	gid_t groups[START_GROUPS_MAX];
	struct limit limits[START_LIMITS_MAX];
	struct bytes processors;        /* a mask, when its flag is set, as the four below */
	uint16_t io_priority;           /* as ioprio_set(2) has it: class and level */
	int32_t policy, policy_priority;
	uint64_t capabilities;          /* bit N = capability N */
	uint64_t bounding;              /* those that stay in the bounding set */
	bool takes_connection;
	const char *directory;
	const char *path;
	const char *arguments[START_ARGUMENTS_MAX + 1];     /* ends with NULL */
	const char *environment[START_ENVIRONMENT_MAX + 8]; /* ends with NULL; room for six that are added */
	struct placement placements[START_PLACEMENTS_MAX];
	struct keep keep[START_KEEP_MAX];
};

/* Decodes from `r` on; refuses what is malformed, out of its bounds, or names a descriptor the frame does not have. */
void start_decode(struct reader *r, size_t frame_fds, struct start *start);

/* The part of it that names what stays with the child. */
void start_decode_keep(struct reader *r, size_t frame_fds, struct start *start);

#endif
