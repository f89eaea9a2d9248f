#define _GNU_SOURCE
#include "arm.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "held.h"
#include "keeper.h"
#include "spawn.h"

static struct reader watched_keys(const struct child *arm)
{
	return reader_over(arm->armed->watched);
}

static bool is_watching(const struct child *arm)
{
	return arm->armed->trigger == TRIGGER_READABLE || acceptor_is_watching(&arm->armed->acceptor);
}

static size_t times_named(const struct child *arm, struct bytes key)
{
	size_t times = 0;
	if (!is_watching(arm))
		return 0;
	for (struct reader r = watched_keys(arm); reader_has_more(&r);)
		times += bytes_compare(reader_key(&r), key) == 0;
	return times;
}

static struct child *arm_at(struct keeper *k, size_t index)
{
	return (struct child *)k->tables[TABLE_ARMS].entries[index];
}

size_t arms_naming(struct keeper *k, struct bytes key)
{
	size_t times = 0;
	for (size_t i = 0; i < k->tables[TABLE_ARMS].count; i++)
		times += times_named(arm_at(k, i), key);
	return times;
}

static void unwatch(struct keeper *k, struct reader keys)
{
	while (reader_has_more(&keys)) {
		struct held *held = held_find(k, reader_key(&keys));
		if (held != NULL)
			held_unwatch(k, held);
	}
}

/* Watches every entry that the arm names, or none. */
static int watch(struct keeper *k, const struct child *arm)
{
	struct reader r = watched_keys(arm);
	while (reader_has_more(&r)) {
		size_t before = r.at;
		struct held *held = held_find(k, reader_key(&r));
		int error = held == NULL ? ENOENT : held_watch(k, held);
		if (error != 0) {
			unwatch(k, reader_over((struct bytes){arm->armed->watched.at, before}));
			return error;
		}
	}
	return 0;
}

int arm_watch(struct keeper *k, struct child *arm)
{
	struct reader r = watched_keys(arm);
	while (reader_has_more(&r)) {
		size_t before = r.at;
		struct held *held = held_find(k, reader_key(&r));
		int error = held == NULL ? 0 : held_watch(k, held); /* one that was released may come back */
		if (error != 0) {
			unwatch(k, reader_over((struct bytes){arm->armed->watched.at, before}));
			return error;
		}
	}
	return 0;
}

void arm_unwatch(struct keeper *k, struct child *arm)
{
	unwatch(k, watched_keys(arm));
}

int arms_watch(struct keeper *k)
{
	for (size_t i = 0; i < k->tables[TABLE_ARMS].count; i++) {
		int error = is_watching(arm_at(k, i)) ? arm_watch(k, arm_at(k, i)) : 0;
		if (error != 0)
			return error;
	}
	return 0;
}

static bool is_placed(const struct start *start, size_t index)
{
	for (size_t i = 0; i < start->placement_count; i++)
		if (!start->placements[i].from_held && start->placements[i].index == index)
			return true;
	return false;
}

struct armed *armed_make(struct keeper *k, struct bytes start, struct bytes watched, size_t fd_count)
{
	size_t fds_size = (fd_count + 1) * sizeof(int);
	struct armed *armed = budget_take(&k->budget, sizeof *armed + fds_size + start.length + watched.length);
	if (armed == NULL)
		return NULL;
	uint8_t *bytes = (uint8_t *)armed + sizeof *armed + fds_size;
	memcpy(bytes, start.at, start.length);
	armed->start = (struct bytes){bytes, start.length};
	bytes += start.length;
	memcpy(bytes, watched.at, watched.length);
	armed->watched = (struct bytes){bytes, watched.length};
	armed->trigger = TRIGGER_READABLE;
	armed->fd_count = fd_count;
	armed->fds[fd_count] = -1;
	return armed;
}

/* Takes the descriptors that the start places. NULL without memory. */
static struct armed *armed_new(struct keeper *k, const struct request *request, const struct start *start,
			       struct descriptors *descriptors)
{
	struct armed *armed = armed_make(k, request->start, request->watched, descriptors->count);
	for (size_t i = 0; armed != NULL && i < descriptors->count; i++)
		armed->fds[i] = is_placed(start, i) ? descriptors_take(descriptors, i) : -1;
	return armed;
}

