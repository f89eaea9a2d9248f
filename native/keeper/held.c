#define _GNU_SOURCE
#include "held.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "arm.h"
#include "keeper.h"

struct held *held_find(struct keeper *k, struct bytes key)
{
	return (struct held *)table_find(&k->tables[TABLE_HELD], key);
}

static void ready(struct keeper *k, struct watcher *watcher, uint32_t events)
{
	(void)events; /* readable, broken or hung up: each of them is the trigger */
	arms_fire(k, container_of(watcher, struct held_fd, watcher)->held);
}

static void stop_watching(struct keeper *k, struct held *held, size_t count)
{
	for (size_t i = 0; i < count; i++)
		loop_remove(&k->loop, held->fds[i].fd);
}

static int start_watching(struct keeper *k, struct held *held)
{
	for (size_t i = 0; i < held->count; i++) {
		int error = loop_add(&k->loop, held->fds[i].fd, EPOLLIN, &held->fds[i].watcher);
		if (error != 0) {
			stop_watching(k, held, i);
			return error;
		}
	}
	return 0;
}

int held_watch(struct keeper *k, struct held *held)
{
	int error = held->arms == 0 ? start_watching(k, held) : 0;
	if (error == 0)
		held->arms++;
	return error;
}

void held_unwatch(struct keeper *k, struct held *held)
{
	if (--held->arms == 0)
		stop_watching(k, held, held->count);
}

struct held *held_make(struct keeper *k, struct bytes key, struct bytes tag, const int *fds, size_t count)
{
	size_t fds_size = count * sizeof(struct held_fd);
	struct held *held = budget_take(&k->budget, sizeof *held + fds_size + key.length);
	if (held == NULL)
		return NULL;
	uint8_t *own_key = (uint8_t *)held + sizeof *held + fds_size;
	memcpy(own_key, key.at, key.length);
	held->entry.key = (struct bytes){own_key, key.length};
	if (!entry_set_tag(&k->budget, &held->entry, tag)) {
		budget_give(&k->budget, held);
		return NULL;
	}
	held->count = count;
	for (size_t i = 0; i < held->count; i++) {
		held->fds[i].watcher.ready = ready;
		held->fds[i].held = held;
		held->fds[i].fd = fds[i];
	}
	return held;
}

static void held_free(struct keeper *k, struct held *held)
{
	budget_give(&k->budget, held->entry.tag);
	budget_give(&k->budget, held);
}

static void held_close(struct keeper *k, struct held *held)
{
	if (held->arms != 0)
		stop_watching(k, held, held->count);
	for (size_t i = 0; i < held->count; i++)
		close(held->fds[i].fd);
	held_free(k, held);
}

int held_hold(struct keeper *k, const struct request *request, struct descriptors *descriptors)
{
	struct table *table = &k->tables[TABLE_HELD];
	struct held *old = held_find(k, request->key);
	if (old != NULL && !request->replace)
		return EEXIST;
	if (old == NULL && table->count >= TABLE_MAX)
		return ENOMEM;
	struct held *held = held_make(k, request->key, request->tag, descriptors->numbers, descriptors->count);
	if (held == NULL)
		return ENOMEM;
	held->arms = arms_naming(k, request->key);
	int error = held->arms != 0 ? start_watching(k, held) : 0;
	if (error != 0) {
		held_free(k, held);
		return error;
	}
	for (size_t i = 0; i < descriptors->count; i++)
		(void)descriptors_take(descriptors, i);
	if (old == NULL) {
		table_insert(table, &held->entry);
	} else {
		table_replace(table, &held->entry);
		held_close(k, old);
	}
	return 0;
}

int held_release(struct keeper *k, struct bytes key)
{
	struct held *held = held_find(k, key);
	if (held == NULL)
		return ENOENT;
	table_remove(&k->tables[TABLE_HELD], key);
	held_close(k, held);
	return 0;
}
