#define _GNU_SOURCE
#include "adopted.h"

#include "child.h"

static void decode_record(struct reader *r, struct adopted *a)
{
	a->state = reader_u8(r);
	a->pid = reader_i32(r);
	a->by = reader_u8(r);
	a->started = reader_u64(r);
	a->ended = reader_u64(r);
	a->wait_status = reader_i32(r);
	a->stage = reader_u8(r);
	a->error = reader_i32(r);
	a->signals = reader_u64(r);
	a->user_us = reader_u64(r);
	a->system_us = reader_u64(r);
	a->max_rss = reader_u64(r);
	if (a->state < CHILD_RUNNING || a->state > CHILD_LOST || (a->by & ~CHILD_ORIGINS) != 0 || a->pid < 0)
		reader_refuse(r);
}

void adopted_decode(struct reader *r, size_t frame_fds, struct request *request, struct start *start)
{
	request->key = reader_key(r);
	decode_record(r, &request->adopted);
	request->tag = reader_tag(r);
	start->placement_count = 0;
	start_decode_keep(r, frame_fds, start);
	if (request->adopted.state != CHILD_RUNNING)
		return;
	if (frame_fds == 0 || request->adopted.pid == 0)
		reader_refuse(r);
	for (size_t i = 0; i < start->keep_count; i++)
		if (start->keep[i].index == 0) /* the pidfd */
			reader_refuse(r);
}
