#define _GNU_SOURCE
#include "acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arm.h"
#include "child.h"
#include "clock.h"
#include "peer.h"
#include "keeper.h"
#include "spawn.h"

#define SHORT_FOR (100 * NS_PER_MS)
#define TOLD_EVERY (200 * NS_PER_MS)

static struct acceptor *of(struct child *arm)
{
	return &arm->armed->acceptor;
}

static struct child *arm_at(struct keeper *k, size_t index)
{
	struct child *arm = (struct child *)k->tables[TABLE_ARMS].entries[index];
	return arm->armed->trigger == TRIGGER_CONNECTION ? arm : NULL;
}

/* The key of its arm is what is in front of the last but one slash; what is behind the last one is its peer. */
static bool split_key(struct bytes key, struct bytes *arm, struct bytes *peer)
{
	size_t slashes = 0;
	for (size_t i = key.length; i > 0; i--) {
		if (key.at[i - 1] != '/')
			continue;
		if (++slashes == 1) {
			*peer = (struct bytes){key.at + i, key.length - i};
			continue;
		}
		*arm = (struct bytes){key.at, i - 1};
		return true;
	}
	return false;
}

/* How many of its processes are alive: all, or those of one source. */
static size_t count_alive(struct keeper *k, struct child *arm, const struct source *source)
{
	const struct table *children = &k->tables[TABLE_CHILDREN];
	const struct acceptor_limits *limits = &of(arm)->limits;
	size_t count = 0;
	for (size_t i = table_after(children, arm->entry.key); i < children->count; i++) {
		const struct child *child = (const struct child *)children->entries[i];
		struct bytes key = child->entry.key, own = arm->entry.key, owner, peer;
		if (key.length < own.length || memcmp(key.at, own.at, own.length) != 0)
			break; /* they stand together */
		if ((child->by & BY_CONNECTION) == 0 || !child_is_alive(child) || !split_key(key, &owner, &peer) ||
		    bytes_compare(owner, own) != 0)
			continue;
		count += source == NULL || source_is(source_of_peer(peer, limits->prefix4, limits->prefix6), *source);
	}
	return count;
}

static void news(struct keeper *k, struct acceptor *a, bool at_once)
{
	uint64_t now = clock_now();
	if (at_once || a->told_at + TOLD_EVERY <= now) {
		a->untold = true;
		k->acceptors.untold = true;
	} else if (a->tell_at == 0) {
		a->tell_at = a->told_at + TOLD_EVERY;
		k->acceptors.at = clock_earlier(k->acceptors.at, a->tell_at);
	}
}

bool acceptor_is_watching(const struct acceptor *a)
{
	return a->phase == ACCEPTOR_ACCEPTING;
}

static void wait_for(struct keeper *k, struct child *arm, enum acceptor_phase phase, uint64_t until)
{
	struct acceptor *a = of(arm);
	if (a->phase == ACCEPTOR_ACCEPTING)
		arm_unwatch(k, arm);
	a->phase = phase;
	a->until = until;
	k->acceptors.at = clock_earlier(k->acceptors.at, until);
	news(k, a, phase != ACCEPTOR_FULL);
}

static bool is_full(const struct acceptor *a)
{
	return a->alive >= a->limits.most && !a->limits.refuse;
}

/* What it waited for is over. */
static void go_on(struct keeper *k, struct child *arm)
{
	struct acceptor *a = of(arm);
	bool was_full = a->phase == ACCEPTOR_FULL;
	a->until = 0;
	a->phase = is_full(a) ? ACCEPTOR_FULL : ACCEPTOR_ACCEPTING;
	if (a->phase == ACCEPTOR_ACCEPTING && arm_watch(k, arm) != 0) {
		a->phase = ACCEPTOR_SHORT; /* no memory for it: tried again */
		a->until = clock_now() + SHORT_FOR;
		k->acceptors.at = clock_earlier(k->acceptors.at, a->until);
	}
	news(k, a, !was_full);
}

