/*
 * The child's side of a start, from its beginning to execve(2): the stages of docs/protocol.md, in their order.
 *
 * It may share our memory while we go on (shared.h). So it writes to `struct launch`, to what its start points to and to its own stack, and
 * to nothing else: no call that sets errno, no static variable, nothing that takes memory.
 *
 * Nothing here returns to the parent's code. A failure is reported as {stage, errno} on the status pipe; success is the
 * end of that pipe, which is close-on-exec.
 */
#ifndef HOLDFAST_LAUNCH_H
#define HOLDFAST_LAUNCH_H

#include <stdint.h>
#include <sys/resource.h>

#include "start.h"

enum stage {
	STAGE_FORK = 1,
	STAGE_SESSION = 2,
	STAGE_LIMITS = 4,
	STAGE_OOM_SCORE = 5,
	STAGE_NICE = 6,
	STAGE_UMASK = 7,
	STAGE_DESCRIPTORS = 8,
	STAGE_ENVIRONMENT = 9,
	STAGE_WORKING_DIRECTORY = 10,
	STAGE_GROUPS = 11,
	STAGE_GID = 12,
	STAGE_UID = 13,
	STAGE_CAPABILITIES = 14,
	STAGE_NO_NEW_PRIVS = 15,
	STAGE_SIGNALS = 16,
	STAGE_EXEC = 17,
	STAGE_CPU_AFFINITY = 18, /* these three have their place behind nice */
	STAGE_IO_PRIORITY = 19,
	STAGE_SCHEDULING = 20,
};

/* What the status pipe carries when a start failed. Both ends are the same program, so it travels as it is. */
struct launch_failure {
	int32_t stage;
	int32_t error;
};

enum { LAUNCH_VARIABLE_MAX = 48 };

struct launch {
	struct start *start;
	const int *sources;          /* one descriptor of the keeper for each placement */
	int status_fd;               /* write end of the status pipe */
	struct rlimit nofile_before; /* the keeper's own at its start */
	char listen_pid[LAUNCH_VARIABLE_MAX], listen_pidfd[LAUNCH_VARIABLE_MAX], watchdog_pid[LAUNCH_VARIABLE_MAX];
};

_Noreturn void launch(struct launch *launch);

/* Every disposition to its default, but that of `left_alone` (0: of each), and an empty mask. 0 or errno. */
int launch_reset_signals(int left_alone);

#endif
