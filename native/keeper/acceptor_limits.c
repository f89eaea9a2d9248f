#define _GNU_SOURCE
#include "acceptor_limits.h"

#include "table.h"

void acceptor_limits_decode(struct reader *r, struct acceptor_limits *limits)
{
	limits->most = reader_u32(r);
	limits->most_per_source = reader_u32(r);
	limits->prefix4 = reader_u8(r);
	limits->prefix6 = reader_u8(r);
	uint8_t flags = reader_u8(r);
	limits->refuse = flags == 1;
	limits->burst = reader_u32(r);
	limits->interval_ms = reader_u32(r);
	limits->after = reader_u64(r);
	if (limits->most == 0 || limits->most > TABLE_MAX || limits->prefix4 > 32 || limits->prefix6 > 128 || flags > 1 ||
	    (limits->burst != 0 && limits->interval_ms == 0))
		reader_refuse(r);
}