void acceptor_begin(struct keeper *k, struct child *arm, const struct acceptor_limits *limits, const struct acceptor *before)
{
	struct acceptor *a = of(arm);
	if (before != NULL)
		*a = *before;
	a->phase = ACCEPTOR_ACCEPTING;
	a->until = 0;
	a->limits = *limits;
	a->number = limits->after > a->number ? limits->after : a->number;
	a->alive = count_alive(k, arm, NULL);
	if (is_full(a))
		a->phase = ACCEPTOR_FULL;
	news(k, a, true);
}

/* The file is shared with nobody who waits in accept(2); that we do not wait is worth a look each time. */
static bool does_not_wait(int listener)
{
	int flags = fcntl(listener, F_GETFL);
	return flags >= 0 && ((flags & O_NONBLOCK) != 0 || fcntl(listener, F_SETFL, flags | O_NONBLOCK) == 0);
}

/* The key of the next one, whose number nobody has. */
static struct bytes next_key(struct keeper *k, struct child *arm, const struct peer *peer, char *key, size_t size)
{
	struct bytes own = arm->entry.key, next;
	do {
		of(arm)->number++;
		int length = snprintf(key, size, "%.*s/%llu/%s", (int)own.length, (const char *)own.at,
				      (unsigned long long)of(arm)->number, peer->name);
		next = (struct bytes){(const uint8_t *)key, (size_t)length};
	} while (table_find(&k->tables[TABLE_CHILDREN], next) != NULL);
	return next;
}

/* Another one than asked for: nobody knows when there will be room. */
static void run_short(struct keeper *k, struct child *arm)
{
	wait_for(k, arm, ACCEPTOR_SHORT, clock_now() + SHORT_FOR);
}

static void start(struct keeper *k, struct child *arm, struct peer *peer, int fd)
{
	static int fds[FRAME_FDS_MAX + 1];
	char bytes[KEY_MAX + 1];
	struct armed *armed = arm->armed;
	struct acceptor *a = &armed->acceptor;
	struct bytes key = next_key(k, arm, peer, bytes, sizeof bytes);
	struct child *child = child_make(k, key, entry_tag(&arm->entry), 0);
	if (child == NULL) {
		run_short(k, arm);
		return;
	}
	child->by = BY_ARM | BY_CONNECTION;
	struct reader r = reader_over(armed->start);
	start_decode(&r, armed->fd_count, &k->start); /* it was decoded before, so it succeeds */
	peer_add_variables(peer, a->number, &k->start);
	memcpy(fds, armed->fds, armed->fd_count * sizeof fds[0]);
	fds[armed->fd_count] = fd;
	a->accepted++;
	a->alive++;
	a->in_interval++;
	spawn(k, child, &k->start, fds);
	news(k, a, false);
}

/* Whether one more may be started in this interval; the first one after its end begins another. */
static bool may_start(struct acceptor *a, uint64_t now)
{
	uint64_t interval = a->limits.interval_ms * NS_PER_MS;
	if (a->interval_from + interval <= now) {
		a->interval_from = now;
		a->in_interval = 0;
	}
	return a->limits.burst == 0 || a->in_interval < a->limits.burst;
}

static bool has_room(const struct keeper *k)
{
	return k->tables[TABLE_CHILDREN].count + k->tables[TABLE_ARMS].count < TABLE_MAX;
}

static void refuse(struct keeper *k, struct acceptor *a, uint64_t *counter)
{
	(*counter)++;
	news(k, a, false);
}

static void take(struct keeper *k, struct child *arm, int fd)
{
	static struct peer client;
	struct acceptor *a = of(arm);
	if (!peer_describe(fd, &client)) {
		refuse(k, a, &a->vanished);
		return;
	}
	if (a->alive >= a->limits.most) {
		refuse(k, a, &a->refused);
		return;
	}
	if (a->limits.most_per_source != 0) {
		struct bytes peer = {(const uint8_t *)client.name, strlen(client.name)};
		struct source source = source_of_peer(peer, a->limits.prefix4, a->limits.prefix6);
		if (count_alive(k, arm, &source) >= a->limits.most_per_source) {
			refuse(k, a, &a->refused_source);
			return;
		}
	}
	start(k, arm, &client, fd);
}

