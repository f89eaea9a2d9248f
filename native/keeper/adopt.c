#define _GNU_SOURCE
#include "adopt.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "clock.h"
#include "exit_status.h"
#include "keeper.h"
#include "spawn.h"
#include "system_calls.h"

/* From the end of a process to its being reaped, which is when the kernel tells how it ended. */
#define REAPED_WITHIN (500 * NS_PER_MS)

/* Of a process that is our child all the same, as an orphan of another one is. It is reaped then. */
static bool reap(int pidfd, int *wait_status, struct rusage *usage)
{
	siginfo_t info;
	memset(&info, 0, sizeof info);
	if (sys_waitid_pidfd(pidfd, &info, WEXITED | WNOHANG, usage) != 0 || info.si_pid == 0)
		return false;
	if (info.si_code == CLD_EXITED)
		*wait_status = (info.si_status & 0xff) << 8;
	else
		*wait_status = info.si_status | (info.si_code == CLD_DUMPED ? 0x80 : 0);
	return true;
}

static void ended(struct keeper *k, struct child *child)
{
	struct rusage usage;
	int wait_status = 0;
	if (reap(child->pidfd, &wait_status, &usage)) {
		child_reaped(k, child, wait_status, &usage);
		return;
	}
	memset(&usage, 0, sizeof usage);
	int error = exit_status(child->pidfd, child->pid, &wait_status);
	if (error == EAGAIN && child->ended == 0) {
		/* The end of the waiting, should it never be reaped. Its hang-up is told whatever is watched. */
		child->ended = clock_now();
		k->adopted_until = clock_earlier(k->adopted_until, child->ended + REAPED_WITHIN);
		(void)loop_change(&k->loop, child->pidfd, 0, &child->status);
		return;
	}
	child_reaped(k, child, wait_status, &usage);
	if (error != 0)
		child->state = CHILD_LOST;
}

static void ready(struct keeper *k, struct watcher *watcher, uint32_t events)
{
	(void)events;
	ended(k, container_of(watcher, struct child, status));
}

int adopt_watch(struct keeper *k, struct child *child)
{
	if (!child_is_by_pidfd(child) || child->state != CHILD_RUNNING)
		return 0;
	child->status.ready = ready;
	if (child->ended != 0)
		k->adopted_until = clock_earlier(k->adopted_until, child->ended + REAPED_WITHIN);
	return loop_add(&k->loop, child->pidfd, child->ended == 0 ? EPOLLIN : 0, &child->status);
}

void adopt_tick(struct keeper *k, uint64_t now)
{
	if (!clock_passed(k->adopted_until, now))
		return;
	k->adopted_until = 0;
	const struct table *children = &k->tables[TABLE_CHILDREN];
	for (size_t i = 0; i < children->count; i++) {
		struct child *child = (struct child *)children->entries[i];
		if (child->state != CHILD_RUNNING || child->ended == 0)
			continue;
		if (child->ended + REAPED_WITHIN <= now)
			ended(k, child);
		else
			k->adopted_until = clock_earlier(k->adopted_until, child->ended + REAPED_WITHIN);
	}
}

static void fill(struct child *child, const struct adopted *a)
{
	child->state = a->state;
	child->by = a->by | CHILD_ADOPTED;
	child->pid = a->pid;
	child->started = a->started;
	child->ended = a->ended;
	child->wait_status = a->wait_status;
	child->stage = a->stage;
	child->error = a->error;
	child->signals = a->signals;
	child->usage.ru_utime = (struct timeval){.tv_sec = (time_t)(a->user_us / 1000000), .tv_usec = (suseconds_t)(a->user_us % 1000000)};
	child->usage.ru_stime = (struct timeval){.tv_sec = (time_t)(a->system_us / 1000000), .tv_usec = (suseconds_t)(a->system_us % 1000000)};
	child->usage.ru_maxrss = (long)a->max_rss;
}

int adopt_request(struct keeper *k, const struct request *request, struct start *start, struct descriptors *descriptors)
{
	bool runs = request->adopted.state == CHILD_RUNNING;
	int error = spawn_check(k, request->key, start);
	if (error != 0)
		return error;
	if (runs && sys_pidfd_send_signal(descriptors->numbers[0], 0) != 0 && errno == EBADF)
		return EBADF;
	struct child *child = child_new(k, request, start, descriptors);
	if (child == NULL)
		return ENOMEM;
	fill(child, &request->adopted);
	if (runs) {
		child->ended = 0;
		child->pidfd = descriptors_take(descriptors, 0);
		error = adopt_watch(k, child);
		if (error != 0) {
			child_free(k, child);
			return error;
		}
	}
	table_insert(&k->tables[TABLE_CHILDREN], &child->entry);
	child_tell(k, child);
	return 0;
}

int adopt_move(struct keeper *k, const struct request *request, struct descriptors *descriptors)
{
	struct child *child = (struct child *)table_find(&k->tables[TABLE_CHILDREN], request->key);
	int pidfd = descriptors->numbers[0];
	if (child == NULL)
		return ENOENT;
	if (child->state == CHILD_STARTING)
		return EBUSY;
	if (child->state == CHILD_FAILED)
		return ESRCH;
	/* EPERM: it is there, and has more rights than we have. */
	if (sys_pidfd_send_signal(pidfd, 0) != 0 && errno != EPERM)
		return errno;
	int error = loop_add(&k->loop, pidfd, EPOLLIN, &child->status);
	if (error != 0)
		return error;
	child_become(k, child, request->pid, descriptors_take(descriptors, 0));
	child->status.ready = ready;
	return 0;
}
