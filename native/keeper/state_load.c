#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "arm.h"
#include "held.h"
#include "keeper.h"
#include "record.h"
#include "spawn.h"
#include "state.h"

/* 0 or errno, as the loaders of the other kinds. */
static int load_held(struct keeper *k, struct fields *f)
{
	struct held_record r = {0};
	struct table *table = &k->tables[TABLE_HELD];
	record_held(f, &r);
	if (f->from->failed || table_find(table, r.key) != NULL)
		return EBADMSG;
	for (size_t i = 0; i < r.count; i++)
		if (r.fds[i] < 0)
			return EBADMSG;
	struct held *held = table->count < TABLE_MAX ? held_make(k, r.key, r.tag, r.fds, r.count) : NULL;
	if (held == NULL)
		return ENOMEM;
	table_insert(table, &held->entry);
	return 0;
}

static struct timeval time_of(uint64_t microseconds)
{
	return (struct timeval){.tv_sec = (time_t)(microseconds / 1000000), .tv_usec = (suseconds_t)(microseconds % 1000000)};
}

/* The state of the process, which has to go with what it has. */
static int fill_child(struct child *child, const struct child_record *r)
{
	child->state = (enum child_state)r->state;
	child->by = r->by;
	child->pid = r->pid;
	child->pidfd = r->pidfd;
	child->status_fd = r->status_fd;
	child->started = r->started;
	child->ended = r->ended;
	child->wait_status = r->wait_status;
	child->stage = r->stage;
	child->error = r->error;
	child->signals = r->signals;
	child->usage.ru_utime = time_of(r->user_us);
	child->usage.ru_stime = time_of(r->system_us);
	child->usage.ru_maxrss = (long)r->max_rss;
	for (size_t i = 0; i < r->kept_count; i++) {
		if (r->kept[i] < 0)
			return EBADMSG;
		child->kept[i] = r->kept[i];
	}
	for (size_t i = 0; i < r->drain_count; i++)
		if (r->drains[i] >= r->kept_count || (i > 0 && r->drains[i] <= r->drains[i - 1]))
			return EBADMSG;
	if ((r->by & ~(unsigned)CHILD_ORIGINS) != 0 || (!child_is_alive(child) && (r->pidfd >= 0 || r->status_fd >= 0)))
		return EBADMSG;
	return child_is_by_pidfd(child) && (r->state < CHILD_RUNNING || r->status_fd >= 0 || (child_is_alive(child) && r->pidfd < 0)) ? EBADMSG : 0;
}

static struct armed *armed_of(struct keeper *k, const struct child_record *r)
{
	struct armed *armed = armed_make(k, r->start, r->watched, r->fd_count);
	if (armed != NULL)
		memcpy(armed->fds, r->fds, r->fd_count * sizeof r->fds[0]);
	return armed;
}

/* What an arm keeps is decoded again when it fires, and then it must succeed. */
static int check_arm(struct keeper *k, const struct child_record *r)
{
	struct reader start = reader_over(r->start), watched = reader_over(r->watched); /* entries that may have been released since */
	start_decode(&start, r->fd_count, &k->start);
	if (!reader_done(&start) || !reader_has_more(&watched))
		return EBADMSG;
	while (reader_has_more(&watched))
		(void)reader_key(&watched);
	if (!reader_done(&watched))
		return EBADMSG;
	for (size_t i = 0; i < k->start.placement_count; i++)
		if (!k->start.placements[i].from_held && k->start.placements[i].index < r->fd_count &&
		    r->fds[k->start.placements[i].index] < 0)
			return EBADMSG;
	return 0;
}

static int load_child(struct keeper *k, struct fields *f, bool is_arm)
{
	static struct child_record r;
	const struct table *children = &k->tables[TABLE_CHILDREN], *arms = &k->tables[TABLE_ARMS];
	r = (struct child_record){0};
	record_child(f, &r, is_arm);
	if (f->from->failed || r.state > CHILD_LOST || (r.state == CHILD_ARMED) != is_arm ||
	    table_find(children, r.key) != NULL || table_find(arms, r.key) != NULL)
		return EBADMSG;
	int error = is_arm ? check_arm(k, &r) : 0;
	if (error != 0)
		return error;
	if (children->count + arms->count >= TABLE_MAX || (is_arm && arms->count >= ARMS_MAX))
		return ENOMEM;
	struct child *child = child_make(k, r.key, r.tag, r.kept_count);
	if (child == NULL)
		return ENOMEM;
	table_insert(&k->tables[is_arm ? TABLE_ARMS : TABLE_CHILDREN], &child->entry);
	error = fill_child(child, &r);
	if (error != 0)
		return error;
	if (!drains_make(k, child, r.drains, r.drain_count) || (is_arm && (child->armed = armed_of(k, &r)) == NULL))
		return ENOMEM;
	drains_name(child);
	return 0;
}

