#define _GNU_SOURCE
#include "start.h"

#include <limits.h>
#include <string.h>

_Static_assert(sizeof(rlim_t) == 8, "limits travel as 64 bits");

static size_t count_up_to(struct reader *r, size_t lowest, size_t highest)
{
	size_t count = reader_u16(r);
	if (count < lowest || count > highest)
		reader_refuse(r);
	return r->failed ? 0 : count;
}

static void decode_identity(struct reader *r, struct start *start)
{
	start->flags = reader_u32(r);
	if ((start->flags & ~(uint32_t)START_FLAGS) != 0)
		reader_refuse(r);
	start->uid = reader_u32(r);
	start->gid = reader_u32(r);
	start->umask = reader_u32(r);
	start->nice = reader_i32(r);
	start->oom_score_adj = reader_i32(r);
	start->group_count = count_up_to(r, 0, START_GROUPS_MAX);
	for (size_t i = 0; i < start->group_count; i++)
		start->groups[i] = reader_u32(r);
	start->limit_count = count_up_to(r, 0, START_LIMITS_MAX);
	for (size_t i = 0; i < start->limit_count; i++) {
		uint32_t resource = reader_u32(r);
		if (resource > INT_MAX)
			reader_refuse(r);
		start->limits[i].resource = (int)resource;
		start->limits[i].value.rlim_cur = reader_u64(r);
		start->limits[i].value.rlim_max = reader_u64(r);
	}
}

/* Each field is there if its flag says so: a start that asks for none of them is as it was before there were any. */
static void decode_privileges(struct reader *r, struct start *start)
{
	start->processors = (struct bytes){NULL, 0};
	if ((start->flags & START_PROCESSORS) != 0)
		start->processors = reader_part(r, START_PROCESSORS_MAX);
	if ((start->flags & START_IO_PRIORITY) != 0)
		start->io_priority = reader_u16(r);
	if ((start->flags & START_POLICY) != 0) {
		start->policy = reader_i32(r);
		start->policy_priority = reader_i32(r);
	}
	if ((start->flags & START_CAPABILITIES) != 0)
		start->capabilities = reader_u64(r);
	if ((start->flags & START_BOUNDING) != 0)
		start->bounding = reader_u64(r);
}

static void decode_strings(struct reader *r, const char **strings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		strings[i] = reader_string(r);
	strings[count] = NULL;
}

static bool target_is_free(const struct start *start, size_t count, int target)
{
	for (size_t i = 0; i < count; i++)
		if (start->placements[i].target == target)
			return false;
	return true;
}

static void decode_placements(struct reader *r, size_t frame_fds, struct start *start)
{
	start->placement_count = count_up_to(r, 0, START_PLACEMENTS_MAX);
	start->takes_connection = false;
	for (size_t i = 0; i < start->placement_count && !r->failed; i++) {
		struct placement *p = &start->placements[i];
		uint32_t target = reader_u32(r);
		uint8_t source = reader_u8(r);
		p->from_held = source == 1;
		start->takes_connection = start->takes_connection || source == 2;
		p->held_key = p->from_held ? reader_key(r) : (struct bytes){NULL, 0};
		p->index = reader_u16(r);
		if (source == 2)
			p->index = (uint16_t)frame_fds;
		if (target >= INT_MAX || source > 2 || (source == 0 && p->index >= frame_fds) ||
		    !target_is_free(start, i, (int)target)) {
			reader_refuse(r);
			return;
		}
		p->target = (int)target;
	}
}

void start_decode_keep(struct reader *r, size_t frame_fds, struct start *start)
{
	bool seen[FRAME_FDS_MAX] = {false};
	start->keep_count = count_up_to(r, 0, START_KEEP_MAX);
	for (size_t i = 0; i < start->keep_count; i++) {
		uint16_t index = reader_u16(r);
		uint8_t flags = reader_u8(r);
		if (index >= frame_fds || index >= FRAME_FDS_MAX || seen[index] || flags > 1) {
			reader_refuse(r);
			return;
		}
		seen[index] = true;
		start->keep[i] = (struct keep){.index = index, .drained = flags == 1};
	}
}

void start_decode(struct reader *r, size_t frame_fds, struct start *start)
{
	decode_identity(r, start);
	decode_privileges(r, start);
	start->directory = reader_string(r);
	start->path = reader_string(r);
	start->argument_count = count_up_to(r, 1, START_ARGUMENTS_MAX);
	decode_strings(r, start->arguments, start->argument_count);
	start->environment_count = count_up_to(r, 0, START_ENVIRONMENT_MAX);
	decode_strings(r, start->environment, start->environment_count);
	decode_placements(r, frame_fds, start);
	start_decode_keep(r, frame_fds, start);
}
