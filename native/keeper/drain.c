#define _GNU_SOURCE
#include "drain.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "arm.h"
#include "child.h"
#include "keeper.h"

static void ready(struct keeper *keeper, struct watcher *watcher, uint32_t events);

bool drains_make(struct keeper *k, struct child *child, const uint16_t *indices, size_t count)
{
	if (count == 0)
		return true;
	struct drains *drains = budget_take(&k->budget, sizeof *drains + count * sizeof drains->each[0]);
	if (drains == NULL)
		return false;
	drains->count = count;
	for (size_t i = 0; i < count; i++) {
		drains->each[i].watcher.ready = ready;
		drains->each[i].index = indices[i];
	}
	k->drained.pipes += count;
	child->drains = drains;
	return true;
}

bool drains_new(struct keeper *k, struct child *child, const struct start *start)
{
	uint16_t indices[START_KEEP_MAX];
	size_t count = 0;
	for (size_t i = 0; i < start->keep_count; i++)
		if (start->keep[i].drained)
			indices[count++] = (uint16_t)i;
	return drains_make(k, child, indices, count);
}

void drains_name(struct child *child)
{
	for (size_t i = 0; child->drains != NULL && i < child->drains->count; i++)
		child->drains->each[i].fd = child->kept[child->drains->each[i].index];
}

static void give_ring(struct keeper *k, struct drain *drain)
{
	if (drain->ring != NULL)
		k->drained.bytes -= drain->capacity;
	budget_give(&k->budget, drain->ring);
	drain->ring = NULL;
	drain->capacity = drain->first = drain->used = 0;
}

/* Forgets what was read, told or not. */
static void empty(struct keeper *k, struct drain *drain)
{
	give_ring(k, drain);
	drain->dropped = 0;
	drain->handed_over = false;
}

static void unwatch(struct keeper *k, struct drain *drain)
{
	if (drain->watched)
		loop_remove(&k->loop, drain->fd);
	drain->watched = false;
}

void drains_free(struct keeper *k, struct child *child)
{
	if (child->drains == NULL)
		return;
	for (size_t i = 0; i < child->drains->count; i++) {
		unwatch(k, &child->drains->each[i]);
		empty(k, &child->drains->each[i]);
	}
	k->drained.pipes -= child->drains->count;
	budget_give(&k->budget, child->drains);
	child->drains = NULL;
}