static int load_drain(struct keeper *k, struct fields *f)
{
	struct drain_record r = {0};
	record_drain(f, &r);
	struct drain *drain = f->from->failed ? NULL : drain_find(k, r.key, r.index);
	if (drain == NULL || drain->ring != NULL || r.kept.length > r.capacity || r.capacity > DRAIN_RING_MAX)
		return EBADMSG;
	drain->ours = r.ours;
	drain->handed_over = r.handed_over;
	drain->dropped = r.dropped;
	if (r.capacity == 0)
		return 0;
	if (!drain_make_ring(k, drain, r.capacity))
		return ENOMEM;
	if (r.kept.length != 0)
		memcpy(drain->ring, r.kept.at, r.kept.length);
	drain->used = r.kept.length;
	return 0;
}

static int load_acceptor(struct keeper *k, struct fields *f)
{
	struct bytes key;
	struct acceptor acceptor = {.phase = ACCEPTOR_ACCEPTING};
	record_acceptor(f, &key, &acceptor);
	struct child *arm = f->from->failed ? NULL : (struct child *)table_find(&k->tables[TABLE_ARMS], key);
	if (arm == NULL || arm->armed->trigger == TRIGGER_CONNECTION || key.length > ACCEPTOR_KEY_MAX)
		return EBADMSG;
	arm->armed->trigger = TRIGGER_CONNECTION;
	arm->armed->acceptor = acceptor;
	return 0;
}

static int load_news(struct keeper *k, struct fields *f)
{
	struct bytes key;
	record_key(f, &key);
	struct child *child = f->from->failed ? NULL : (struct child *)table_find(&k->tables[TABLE_CHILDREN], key);
	if (child == NULL || child->has_news)
		return EBADMSG;
	child_tell(k, child);
	return 0;
}

static int load_record(struct keeper *k, enum record_kind kind, struct fields *f)
{
	switch (kind) {
	case RECORD_KEEPER:
		record_keeper(f, k);
		break;
	case RECORD_SUPERVISOR:
		record_supervisor(f, &k->supervisor);
		break;
	case RECORD_CHANNEL:
		/* Whoever is attached goes on in the version that was agreed on. */
		if (record_channel(f, &k->channel) != PROTOCOL_VERSION && !f->from->failed)
			return EPROTONOSUPPORT;
		break;
	case RECORD_HELD:
		return load_held(k, f);
	case RECORD_CHILD:
		return load_child(k, f, false);
	case RECORD_ARM:
		return load_child(k, f, true);
	case RECORD_DRAIN:
		return load_drain(k, f);
	case RECORD_NEWS:
		return load_news(k, f);
	case RECORD_ACCEPTOR:
		return load_acceptor(k, f);
	case RECORD_KINDS:
	case RECORD_END:
		return 0;
	default:
		return EBADMSG;
	}
	return f->from->failed ? EBADMSG : 0;
}

int state_load(struct keeper *k, struct bytes state)
{
	struct reader r = reader_over(state);
	bool seen[RECORD_KINDS] = {false};
	if (reader_u64(&r) != STATE_MAGIC || r.failed)
		return EBADMSG;
	if (reader_u16(&r) != STATE_VERSION || r.failed)
		return EPROTONOSUPPORT;
	while (reader_has_more(&r) && !seen[RECORD_END]) {
		uint16_t kind = reader_u16(&r);
		struct bytes bytes = reader_part(&r, RECORD_MAX);
		struct reader body = reader_over(bytes);
		struct fields fields = {.from = &body};
		if (r.failed || kind == 0 || kind >= RECORD_KINDS)
			return EBADMSG;
		int error = load_record(k, (enum record_kind)kind, &fields);
		if (error != 0)
			return error;
		seen[kind] = true;
	}
	return reader_done(&r) && seen[RECORD_KEEPER] && seen[RECORD_SUPERVISOR] && seen[RECORD_CHANNEL] && seen[RECORD_END] ? 0
															    : EBADMSG;
}

int state_map(int file, struct bytes *state)
{
	struct stat status;
	if (fstat(file, &status) != 0)
		return errno;
	if (!S_ISREG(status.st_mode) || status.st_size < STATE_HEADER || status.st_size > STATE_MAX)
		return EBADMSG;
	void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
	if (bytes == MAP_FAILED)
		return errno;
	*state = (struct bytes){bytes, (size_t)status.st_size};
	return 0;
}

void state_unmap(struct bytes state)
{
	(void)munmap((void *)(uintptr_t)state.at, state.length);
}
