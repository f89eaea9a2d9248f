#define _GNU_SOURCE
#include "tell.h"

#include "keeper.h"

static bool tell_signals(struct keeper *k, struct writer w)
{
	writer_u64(&w, k->signals.untold);
	if (!channel_send_event(&k->channel, EVENT_SIGNALLED, w.at, -1))
		return false;
	k->signals.untold = 0;
	return true;
}

static bool tell_child(struct keeper *k, struct writer w, struct child *child)
{
	child_encode(&w, child);
	writer_tag(&w, entry_tag(&child->entry));
	if (!channel_send_event(&k->channel, EVENT_CHILD, w.at, child->state == CHILD_RUNNING ? child->pidfd : -1))
		return false;
	child_told(k, child);
	return true;
}

void tell(struct keeper *k)
{
	const struct writer payload = {.bytes = k->channel.out + FRAME_HEADER, .capacity = FRAME_MAX - FRAME_HEADER};
	if (!channel_takes_events(&k->channel))
		return;
	if (k->signals.untold != 0 && !tell_signals(k, payload))
		return;
	while (k->news.first != NULL && tell_child(k, payload, k->news.first))
		continue;
}