static void armed_free(struct keeper *k, struct child *child)
{
	struct armed *armed = child->armed;
	for (size_t i = 0; i < armed->fd_count; i++)
		if (armed->fds[i] >= 0 && !child_keeps(child, armed->fds[i]))
			close(armed->fds[i]);
	child->armed = NULL;
	budget_give(&k->budget, armed);
}

static int arm_new(struct keeper *k, const struct request *request, const struct start *start, struct descriptors *descriptors,
		   const struct child *before)
{
	int error = spawn_check(k, request->key, start);
	if (error != 0)
		return error;
	if (k->tables[TABLE_ARMS].count >= ARMS_MAX)
		return ENOMEM;
	struct child *arm = child_new(k, request, start, descriptors);
	if (arm == NULL)
		return ENOMEM;
	arm->by = BY_ARM;
	arm->armed = armed_new(k, request, start, descriptors);
	if (arm->armed == NULL) {
		child_free(k, arm);
		return ENOMEM;
	}
	arm->armed->trigger = request->trigger;
	if (request->trigger == TRIGGER_CONNECTION)
		acceptor_begin(k, arm, &request->acceptor, before == NULL ? NULL : &before->armed->acceptor);
	error = watch(k, arm);
	if (error != 0) {
		armed_free(k, arm);
		child_free(k, arm);
		return error;
	}
	if (!is_watching(arm))
		arm_unwatch(k, arm); /* that they can be watched had to be known */
	table_insert(&k->tables[TABLE_ARMS], &arm->entry);
	return 0;
}

static void leave_table(struct keeper *k, struct child *arm)
{
	table_remove(&k->tables[TABLE_ARMS], arm->entry.key);
	if (is_watching(arm))
		arm_unwatch(k, arm);
}

static void drop(struct keeper *k, struct child *arm)
{
	leave_table(k, arm);
	armed_free(k, arm);
	child_free(k, arm);
}

int arm_request(struct keeper *k, const struct request *request, const struct start *start, struct descriptors *descriptors)
{
	struct table *arms = &k->tables[TABLE_ARMS];
	struct child *before = request->trigger == TRIGGER_CONNECTION ? (struct child *)table_find(arms, request->key) : NULL;
	if (request->trigger == TRIGGER_CONNECTION && request->key.length > ACCEPTOR_KEY_MAX)
		return EINVAL;
	if (before == NULL || before->armed->trigger != TRIGGER_CONNECTION)
		return arm_new(k, request, start, descriptors, NULL);
	/* Out of the way while the other one is made; its watches stay, so that nothing is missed. */
	table_remove(arms, request->key);
	int error = arm_new(k, request, start, descriptors, before);
	if (error != 0) {
		table_insert(arms, &before->entry);
		return error;
	}
	if (is_watching(before))
		arm_unwatch(k, before);
	armed_free(k, before);
	child_free(k, before);
	return 0;
}

int arm_disarm(struct keeper *k, struct bytes key)
{
	struct child *arm = (struct child *)table_find(&k->tables[TABLE_ARMS], key);
	if (arm == NULL)
		return ENOENT;
	drop(k, arm);
	return 0;
}

void arms_drop_all(struct keeper *k)
{
	while (k->tables[TABLE_ARMS].count != 0)
		drop(k, arm_at(k, k->tables[TABLE_ARMS].count - 1));
}

static void fire(struct keeper *k, struct child *arm)
{
	leave_table(k, arm);
	struct reader r = reader_over(arm->armed->start);
	start_decode(&r, arm->armed->fd_count, &k->start); /* it was decoded before, so it succeeds */
	spawn(k, arm, &k->start, arm->armed->fds);
	armed_free(k, arm);
}

void arms_fire(struct keeper *k, struct held *held)
{
	size_t index = 0;
	while (index < k->tables[TABLE_ARMS].count) {
		struct child *arm = arm_at(k, index);
		bool is_named = times_named(arm, held->entry.key) != 0;
		if (is_named && arm->armed->trigger == TRIGGER_READABLE) {
			fire(k, arm);
			continue;
		}
		for (size_t i = 0; is_named && i < held->count; i++)
			acceptor_ready(k, arm, held->fds[i].fd);
		index++;
	}
}