/* Whoever writes to what cannot be watched waits for the next supervisor. */
static void watch(struct keeper *k, struct drain *drain)
{
	if (drain->watched)
		return;
	int flags = fcntl(drain->fd, F_GETFL);
	if (flags < 0 || fcntl(drain->fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return;
	drain->watched = loop_add(&k->loop, drain->fd, EPOLLIN, &drain->watcher) == 0;
}

/* What was handed over and never settled may have been written, in part or whole. */
static void become_ours(struct keeper *k, struct drain *drain)
{
	uint64_t lost = drain->handed_over ? drain->dropped + drain->used : 0;
	if (drain->handed_over)
		empty(k, drain);
	drain->dropped += lost;
	drain->ours = true;
}

void drains_started(struct keeper *k, struct child *child)
{
	for (size_t i = 0; child->drains != NULL && i < child->drains->count; i++)
		if (child->drains->each[i].ours)
			watch(k, &child->drains->each[i]);
}

void drains_begin_all(struct keeper *k)
{
	static const enum table_name tables[] = {TABLE_CHILDREN, TABLE_ARMS};
	for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
		const struct table *table = &k->tables[tables[t]];
		for (size_t i = 0; i < table->count; i++) {
			struct child *child = (struct child *)table->entries[i];
			for (size_t j = 0; child->drains != NULL && j < child->drains->count; j++)
				become_ours(k, &child->drains->each[j]);
			if (tables[t] == TABLE_CHILDREN || child->armed->trigger == TRIGGER_CONNECTION)
				drains_started(k, child);
		}
	}
}

bool drain_make_ring(struct keeper *k, struct drain *drain, size_t capacity)
{
	if (capacity > DRAIN_TOTAL_MAX - k->drained.bytes)
		return false;
	drain->ring = budget_take(&k->budget, capacity);
	if (drain->ring == NULL)
		return false;
	drain->capacity = capacity;
	k->drained.bytes += capacity;
	return true;
}

/* A share of the whole, so that the first loud pipes leave something for the others. */
static void make_ring(struct keeper *k, struct drain *drain)
{
	size_t capacity = DRAIN_TOTAL_MAX / k->drained.pipes;
	if (capacity > DRAIN_RING_MAX)
		capacity = DRAIN_RING_MAX;
	if (capacity < DRAIN_RING_MIN)
		capacity = DRAIN_RING_MIN;
	(void)drain_make_ring(k, drain, capacity);
}

/* Once around the ring from where its bytes end: what is read there takes the place of the oldest. */
static ssize_t read_into_ring(struct drain *drain)
{
	size_t end = (drain->first + drain->used) % drain->capacity;
	struct iovec room[] = {
		{.iov_base = drain->ring + end, .iov_len = drain->capacity - end},
		{.iov_base = drain->ring, .iov_len = end},
	};
	ssize_t count = readv(drain->fd, room, end == 0 ? 1 : 2);
	if (count <= 0)
		return count;
	size_t used = drain->used + (size_t)count;
	size_t over = used > drain->capacity ? used - drain->capacity : 0;
	drain->used = used - over;
	drain->first = (drain->first + over) % drain->capacity;
	drain->dropped += over;
	return count;
}

static ssize_t read_for_nothing(struct drain *drain)
{
	uint8_t nowhere[16 * 1024];
	struct iovec room = {.iov_base = nowhere, .iov_len = sizeof nowhere};
	ssize_t count = readv(drain->fd, &room, 1);
	if (count > 0)
		drain->dropped += (uint64_t)count;
	return count;
}

/* Once for each event, so that others have their turn. */
static void ready(struct keeper *k, struct watcher *watcher, uint32_t events)
{
	struct drain *drain = container_of(watcher, struct drain, watcher);
	ssize_t count;
	(void)events;
	if (drain->ring == NULL)
		make_ring(k, drain);
	do
		count = drain->ring != NULL ? read_into_ring(drain) : read_for_nothing(drain);
	while (count < 0 && errno == EINTR);
	if (count == 0 || (count < 0 && errno != EAGAIN))
		unwatch(k, drain);
	if (drain->used == 0)
		give_ring(k, drain); /* others may have something to keep */
}

struct drain *drain_find(struct keeper *k, struct bytes key, uint16_t index)
{
	struct child *child = (struct child *)table_find(&k->tables[TABLE_CHILDREN], key);
	if (child == NULL)
		child = (struct child *)table_find(&k->tables[TABLE_ARMS], key);
	for (size_t i = 0; child != NULL && child->drains != NULL && i < child->drains->count; i++)
		if (child->drains->each[i].index == index)
			return &child->drains->each[i];
	return NULL;
}

void drain_write(struct writer *w, const struct drain *drain)
{
	size_t until_end = drain->capacity - drain->first;
	size_t before = drain->used < until_end ? drain->used : until_end;
	writer_u32(w, (uint32_t)drain->used);
	if (drain->used == 0)
		return;
	writer_bytes(w, (struct bytes){drain->ring + drain->first, before});
	writer_bytes(w, (struct bytes){drain->ring, drain->used - before});
}

int drain_take(struct keeper *k, struct bytes key, uint16_t index, struct writer *body)
{
	struct drain *drain = drain_find(k, key, index);
	if (drain == NULL)
		return ENOENT;
	unwatch(k, drain);
	drain->ours = false;
	drain->handed_over = true;
	writer_u64(body, drain->dropped);
	drain_write(body, drain);
	return 0;
}

int drain_settle(struct keeper *k, struct bytes key, uint16_t index)
{
	struct drain *drain = drain_find(k, key, index);
	if (drain == NULL)
		return ENOENT;
	if (drain->handed_over)
		empty(k, drain);
	return 0;
}
