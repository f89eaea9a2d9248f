/*
 * The records of a state (state.h), each described once for both directions: a function that is given a writer writes the fields,
 * given a reader it fills them. What was read points into the bytes that it was read from.
 */
#ifndef HOLDFAST_RECORD_H
#define HOLDFAST_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acceptor.h"
#include "drain.h"
#include "frame.h"
#include "start.h"

enum record_kind {
	RECORD_KEEPER = 1,
	RECORD_SUPERVISOR = 2,
	RECORD_CHANNEL = 3,
	RECORD_HELD = 4,
	RECORD_CHILD = 5,
	RECORD_ARM = 6,
	RECORD_DRAIN = 7, /* after the child or the arm that it belongs to */
	RECORD_NEWS = 8,  /* one for each child that has news, in their order */
	RECORD_END = 9,
	RECORD_ACCEPTOR = 10, /* after the arm that it belongs to */
	RECORD_KINDS
};

enum { RECORD_HEADER = 6, RECORD_MAX = 512 * 1024 };

struct keeper;
struct supervisor;
struct channel;

/* One of the two. */
struct fields {
	struct writer *to;
	struct reader *from;
};

struct held_record {
	struct bytes key, tag;
	size_t count;
	int fds[FRAME_FDS_MAX];
};

struct child_record {
	struct bytes key, tag;
	uint8_t state, by, stage;
	int32_t pid, pidfd, status_fd, wait_status, error;
	uint64_t started, ended, signals, user_us, system_us, max_rss;
	size_t kept_count;
	int kept[START_KEEP_MAX];
	size_t drain_count;
	uint16_t drains[START_KEEP_MAX];
	/* Of an arm only. */
	struct bytes start, watched;
	size_t fd_count;
	int fds[FRAME_FDS_MAX];
};

struct drain_record {
	struct bytes key;
	uint16_t index;
	bool ours, handed_over;
	uint64_t dropped;
	uint32_t capacity;   /* 0 = there is no ring */
	struct bytes kept;   /* read only; drain_write writes it */
};

void record_keeper(struct fields *f, struct keeper *keeper);
void record_supervisor(struct fields *f, struct supervisor *supervisor);
uint16_t record_channel(struct fields *f, struct channel *channel); /* the version of the protocol that was agreed on */
void record_held(struct fields *f, struct held_record *record);
void record_child(struct fields *f, struct child_record *record, bool is_arm);
void record_drain(struct fields *f, struct drain_record *record);
void record_acceptor(struct fields *f, struct bytes *key, struct acceptor *acceptor);
void record_key(struct fields *f, struct bytes *key);

#endif
