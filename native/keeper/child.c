#define _GNU_SOURCE
#include "child.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "arm.h"
#include "clock.h"
#include "drain.h"
#include "keeper.h"
#include "launch.h"
#include "shared.h"
#include "system_calls.h"

#define GATHERED_FOR (50 * NS_PER_MS)

static void status_ready(struct keeper *keeper, struct watcher *watcher, uint32_t events);

struct child *child_make(struct keeper *k, struct bytes key, struct bytes tag, size_t kept_count)
{
	size_t kept_size = kept_count * sizeof(int);
	struct child *child = budget_take(&k->budget, sizeof *child + kept_size + key.length);
	if (child == NULL)
		return NULL;
	uint8_t *own_key = (uint8_t *)child + sizeof *child + kept_size;
	memcpy(own_key, key.at, key.length);
	child->entry.key = (struct bytes){own_key, key.length};
	child->pidfd = -1;
	child->status.ready = status_ready;
	child->status_fd = -1;
	child->kept_count = kept_count;
	if (entry_set_tag(&k->budget, &child->entry, tag))
		return child;
	budget_give(&k->budget, child);
	return NULL;
}

struct child *child_new(struct keeper *k, const struct request *request, const struct start *start,
			struct descriptors *descriptors)
{
	struct child *child = child_make(k, request->key, request->tag, start->keep_count);
	if (child == NULL)
		return NULL;
	if (!drains_new(k, child, start)) {
		budget_give(&k->budget, child->entry.tag);
		budget_give(&k->budget, child);
		return NULL;
	}
	for (size_t i = 0; i < start->keep_count; i++)
		child->kept[i] = descriptors_take(descriptors, start->keep[i].index);
	drains_name(child);
	return child;
}

static void close_status(struct keeper *k, struct child *child)
{
	if (child->status_fd < 0)
		return;
	loop_remove(&k->loop, child->status_fd);
	close(child->status_fd);
	child->status_fd = -1;
}

static void free_place(struct child *child)
{
	shared_free(child->shared);
	child->shared = NULL;
}

static void close_pidfd(struct keeper *k, struct child *child)
{
	if (child->pidfd < 0)
		return;
	/* Others have duplicates of it, so it would stay among what is watched. */
	if (child_is_by_pidfd(child))
		loop_remove(&k->loop, child->pidfd);
	close(child->pidfd);
	child->pidfd = -1;
}

void child_free(struct keeper *k, struct child *child)
{
	child_told(k, child);
	close_status(k, child);
	close_pidfd(k, child);
	drains_free(k, child);
	for (size_t i = 0; i < child->kept_count; i++)
		close(child->kept[i]);
	budget_give(&k->budget, child->entry.tag);
	budget_give(&k->budget, child);
}

bool child_keeps(const struct child *child, int fd)
{
	for (size_t i = 0; i < child->kept_count; i++)
		if (child->kept[i] == fd)
			return true;
	return false;
}

bool child_is_alive(const struct child *child)
{
	return child->state == CHILD_STARTING || child->state == CHILD_RUNNING;
}

bool child_is_by_pidfd(const struct child *child)
{
	return (child->by & (CHILD_ADOPTED | CHILD_MOVED)) != 0;
}

void child_become(struct keeper *k, struct child *child, pid_t pid, int pidfd)
{
	close_pidfd(k, child);
	child->by |= CHILD_MOVED;
	child->state = CHILD_RUNNING;
	child->pid = pid;
	child->pidfd = pidfd;
	child->ended = 0;
	child->wait_status = 0;
	child->signals = 0; /* it was sent none */
	child->usage = (struct rusage){0};
	child_tell(k, child);
}

/* Of processes for connections there are many, and most are short: told together, they wake the supervisor once. */
static struct news *news_of(struct keeper *k, const struct child *child)
{
	return (child->by & BY_CONNECTION) != 0 ? &k->gathered : &k->news;
}

void child_tell(struct keeper *k, struct child *child)
{
	struct news *news = news_of(k, child);
	if (child->has_news)
		return;
	if (news == &k->gathered && news->first == NULL)
		k->gathered_until = clock_now() + GATHERED_FOR;
	child->has_news = true;
	child->next = NULL;
	child->previous = news->last;
	if (news->last != NULL)
		news->last->next = child;
	else
		news->first = child;
	news->last = child;
}

void child_told(struct keeper *k, struct child *child)
{
	struct news *news = news_of(k, child);
	if (!child->has_news)
		return;
	child->has_news = false;
	if (child->previous != NULL)
		child->previous->next = child->next;
	else
		news->first = child->next;
	if (child->next != NULL)
		child->next->previous = child->previous;
	else
		news->last = child->previous;
}

static struct child *child_at(const struct keeper *k, size_t index)
{
	return (struct child *)k->tables[TABLE_CHILDREN].entries[index];
}

