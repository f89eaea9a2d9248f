#define _GNU_SOURCE
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "clock.h"
#include "held.h"
#include "keeper.h"
#include "launch.h"
#include "shared.h"
#include "system_calls.h"

/* The descriptor of the keeper that a placement means; -1 if the held entry or its index is not there. */
static int source_of(struct keeper *k, const struct placement *placement, const int *fds)
{
	if (!placement->from_held)
		return fds[placement->index];
	const struct held *held = held_find(k, placement->held_key);
	return held == NULL || placement->index >= held->count ? -1 : held->fds[placement->index].fd;
}

int spawn_check(struct keeper *k, struct bytes key, const struct start *start)
{
	const struct table *children = &k->tables[TABLE_CHILDREN], *arms = &k->tables[TABLE_ARMS];
	if (k->ending.phase != ENDING_NOT)
		return ESHUTDOWN;
	if (table_find(children, key) != NULL || table_find(arms, key) != NULL)
		return EEXIST;
	/* An arm has its place among the children reserved, so that firing cannot fail for want of one. */
	if (children->count + arms->count >= TABLE_MAX)
		return ENOMEM;
	for (size_t i = 0; i < start->placement_count; i++)
		if (start->placements[i].from_held && source_of(k, &start->placements[i], NULL) < 0)
			return ENOENT;
	return 0;
}

/* Both ends close-on-exec, and neither among the descriptors that are reserved for the next supervisor. */
static int open_status_pipe(struct keeper *k, int ends[2])
{
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return errno;
	if (ends[0] < k->reserved_from && ends[1] < k->reserved_from)
		return 0;
	close(ends[0]);
	close(ends[1]);
	return EMFILE;
}

/* Whether the next descriptor that is opened is none of those that are reserved for the next supervisor: 0 or errno. */
static int room_for_descriptor(const struct keeper *k)
{
	int placeholder = fcntl(k->loop.epoll, F_DUPFD_CLOEXEC, 0);
	if (placeholder < 0)
		return errno;
	close(placeholder);
	return placeholder < k->reserved_from ? 0 : EMFILE;
}

/* The pid of a process on its way to execve(2), or -1 with errno. */
static pid_t start_process(struct keeper *k, struct child *child, struct launch *l, int *pidfd)
{
	child->shared = shared_take(k, l);
	if (child->shared != NULL)
		return shared_start(child->shared, pidfd);
	pid_t pid = sys_fork_with_pidfd(pidfd);
	if (pid == 0)
		launch(l);
	return pid;
}

void spawn(struct keeper *k, struct child *child, struct start *start, const int *fds)
{
	int sources[START_PLACEMENTS_MAX], ends[2], pidfd;
	child->started = clock_now();
	table_insert(&k->tables[TABLE_CHILDREN], &child->entry);
	drains_started(k, child);
	for (size_t i = 0; i < start->placement_count; i++) {
		sources[i] = source_of(k, &start->placements[i], fds);
		if (sources[i] < 0) {
			child_failed_to_fork(k, child, STAGE_DESCRIPTORS, ENOENT);
			return;
		}
	}
	int error = open_status_pipe(k, ends);
	if (error != 0) {
		child_failed_to_fork(k, child, STAGE_FORK, error);
		return;
	}
	/* Before there is a process: one that cannot be watched must not have run. */
	child->status_fd = ends[0];
	error = child_watch(k, child);
	if (error == 0)
		error = room_for_descriptor(k);
	struct launch l = {.start = start, .sources = sources, .status_fd = ends[1], .nofile_before = k->nofile_before};
	pid_t pid = error != 0 ? -1 : start_process(k, child, &l, &pidfd);
	error = error != 0 ? error : errno;
	close(ends[1]);
	if (pid < 0) {
		child_failed_to_fork(k, child, STAGE_FORK, error);
		return;
	}
	child->state = CHILD_STARTING;
	child->pid = pid;
	child->pidfd = pidfd; /* of a fork that failed it may be a number that is free again */
}

int spawn_request(struct keeper *k, const struct request *request, struct start *start, struct descriptors *descriptors)
{
	int error = spawn_check(k, request->key, start);
	if (error != 0)
		return error;
	struct child *child = child_new(k, request, start, descriptors);
	if (child == NULL)
		return ENOMEM;
	child->by = BY_SPAWN;
	spawn(k, child, start, descriptors->numbers);
	return 0;
}
