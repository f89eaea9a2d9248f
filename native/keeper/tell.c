#define _GNU_SOURCE
#include "tell.h"

#include "arm.h"
#include "clock.h"
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

static bool tell_acceptors(struct keeper *k, const struct writer payload)
{
	for (size_t i = 0; i < k->tables[TABLE_ARMS].count; i++) {
		struct child *arm = (struct child *)k->tables[TABLE_ARMS].entries[i];
		struct acceptor *acceptor = &arm->armed->acceptor;
		struct writer w = payload;
		if (!acceptor->untold)
			continue;
		acceptor_encode(&w, arm);
		if (!channel_send_event(&k->channel, EVENT_ACCEPTOR, w.at, -1))
			return false;
		acceptor->untold = false;
		acceptor->told_at = clock_now();
	}
	k->acceptors.untold = false;
	return true;
}

void tell(struct keeper *k)
{
	const struct writer payload = {.bytes = k->channel.out + FRAME_HEADER, .capacity = FRAME_MAX - FRAME_HEADER};
	if (!channel_takes_events(&k->channel))
		return;
	if (k->signals.untold != 0 && !tell_signals(k, payload))
		return;
	if (k->acceptors.untold && !tell_acceptors(k, payload))
		return;
	while (k->news.first != NULL)
		if (!tell_child(k, payload, k->news.first))
			return;
	if (k->gathered.first == NULL || k->gathered_until > clock_now())
		return;
	while (k->gathered.first != NULL && tell_child(k, payload, k->gathered.first))
		continue;
}

uint64_t tell_deadline(const struct keeper *k)
{
	return k->gathered.first != NULL && channel_takes_events(&k->channel) ? k->gathered_until : 0;
}
