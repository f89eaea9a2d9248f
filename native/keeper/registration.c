#define _GNU_SOURCE
#include "registration.h"

#include <limits.h>

static int read_number(struct reader *r)
{
	uint32_t number = reader_u32(r);
	if (number >= INT_MAX)
		reader_refuse(r);
	return r->failed ? 0 : (int)number;
}

struct registration registration_decode(struct reader *r, size_t frame_fds)
{
	struct registration registration;
	registration.process = reader_u16(r);
	if (registration.process >= frame_fds)
		reader_refuse(r);
	registration.epoll = read_number(r);
	registration.number = read_number(r);
	registration.held_key = reader_key(r);
	registration.held_index = reader_u16(r);
	registration.events = reader_u32(r);
	registration.data = reader_u64(r);
	return registration;
}