void children_tell_all(struct keeper *k)
{
	for (size_t i = 0; i < k->tables[TABLE_CHILDREN].count; i++)
		if (child_at(k, i)->state != CHILD_STARTING)
			child_tell(k, child_at(k, i));
}

size_t children_alive(const struct keeper *k)
{
	size_t alive = 0;
	for (size_t i = 0; i < k->tables[TABLE_CHILDREN].count; i++)
		alive += child_is_alive(child_at(k, i));
	return alive;
}

void child_failed_to_fork(struct keeper *k, struct child *child, uint8_t stage, int error)
{
	free_place(child);
	close_status(k, child);
	child->state = CHILD_FAILED;
	child->stage = stage;
	child->error = error;
	child->ended = clock_now();
	acceptors_ended(k, child);
	child_tell(k, child);
}

/* Reads the status pipe. Its end without a word means that execve succeeded, or that the child was killed before it. */
static void read_status(struct keeper *k, struct child *child)
{
	struct launch_failure failure;
	ssize_t count;
	if (child->status_fd < 0)
		return;
	do
		count = read(child->status_fd, &failure, sizeof failure);
	while (count < 0 && errno == EINTR);
	if (count < 0 && errno == EAGAIN)
		return;
	if (count == (ssize_t)sizeof failure) {
		child->stage = (uint8_t)failure.stage;
		child->error = failure.error;
	} else {
		free_place(child); /* whoever has spoken is still about to end */
		if (child->state == CHILD_STARTING && child->stage == 0) {
			child->state = CHILD_RUNNING;
			child_tell(k, child);
		}
	}
	close_status(k, child);
}

static void status_ready(struct keeper *k, struct watcher *watcher, uint32_t events)
{
	(void)events;
	read_status(k, container_of(watcher, struct child, status));
}

int child_watch(struct keeper *k, struct child *child)
{
	return child->status_fd < 0 ? 0 : loop_add(&k->loop, child->status_fd, EPOLLIN, &child->status);
}

void child_reaped(struct keeper *k, struct child *child, int wait_status, const struct rusage *usage)
{
	read_status(k, child);
	free_place(child);
	close_status(k, child);
	close_pidfd(k, child);
	child->ended = clock_now();
	if (child->stage != 0) {
		child->state = CHILD_FAILED;
	} else {
		child->state = CHILD_EXITED;
		child->wait_status = wait_status;
		child->usage = *usage;
	}
	acceptors_ended(k, child);
	child_tell(k, child);
}

struct child *child_by_pid(struct keeper *k, pid_t pid)
{
	struct child *moved = NULL;
	for (size_t i = 0; i < k->tables[TABLE_CHILDREN].count; i++) {
		struct child *child = child_at(k, i);
		if (child->pid != pid || !child_is_alive(child) || (child->by & CHILD_ADOPTED) != 0)
			continue;
		if ((child->by & CHILD_MOVED) == 0)
			return child;
		moved = child; /* unless it was somebody else's child, was reaped, and one of ours has its number by now */
	}
	return moved;
}

static int send_signal(struct child *child, int number)
{
	if (!child_is_alive(child))
		return ESRCH;
	if (sys_pidfd_send_signal(child->pidfd, number) != 0)
		return errno;
	if (number >= 1 && number <= 64)
		child->signals |= UINT64_C(1) << (number - 1);
	return 0;
}

int child_signal(struct keeper *k, struct bytes key, int number)
{
	struct child *child = (struct child *)table_find(&k->tables[TABLE_CHILDREN], key);
	return child == NULL ? ENOENT : send_signal(child, number);
}

void children_signal_all(struct keeper *k, int number)
{
	for (size_t i = 0; i < k->tables[TABLE_CHILDREN].count; i++)
		(void)send_signal(child_at(k, i), number); /* those that have ended are not meant */
}

int child_acknowledge(struct keeper *k, struct bytes key)
{
	struct child *child = (struct child *)table_find(&k->tables[TABLE_CHILDREN], key);
	if (child == NULL)
		return ENOENT;
	if (child_is_alive(child))
		return EBUSY;
	table_remove(&k->tables[TABLE_CHILDREN], key);
	child_free(k, child);
	return 0;
}

static uint64_t microseconds(struct timeval time)
{
	return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

void child_encode(struct writer *w, const struct child *child)
{
	writer_key(w, child->entry.key);
	writer_u8(w, (uint8_t)child->state);
	writer_i32(w, child->pid);
	writer_u8(w, (uint8_t)child->by);
	writer_u64(w, child->started);
	writer_u64(w, child->ended);
	writer_i32(w, child->wait_status);
	writer_u8(w, child->stage);
	writer_i32(w, child->error);
	writer_u64(w, child->signals);
	writer_u64(w, microseconds(child->usage.ru_utime));
	writer_u64(w, microseconds(child->usage.ru_stime));
	writer_u64(w, (uint64_t)child->usage.ru_maxrss);
}