void acceptor_ready(struct keeper *k, struct child *arm, int listener)
{
	struct acceptor *a = of(arm);
	uint64_t now = clock_now();
	if (a->phase != ACCEPTOR_ACCEPTING)
		return;
	if (!may_start(a, now)) {
		wait_for(k, arm, ACCEPTOR_PAUSED, a->interval_from + a->limits.interval_ms * NS_PER_MS);
		return;
	}
	if (!has_room(k) || !does_not_wait(listener)) {
		run_short(k, arm);
		return;
	}
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0) {
		/* Whoever it was has gone, or the network has failed him: accept(2) tells of it, and the next one may be well. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS || errno == EINVAL || errno == EOPNOTSUPP)
			run_short(k, arm);
		return;
	}
	if (fd >= k->reserved_from)
		run_short(k, arm);
	else
		take(k, arm, fd);
	close(fd);
	if (a->phase == ACCEPTOR_ACCEPTING && is_full(a))
		wait_for(k, arm, ACCEPTOR_FULL, 0);
}

void acceptors_ended(struct keeper *k, const struct child *child)
{
	struct bytes key, peer;
	if ((child->by & BY_CONNECTION) == 0 || !split_key(child->entry.key, &key, &peer))
		return;
	struct child *arm = (struct child *)table_find(&k->tables[TABLE_ARMS], key);
	if (arm == NULL || arm->armed->trigger != TRIGGER_CONNECTION)
		return;
	struct acceptor *a = of(arm);
	a->alive -= a->alive != 0;
	if (a->phase == ACCEPTOR_FULL && !is_full(a))
		go_on(k, arm);
	else
		news(k, a, false);
}

void acceptors_resume(struct keeper *k)
{
	for (size_t i = 0; i < k->tables[TABLE_ARMS].count; i++) {
		struct child *arm = arm_at(k, i);
		if (arm == NULL)
			continue;
		struct acceptor *a = of(arm);
		a->alive = count_alive(k, arm, NULL);
		if (a->phase == ACCEPTOR_FULL && !is_full(a))
			a->phase = ACCEPTOR_ACCEPTING;
	}
	acceptors_tell_all(k);
	k->acceptors.at = clock_now(); /* which looks for the deadlines */
}

void acceptors_tick(struct keeper *k, uint64_t now)
{
	if (!clock_passed(k->acceptors.at, now))
		return;
	k->acceptors.at = 0;
	for (size_t i = 0; i < k->tables[TABLE_ARMS].count; i++) {
		struct child *arm = arm_at(k, i);
		if (arm == NULL)
			continue;
		struct acceptor *a = of(arm);
		if (clock_passed(a->until, now))
			go_on(k, arm);
		if (clock_passed(a->tell_at, now)) {
			a->tell_at = 0;
			a->untold = k->acceptors.untold = true;
		}
		k->acceptors.at = clock_earlier(k->acceptors.at, clock_earlier(a->until, a->tell_at));
	}
}

void acceptors_tell_all(struct keeper *k)
{
	for (size_t i = 0; i < k->tables[TABLE_ARMS].count; i++) {
		struct child *arm = arm_at(k, i);
		if (arm != NULL)
			of(arm)->untold = k->acceptors.untold = true;
	}
}

void acceptor_encode(struct writer *w, const struct child *arm)
{
	const struct acceptor *a = &arm->armed->acceptor;
	writer_key(w, arm->entry.key);
	writer_u8(w, (uint8_t)a->phase);
	writer_u64(w, a->until);
	writer_u32(w, (uint32_t)a->alive);
	writer_u64(w, a->accepted);
	writer_u64(w, a->refused);
	writer_u64(w, a->refused_source);
	writer_u64(w, a->vanished);
}
