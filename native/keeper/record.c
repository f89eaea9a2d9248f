#define _GNU_SOURCE
#include "record.h"

#include "keeper.h"

static void u8(struct fields *f, uint8_t *value)
{
	if (f->to != NULL)
		writer_u8(f->to, *value);
	else
		*value = reader_u8(f->from);
}

static void u16(struct fields *f, uint16_t *value)
{
	if (f->to != NULL)
		writer_u16(f->to, *value);
	else
		*value = reader_u16(f->from);
}

static void u32(struct fields *f, uint32_t *value)
{
	if (f->to != NULL)
		writer_u32(f->to, *value);
	else
		*value = reader_u32(f->from);
}

static void u64(struct fields *f, uint64_t *value)
{
	if (f->to != NULL)
		writer_u64(f->to, *value);
	else
		*value = reader_u64(f->from);
}

static void i32(struct fields *f, int32_t *value)
{
	if (f->to != NULL)
		writer_i32(f->to, *value);
	else
		*value = reader_i32(f->from);
}

static void flag(struct fields *f, bool *value)
{
	uint8_t number = *value;
	u8(f, &number);
	if (number > 1)
		reader_refuse(f->from);
	*value = number == 1;
}

/* A number of things, of which more than `most` are refused. */
static void count(struct fields *f, size_t *value, size_t most)
{
	uint16_t number = (uint16_t)*value;
	u16(f, &number);
	*value = number;
	if (f->from == NULL)
		return;
	if (number > most)
		reader_refuse(f->from);
	if (f->from->failed)
		*value = 0;
}

/* -1 is none; those below are for stdin, stdout and stderr. */
static void descriptor(struct fields *f, int *fd)
{
	i32(f, fd);
	if (f->from != NULL && (*fd < -1 || (*fd >= 0 && *fd <= 2)))
		reader_refuse(f->from);
	if (f->from != NULL && f->from->failed)
		*fd = -1;
}

static void descriptors(struct fields *f, size_t *length, int *fds, size_t most)
{
	count(f, length, most);
	for (size_t i = 0; i < *length; i++)
		descriptor(f, &fds[i]);
}

static void tag(struct fields *f, struct bytes *value)
{
	if (f->to != NULL)
		writer_tag(f->to, *value);
	else
		*value = reader_tag(f->from);
}

/* Parts of a frame: longer than a tag may be. */
static void part(struct fields *f, struct bytes *value)
{
	if (f->to != NULL)
		writer_tag(f->to, *value);
	else
		*value = reader_part(f->from, FRAME_MAX);
}

void record_key(struct fields *f, struct bytes *key)
{
	if (f->to != NULL)
		writer_key(f->to, *key);
	else
		*key = reader_key(f->from);
}

/* rlim_t is not the same type in all C libraries. */
static void limit(struct fields *f, rlim_t *value)
{
	uint64_t number = *value;
	u64(f, &number);
	*value = number;
}

void record_keeper(struct fields *f, struct keeper *k)
{
	u64(f, &k->started);
	limit(f, &k->nofile_before.rlim_cur);
	limit(f, &k->nofile_before.rlim_max);
	u64(f, &k->signals.untold);
	u64(f, &k->signals.stop);
	i32(f, &k->signals.first_stop);
	u64(f, &k->ending.deadline);
	u32(f, &k->ending.lost);
	u32(f, &k->reexec.count);
	u64(f, &k->reexec.last_at);
	flag(f, &k->reexec.asked);
	u32(f, &k->reexec.id);
}

static void end(struct fields *f, enum supervisor_end *value)
{
	uint8_t number = (uint8_t)*value;
	u8(f, &number);
	if (number > END_PROTOCOL)
		reader_refuse(f->from);
	*value = number > END_PROTOCOL ? END_NONE : (enum supervisor_end)number;
}

void record_supervisor(struct fields *f, struct supervisor *s)
{
	i32(f, &s->pid);
	descriptor(f, &s->status_fd);
	i32(f, &s->exec_error);
	i32(f, &s->complained_of);
	u32(f, &s->starts);
	flag(f, &s->attached);
	flag(f, &s->ever_attached);
	u32(f, &s->ends_in_a_row);
	u64(f, &s->attached_for);
	u64(f, &s->backoff);
	u64(f, &s->restart_at);
	u64(f, &s->kill_at);
	u64(f, &s->heartbeat_at);
	end(f, &s->kill_as);
	end(f, &s->killed_as);
	end(f, &s->last_end);
	u32(f, &s->last_detail);
	u64(f, &s->last_end_at);
}

uint16_t record_channel(struct fields *f, struct channel *c)
{
	uint16_t protocol = PROTOCOL_VERSION;
	descriptor(f, &c->fd);
	i32(f, &c->peer);
	u64(f, &c->attached_at);
	u64(f, &c->dropped);
	u16(f, &protocol);
	return protocol;
}

void record_held(struct fields *f, struct held_record *r)
{
	record_key(f, &r->key);
	tag(f, &r->tag);
	descriptors(f, &r->count, r->fds, FRAME_FDS_MAX);
}

void record_child(struct fields *f, struct child_record *r, bool is_arm)
{
	record_key(f, &r->key);
	tag(f, &r->tag);
	u8(f, &r->state);
	u8(f, &r->by);
	i32(f, &r->pid);
	descriptor(f, &r->pidfd);
	descriptor(f, &r->status_fd);
	u64(f, &r->started);
	u64(f, &r->ended);
	i32(f, &r->wait_status);
	u8(f, &r->stage);
	i32(f, &r->error);
	u64(f, &r->signals);
	u64(f, &r->user_us);
	u64(f, &r->system_us);
	u64(f, &r->max_rss);
	descriptors(f, &r->kept_count, r->kept, START_KEEP_MAX);
	count(f, &r->drain_count, START_KEEP_MAX);
	for (size_t i = 0; i < r->drain_count; i++)
		u16(f, &r->drains[i]);
	if (!is_arm)
		return;
	part(f, &r->start);
	part(f, &r->watched);
	descriptors(f, &r->fd_count, r->fds, FRAME_FDS_MAX);
}

void record_drain(struct fields *f, struct drain_record *r)
{
	record_key(f, &r->key);
	u16(f, &r->index);
	flag(f, &r->ours);
	flag(f, &r->handed_over);
	u64(f, &r->dropped);
	u32(f, &r->capacity);
	if (f->from != NULL)
		r->kept = reader_part(f->from, DRAIN_RING_MAX);
}

void record_acceptor(struct fields *f, struct bytes *key, struct acceptor *a)
{
	uint8_t phase = (uint8_t)a->phase;
	record_key(f, key);
	u32(f, &a->limits.most);
	u32(f, &a->limits.most_per_source);
	u8(f, &a->limits.prefix4);
	u8(f, &a->limits.prefix6);
	flag(f, &a->limits.refuse);
	u32(f, &a->limits.burst);
	u32(f, &a->limits.interval_ms);
	u8(f, &phase);
	u64(f, &a->until);
	u64(f, &a->interval_from);
	u32(f, &a->in_interval);
	u64(f, &a->number);
	u64(f, &a->accepted);
	u64(f, &a->refused);
	u64(f, &a->refused_source);
	u64(f, &a->vanished);
	if (f->from != NULL && (phase > ACCEPTOR_SHORT || a->limits.most == 0 || a->limits.prefix4 > 32 || a->limits.prefix6 > 128))
		reader_refuse(f->from);
	a->phase = phase > ACCEPTOR_SHORT ? ACCEPTOR_ACCEPTING : (enum acceptor_phase)phase;
}
