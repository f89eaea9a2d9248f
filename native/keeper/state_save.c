#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arm.h"
#include "held.h"
#include "keeper.h"
#include "record.h"
#include "state.h"

/* One record at a time: as it is written, a lack of memory is an error and no signal. */
struct saver {
	int file;
	size_t length;
	int error;
	struct writer record;
	struct fields fields;
};

static uint8_t space[RECORD_MAX];

static void write_all(struct saver *s, const uint8_t *bytes, size_t length)
{
	s->length += length;
	if (s->error == 0 && s->length > STATE_MAX)
		s->error = EFBIG;
	while (s->error == 0 && length != 0) {
		ssize_t count = write(s->file, bytes, length);
		if (count < 0 && errno != EINTR)
			s->error = errno;
		if (count <= 0)
			continue;
		bytes += count;
		length -= (size_t)count;
	}
}

static struct fields *begin(struct saver *s)
{
	s->record = (struct writer){.bytes = space, .capacity = sizeof space, .at = RECORD_HEADER};
	s->fields = (struct fields){.to = &s->record};
	return &s->fields;
}

static void end(struct saver *s, enum record_kind kind)
{
	struct writer header = {.bytes = space, .capacity = RECORD_HEADER};
	writer_u16(&header, (uint16_t)kind);
	writer_u32(&header, (uint32_t)(s->record.at - RECORD_HEADER));
	if (s->record.failed && s->error == 0)
		s->error = EFBIG;
	write_all(s, space, s->record.at);
}

static void save_held(struct saver *s, const struct held *held)
{
	struct held_record r = {.key = held->entry.key, .tag = entry_tag(&held->entry), .count = held->count};
	for (size_t i = 0; i < held->count; i++)
		r.fds[i] = held->fds[i].fd;
	record_held(begin(s), &r);
	end(s, RECORD_HELD);
}

static void save_drain(struct saver *s, const struct child *child, const struct drain *drain)
{
	struct drain_record r = {
		.key = child->entry.key,
		.index = drain->index,
		.ours = drain->ours,
		.handed_over = drain->handed_over,
		.dropped = drain->dropped,
		.capacity = (uint32_t)drain->capacity,
	};
	record_drain(begin(s), &r);
	drain_write(&s->record, drain);
	end(s, RECORD_DRAIN);
}

static uint64_t microseconds(struct timeval time)
{
	return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

static void save_child(struct saver *s, const struct child *child)
{
	static struct child_record r;
	const struct armed *armed = child->armed;
	size_t drains = child->drains == NULL ? 0 : child->drains->count;
	r = (struct child_record){
		.key = child->entry.key,
		.tag = entry_tag(&child->entry),
		.state = (uint8_t)child->state,
		.by = (uint8_t)child->by,
		.stage = child->stage,
		.pid = child->pid,
		.pidfd = child->pidfd,
		.status_fd = child->status_fd,
		.wait_status = child->wait_status,
		.error = child->error,
		.started = child->started,
		.ended = child->ended,
		.signals = child->signals,
		.user_us = microseconds(child->usage.ru_utime),
		.system_us = microseconds(child->usage.ru_stime),
		.max_rss = (uint64_t)child->usage.ru_maxrss,
		.kept_count = child->kept_count,
		.drain_count = drains,
	};
	memcpy(r.kept, child->kept, child->kept_count * sizeof r.kept[0]);
	for (size_t i = 0; i < drains; i++)
		r.drains[i] = child->drains->each[i].index;
	if (armed != NULL) {
		r.start = armed->start;
		r.watched = armed->watched;
		r.fd_count = armed->fd_count;
		memcpy(r.fds, armed->fds, armed->fd_count * sizeof r.fds[0]);
	}
	record_child(begin(s), &r, armed != NULL);
	end(s, armed != NULL ? RECORD_ARM : RECORD_CHILD);
	for (size_t i = 0; i < drains; i++)
		save_drain(s, child, &child->drains->each[i]);
	if (armed == NULL || armed->trigger != TRIGGER_CONNECTION)
		return;
	struct acceptor acceptor = armed->acceptor;
	struct bytes key = child->entry.key;
	record_acceptor(begin(s), &key, &acceptor);
	end(s, RECORD_ACCEPTOR);
}

static void save_all(struct saver *s, struct keeper *k)
{
	uint8_t head[STATE_HEADER];
	struct writer header = {.bytes = head, .capacity = sizeof head};
	writer_u64(&header, STATE_MAGIC);
	writer_u16(&header, STATE_VERSION);
	write_all(s, head, sizeof head);
	record_keeper(begin(s), k);
	end(s, RECORD_KEEPER);
	record_supervisor(begin(s), &k->supervisor);
	end(s, RECORD_SUPERVISOR);
	(void)record_channel(begin(s), &k->channel);
	end(s, RECORD_CHANNEL);
	for (size_t i = 0; i < k->tables[TABLE_HELD].count; i++)
		save_held(s, (const struct held *)k->tables[TABLE_HELD].entries[i]);
	for (size_t i = 0; i < k->tables[TABLE_CHILDREN].count; i++)
		save_child(s, (const struct child *)k->tables[TABLE_CHILDREN].entries[i]);
	for (size_t i = 0; i < k->tables[TABLE_ARMS].count; i++)
		save_child(s, (const struct child *)k->tables[TABLE_ARMS].entries[i]);
	for (struct child *child = k->news.first; child != NULL; child = child->next) {
		record_key(begin(s), &child->entry.key);
		end(s, RECORD_NEWS);
	}
	for (struct child *child = k->gathered.first; child != NULL; child = child->next) {
		record_key(begin(s), &child->entry.key);
		end(s, RECORD_NEWS);
	}
	(void)begin(s);
	end(s, RECORD_END);
}

int state_save(struct keeper *k, int *file)
{
	struct saver s = {.file = memfd_create("holdfast-keeper-state", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
	if (s.file < 0)
		return errno;
	save_all(&s, k);
	/* Whoever tries it out cannot change it, and whoever maps it cannot lose it. */
	if (s.error == 0 && fcntl(s.file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		s.error = errno;
	if (s.error != 0) {
		close(s.file);
		return s.error;
	}
	*file = s.file;
	return 0;
}
